#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace framemill::cli {

struct sse_message {
  std::string event = "message";
  std::string id;
  std::string data;
};

/// Cuts a byte stream into server-sent events (WHATWG HTML, 9.2.6). Pure: fed
/// by the caller, in pieces of any size.
class sse_parser {
public:
  using message_fn = std::function<void(const sse_message&)>;
  explicit sse_parser(message_fn on_message) : on_message_(std::move(on_message)) {}

  /// False: a line is longer than any event of ours can be, and the stream is
  /// not worth reading on.
  [[nodiscard]] bool feed(std::string_view bytes);

private:
  void line(std::string_view text);
  message_fn on_message_;
  std::string pending_;
  sse_message message_;
};

} // namespace framemill::cli
