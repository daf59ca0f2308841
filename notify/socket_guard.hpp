#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <thread>

namespace framemill {

/// Around a call of a library that connects, and may wait for ever: shuts down the TCP
/// sockets to `port` that this process has opened since, again and again once `limit` is
/// over, so that the call fails. A thread of its own.
class socket_guard {
public:
  socket_guard(std::uint16_t port, std::chrono::milliseconds limit);
  socket_guard(const socket_guard&) = delete;
  socket_guard& operator=(const socket_guard&) = delete;
  ~socket_guard();

private:
  void watch(std::chrono::milliseconds limit);

  const std::uint16_t port_;
  const std::map<int, std::uint64_t> before_; ///< descriptor → inode
  std::mutex mutex_;
  std::condition_variable ended_;
  bool has_ended_ = false;
  std::thread thread_;
};

} // namespace framemill
