#include "core/queue.hpp"

#include "core/bounds.hpp"
#include "core/limits.hpp"
#include "core/queue_message.hpp"
#include "core/url.hpp"

#include <algorithm>

namespace framemill {

namespace {

bool is_name_char(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
         c == '_';
}

result<void> check_dead_letters(const queue_settings& s) {
  if (s.dead_letter_queue.empty()) {
    if (s.receives_max != 0)
      return fail_field(errc::invalid_argument, "ReceivesMax",
                        "goes with a DeadLetterQueue, and none is named");
    return {};
  }
  FM_CHECK(check_queue_name(s.dead_letter_queue, "DeadLetterQueue"));
  return check_within("ReceivesMax", s.receives_max, 1, limits::queue_receives_max);
}

} // namespace

result<void> check_queue_name(std::string_view name, std::string field) {
  if (name.empty() || name.size() > limits::queue_name_chars_max ||
      !std::all_of(name.begin(), name.end(), is_name_char))
    return fail_field(errc::invalid_argument, std::move(field),
                      "`{}` is not 1 to {} of letters, digits, `-` and `_`", name,
                      limits::queue_name_chars_max);
  return {};
}

result<void> check(const queue_settings& s) {
  FM_CHECK(check_within("VisibilitySeconds", s.visibility_seconds, 0,
                        limits::queue_visibility_seconds_max));
  FM_CHECK(check_within("DelaySeconds", s.delay_seconds, 0, limits::queue_delay_seconds_max));
  FM_CHECK(check_within("WaitSeconds", s.wait_seconds, 0, limits::queue_wait_seconds_max));
  FM_CHECK(check_within("RetentionSeconds", s.retention_seconds,
                        limits::queue_retention_seconds_min,
                        limits::queue_retention_seconds_max));
  FM_CHECK(check_within("MessageBytesMax", s.message_bytes_max, 1024,
                        limits::queue_message_bytes_max));
  FM_CHECK(check_within("MessagesMax", s.messages_max, 1, limits::queue_messages_max));
  return check_dead_letters(s);
}

result<void> check(const subscription_record& s) {
  FM_CHECK(check_queue_name(s.topic, "Topic"));
  FM_CHECK(check_queue_name(s.name, "Name"));
  FM_CHECK(check_tags(s.tags));
  constexpr std::string_view queue = "queue/";
  if (s.endpoint.starts_with(queue))
    return check_queue_name(std::string_view{s.endpoint}.substr(queue.size()), "Endpoint");
  if (!s.endpoint.starts_with("http://") && !s.endpoint.starts_with("https://"))
    return fail_field(errc::invalid_argument, "Endpoint",
                      "`{}` is neither queue/NAME nor an http or https URL", s.endpoint);
  if (auto url = parse_http_url(s.endpoint); !url)
    return fail_field(errc::invalid_argument, "Endpoint", "{}", url.error().message);
  return {};
}

} // namespace framemill
