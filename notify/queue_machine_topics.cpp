#include "notify/queue_machine.hpp"

#include "core/limits.hpp"
#include "notify/push.hpp"

#include <algorithm>

// Topics: who wants a message, and in which queue it waits for him.

namespace framemill {

namespace {

constexpr std::string_view queue_endpoint = "queue/";

bool wants(const subscription_record& s, const std::vector<std::string>& tags) {
  return s.tags.empty() || std::any_of(tags.begin(), tags.end(), [&](const auto& tag) {
           return std::find(s.tags.begin(), s.tags.end(), tag) != s.tags.end();
         });
}

failure no_topic(const std::string& name) {
  return fail_field(errc::not_found, "Topic", "there is no topic `{}`", name);
}

} // namespace

void queue_machine::load(topic_record r) {
  auto& t = topics_[r.name];
  t.record = std::move(r);
}

void queue_machine::load(subscription_record r) {
  topics_[r.topic].subscriptions[r.name] = std::move(r);
}

result<queue_machine::topic_state*> queue_machine::find_topic(const std::string& name) {
  auto found = topics_.find(name);
  return found == topics_.end() ? result<topic_state*>{no_topic(name)} : &found->second;
}

result<queue_machine::step> queue_machine::create_topic(timestamp now, const std::string& name) {
  FM_CHECK(check_queue_name(name, "Topic"));
  if (topics_.contains(name))
    return fail_field(errc::already_exists, "Topic", "there is a topic `{}` already", name);
  if (topics_.size() >= limits::topics_max)
    return fail_field(errc::too_large, "Topic", "there are {} topics already, as many as can be",
                      topics_.size());
  step out;
  topics_[name].record = {name, now};
  out.record.topics.push_back({name, now});
  return out;
}

result<queue_machine::step> queue_machine::remove_topic(const std::string& name) {
  FM_TRY(auto* t, find_topic(name));
  step out;
  while (!t->subscriptions.empty())
    end_subscription(out, *t, t->subscriptions.begin()->first);
  out.record.erased_topics.push_back(name);
  topics_.erase(name);
  return out;
}

result<queue_machine::step> queue_machine::subscribe(timestamp now, subscription_record s,
                                                     const std::string& dead_letter_queue) {
  FM_CHECK(check(s));
  FM_TRY(auto* t, find_topic(s.topic));
  if (t->subscriptions.contains(s.name))
    return fail_field(errc::already_exists, "Name", "topic `{}` has a subscription `{}` already",
                      s.topic, s.name);
  if (t->subscriptions.size() >= limits::topic_subscriptions_max)
    return fail_field(errc::too_large, "Topic", "topic `{}` has {} subscriptions already", s.topic,
                      t->subscriptions.size());
  step out;
  FM_TRY(s.queue, queue_for(out, now, s, dead_letter_queue));
  s.created = now;
  out.record.subscriptions.push_back(s);
  t->subscriptions[s.name] = std::move(s);
  return out;
}

/// Where a subscription's messages wait.
result<queue_id> queue_machine::queue_for(step& out, timestamp now, const subscription_record& s,
                                          const std::string& dead_letter_queue) {
  if (s.endpoint.starts_with(queue_endpoint)) {
    if (!dead_letter_queue.empty())
      return fail_field(errc::invalid_argument, "DeadLetterQueue",
                        "is for HTTP endpoints: a queue has one of its own");
    FM_TRY(auto* q, find(s.endpoint.substr(queue_endpoint.size())));
    return q->record.id;
  }
  queue_settings settings;
  settings.retention_seconds = limits::queue_retention_seconds_max; // the PUSHER ends it sooner
  settings.dead_letter_queue = dead_letter_queue;
  settings.receives_max = dead_letter_queue.empty() ? 0 : push_tries_max(s.retry);
  FM_CHECK(check(settings));
  FM_CHECK(check_dead_letters(settings, ""));
  return add_queue(out, now, s.topic + "/" + s.name, std::move(settings)).record.id;
}

result<queue_machine::step> queue_machine::unsubscribe(const std::string& topic,
                                                       const std::string& name) {
  FM_TRY(auto* t, find_topic(topic));
  if (!t->subscriptions.contains(name))
    return fail_field(errc::not_found, "Name", "topic `{}` has no subscription `{}`", topic, name);
  step out;
  end_subscription(out, *t, name);
  return out;
}

void queue_machine::end_subscription(step& out, topic_state& t, const std::string& name) {
  const auto s = t.subscriptions.extract(name).mapped();
  if (auto* q = find(s.queue); q != nullptr && !s.endpoint.starts_with(queue_endpoint))
    drop_queue(out, *q);
  out.record.erased_subscriptions.emplace_back(s.topic, s.name);
}

result<queue_machine::answers<message_id>>
queue_machine::publish(timestamp now, const std::string& topic, const outgoing_message& m,
                       const std::string& sender) {
  FM_TRY(auto* t, find_topic(topic));
  FM_CHECK(check(m, limits::queue_message_bytes_max));
  FM_TRY(const auto takers, takers_of(*t, m));
  answers<message_id> out;
  for (const auto& taker : takers) {
    if (auto room = check_room(*taker.to, m); !room)
      miss(out.made, now, taker, m, sender, room.error().message);
    else
      out.each.push_back(put(out.made, now, *taker.to, m, sender));
    settle(out.made, now, *taker.to);
    serve(out.made, now, *taker.to);
  }
  return out;
}

/// Who wants it. When none of them has room that fails, as busy if one may have it later.
result<std::vector<queue_machine::taker>>
queue_machine::takers_of(const topic_state& t, const outgoing_message& m) {
  std::vector<taker> out;
  std::optional<error> refusal;
  bool has_room = false;
  for (const auto& [name, s] : t.subscriptions)
    if (auto* q = find(s.queue); q != nullptr && wants(s, m.tags)) {
      out.push_back({&s, q});
      const auto room = check_room(*q, m);
      has_room |= room.has_value();
      if (!room && (!refusal || room.error().code == errc::busy))
        refusal = room.error();
    }
  if (!has_room && refusal)
    return failure{std::move(*refusal)};
  return out;
}

/// Its queue has no room for it.
void queue_machine::miss(step& out, timestamp now, const taker& t, outgoing_message m,
                         const std::string& sender, std::string why) {
  m.delay_seconds = 0; // a dead letter is there at once
  auto* dead_letters = dead_letters_of(*t.to);
  const bool is_kept = dead_letters != nullptr && check_room(*dead_letters, m).has_value();
  if (is_kept)
    bury(out, now, *t.to, *dead_letters, add_body(out, now, std::move(m), sender));
  add_mishap(out, {t.subscription->topic + "/" + t.subscription->name, 1,
                   is_kept ? dead_letters->record.name : "", std::move(why)});
}

topic_view queue_machine::view_of(const topic_state& t) {
  topic_view v{t.record, {}, {}};
  for (const auto& [name, s] : t.subscriptions)
    v.subscriptions.push_back(s);
  return v;
}

result<topic_view> queue_machine::topic(const std::string& name) const {
  auto found = topics_.find(name);
  return found == topics_.end() ? result<topic_view>{no_topic(name)} : view_of(found->second);
}

std::vector<topic_view> queue_machine::topics() const {
  std::vector<topic_view> out;
  for (const auto& [name, t] : topics_)
    out.push_back(view_of(t));
  return out;
}

} // namespace framemill
