#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// HTTP as the rest of the room sees it; api/http_server.cpp alone knows Beast.

namespace framemill {

using http_headers = std::vector<std::pair<std::string, std::string>>;

struct http_request {
  std::string method;
  std::string path;  ///< before the '?'
  std::string query; ///< after it, raw
  http_headers headers;
  std::string body;
  bool too_large = false; ///< the body is beyond the limit, and was not read

  /// "" when absent; the name in any case.
  [[nodiscard]] std::string_view header(std::string_view name) const;
  [[nodiscard]] bool has_header(std::string_view name) const;
};

struct http_response {
  unsigned status = 200;
  std::string content_type = "application/json";
  http_headers headers;
  std::string body;
};

/// A response without an end: bytes are queued and sent as the client takes
/// them. Thread-safe. A client that falls behind the bound is cut off.
class http_stream {
public:
  virtual ~http_stream() = default;
  /// False when the client is gone or was cut off; then nothing is kept.
  virtual bool write(std::string bytes) = 0;
  /// Keeps `source` alive until the client is gone; drops it at once when it
  /// is gone already.
  virtual void hold(std::shared_ptr<void> source) = 0;
  /// Calls once, when all that was written is sent: for writers that have more
  /// than the bound allows. Runs on the server's thread.
  virtual void when_drained(std::function<void()> more) = 0;
};

/// One request that waits for its answer. Thread-safe; the first answer
/// counts. Dropped unanswered, the client gets a 500.
class http_exchange {
public:
  virtual ~http_exchange() = default;
  virtual void respond(http_response response) = 0;
  /// Sends the head now; the body is what is written to the stream. A comment
  /// line is sent when nothing else was for a while.
  virtual std::shared_ptr<http_stream> stream(http_response head) = 0;
};

/// Case-insensitive comparison of ASCII names.
[[nodiscard]] bool equal_names(std::string_view a, std::string_view b);

} // namespace framemill
