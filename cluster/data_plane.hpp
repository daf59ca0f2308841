#pragma once

#include "cluster/transport.hpp"
#include "core/object.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace framemill {

// Bulk between nodes on sockets of its own, so that it never delays a beat:
// ranges of objects to workers, artifacts to and fro. The side that wants bytes
// asks for each chunk, and has at most `credit` chunks on their way (credit-
// based flow control); so a slow reader slows only itself, a cut is resumed at
// the next chunk, and the server keeps no state of a transfer but open files.
// Every chunk carries the hash of its bytes; artifacts are checked by their
// SHA-256 as a whole besides.

/// Files as the serving node finds them. Called on the server's threads. What is
/// left out is refused to clients.
struct data_source {
  /// Read-only descriptor, owned by the caller. errc::input_changed when the
  /// object is of another generation.
  std::function<result<int>(const object_ref&)> open_object;
  /// errc::not_found when it is not here.
  std::function<result<int>(const std::string& sha256)> open_artifact;
  /// This run wants the artifact, from now on until it ends. Told before it is asked
  /// whether the artifact is here, and for every piece of it that comes. errc::cancelled:
  /// it has ended.
  std::function<result<void>(run_id run, const std::string& sha256)> want_artifact =
      [](run_id, const std::string&) -> result<void> { return {}; };
  /// A delivered artifact, whole and verified, at `path`; takes it over.
  std::function<result<void>(const std::string& path, const std::string& sha256)>
      adopt_artifact;
  std::string incoming_directory; ///< for what is being delivered; same file system
};

class data_server {
public:
  struct options {
    std::string host = "127.0.0.1";
    std::uint16_t port = 0;
    key_pair keys;
    /// Asked for each handshake, and for each request, so that a removed key is
    /// refused at once. On one thread of the server's; must not block.
    std::function<hub::options::verdict(std::string_view public_key)> admit;
    data_source source;
  };
  [[nodiscard]] static result<std::unique_ptr<data_server>> open(options o);
  virtual ~data_server() = default;
  [[nodiscard]] virtual std::uint16_t port() const = 0;
};

/// One client of a data server; used by one thread at a time, except `cancel`.
/// Calls block; they go on by themselves after a cut, and give up with
/// errc::unavailable when no byte came for `patience`, with errc::unauthorized
/// when the server refuses our key, with errc::corrupt when bytes stay damaged.
class data_client {
public:
  struct options {
    std::string host;
    std::uint16_t port = 0;
    std::string server_key;
    key_pair keys;
    int credit = 8;                      ///< chunks on their way, at most 16
    std::size_t chunk_bytes = 256 << 10; ///< at most 1 MiB
    std::chrono::milliseconds patience{15'000};
    /// The other side is known to be away and expected back: its silence does not
    /// count. Asked by whatever thread calls.
    std::function<bool()> is_away = {};
  };
  [[nodiscard]] static result<std::unique_ptr<data_client>> open(options o);
  virtual ~data_client() = default;

  /// Bytes [offset, offset + size) of an object, fewer at its end.
  [[nodiscard]] virtual result<std::string> read(const object_ref& object, std::uint64_t offset,
                                                 std::uint64_t size) = 0;
  /// Writes the artifact to `path` (made new), verified.
  [[nodiscard]] virtual result<void> fetch(const std::string& sha256,
                                           const std::string& path) = 0;
  /// Gives the file to the server's store, for this run; having it already is success.
  [[nodiscard]] virtual result<void> deliver(run_id run, const std::string& path,
                                             const std::string& sha256) = 0;
  /// Ends the call in progress and all later ones with errc::cancelled. Any
  /// thread.
  virtual void cancel() = 0;
  /// Chunks that came damaged and were asked for, or put, again.
  [[nodiscard]] virtual std::uint64_t chunks_repeated() const = 0;
};

/// Gives a child its source by ranges: one end of a socket becomes the child's
/// fd 3, a thread serves the other from a data client, reading ahead and
/// keeping a few chunks, so that only what the child asks for (and little more)
/// travels. Ends when the child closes its end or this is destroyed.
class range_server {
public:
  [[nodiscard]] static result<std::unique_ptr<range_server>>
  start(data_client::options from, object_ref object);
  virtual ~range_server() = default;
  /// The child's end, once.
  [[nodiscard]] virtual int take_child_end() = 0;
  /// Why the child's reads failed, when they did.
  [[nodiscard]] virtual std::optional<error> failure() const = 0;
  /// Has the child asked for bytes that have not come yet?
  [[nodiscard]] virtual bool is_waited_for() const = 0;
  [[nodiscard]] virtual std::uint64_t bytes_read() const = 0;
};

} // namespace framemill
