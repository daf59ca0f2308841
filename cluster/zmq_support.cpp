#include "cluster/zmq_support.hpp"

#include <netdb.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

namespace framemill::wire {

namespace {

// Longer than the silence after which MEMBERSHIP gives a node up: that is its
// decision; these only make sure that a half-open connection ends at all.
constexpr int heartbeat_every_ms = 1000;
constexpr int heartbeat_patience_ms = 5000;
// A handshake is three round trips. A DOORKEEPER's "not yet" is silent, so this
// is also how soon such a client gives up and comes again.
constexpr int handshake_patience_ms = 2000;
// RFC 26: a frame travels in a MESSAGE command (8), with its nonce (8), flags
// (1) and authentication tag (16); ZeroMQ's maximum counts them.
constexpr std::int64_t curve_overhead_bytes = 33;
constexpr int backlog_max = 4096; // all nodes come at once when the coordinator does

bool is_ipv6_literal(std::string_view host) { return host.find(':') != std::string_view::npos; }

/// The numeric address to bind to: ZeroMQ takes no names there.
result<std::string> numeric_host(const std::string& host) {
  if (host == "*" || is_ipv6_literal(host))
    return host;
  addrinfo hints{};
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (int rc = ::getaddrinfo(host.c_str(), nullptr, &hints, &found); rc != 0)
    return fail(errc::invalid_argument, "cannot listen on {}: {}", host, ::gai_strerror(rc));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner{found, &::freeaddrinfo};
  std::array<char, NI_MAXHOST> text{};
  if (int rc = ::getnameinfo(found->ai_addr, found->ai_addrlen, text.data(), text.size(),
                             nullptr, 0, NI_NUMERICHOST);
      rc != 0)
    return fail(errc::invalid_argument, "cannot listen on {}: {}", host, ::gai_strerror(rc));
  return std::string{text.data()};
}

failure fail_listen(int number, const std::string& host, std::uint16_t port) {
  const auto where = address_text(host, port);
  if (number == EADDRINUSE)
    return fail(errc::in_use, "cannot listen on {}: another program does", where);
  if (number == EADDRNOTAVAIL || number == ENODEV || number == EINVAL)
    return fail(errc::invalid_argument, "cannot listen on {}: not an address of this machine",
                where);
  return fail(errc_of_errno(number), "cannot listen on {}: {}", where, ::zmq_strerror(number));
}

std::string z85_of_key(const zmq::message_t& raw) {
  std::array<char, 41> text{};
  ::zmq_z85_encode(text.data(), static_cast<const std::uint8_t*>(raw.data()), raw.size());
  return text.data();
}

struct zap_status {
  std::string_view code, text;
};
zap_status status_of(verdict v) {
  switch (v) {
  case verdict::yes:
    return {"200", "OK"};
  case verdict::not_yet: // closed without a word: the client tries again
    return {"300", "not yet"};
  case verdict::no:
    break;
  }
  return {"400", "refused"};
}

/// All parts of one message; empty when none waits.
std::vector<zmq::message_t> receive_parts(zmq::socket_t& socket) {
  std::vector<zmq::message_t> parts;
  do {
    zmq::message_t part;
    if (!socket.recv(part, zmq::recv_flags::dontwait))
      break;
    parts.push_back(std::move(part));
  } while (parts.back().more());
  return parts;
}

void send_parts(zmq::socket_t& socket, std::initializer_list<std::string_view> parts) {
  auto left = parts.size();
  for (auto part : parts)
    socket.send(zmq::buffer(part), --left == 0 ? zmq::send_flags::none
                                               : zmq::send_flags::sndmore);
}

// RFC 27: version, request id, domain, address, routing id, mechanism, credentials.
enum zap_part : std::size_t { version, request, domain, address, routing_id, mechanism, key };

bool is_curve_knock(const std::vector<zmq::message_t>& parts) {
  return parts.size() == key + 1 && parts[version].to_string_view() == "1.0" &&
         parts[mechanism].to_string_view() == "CURVE" && parts[key].size() == 32;
}

} // namespace

failure fail_zmq(const zmq::error_t& e, std::string_view what) {
  const auto code = e.num() == EINVAL ? errc::invalid_argument : errc_of_errno(e.num());
  return fail(code, "{}: {}", what, e.what());
}

std::string address_text(std::string_view host, std::uint16_t port) {
  return is_ipv6_literal(host) && host.front() != '[' ? fmt::format("[{}]:{}", host, port)
                                                      : fmt::format("{}:{}", host, port);
}

void harden(zmq::socket_t& socket, std::size_t frame_bytes_max, int queue_frames) {
  socket.set(zmq::sockopt::linger, 0);
  socket.set(zmq::sockopt::maxmsgsize,
             static_cast<std::int64_t>(frame_bytes_max) + curve_overhead_bytes);
  socket.set(zmq::sockopt::sndhwm, queue_frames);
  socket.set(zmq::sockopt::rcvhwm, queue_frames);
  socket.set(zmq::sockopt::handshake_ivl, handshake_patience_ms);
  socket.set(zmq::sockopt::heartbeat_ivl, heartbeat_every_ms);
  socket.set(zmq::sockopt::heartbeat_timeout, heartbeat_patience_ms);
  socket.set(zmq::sockopt::heartbeat_ttl, heartbeat_patience_ms);
  socket.set(zmq::sockopt::tcp_maxrt, heartbeat_patience_ms);
}

void serve_curve(zmq::socket_t& socket, const key_pair& keys) {
  socket.set(zmq::sockopt::curve_server, 1);
  socket.set(zmq::sockopt::curve_secretkey, keys.secret_key);
  socket.set(zmq::sockopt::zap_domain, "framemill");
}

void dial_curve(zmq::socket_t& socket, std::string_view server_key, const key_pair& keys) {
  socket.set(zmq::sockopt::curve_serverkey, std::string{server_key});
  socket.set(zmq::sockopt::curve_publickey, keys.public_key);
  socket.set(zmq::sockopt::curve_secretkey, keys.secret_key);
}

result<std::uint16_t> listen(zmq::socket_t& socket, const std::string& host,
                             std::uint16_t port) {
  FM_TRY(const auto numeric, numeric_host(host));
  try {
    socket.set(zmq::sockopt::ipv6, is_ipv6_literal(numeric) ? 1 : 0);
    socket.set(zmq::sockopt::backlog, backlog_max);
    socket.bind("tcp://" + address_text(numeric, port));
    const auto bound = socket.get(zmq::sockopt::last_endpoint);
    return static_cast<std::uint16_t>(std::stoul(bound.substr(bound.rfind(':') + 1)));
  } catch (const zmq::error_t& e) {
    return fail_listen(e.num(), host, port);
  }
}

void dial(zmq::socket_t& socket, const std::string& host, std::uint16_t port) {
  socket.set(zmq::sockopt::ipv6, is_ipv6_literal(host) ? 1 : 0);
  socket.connect("tcp://" + address_text(host, port));
}

doorkeeper::doorkeeper(zmq::context_t& context, judge_fn judge)
    : socket_{context, zmq::socket_type::rep}, judge_{std::move(judge)} {
  socket_.set(zmq::sockopt::linger, 0);
  socket_.bind("inproc://zeromq.zap.01");
}

void doorkeeper::answer_all() {
  for (auto parts = receive_parts(socket_); !parts.empty(); parts = receive_parts(socket_)) {
    admission a;
    if (is_curve_knock(parts))
      a = judge_(z85_of_key(parts[key]));
    const auto status = status_of(a.answer);
    const auto id = parts.size() > request ? parts[request].to_string_view() : "";
    send_parts(socket_, {"1.0", id, status.code, status.text, a.user_id, ""});
  }
}

std::string user_id_of(zmq::message_t& frame) {
  const char* id = ::zmq_msg_gets(frame.handle(), "User-Id");
  return id != nullptr ? id : "";
}

monitor::monitor(zmq::context_t& context, zmq::socket_t& watched, int kinds)
    : watched_{watched}, socket_{context, zmq::socket_type::pair} {
  socket_.set(zmq::sockopt::linger, 0);
  // A full queue would stop the I/O thread, and with it everybody.
  socket_.set(zmq::sockopt::rcvhwm, 0);
  // Never used again: ZeroMQ gives a name free some time after its socket closed.
  static std::atomic<std::uint64_t> last{0};
  const auto name = fmt::format("inproc://events-{}", ++last);
  if (::zmq_socket_monitor(watched.handle(), name.c_str(), kinds) != 0)
    throw zmq::error_t{};
  socket_.connect(name);
}

monitor::~monitor() {
  // Not the other way round: the I/O thread blocks on events nobody reads.
  ::zmq_socket_monitor(watched_.handle(), nullptr, 0);
}

std::optional<monitor::event> monitor::next() {
  const auto parts = receive_parts(socket_);
  if (parts.empty() || parts[0].size() != sizeof(std::uint16_t) + sizeof(std::uint32_t))
    return std::nullopt;
  event e;
  std::memcpy(&e.kind, parts[0].data(), sizeof e.kind);
  std::memcpy(&e.value, parts[0].data<char>() + sizeof e.kind, sizeof e.value);
  return e;
}

waker::waker() : fd_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {
  if (fd_ < 0)
    throw zmq::error_t{}; // takes errno: out of descriptors, told by `open`
}
waker::~waker() { ::close(fd_); }
void waker::wake() {
  if (!is_woken_.exchange(true))
    ::eventfd_write(fd_, 1);
}
void waker::settle() {
  eventfd_t count = 0;
  ::eventfd_read(fd_, &count);
  is_woken_ = false; // what a wake hidden by this was for is seen by the look that follows
}

bool wait(zmq::pollitem_t* items, std::size_t count, std::chrono::milliseconds at_most) {
  try {
    return zmq::poll(items, count, at_most) > 0;
  } catch (const zmq::error_t& e) {
    if (e.num() != EINTR)
      throw;
    for (std::size_t i = 0; i < count; ++i)
      items[i].revents = 0;
    return false;
  }
}

} // namespace framemill::wire
