#include "cluster/data_files.hpp"
#include "cluster/data_plane.hpp"
#include "cluster/data_read_ahead.hpp"
#include "core/range_message.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

namespace framemill {
namespace {

using namespace data;

constexpr std::uint64_t run_chunks_max = 8;
constexpr std::size_t chunks_kept_max = 2 * run_chunks_max; ///< one run read, one coming

int errno_of(errc code) {
  switch (code) {
  case errc::input_changed: return ESTALE;
  case errc::not_found: return ENOENT;
  case errc::cancelled: return ECANCELED;
  default: return EIO;
  }
}

/// All bytes, or false: the child has gone.
bool receive_all(int fd, unsigned char* to, std::size_t size) {
  while (size > 0) {
    auto n = ::recv(fd, to, size, 0);
    if (n == 0 || (n < 0 && errno != EINTR))
      return false;
    if (n > 0)
      to += n, size -= static_cast<std::size_t>(n);
  }
  return true;
}

bool send_all(int fd, std::string_view bytes, int flags = 0) {
  while (!bytes.empty()) {
    auto n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | flags);
    if (n < 0 && errno != EINTR)
      return false;
    if (n > 0)
      bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

/// Two threads: one answers the child, one brings chunks from the other node, so
/// that a run comes while the last one is being read.
class socket_range_server final : public range_server {
public:
  socket_range_server(std::unique_ptr<data_client> client, object_ref object,
                      std::uint64_t chunk_bytes, std::array<int, 2> ends)
      : client_(std::move(client)), object_(std::move(object)), chunk_bytes_(chunk_bytes),
        ahead_((object_.generation.size + chunk_bytes - 1) / chunk_bytes, run_chunks_max),
        end_(ends[0]), child_end_(ends[1]) {
    answering_ = std::thread{[this] { answer(); }};
    bringing_thread_ = std::thread{[this] { bring(); }};
  }
  ~socket_range_server() override {
    ::shutdown(end_.fd(), SHUT_RDWR);
    end();
    answering_.join();
    bringing_thread_.join();
    if (child_end_ >= 0)
      ::close(child_end_);
  }

  [[nodiscard]] int take_child_end() override { return std::exchange(child_end_, -1); }
  [[nodiscard]] std::optional<error> failure() const override {
    std::lock_guard hold{mutex_};
    return failure_;
  }
  [[nodiscard]] bool is_waited_for() const override { return is_waited_for_; }
  [[nodiscard]] std::uint64_t bytes_read() const override { return bytes_read_; }

private:
  void end() {
    {
      std::lock_guard hold{mutex_};
      ending_ = true;
    }
    moved_.notify_all();
    client_->cancel();
  }

  // ---- the child's side ------------------------------------------------------------

  void answer() {
    std::array<unsigned char, range_ask_bytes> question{};
    while (receive_all(end_.fd(), question.data(), question.size()))
      if (!answer(from_wire(question)))
        break;
    end();
  }

  bool answer(range_ask ask) {
    if (ask == source_size_ask) {
      unsigned char size[8];
      to_little_endian<8>(object_.generation.size, size);
      return give(8, {reinterpret_cast<const char*>(size), sizeof size});
    }
    if (ask.size == 0 || ask.offset >= object_.generation.size)
      return give(0, {});
    auto chunk = chunk_of(ask.offset / chunk_bytes_);
    if (!chunk)
      return give(-errno_of(chunk.error().code), {});
    auto bytes = std::string_view{**chunk}.substr(
        std::min<std::size_t>(ask.offset % chunk_bytes_, (*chunk)->size()), ask.size);
    return give(static_cast<std::int32_t>(bytes.size()), bytes);
  }

  bool give(std::int32_t count, std::string_view bytes) {
    unsigned char head[4];
    to_little_endian<4>(static_cast<std::uint32_t>(count), head);
    return send_all(end_.fd(), {reinterpret_cast<const char*>(head), sizeof head},
                    bytes.empty() ? 0 : MSG_MORE)
           && send_all(end_.fd(), bytes);
  }

  result<chunk_cache::bytes> chunk_of(std::uint64_t i) {
    std::unique_lock hold{mutex_};
    auto has = [this](std::uint64_t c) { return cache_.has(c) || coming_.contains(c); };
    if (auto run = ahead_.touch(i, has)) {
      wanted_ = *run;
      moved_.notify_all();
    }
    chunk_cache::bytes found;
    is_waited_for_ = true;
    moved_.wait(hold, [&] { return (found = cache_.find(i)) || failure_ || ending_; });
    is_waited_for_ = false;
    if (found)
      return found;
    return framemill::failure{
        failure_.value_or(error{errc::cancelled, "no longer served", {}})};
  }

  // ---- the other node's side -------------------------------------------------------

  void bring() {
    std::unique_lock hold{mutex_};
    while (true) {
      moved_.wait(hold, [this] { return ending_ || wanted_.count > 0; });
      if (ending_)
        return;
      coming_ = std::exchange(wanted_, {});
      hold.unlock();
      auto bytes = client_->read(object_, coming_.first * chunk_bytes_,
                                 coming_.count * chunk_bytes_);
      hold.lock();
      if (bytes)
        keep(coming_.first, *bytes);
      else if (!ending_ && !failure_)
        failure_ = bytes.error();
      coming_ = {};
      moved_.notify_all();
    }
  }

  void keep(std::uint64_t first, std::string_view bytes) {
    bytes_read_ += bytes.size();
    for (; !bytes.empty(); ++first) {
      const auto size = std::min<std::size_t>(bytes.size(), chunk_bytes_);
      cache_.keep(first, std::string{bytes.substr(0, size)});
      bytes.remove_prefix(size);
    }
  }

  const std::unique_ptr<data_client> client_;
  const object_ref object_;
  const std::uint64_t chunk_bytes_;

  mutable std::mutex mutex_;
  std::condition_variable moved_;
  read_ahead ahead_;
  chunk_cache cache_{chunks_kept_max};
  read_ahead::run wanted_, coming_; ///< empty = none
  std::optional<error> failure_;    ///< the first; nothing is read after it
  bool ending_ = false;
  std::atomic<std::uint64_t> bytes_read_{0};
  std::atomic<bool> is_waited_for_{false};

  const open_file end_;
  int child_end_;
  std::thread answering_, bringing_thread_;
};

} // namespace

result<std::unique_ptr<range_server>> range_server::start(data_client::options from,
                                                          object_ref object) {
  const auto chunk_bytes = from.chunk_bytes;
  FM_TRY(auto client, data_client::open(std::move(from)));
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return fail_errno(errno, "socketpair");
  return std::make_unique<socket_range_server>(std::move(client), std::move(object),
                                               chunk_bytes, ends);
}

} // namespace framemill
