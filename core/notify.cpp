#include "core/notify.hpp"

#include "core/limits.hpp"
#include "core/queue.hpp"
#include "core/url.hpp"

#include <algorithm>

namespace framemill {

namespace {

std::string with_name(sink_kind kind, std::string_view name) {
  return fmt::format("{}/{}", to_string(kind), name);
}

/// Names of Amazon's queues: theirs have dots too.
bool is_sqs_name(std::string_view name) {
  return !name.empty() && name.size() <= limits::queue_name_chars_max
         && std::all_of(name.begin(), name.end(), [](char c) {
              return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
                     || c == '-' || c == '_' || c == '.';
            });
}

result<void> check_queue(const notify_config& n) {
  if (n.cmq_model.empty() && !n.notify_url.empty())
    return fail_field(errc::missing_argument, "CmqModel",
                      "an empty NotifyType means TDMQ-CMQ, which needs CmqModel; for NotifyUrl "
                      "set NotifyType to URL");
  if (n.cmq_model.empty())
    return fail_field(errc::missing_argument, "CmqModel",
                      "a notification to a queue or topic needs CmqModel: Queue or Topic");
  if (n.cmq_model != "Queue" && n.cmq_model != "Topic")
    return fail_field(errc::invalid_argument, "CmqModel", "CmqModel must be Queue or Topic");
  const bool topic = n.cmq_model == "Topic";
  const auto* field = topic ? "TopicName" : "QueueName";
  const auto& name = topic ? n.topic_name : n.queue_name;
  if (name.empty())
    return fail_field(errc::missing_argument, field, "CmqModel {} needs {}", n.cmq_model, field);
  return check_queue_name(name, field);
}

result<void> check_url(const notify_config& n) {
  if (n.notify_url.empty())
    return fail_field(errc::missing_argument, "NotifyUrl", "NotifyType URL needs NotifyUrl");
  if (auto url = parse_http_url(n.notify_url); !url)
    return fail_field(errc::invalid_argument, "NotifyUrl", "NotifyUrl: {}", url.error().message);
  return {};
}

bool is_region(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-';
  });
}

result<void> check_sqs(const notify_config& n) {
  if (!n.aws_sqs)
    return fail_field(errc::missing_argument, "AwsSQS", "NotifyType AWS-SQS needs AwsSQS");
  const auto& q = *n.aws_sqs;
  if (!is_region(q.region))
    return fail_field(errc::invalid_argument, "AwsSQS.SQSRegion",
                      "SQSRegion is lower letters, digits and '-', as us-east-1");
  if (!is_sqs_name(q.queue_name))
    return fail_field(errc::invalid_argument, "AwsSQS.SQSQueueName",
                      "SQSQueueName is 1 to {} letters, digits, '-', '_' or '.'",
                      limits::queue_name_chars_max);
  if (q.queue_name.ends_with(".fifo"))
    return fail_field(errc::unsupported, "AwsSQS.SQSQueueName",
                      "`{}` is a FIFO queue, whose messages need a MessageGroupId, and "
                      "notifications have none: name a standard queue",
                      q.queue_name);
  for (const auto& [field, value] : {std::pair{"AwsSQS.S3SecretId", &q.secret_id},
                                     std::pair{"AwsSQS.S3SecretKey", &q.secret_key}})
    if (value->empty())
      return fail_field(errc::missing_argument, field,
                        "there is no account to borrow a key from: {} is needed", field);
  return {};
}

} // namespace

result<void> validate(const notify_config& n) {
  if (n.notify_mode != "Finish" && n.notify_mode != "Change" && !n.notify_mode.empty())
    return fail_field(errc::invalid_argument, "NotifyMode",
                      "NotifyMode must be Finish or Change");
  if (n.notify_key.size() > limits::notify_key_bytes_max)
    return fail_field(errc::too_large, "NotifyKey", "NotifyKey is longer than {} bytes",
                      limits::notify_key_bytes_max);
  const auto& type = n.notify_type;
  if (type == "URL")
    return check_url(n);
  if (type.empty() || type == "CMQ" || type == "TDMQ-CMQ")
    return check_queue(n);
  if (type == "AWS-SQS")
    return check_sqs(n);
  if (type == "SCF")
    return {};
  return fail_field(errc::unsupported, "NotifyType",
                    "NotifyType `{}` is not supported; supported are: TDMQ-CMQ, CMQ, URL, SCF, "
                    "AWS-SQS",
                    type);
}

sink_kind kind_of(const notify_config& config) {
  const auto& type = config.notify_type;
  if (type == "URL")
    return sink_kind::http;
  if (type == "SCF")
    return sink_kind::function;
  if (type == "AWS-SQS")
    return sink_kind::sqs;
  return config.cmq_model == "Topic" ? sink_kind::topic : sink_kind::queue;
}

std::string sink_of(const notify_config& config, std::string_view event_type) {
  auto kind = kind_of(config);
  switch (kind) {
    case sink_kind::http:
      if (auto url = parse_http_url(config.notify_url))
        return origin_of(*url);
      return config.notify_url; // of before addresses were checked: refused when it is tried
    case sink_kind::queue: return with_name(kind, config.queue_name);
    case sink_kind::topic: return with_name(kind, config.topic_name);
    case sink_kind::function: return with_name(kind, event_type);
    case sink_kind::sqs:
      if (config.aws_sqs)
        return with_name(kind, config.aws_sqs->region + '/' + config.aws_sqs->queue_name);
  }
  return std::string{to_string(kind)};
}

std::optional<notify_config> without_secret_key(std::optional<notify_config> config) {
  if (config && config->aws_sqs)
    config->aws_sqs->secret_key.clear();
  return config;
}

notify_config trigger_config() { return {"SCF", "Finish"}; }

result<sink_kind> kind_of_sink(std::string_view sink) {
  if (sink.starts_with("http://") || sink.starts_with("https://"))
    return sink_kind::http;
  auto kind = from_name<sink_kind>(sink.substr(0, sink.find('/')));
  if (!kind || *kind == sink_kind::http)
    return fail_field(errc::not_found, "Sink",
                      "`{}` is no sink: http://HOST:PORT, https://HOST:PORT, queue/NAME, "
                      "topic/NAME, function/EVENTTYPE or sqs/REGION/NAME",
                      sink);
  return *kind;
}

bool is_reached_anywhere(sink_kind kind) {
  return kind == sink_kind::http || kind == sink_kind::sqs;
}

std::string lane_of(const notify_config& config) {
  if (config.notify_type == "AWS-SQS" && config.aws_sqs)
    return config.aws_sqs->secret_id; // each account has queues of its own
  if (kind_of(config) != sink_kind::http)
    return {};
  auto url = parse_http_url(config.notify_url);
  return url ? url->path : std::string{};
}

} // namespace framemill
