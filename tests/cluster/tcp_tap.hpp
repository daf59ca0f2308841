#pragma once

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstdint>
#include <limits>
#include <list>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

namespace framemill::test {

/// A wire between a client and a server on loopback that a test can cut, hold
/// after so many bytes, or damage.
class tcp_tap {
public:
  enum class way { to_server, to_client };
  static constexpr std::uint64_t unlimited = std::numeric_limits<std::uint64_t>::max();

  explicit tcp_tap(std::uint16_t to) : to_(to), door_(::socket(AF_INET, SOCK_STREAM, 0)) {
    auto where = loopback(0);
    socklen_t size = sizeof where;
    auto address = reinterpret_cast<sockaddr*>(&where);
    if (::bind(door_, address, size) != 0 || ::listen(door_, 16) != 0
        || ::getsockname(door_, address, &size) != 0)
      throw std::runtime_error{"tcp_tap: no loopback"};
    port_ = ntohs(where.sin_port);
    accepting_ = std::thread{[this] { accept(); }};
  }
  ~tcp_tap() {
    {
      std::lock_guard hold{mutex_};
      ending_ = true;
    }
    ::shutdown(door_, SHUT_RDWR);
    accepting_.join();
    cut();
    for (auto& t : pumps_)
      t.join();
    for (int fd : ends_)
      ::close(fd);
    ::close(door_);
  }

  [[nodiscard]] std::uint16_t port() const { return port_; }

  /// Lets so many more bytes through, then holds the wire.
  void allow(way w, std::uint64_t bytes) {
    std::lock_guard hold{mutex_};
    side(w).left = bytes;
    side(w).held = false;
    moved_.notify_all();
  }
  /// Until the wire is held with bytes waiting. False after half a minute.
  [[nodiscard]] bool wait_until_held(way w) {
    std::unique_lock hold{mutex_};
    return moved_.wait_for(hold, std::chrono::seconds{30}, [&] { return side(w).held; });
  }
  /// Breaks every connection that is there.
  void cut() {
    std::lock_guard hold{mutex_};
    ++cuts_;
    for (int fd : ends_)
      ::shutdown(fd, SHUT_RDWR);
    moved_.notify_all();
  }
  /// Flips a bit of the byte that comes after so many more.
  void damage(way w, std::uint64_t after) {
    std::lock_guard hold{mutex_};
    side(w).damage_in = after;
  }
  [[nodiscard]] int connections() {
    std::lock_guard hold{mutex_};
    return static_cast<int>(pumps_.size() / 2);
  }

private:
  struct direction {
    std::uint64_t left = unlimited;
    std::uint64_t damage_in = unlimited;
    bool held = false;
  };
  direction& side(way w) { return sides_[w == way::to_server ? 0 : 1]; }

  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    a.sin_port = htons(port);
    return a;
  }

  void accept() {
    for (int in; (in = ::accept(door_, nullptr, nullptr)) >= 0;) {
      const int out = ::socket(AF_INET, SOCK_STREAM, 0);
      auto where = loopback(to_);
      std::lock_guard hold{mutex_};
      ends_.insert(ends_.end(), {in, out});
      if (ending_ || ::connect(out, reinterpret_cast<sockaddr*>(&where), sizeof where) != 0) {
        ::shutdown(in, SHUT_RDWR);
        continue;
      }
      pumps_.emplace_back([this, in, out] { pump(in, out, way::to_server); });
      pumps_.emplace_back([this, in, out] { pump(out, in, way::to_client); });
    }
  }

  void pump(int from, int to, way w) {
    std::array<char, 16384> bytes{};
    for (ssize_t n; (n = ::read(from, bytes.data(), bytes.size())) > 0;)
      if (!pass(bytes.data(), static_cast<std::size_t>(n), to, w))
        break;
    ::shutdown(from, SHUT_RDWR);
    ::shutdown(to, SHUT_RDWR);
  }

  bool pass(char* bytes, std::size_t size, int to, way w) {
    while (size > 0) {
      const auto n = permitted(bytes, size, w);
      if (n == 0 || ::send(to, bytes, n, MSG_NOSIGNAL) != static_cast<ssize_t>(n))
        return false;
      bytes += n;
      size -= n;
    }
    return true;
  }

  /// How many may go on; 0 when the connection was cut meanwhile.
  std::size_t permitted(char* bytes, std::size_t size, way w) {
    std::unique_lock hold{mutex_};
    const auto cuts = cuts_;
    auto& s = side(w);
    s.held = s.left == 0;
    moved_.notify_all();
    moved_.wait(hold, [&] { return s.left > 0 || cuts_ != cuts; });
    if (cuts_ != cuts)
      return 0;
    const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(size, s.left));
    if (s.left != unlimited)
      s.left -= n;
    if (s.damage_in < n)
      bytes[std::exchange(s.damage_in, unlimited)] ^= 1;
    else if (s.damage_in != unlimited)
      s.damage_in -= n;
    return n;
  }

  std::uint16_t to_, port_ = 0;
  int door_;
  std::mutex mutex_;
  std::condition_variable moved_;
  std::array<direction, 2> sides_;
  std::uint64_t cuts_ = 0;
  bool ending_ = false;
  std::vector<int> ends_;
  std::list<std::thread> pumps_;
  std::thread accepting_;
};

} // namespace framemill::test
