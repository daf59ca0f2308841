#include "api/sqs/sqs_error.hpp"

#include <algorithm>
#include <array>

namespace framemill {

namespace {

struct rule {
  errc code;
  std::string_view field; ///< failures at a field that begins so; "" = all
  std::string_view type;
};

constexpr auto rules = std::to_array<rule>({
    {errc::not_found, "Queue", "QueueDoesNotExist"},
    {errc::not_found, "DeadLetterQueue", "InvalidAttributeValue"},
    {errc::already_exists, "Queue", "QueueNameExists"},
    {errc::malformed, "Receipt", "ReceiptHandleIsInvalid"},
    {errc::conflict, "Receipt", "ReceiptHandleIsInvalid"},
    {errc::in_use, "Receipt", "MessageNotInflight"},
    {errc::malformed, "Body", "InvalidMessageContents"},
    {errc::malformed, "Attributes", "InvalidMessageContents"},
    {errc::invalid_argument, "DeadLetterQueue", "InvalidAttributeValue"},
    {errc::busy, "", "OverLimit"},
    {errc::unsupported, "", "UnsupportedOperation"},
    {errc::missing_argument, "", "MissingParameter"},
    {errc::unknown_argument, "", "InvalidParameterValue"},
    {errc::invalid_argument, "", "InvalidParameterValue"},
    {errc::malformed, "", "InvalidParameterValue"},
    {errc::too_large, "", "InvalidParameterValue"},
    {errc::in_use, "", "ResourceInUse"},
});

/// What SQS calls our fields. In the settings of a queue some have other names:
/// attribute_error.
constexpr auto names = std::to_array<std::pair<std::string_view, std::string_view>>({
    {"Queue", "QueueName"},
    {"Count", "MaxNumberOfMessages"},
    {"VisibilitySeconds", "VisibilityTimeout"},
    {"WaitSeconds", "WaitTimeSeconds"},
    {"RetentionSeconds", "MessageRetentionPeriod"},
    {"MessageBytesMax", "MaximumMessageSize"},
    {"ReceivesMax", "RedrivePolicy.maxReceiveCount"},
    {"DeadLetterQueue", "RedrivePolicy.deadLetterTargetArn"},
    {"Receipt", "ReceiptHandle"},
    {"Body", "MessageBody"},
    {"Attributes", "MessageAttributes"},
});

/// Of a path its first part is renamed: `Attributes.colour`.
std::string sqs_name(const std::string& field) {
  const auto first = std::string_view{field}.substr(0, field.find('.'));
  const auto* found = std::find_if(names.begin(), names.end(),
                                   [&](const auto& row) { return row.first == first; });
  return found == names.end() ? field
                              : std::string{found->second} + field.substr(first.size());
}

sqs_error by_rule(const rule* r, const error& e, const std::string& field) {
  const auto text = field.empty() ? e.message : fmt::format("{}: {}", field, e.message);
  if (r != rules.end())
    return {std::string{r->type}, text};
  const bool is_passing = e.code == errc::unavailable || e.code == errc::timed_out ||
                          e.code == errc::no_space || e.code == errc::io_failed;
  if (is_passing)
    return {"ServiceUnavailable", text, 503}; // clients try these again
  return {"InternalFailure", text, 500};
}

constexpr auto query_codes = std::to_array<std::pair<std::string_view, std::string_view>>({
    {"QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"},
    {"QueueNameExists", "QueueAlreadyExists"},
    {"UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation"},
    {"MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight"},
    {"EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest"},
    {"TooManyEntriesInBatchRequest", "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"},
    {"BatchEntryIdsNotDistinct", "AWS.SimpleQueueService.BatchEntryIdsNotDistinct"},
    {"BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong"},
    {"InvalidBatchEntryId", "AWS.SimpleQueueService.InvalidBatchEntryId"},
});

} // namespace

sqs_error to_sqs_error(const error& e) {
  const auto* found = std::find_if(rules.begin(), rules.end(), [&](const rule& r) {
    return r.code == e.code && std::string_view{e.field}.starts_with(r.field);
  });
  return by_rule(found, e, sqs_name(e.field));
}

sqs_error to_request_error(const error& e) {
  const auto* found = std::find_if(rules.begin(), rules.end(), [&](const rule& r) {
    return r.code == e.code && r.field.empty();
  });
  return by_rule(found, e, e.field);
}

std::string query_code(const sqs_error& e) {
  const auto* found = std::find_if(query_codes.begin(), query_codes.end(),
                                   [&](const auto& row) { return row.first == e.type; });
  return found == query_codes.end() ? e.type : std::string{found->second};
}

http_response sqs_response(const sqs_result& answer, const std::string& request_id) {
  http_response out;
  out.content_type = "application/x-amz-json-1.0";
  out.headers.emplace_back("x-amzn-RequestId", request_id);
  if (answer) {
    out.body = to_text(*answer);
    return out;
  }
  const auto& e = answer.error();
  out.status = e.status;
  out.headers.emplace_back("x-amzn-query-error",
                           query_code(e) + (e.status < 500 ? ";Sender" : ";Receiver"));
  out.body = to_text(json{{"__type", "com.amazonaws.sqs#" + e.type}, {"message", e.message}});
  return out;
}

} // namespace framemill
