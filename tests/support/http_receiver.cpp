#include "tests/support/http_receiver.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <stdexcept>

namespace framemill::test {

struct http_receiver::connection final : http_peer {
  connection(http_receiver& r, int socket) : owner(r), fd(socket) {}

  bool send(std::string_view bytes) override {
    while (!bytes.empty()) {
      auto n = ::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0)
        return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }

  bool pause(std::chrono::milliseconds time) override {
    std::unique_lock lock{owner.mutex_};
    return !owner.changed_.wait_for(lock, time, [&] { return owner.stopping_; });
  }

  /// The next request; nothing when the other side has closed.
  std::optional<received_request> read() {
    auto end = std::string::npos;
    while ((end = buffer.find("\r\n\r\n")) == std::string::npos)
      if (!fill())
        return std::nullopt;
    received_request out;
    parse_head(buffer.substr(0, end + 2), out);
    buffer.erase(0, end + 4);
    auto length = out.headers.contains("content-length")
                      ? std::stoul(out.headers["content-length"])
                      : 0;
    while (buffer.size() < length)
      if (!fill())
        return std::nullopt;
    out.body = buffer.substr(0, length);
    buffer.erase(0, length);
    out.at = std::chrono::system_clock::now();
    return out;
  }

  bool fill() {
    char bytes[16384];
    auto n = ::recv(fd.get(), bytes, sizeof bytes, 0);
    if (n > 0)
      buffer.append(bytes, static_cast<std::size_t>(n));
    return n > 0;
  }

  static void parse_head(std::string_view head, received_request& out) {
    auto line_end = head.find("\r\n");
    auto line = head.substr(0, line_end);
    out.method = line.substr(0, line.find(' '));
    line.remove_prefix(std::min(line.size(), line.find(' ') + 1));
    out.path = line.substr(0, line.find(' '));
    for (head.remove_prefix(line_end + 2); !head.empty();) {
      line = head.substr(0, head.find("\r\n"));
      head.remove_prefix(line.size() + 2);
      std::string name{line.substr(0, line.find(':'))};
      std::transform(name.begin(), name.end(), name.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      auto value = line.substr(std::min(line.size(), line.find(':') + 1));
      value.remove_prefix(std::min(value.size(), value.find_first_not_of(' ')));
      out.headers[name] = value;
    }
  }

  http_receiver& owner;
  file_handle fd;
  std::string buffer;
  std::thread thread;
};

http_receiver::http_receiver(handler answer, std::uint16_t port)
    : answer_(std::move(answer)), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  int on = 1;
  ::setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(port);
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof a;
  auto* address = reinterpret_cast<sockaddr*>(&a);
  if (::bind(listener_.get(), address, size) != 0 || ::listen(listener_.get(), 128) != 0
      || ::getsockname(listener_.get(), address, &size) != 0)
    throw std::runtime_error{"no socket to listen on"};
  port_ = ntohs(a.sin_port);
  thread_ = std::thread{[this] { accept_all(); }};
}

http_receiver::~http_receiver() {
  {
    std::lock_guard lock{mutex_};
    stopping_ = true;
    ::shutdown(listener_.get(), SHUT_RDWR);
    for (auto& c : connections_)
      ::shutdown(c.fd.get(), SHUT_RDWR);
  }
  changed_.notify_all();
  thread_.join();
  for (auto& c : connections_)
    c.thread.join();
}

void http_receiver::accept_all() {
  for (;;) {
    auto fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    std::lock_guard lock{mutex_};
    if (fd < 0 || stopping_) {
      if (fd >= 0)
        ::close(fd);
      return;
    }
    ++accepted_;
    auto& c = connections_.emplace_back(*this, fd);
    c.thread = std::thread{[this, &c] { serve(c); }};
  }
}

void http_receiver::serve(connection& c) {
  while (auto request = c.read()) {
    {
      std::lock_guard lock{mutex_};
      requests_.push_back(*request);
    }
    changed_.notify_all();
    answer_(*request, c);
  }
  ::shutdown(c.fd.get(), SHUT_RDWR);
}

std::string http_receiver::url(const std::string& path) const {
  return "http://127.0.0.1:" + std::to_string(port_) + path;
}

std::vector<received_request> http_receiver::requests() const {
  std::lock_guard lock{mutex_};
  return requests_;
}

bool http_receiver::wait_for(std::size_t count, std::chrono::milliseconds limit) const {
  std::unique_lock lock{mutex_};
  return changed_.wait_for(lock, limit, [&] { return requests_.size() >= count; });
}

std::size_t http_receiver::connections() const {
  std::lock_guard lock{mutex_};
  return accepted_;
}

http_receiver::handler http_receiver::always(int status, std::string header, std::string body) {
  auto answer = "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Length: "
                + std::to_string(body.size()) + "\r\n"
                + (header.empty() ? header : header + "\r\n") + "\r\n" + body;
  return [answer](const received_request&, http_peer& peer) { (void)peer.send(answer); };
}

} // namespace framemill::test
