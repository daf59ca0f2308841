#pragma once

#include "core/json.hpp"
#include "tools/framemill/connection.hpp"
#include "tools/framemill/sse_parser.hpp"

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

namespace framemill::cli {

/// Speaks to a gateway: signed calls, and the event stream. The only place of
/// the program that knows libcurl. One thread; calls block.
class client {
public:
  explicit client(connection to) : to_(std::move(to)) {}

  /// An MPS action; the members of `Response`. Errors: what the API answered
  /// (errc_of_api_code), unavailable, timed_out, cancelled (Ctrl-C).
  [[nodiscard]] result<json> mps(std::string_view action, const json& body) const;
  /// One of Framemill's own actions (docs/cluster-api.md). `limit`: how long its
  /// answer may take; the server's own limit is to come first.
  [[nodiscard]] result<json> own(std::string_view action, const json& body,
                                 std::chrono::seconds limit = call_time_max) const;

  enum class next : unsigned char { go_on, stop };
  using event_fn = std::function<next(const sse_message&)>;
  /// `GET /events?query`; returns when `on_event` says stop, or with
  /// errc::unavailable when the server ends the stream.
  [[nodiscard]] result<void> follow(const std::string& query, const event_fn& on_event) const;

private:
  /// A little more than the server gives itself for an ordinary action.
  static constexpr std::chrono::seconds call_time_max{70};
  [[nodiscard]] result<json> call(std::string_view version, std::string_view action,
                                  const json& body, std::chrono::seconds limit) const;
  connection to_;
};

} // namespace framemill::cli
