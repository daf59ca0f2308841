#include "notify/push.hpp"

#include "core/json.hpp"
#include "core/limits.hpp"

#include <algorithm>

namespace framemill {

namespace {

bool may_log(timestamp last, timestamp now) {
  return !last || now - last >= limits::push_trouble_log_every || now < last; // set back
}

} // namespace

std::int64_t push_tries_max(push_retry r) noexcept {
  return r == push_retry::backoff ? 3 : 176;
}

bool is_last_push(push_retry r, std::uint32_t tries, microseconds age) noexcept {
  return tries >= push_tries_max(r) || age >= limits::push_time_max;
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

bool subscription_troubles::failed(timestamp now, const std::string& subscription,
                                   const std::string& why) {
  auto& e = entries_[subscription];
  if (!e.trouble.since)
    e.trouble.since = now;
  e.trouble.last_error = why;
  if (e.told_error == why || !may_log(e.error_told, now))
    return false;
  e.told_error = why;
  e.error_told = now;
  return true;
}

void subscription_troubles::delivered(const std::string& subscription) {
  auto found = entries_.find(subscription);
  if (found == entries_.end())
    return;
  auto& e = found->second;
  e.trouble.last_error.clear();
  e.trouble.since = {};
  e.told_error.reset();
}

void subscription_troubles::missed(const std::string& subscription, missed_messages m) {
  auto& e = entries_[subscription];
  e.trouble.missed += m.messages;
  e.trouble.missed_why = m.why;
  m.messages += e.untold.messages;
  e.untold = std::move(m);
}

std::vector<std::pair<std::string, subscription_troubles::missed_messages>>
subscription_troubles::untold(timestamp now) {
  std::vector<std::pair<std::string, missed_messages>> out;
  for (auto& [subscription, e] : entries_)
    if (e.untold.messages > 0 && may_log(e.missed_told, now)) {
      out.emplace_back(subscription, std::exchange(e.untold, {}));
      e.missed_told = now;
    }
  return out;
}

void subscription_troubles::keep_only(const std::set<std::string>& subscriptions) {
  std::erase_if(entries_, [&](const auto& e) { return !subscriptions.contains(e.first); });
}

std::vector<subscription_trouble> subscription_troubles::of(std::string_view topic) const {
  std::vector<subscription_trouble> out;
  const auto prefix = std::string{topic} + "/";
  for (auto e = entries_.lower_bound(prefix);
       e != entries_.end() && e->first.starts_with(prefix); ++e)
    if (const auto& t = e->second.trouble; t.since || t.missed > 0) {
      out.push_back(t);
      out.back().name = e->first.substr(prefix.size());
    }
  return out;
}

} // namespace framemill
