#include "api/sqs/queue_attributes.hpp"

#include "api/sqs/sqs_action.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace framemill {

namespace {

struct numeric_attribute {
  std::string_view name;
  std::string_view ours;
  std::int64_t queue_settings::*member;
};
constexpr auto numeric = std::to_array<numeric_attribute>({
    {"VisibilityTimeout", "VisibilitySeconds", &queue_settings::visibility_seconds},
    {"DelaySeconds", "DelaySeconds", &queue_settings::delay_seconds},
    {"ReceiveMessageWaitTimeSeconds", "WaitSeconds", &queue_settings::wait_seconds},
    {"MessageRetentionPeriod", "RetentionSeconds", &queue_settings::retention_seconds},
    {"MaximumMessageSize", "MessageBytesMax", &queue_settings::message_bytes_max},
    {"RedrivePolicy.maxReceiveCount", "ReceivesMax", &queue_settings::receives_max},
});

constexpr std::string_view redrive = "RedrivePolicy";
constexpr auto unsupported = std::to_array<std::string_view>(
    {"Policy", "KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "SqsManagedSseEnabled",
     "FifoQueue", "ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit",
     "RedriveAllowPolicy"});

template <class T>
std::optional<T> number_of(std::string_view text) {
  T n = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (ec != std::errc{} || end != text.data() + text.size())
    return std::nullopt;
  return n;
}

tl::unexpected<sqs_error> bad_value(std::string_view name, std::string_view value) {
  return refuse_sqs("InvalidAttributeValue", fmt::format("{}: `{}` is not a value of it", name, value));
}

struct redrive_policy {
  std::string target;
  std::int64_t receives_max = 0;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("deadLetterTargetArn", s.target, required);
    v("maxReceiveCount", s.receives_max, required);
  }
};

tl::expected<void, sqs_error> apply_redrive(const std::string& text, queue_settings& to) {
  if (text.empty()) { // as in SQS: none any more
    to.dead_letter_queue.clear();
    to.receives_max = 0;
    return {};
  }
  const auto parsed = parse_json(text);
  const auto policy = parsed ? from_json_value<redrive_policy>(*parsed)
                             : result<redrive_policy>{failure{parsed.error()}};
  const auto colon = policy ? policy->target.rfind(':') : std::string::npos;
  if (colon == std::string::npos || colon + 1 == policy->target.size())
    return bad_value(redrive, text);
  to.dead_letter_queue = policy->target.substr(colon + 1);
  to.receives_max = policy->receives_max;
  return {};
}

std::string redrive_text(const queue_settings& s) {
  return to_text(json{{"deadLetterTargetArn", arn_of(s.dead_letter_queue)},
                      {"maxReceiveCount", s.receives_max}});
}

std::string seconds(timestamp t) { return std::to_string(t.us / 1'000'000); }

attribute_map all_attributes(const queue_view& v) {
  const auto& settings = v.record.settings;
  attribute_map all{{"ApproximateNumberOfMessages", std::to_string(v.visible)},
                    {"ApproximateNumberOfMessagesNotVisible", std::to_string(v.in_flight)},
                    {"ApproximateNumberOfMessagesDelayed", std::to_string(v.delayed)},
                    {"CreatedTimestamp", seconds(v.record.created)},
                    {"LastModifiedTimestamp", seconds(v.record.modified)},
                    {"QueueArn", arn_of(v.record.name)}};
  for (const auto& a : numeric)
    if (a.name.find('.') == std::string_view::npos)
      all.emplace(a.name, std::to_string(settings.*a.member));
  if (!settings.dead_letter_queue.empty())
    all.emplace(redrive, redrive_text(settings));
  return all;
}

bool is_known(std::string_view name) {
  return name == redrive || std::find(unsupported.begin(), unsupported.end(), name) != unsupported.end();
}

} // namespace

tl::expected<void, sqs_error> apply_attributes(const attribute_map& attributes,
                                               queue_settings& to) {
  for (const auto& [name, value] : attributes) {
    const auto* row = std::find_if(numeric.begin(), numeric.end(),
                                   [&, &wanted = name](const auto& a) { return a.name == wanted; });
    if (row != numeric.end()) {
      const auto n = number_of<std::int64_t>(value);
      if (!n)
        return bad_value(name, value);
      to.*row->member = *n;
    } else if (name == redrive) {
      if (auto applied = apply_redrive(value, to); !applied)
        return applied;
    } else if (is_known(name)) {
      return refuse_sqs("UnsupportedOperation",
                        fmt::format("the attribute {} is not supported by this server", name));
    } else {
      return refuse_sqs("InvalidAttributeName", fmt::format("there is no attribute {}", name));
    }
  }
  return {};
}

sqs_error attribute_error(const error& e) {
  const auto* row = std::find_if(numeric.begin(), numeric.end(),
                                 [&](const auto& a) { return a.ours == e.field; });
  if (row == numeric.end())
    return to_sqs_error(e);
  return {"InvalidAttributeValue", fmt::format("{}: {}", row->name, e.message)};
}

tl::expected<attribute_map, sqs_error> attributes_of(const queue_view& v,
                                                     const std::vector<std::string>& names) {
  const auto all = all_attributes(v);
  attribute_map out;
  for (const auto& name : names) {
    if (name == "All")
      return all;
    if (auto found = all.find(name); found != all.end())
      out.insert(*found);
    else if (!is_known(name))
      return refuse_sqs("InvalidAttributeName", fmt::format("there is no attribute {}", name));
  }
  return out;
}

} // namespace framemill
