#include "notify/push.hpp"

#include "core/json.hpp"

#include <algorithm>

namespace framemill {

std::int64_t push_tries_max(push_retry r) noexcept {
  return r == push_retry::backoff ? 3 : 176;
}

std::int64_t push_delay_seconds(push_retry r, std::uint32_t tries, double chance) noexcept {
  if (r == push_retry::backoff)
    return 10 + static_cast<std::int64_t>(chance * 11);
  return std::int64_t{1} << std::clamp<std::int64_t>(tries - std::int64_t{1}, 0, 9);
}

notification push_of(const subscription_record& s, const received_message& m) {
  notification n;
  n.event.value = m.message.id.value;
  n.attempt = m.receives;
  n.event_type = "Message";
  n.config.notify_type = "URL";
  n.config.notify_url = s.endpoint;
  n.body = s.format == push_format::raw
               ? m.message.body
               : to_text(json{{"TopicOwner", "framemill"},
                              {"topicName", s.topic},
                              {"subscriptionName", s.name},
                              {"msgId", std::to_string(m.message.id.value)},
                              {"msgBody", m.message.body},
                              {"publishTime", std::to_string(m.message.sent.us / 1'000'000)},
                              {"msgTag", m.message.tags}});
  return n;
}

} // namespace framemill
