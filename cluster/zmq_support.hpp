#pragma once

#include "cluster/transport.hpp"

#include <zmq.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

// What the sockets of the control plane and of the data plane have in common.
// Only cluster/*.cpp include this; nothing of ZeroMQ leaves the room. Functions
// that return no result let zmq::error_t through: their callers' `open` turns
// it into an error with `fail_zmq`.

namespace framemill::wire {

using verdict = hub::options::verdict;

/// "what: zmq_strerror" with the code that belongs to the number.
[[nodiscard]] failure fail_zmq(const zmq::error_t& e, std::string_view what);

/// `host:port`, IPv6 literals in brackets: for sentences and, after tcp://, for
/// ZeroMQ.
[[nodiscard]] std::string address_text(std::string_view host, std::uint16_t port);

/// What every socket here is set to: nothing lingers, half-open connections end
/// by ZMTP heartbeats and TCP_USER_TIMEOUT, a frame beyond `frame_bytes_max`
/// breaks its connection, queues hold `queue_frames` each way. Before bind or
/// connect.
void harden(zmq::socket_t& socket, std::size_t frame_bytes_max, int queue_frames);

/// The serving end. A DOORKEEPER must exist in the context before `listen`.
void serve_curve(zmq::socket_t& socket, const key_pair& keys);
/// The dialling end. A wrong `server_key` ends in no handshake.
void dial_curve(zmq::socket_t& socket, std::string_view server_key, const key_pair& keys);

/// Binds to exactly that host (a name is resolved); gives the port. Errors:
/// in_use, invalid_argument (no such address here); both name host and port.
[[nodiscard]] result<std::uint16_t> listen(zmq::socket_t& socket, const std::string& host,
                                           std::uint16_t port);
/// Begins to connect; never blocks. Names are resolved by ZeroMQ, to IPv4.
void dial(zmq::socket_t& socket, const std::string& host, std::uint16_t port);

/// How a handshake is answered. `user_id` comes back with each frame of the
/// connection (see user_id_of): the DOORKEEPER's word, not the peer's.
struct admission {
  verdict answer = verdict::no;
  std::string user_id;
};

/// Answers ZAP (RFC 27) for all CURVE servers of one context, on the thread
/// that polls `socket()`; one context per server, so that doors do not mix.
/// Make it before `listen`, and let it go after the server's socket.
class doorkeeper {
public:
  /// Hears the client's long-term public key, in Z85, proven by the handshake.
  using judge_fn = std::function<admission(const std::string& public_key)>;
  doorkeeper(zmq::context_t& context, judge_fn judge);

  /// Readable when somebody knocks.
  [[nodiscard]] zmq::socket_t& socket() { return socket_; }
  /// Answers everybody who waits; never blocks.
  void answer_all();

private:
  zmq::socket_t socket_;
  judge_fn judge_;
};

/// The DOORKEEPER's word about who sent this (body) frame; "" when there is none.
[[nodiscard]] std::string user_id_of(zmq::message_t& frame);

/// What happens to the connections of a socket, in order, told by ZeroMQ's I/O
/// thread. Make it before bind or connect; let it go before the socket.
class monitor {
public:
  struct event {
    std::uint16_t kind = 0;  ///< ZMQ_EVENT_…
    std::uint32_t value = 0; ///< mostly the descriptor
  };
  monitor(zmq::context_t& context, zmq::socket_t& watched, int kinds);
  monitor(const monitor&) = delete;
  monitor& operator=(const monitor&) = delete;
  ~monitor();

  /// Readable when something happened.
  [[nodiscard]] zmq::socket_t& socket() { return socket_; }
  /// The next event, if there is one; never blocks.
  [[nodiscard]] std::optional<event> next();

private:
  zmq::socket_t& watched_;
  zmq::socket_t socket_;
};

/// Wakes a thread that polls `fd()`; from any thread.
class waker {
public:
  waker();
  waker(const waker&) = delete;
  waker& operator=(const waker&) = delete;
  ~waker();
  [[nodiscard]] int fd() const { return fd_; }
  void wake();   ///< costs a system call only when nobody has woken it since
  void settle(); ///< before looking at what it was woken for

private:
  int fd_;
  std::atomic<bool> is_woken_{false};
};

/// zmq::poll that a signal does not end with an error. True: something is ready.
bool wait(zmq::pollitem_t* items, std::size_t count, std::chrono::milliseconds at_most);

} // namespace framemill::wire
