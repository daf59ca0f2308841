#include "tests/support/chaos_proxy.hpp"

#include "storage/file_handle.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <list>
#include <mutex>
#include <optional>
#include <random>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace framemill::test {

namespace {

using steady = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t piece_bytes_max = 64u << 10;
constexpr std::size_t queue_bytes_max = 1u << 20; ///< in one direction of a connection

sockaddr_in address_of(const std::string& host_port) {
  auto colon = host_port.rfind(':');
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(static_cast<std::uint16_t>(std::stoi(host_port.substr(colon + 1))));
  if (::inet_pton(AF_INET, host_port.substr(0, colon).c_str(), &a.sin_addr) != 1)
    throw std::runtime_error{"not an address: " + host_port};
  return a;
}

file_handle tcp_socket() {
  file_handle s{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!s)
    throw std::runtime_error{std::string{"socket: "} + std::strerror(errno)};
  return s;
}

void hurry(const file_handle& s) {
  int on = 1;
  ::setsockopt(s.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/// Closes it so that the other side reads a reset, not an end.
void reset(file_handle& s) {
  linger at_once{1, 0};
  ::setsockopt(s.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  s = {};
}

bool is_passing(int error) { return error == EAGAIN || error == EINTR || error == EINPROGRESS; }

/// What one direction does to all connections.
struct rule {
  milliseconds delay{0}, jitter{0};
  std::int64_t bytes_per_second = 0; ///< 0 = no limit
  bool held = false;
  std::optional<std::uint64_t> flip_at; ///< in terms of `bytes`
  std::uint64_t bytes = 0;
  steady::time_point free_at; ///< of the throttle
};

struct piece {
  steady::time_point due;
  std::string bytes;
};

/// One direction of one connection.
struct stream {
  std::deque<piece> pieces;
  std::size_t queued = 0;
  bool ended = false;  ///< its source said so
  bool closed = false; ///< and its destination knows

  void add(steady::time_point due, std::string bytes) {
    if (!pieces.empty())
      due = std::max(due, pieces.back().due);
    queued += bytes.size();
    pieces.push_back({due, std::move(bytes)});
  }
  void drop(std::size_t n) {
    queued -= n;
    pieces.front().bytes.erase(0, n);
    if (pieces.front().bytes.empty())
      pieces.pop_front();
  }
};

struct side {
  file_handle socket;
  bool broken = false;
  short wanted = 0, ready = 0; ///< poll's events
};

/// Sides and streams: 0 is who dialled us, and what it says; 1 whom we dialled.
struct connection {
  std::array<side, 2> sides;
  std::array<stream, 2> streams;
};

} // namespace

/// The rules and the connections under one lock, and the thread that carries.
class chaos_proxy::carrier {
public:
  carrier(std::string target, std::uint64_t seed)
      : target_(address_of(target)), random_(seed), listener_(tcp_socket()),
        wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    auto any = address_of("127.0.0.1:0");
    socklen_t size = sizeof any;
    auto* a = reinterpret_cast<sockaddr*>(&any);
    if (::bind(listener_.get(), a, size) != 0 || ::listen(listener_.get(), 64) != 0
        || ::getsockname(listener_.get(), a, &size) != 0)
      throw std::runtime_error{std::string{"listen: "} + std::strerror(errno)};
    port = ntohs(any.sin_port);
    thread_ = std::thread{[this] { run(); }};
  }
  ~carrier() {
    with([](carrier& c) { c.ending_ = true; });
    thread_.join();
  }

  /// Changes rules and lets the thread see them.
  template <class Change>
  void with(Change change) {
    {
      std::lock_guard hold{mutex_};
      change(*this);
    }
    std::uint64_t one = 1;
    (void)!::write(wake_.get(), &one, sizeof one);
  }
  template <class Change>
  void change(flow f, Change change) {
    with([&](carrier& c) {
      if (f != flow::backward)
        change(c.rules_[0]);
      if (f != flow::forward)
        change(c.rules_[1]);
    });
  }
  template <class Question>
  auto ask(Question question) const {
    std::lock_guard hold{mutex_};
    return question(*this);
  }

  std::uint16_t port = 0;

  // Under the lock.
  sockaddr_in target_;
  std::array<rule, 2> rules_; ///< 0 forward
  std::list<connection> connections_;
  bool refusing_ = false, cutting_ = false, ending_ = false;
  std::size_t accepted_ = 0, flipped_ = 0;

private:
  void run() {
    std::unique_lock hold{mutex_};
    while (!ending_) {
      wait(hold);
      drain_wake();
      accept_all();
      if (std::exchange(cutting_, false))
        for (auto& c : connections_)
          reset_both(c);
      for (auto& c : connections_)
        serve(c);
      connections_.remove_if([](const connection& c) { return !c.sides[0].socket; });
    }
  }

  void wait(std::unique_lock<std::mutex>& hold) {
    std::vector<pollfd> fds{{wake_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
    auto now = steady::now();
    auto next = now + std::chrono::hours{1};
    std::vector<side*> order; // stays good: only this thread changes the list
    for (auto& c : connections_)
      for (std::size_t i = 0; i < 2; ++i) {
        auto& s = c.sides[i];
        s.wanted = wanted(c, i, now, next);
        fds.push_back({s.wanted != 0 ? s.socket.get() : -1, s.wanted, 0});
        order.push_back(&s);
      }
    auto left = std::chrono::ceil<milliseconds>(next - now);
    hold.unlock();
    (void)::poll(fds.data(), fds.size(), static_cast<int>(left.count()));
    hold.lock();
    for (std::size_t i = 0; i < order.size(); ++i)
      order[i]->ready = fds[i + 2].revents;
  }

  /// What side `i` should be asked; `next` is when something is due without it.
  short wanted(const connection& c, std::size_t i, steady::time_point now,
               steady::time_point& next) const {
    if (!c.sides[i].socket || c.sides[i].broken)
      return 0;
    short out = 0;
    if (!rules_[i].held && !c.streams[i].ended && c.streams[i].queued < queue_bytes_max)
      out |= POLLIN;
    auto from = 1 - i;
    if (auto at = due(c, from)) {
      if (*at <= now)
        out |= POLLOUT;
      else
        next = std::min(next, *at);
    }
    return out;
  }

  /// When the stream's next piece may go on; nothing while it may not.
  std::optional<steady::time_point> due(const connection& c, std::size_t from) const {
    if (rules_[from].held || c.streams[from].pieces.empty())
      return std::nullopt;
    auto at = c.streams[from].pieces.front().due;
    return rules_[from].bytes_per_second > 0 ? std::max(at, rules_[from].free_at) : at;
  }

  void drain_wake() {
    std::uint64_t count = 0;
    (void)!::read(wake_.get(), &count, sizeof count);
  }

  void accept_all() {
    while (true) {
      file_handle s{::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
      if (!s)
        return;
      ++accepted_;
      if (refusing_) {
        reset(s);
        continue;
      }
      hurry(s);
      connections_.emplace_back().sides[0].socket = std::move(s);
    }
  }

  void serve(connection& c) {
    if (!c.sides[0].socket)
      return;
    if (!c.sides[1].socket && !rules_[0].held && !rules_[1].held)
      dial(c);
    for (std::size_t i = 0; i < 2; ++i) {
      if (c.sides[i].ready & (POLLIN | POLLHUP | POLLERR))
        take(c, i);
      if (c.sides[i].ready & (POLLOUT | POLLHUP | POLLERR))
        give(c, 1 - i);
      c.sides[i].ready = 0;
    }
    pass_on_ends(c);
  }

  void dial(connection& c) {
    auto& s = c.sides[1];
    s.socket = tcp_socket();
    hurry(s.socket);
    auto failed =
        ::connect(s.socket.get(), reinterpret_cast<const sockaddr*>(&target_), sizeof target_)
        != 0;
    s.broken = failed && !is_passing(errno);
  }

  /// Reads what side `i` says.
  void take(connection& c, std::size_t i) {
    auto& s = c.streams[i];
    if (c.sides[i].broken || s.ended || rules_[i].held || s.queued >= queue_bytes_max)
      return;
    std::string bytes(piece_bytes_max, '\0');
    auto n = ::recv(c.sides[i].socket.get(), bytes.data(), bytes.size(), 0);
    if (n > 0) {
      bytes.resize(static_cast<std::size_t>(n));
      s.add(steady::now() + later(rules_[i]), std::move(bytes));
    } else if (n == 0) {
      s.ended = true;
    } else {
      c.sides[i].broken = !is_passing(errno);
    }
  }

  milliseconds later(const rule& r) {
    auto spread = r.jitter.count();
    auto by = std::uniform_int_distribution<std::int64_t>{-spread, spread}(random_);
    return std::max(milliseconds{0}, r.delay + milliseconds{by});
  }

  /// Writes what is due of stream `from` to the other side.
  void give(connection& c, std::size_t from) {
    auto& to = c.sides[1 - from];
    auto& r = rules_[from];
    auto& s = c.streams[from];
    for (auto now = steady::now(); to.socket && !to.broken; now = steady::now()) {
      auto at = due(c, from);
      if (!at || *at > now)
        return;
      auto& bytes = s.pieces.front().bytes;
      auto n = ::send(to.socket.get(), bytes.data(), share(r, bytes), MSG_NOSIGNAL);
      if (n < 0) {
        to.broken = !is_passing(errno);
        return;
      }
      spend(r, now, static_cast<std::size_t>(n));
      s.drop(static_cast<std::size_t>(n));
    }
  }

  /// How many of these bytes may go now; the one to be damaged is damaged.
  std::size_t share(rule& r, std::string& bytes) {
    auto n = bytes.size();
    if (r.bytes_per_second > 0)
      n = std::min(
          n, static_cast<std::size_t>(std::max<std::int64_t>(1, r.bytes_per_second / 50)));
    if (r.flip_at && *r.flip_at < r.bytes + n) {
      bytes[*r.flip_at - r.bytes] ^= 0x10;
      r.flip_at.reset();
      ++flipped_;
    }
    return n;
  }

  static void spend(rule& r, steady::time_point now, std::size_t n) {
    r.bytes += n;
    if (r.bytes_per_second > 0)
      r.free_at = std::max(now, r.free_at)
                  + std::chrono::microseconds{static_cast<std::int64_t>(n) * 1'000'000
                                              / r.bytes_per_second};
  }

  /// Ends and resets go the way of the bytes, and are held with them.
  void pass_on_ends(connection& c) {
    for (std::size_t i = 0; i < 2; ++i) {
      auto& s = c.streams[i];
      auto& to = c.sides[1 - i];
      if (rules_[i].held)
        continue;
      if (c.sides[i].broken)
        return reset_both(c);
      if (s.ended && !s.closed && s.pieces.empty() && to.socket) {
        ::shutdown(to.socket.get(), SHUT_WR);
        s.closed = true;
      }
    }
    if (c.streams[0].closed && c.streams[1].closed)
      c.sides[0].socket = {};
  }

  static void reset_both(connection& c) {
    for (auto& s : c.sides)
      if (s.socket)
        reset(s.socket);
  }

  mutable std::mutex mutex_;
  std::mt19937_64 random_;
  file_handle listener_, wake_;
  std::thread thread_;
};

chaos_proxy::chaos_proxy(std::string target, std::uint64_t seed)
    : carrier_(std::make_unique<carrier>(std::move(target), seed)) {}
chaos_proxy::~chaos_proxy() = default;

std::uint16_t chaos_proxy::port() const { return carrier_->port; }
std::string chaos_proxy::endpoint() const { return "127.0.0.1:" + std::to_string(port()); }

void chaos_proxy::retarget(std::string target) {
  carrier_->with([a = address_of(target)](carrier& c) { c.target_ = a; });
}

void chaos_proxy::heal() {
  carrier_->with([](carrier& c) {
    c.refusing_ = false;
    for (auto& r : c.rules_)
      r = {.bytes = r.bytes};
  });
}

void chaos_proxy::delay(milliseconds mean, milliseconds jitter, flow f) {
  carrier_->change(f, [=](rule& r) { r.delay = mean, r.jitter = jitter; });
}
void chaos_proxy::throttle(std::int64_t bytes_per_second, flow f) {
  carrier_->change(f, [=](rule& r) { r.bytes_per_second = bytes_per_second; });
}
void chaos_proxy::blackhole(flow f) {
  carrier_->change(f, [](rule& r) { r.held = true; });
}
void chaos_proxy::cut() {
  carrier_->with([](carrier& c) { c.cutting_ = true; });
}
void chaos_proxy::refuse() {
  carrier_->with([](carrier& c) { c.refusing_ = true; });
}
void chaos_proxy::flip_byte(std::uint64_t offset, flow f) {
  carrier_->change(f, [=](rule& r) { r.flip_at = r.bytes + offset; });
}

std::size_t chaos_proxy::connections() const {
  return carrier_->ask([](const carrier& c) { return c.connections_.size(); });
}
std::size_t chaos_proxy::accepted() const {
  return carrier_->ask([](const carrier& c) { return c.accepted_; });
}
std::uint64_t chaos_proxy::bytes(flow f) const {
  return carrier_->ask([f](const carrier& c) {
    return (f == flow::backward ? 0 : c.rules_[0].bytes)
           + (f == flow::forward ? 0 : c.rules_[1].bytes);
  });
}
std::size_t chaos_proxy::flipped() const {
  return carrier_->ask([](const carrier& c) { return c.flipped_; });
}

} // namespace framemill::test
