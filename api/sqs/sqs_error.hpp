#pragma once

#include "api/http_message.hpp"
#include "core/json.hpp"

#include <functional>
#include <string>

// Answers in the words of SQS's AWS JSON 1.0 protocol.

namespace framemill {

/// An error as SQS says it.
struct sqs_error {
  std::string type; ///< the shape: QueueDoesNotExist, ReceiptHandleIsInvalid, …
  std::string message;
  unsigned status = 400;
};

using sqs_result = tl::expected<json, sqs_error>;
/// Called once, on any thread.
using sqs_reply = std::function<void(sqs_result)>;

[[nodiscard]] inline tl::unexpected<sqs_error> refuse_sqs(std::string type, std::string message,
                                                          unsigned status = 400) {
  return tl::unexpected<sqs_error>{sqs_error{std::move(type), std::move(message), status}};
}

/// What the queues refuse, as SQS's: the message names the field as SQS does.
[[nodiscard]] sqs_error to_sqs_error(const error& e);
/// What is wrong with a request as it was read: its fields are SQS's already.
[[nodiscard]] sqs_error to_request_error(const error& e);
/// The code that clients of the older query protocol know an error by:
/// `AWS.SimpleQueueService.NonExistentQueue`; it goes beside the type.
[[nodiscard]] std::string query_code(const sqs_error& e);
/// 200 with the members, or `{"__type":…,"message":…}`.
[[nodiscard]] http_response sqs_response(const sqs_result& answer, const std::string& request_id);

} // namespace framemill
