#pragma once

#include "api/http_message.hpp"
#include "core/limits.hpp"

#include "core/error.hpp"

#include <chrono>
#include <cstdint>
#include <functional>

namespace framemill {

struct http_server_options {
  std::string listen = "127.0.0.1:0"; ///< ADDRESS:PORT or [ADDRESS]:PORT; port 0 = any
  unsigned threads = 2;
  std::size_t connections_max = 512;
  std::uint32_t header_bytes_max = 48 * 1024; ///< a signed GET may carry 32 KiB of query
  std::size_t body_bytes_max = limits::request_body_bytes_max;
  std::size_t backlog_items_max = limits::event_backlog_max; ///< per stream
  std::size_t backlog_bytes_max = 8u << 20;
  std::chrono::milliseconds header_timeout{10'000}; ///< first byte → end of the header
  std::chrono::milliseconds body_timeout{60'000};
  std::chrono::milliseconds idle_timeout{75'000};   ///< between requests
  std::chrono::milliseconds write_timeout{30'000};  ///< one response, one piece of a stream
  std::chrono::milliseconds answer_timeout{60'000}; ///< for the handler, if it asks for no other
  std::chrono::milliseconds heartbeat{15'000};      ///< of streams
  std::chrono::milliseconds stop_grace{3'000};      ///< for requests under way at `stop`
};

/// The exchange as the server's handler gets it: what is answered by the handler
/// can take its own time.
class http_call : public http_exchange {
public:
  using late_fn = std::function<http_response()>;
  /// From now on the answer may take `limit`; then it is what `late` makes, on the
  /// server's thread. Thread-safe; the last call counts, and none after the answer.
  virtual void answer_within(std::chrono::milliseconds limit, late_fn late) = 0;
};

/// HTTP/1.1 on one address: keep-alive, pipelining, bounds on everything a
/// client sends. Owns its threads; the handler runs on them and must not
/// block. It never looks into a body.
class http_server {
public:
  using handler = std::function<void(http_request, std::shared_ptr<http_call>)>;

  /// Fails with in_use when the port is taken, invalid_argument on a bad address.
  [[nodiscard]] static result<std::unique_ptr<http_server>> start(http_server_options options,
                                                                  handler on_request);
  virtual ~http_server() = default;
  [[nodiscard]] virtual std::uint16_t port() const = 0;
  /// Stops accepting, lets requests under way finish within the grace, ends
  /// streams, joins the threads. Answers that come later are dropped.
  virtual void stop() = 0;
};

} // namespace framemill
