#include "notify/socket_guard.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <charconv>
#include <filesystem>

namespace framemill {

namespace {

namespace fs = std::filesystem;

/// Of the other side; 0 = it is no TCP socket that is connected.
std::uint16_t peer_port(int fd) {
  sockaddr_storage a{};
  socklen_t size = sizeof a;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&a), &size) != 0)
    return 0;
  if (a.ss_family == AF_INET)
    return ntohs(reinterpret_cast<const sockaddr_in&>(a).sin_port);
  return a.ss_family == AF_INET6 ? ntohs(reinterpret_cast<const sockaddr_in6&>(a).sin6_port)
                                 : 0;
}

std::map<int, std::uint64_t> sockets_to(std::uint16_t port) {
  std::map<int, std::uint64_t> out;
  std::error_code gone;
  for (fs::directory_iterator i{"/proc/self/fd", gone}, end; !gone && i != end;
       i.increment(gone)) {
    const auto name = i->path().filename().string();
    int fd = -1;
    struct stat status {};
    std::from_chars(name.data(), name.data() + name.size(), fd);
    if (peer_port(fd) == port && ::fstat(fd, &status) == 0)
      out.emplace(fd, status.st_ino);
  }
  return out;
}

} // namespace

socket_guard::socket_guard(std::uint16_t port, std::chrono::milliseconds limit)
    : port_(port), before_(sockets_to(port)), thread_([this, limit] { watch(limit); }) {}

socket_guard::~socket_guard() {
  {
    std::lock_guard lock{mutex_};
    has_ended_ = true;
  }
  ended_.notify_one();
  thread_.join();
}

void socket_guard::watch(std::chrono::milliseconds limit) {
  std::unique_lock lock{mutex_};
  while (!ended_.wait_for(lock, limit, [this] { return has_ended_; }))
    for (const auto& [fd, inode] : sockets_to(port_))
      if (auto known = before_.find(fd); known == before_.end() || known->second != inode)
        ::shutdown(fd, SHUT_RDWR);
}

} // namespace framemill
