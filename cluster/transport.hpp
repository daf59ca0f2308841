#pragma once

#include "core/error.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace framemill {

// The door to the control plane's sockets: whole frames between a hub (on the
// coordinator) and links (one on each node). What the frames mean is
// cluster/protocol.hpp's; who may speak is decided here, by key. Frames of one
// connection arrive in order or not at all; a broken connection is told at
// once. Only cluster/zmq_*.cpp, keys.cpp and join_token.cpp know ZeroMQ (ROUTER,
// DEALER, CURVE, ZAP); tests use the same on loopback. Doors are not closed from
// within their own callbacks, which must not block.

/// A CURVE key pair in Z85, 40 characters each.
struct key_pair {
  std::string public_key;
  std::string secret_key;
};
[[nodiscard]] key_pair make_key_pair();
/// From `path` (mode 0600; made when it is not there, in a directory that is). A
/// file that others can read is refused: errc::unauthorized; a damaged one:
/// errc::corrupt.
[[nodiscard]] result<key_pair> load_or_make_keys(const std::string& path);

/// One connection of a node. Keys are never used again.
using connection_key = std::uint64_t;

/// The coordinator's side. Owns one thread; calls back on it; thread-safe.
/// A peer that does not take its frames fills its own queue only: past
/// `queue_frames_max` its connection is broken (it comes again and is put
/// right by its hello).
class hub {
public:
  struct listener {
    std::function<void(connection_key, std::string public_key, std::string frame)> on_frame;
    std::function<void(connection_key)> on_gone; ///< last; once per connection heard of
  };
  struct options {
    std::string host = "127.0.0.1";
    std::uint16_t port = 0; ///< 0 = any
    key_pair keys;
    /// Asked for each handshake and again at a connection's first frame, on the
    /// hub's thread. "no" is told to the node, which asks again rarely; "not yet"
    /// looks to it like no answer.
    enum class verdict : std::uint8_t { yes, no, not_yet };
    std::function<verdict(std::string_view public_key)> admit;
    std::size_t queue_frames_max = 4096; ///< per peer
  };
  [[nodiscard]] static result<std::unique_ptr<hub>> open(options o, listener l);
  virtual ~hub() = default;

  [[nodiscard]] virtual std::uint16_t port() const = 0;
  /// To a connection that is gone: nothing happens.
  virtual void send(connection_key to, std::string frame) = 0;
  /// Lets what was sent before leave (200 ms at most), then breaks the
  /// connection. Nothing more is heard of it but `on_gone`, which follows at once.
  virtual void drop(connection_key c) = 0;
};

/// A node's side. Owns one thread; calls back on it; thread-safe. Comes again
/// by itself, each time as a new connection; what was not sent then is dropped.
class link {
public:
  struct listener {
    std::function<void()> on_up;   ///< say hello
    std::function<void(std::string frame)> on_frame;
    /// The connection broke, or (without `on_up` before) could not be made; the
    /// same reason is told once.
    std::function<void(std::string why)> on_down;
  };
  struct options {
    std::string host;
    std::uint16_t port = 0;
    std::string server_key; ///< public, Z85
    key_pair keys;
    std::size_t queue_frames_max = 4096;
  };
  [[nodiscard]] static result<std::unique_ptr<link>> open(options o, listener l);
  virtual ~link() = default;

  /// False: there is no connection, its queue is full, or the frame is beyond
  /// `control_frame_bytes_max`; nothing was kept.
  virtual bool send(std::string frame) = 0;
  /// Breaks the connection and makes a new one.
  virtual void reconnect() = 0;
};

/// Where strangers may ask to be enrolled: any key is let in, but only
/// `on_request` hears it, one frame of at most 64 KiB per connection, which
/// lasts 10 s at most. Owns one thread.
class enrolment_desk {
public:
  /// Answers once, from any thread.
  using answer = std::function<void(std::string frame)>;
  using request_fn = std::function<void(std::string public_key, std::string frame, answer)>;
  struct options {
    std::string host = "127.0.0.1";
    std::uint16_t port = 0;
    key_pair keys;
  };
  [[nodiscard]] static result<std::unique_ptr<enrolment_desk>> open(options o, request_fn f);
  virtual ~enrolment_desk() = default;
  [[nodiscard]] virtual std::uint16_t port() const = 0;
};

/// One question to an enrolment desk; blocks at most `patience`.
/// errc::unavailable when nobody answers.
[[nodiscard]] result<std::string> ask_enrolment_desk(const link::options& where,
                                                     std::string frame,
                                                     std::chrono::milliseconds patience);

/// What an operator hands to a new machine: `fmj1.<id>.<secret>.<server key>`,
/// all in unreserved characters.
struct join_token {
  std::string id;
  std::string secret;
  std::string server_key; ///< Z85
};
[[nodiscard]] std::string to_text(const join_token& t);
[[nodiscard]] result<join_token> parse_join_token(std::string_view text);

} // namespace framemill
