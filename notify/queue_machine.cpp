#include "notify/queue_machine.hpp"

#include "core/bounds.hpp"
#include "core/limits.hpp"

#include <algorithm>
#include <charconv>

namespace framemill {

namespace {

constexpr std::string_view queue_counter = "queue", message_counter = "message";
constexpr std::uint64_t numbers_per_reservation = 10'000;
constexpr std::size_t work_per_step_max = 1'000; ///< lapses, expiries, erased garbage

microseconds seconds(std::int64_t n) { return std::chrono::seconds{n}; }

failure no_queue(const std::string& name) {
  return fail_field(errc::not_found, "Queue", "there is no queue `{}`", name);
}

struct receipt {
  queue_id queue;
  message_id message;
  std::uint32_t receives = 0;
};

/// Takes `HEX` and a dash, or the end, off the text.
template <class T>
bool take_number(std::string_view& text, T& to) {
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), to, 16);
  if (ec != std::errc{})
    return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  const bool ends_well = text.empty() || text.front() == '-';
  text.remove_prefix(text.empty() ? 0 : 1);
  return ends_well;
}

result<void> check(const queue_machine::receive_order& o) {
  FM_CHECK(check_within("Count", static_cast<std::int64_t>(o.count_max), 1,
                        static_cast<std::int64_t>(limits::queue_batch_max)));
  FM_CHECK(check_within("VisibilitySeconds", o.visibility.value_or(0), 0,
                        limits::queue_visibility_seconds_max));
  return check_within("WaitSeconds", o.wait.value_or(0), 0, limits::queue_wait_seconds_max);
}

result<receipt> parse_receipt(std::string_view text) {
  receipt r;
  auto rest = text;
  if (!take_number(rest, r.queue.value) || !take_number(rest, r.message.value) ||
      !take_number(rest, r.receives) || !rest.empty())
    return fail_field(errc::malformed, "Receipt", "`{}` is not a receipt", text);
  return r;
}

/// The own queue of an HTTP subscription is `TOPIC/NAME`; no other has a slash.
bool is_of_subscription(const queue_record& q) {
  return q.name.find('/') != std::string::npos;
}

} // namespace

std::string receipt_of(const message_state& s) {
  return fmt::format("{:x}-{:x}-{:x}", s.queue.value, s.id.value, s.receives);
}

// ---- loading ------------------------------------------------------------------------

void queue_machine::load(queue_record r) {
  last_queue_ = std::max(last_queue_, r.id.value);
  auto& q = queues_[r.name];
  q.record = std::move(r);
  by_id_[q.record.id] = &q;
}

void queue_machine::load_counter(std::string_view name, std::uint64_t value) {
  if (name == queue_counter)
    last_queue_ = std::max(last_queue_, value);
  if (name == message_counter)
    last_number_ = reserved_ = std::max(reserved_, value);
}

void queue_machine::load(message_state s) {
  const auto known = reserved_;
  last_number_ = reserved_ = std::max({reserved_, s.id.value, s.place});
  lacks_reservation_ |= reserved_ > known;
  auto* q = find(s.queue);
  if (q == nullptr || s.place < q->record.purged_before)
    garbage_.push_back(s.id);
  else if (s.hidden_until)
    hide_until_due(*q, std::move(s)); // or due already: that is found out by the first tick
  else if (s.place == s.id.value)
    q->fresh.push_back({s.id, s.arrived});
  else
    show(*q, std::move(s));
}

// ---- finding ------------------------------------------------------------------------

result<queue_machine::queue*> queue_machine::find(const std::string& name) {
  auto found = queues_.find(name);
  return found == queues_.end() ? result<queue*>{no_queue(name)} : &found->second;
}

queue_machine::queue* queue_machine::find(queue_id id) {
  auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

/// Null: there are none.
queue_machine::queue* queue_machine::dead_letters_of(const queue& q) {
  auto found = queues_.find(q.record.settings.dead_letter_queue);
  return found == queues_.end() ? nullptr : &found->second;
}

std::string queue_machine::name_of(queue_id id) const {
  auto found = by_id_.find(id);
  return found == by_id_.end() ? std::string{} : found->second->record.name;
}

// ---- queues -------------------------------------------------------------------------

result<void> queue_machine::check_dead_letters(const queue_settings& s,
                                               const std::string& name) const {
  if (s.dead_letter_queue.empty())
    return {};
  if (s.dead_letter_queue == name)
    return fail_field(errc::invalid_argument, "DeadLetterQueue",
                      "a queue cannot be its own dead-letter queue");
  if (!queues_.contains(s.dead_letter_queue))
    return fail_field(errc::not_found, "DeadLetterQueue", "there is no queue `{}`",
                      s.dead_letter_queue);
  return {};
}

/// Nobody else's messages may lose their way.
result<void> queue_machine::check_unused(const queue& q) const {
  const auto& name = q.record.name;
  for (const auto& [other, state] : queues_)
    if (state.record.settings.dead_letter_queue == name)
      return fail_field(errc::in_use, "Queue", "the dead letters of queue `{}` go to `{}`", other,
                        name);
  for (const auto& [topic, state] : topics_)
    for (const auto& [subscription, record] : state.subscriptions)
      if (record.queue == q.record.id)
        return fail_field(errc::in_use, "Queue",
                          "subscription `{}` of topic `{}` delivers to queue `{}`", subscription,
                          topic, name);
  return {};
}

result<queue_machine::step> queue_machine::create(timestamp now, const std::string& name,
                                                  queue_settings s) {
  FM_CHECK(check_queue_name(name, "Queue"));
  FM_CHECK(check(s));
  if (queues_.contains(name))
    return fail_field(errc::already_exists, "Queue", "there is a queue `{}` already", name);
  if (queues_.size() >= limits::queues_max)
    return fail_field(errc::too_large, "Queue", "there are {} queues already, as many as can be",
                      queues_.size());
  FM_CHECK(check_dead_letters(s, name));
  step out;
  add_queue(out, now, name, std::move(s));
  return out;
}

queue_machine::queue& queue_machine::add_queue(step& out, timestamp now, const std::string& name,
                                               queue_settings s) {
  auto& q = queues_[name];
  q.record = {{++last_queue_}, name, now, now, 0, std::move(s)};
  by_id_[q.record.id] = &q;
  out.record.queues.push_back(q.record);
  out.record.counters.emplace_back(queue_counter, last_queue_);
  return q;
}

result<queue_machine::step> queue_machine::reset(timestamp now, const std::string& name,
                                                 queue_settings s) {
  FM_TRY(auto* q, find(name));
  FM_CHECK(check(s));
  FM_CHECK(check_dead_letters(s, name));
  step out;
  q->record.settings = std::move(s);
  q->record.modified = now;
  out.record.queues.push_back(q->record);
  settle(out, now, *q);
  serve(out, now, *q);
  return out;
}

result<queue_machine::step> queue_machine::remove(timestamp, const std::string& name) {
  FM_TRY(auto* q, find(name));
  FM_CHECK(check_unused(*q));
  step out;
  drop_queue(out, *q);
  return out;
}

void queue_machine::drop_queue(step& out, queue& q) {
  const auto name = q.record.name;
  for (auto& w : q.waiters)
    out.served.push_back({w.order.waiter, no_queue(name)});
  waiters_ -= q.waiters.size();
  discard_all(q);
  out.record.erased_queues.push_back(name);
  by_id_.erase(q.record.id);
  queues_.erase(name);
}

result<queue_machine::step> queue_machine::purge(timestamp now, const std::string& name) {
  FM_TRY(auto* q, find(name));
  step out;
  discard_all(*q);
  q->record.purged_before = last_number_ + 1;
  q->record.modified = now;
  out.record.queues.push_back(q->record);
  return out;
}

/// From memory at once; from the store bit by bit.
void queue_machine::discard_all(queue& q) {
  for (const auto& m : q.fresh)
    garbage_.push_back(m.id);
  for (const auto& [id, s] : q.states)
    garbage_.push_back(id);
  q.fresh.clear();
  q.ready.clear();
  q.hidden.clear();
  q.states.clear();
  q.delayed = 0;
}

/// Equal ones in a row are one.
void queue_machine::add_mishap(step& to, mishap m) {
  if (!to.mishaps.empty()) {
    auto& last = to.mishaps.back();
    if (last.subscription == m.subscription && last.went_to == m.went_to && last.why == m.why) {
      last.messages += m.messages;
      return;
    }
  }
  to.mishaps.push_back(std::move(m));
}

// ---- sending ------------------------------------------------------------------------

/// Numbers are reserved in blocks, so that none is given out twice though the
/// messages that had them are gone.
std::uint64_t queue_machine::next_number(step& out) {
  if (last_number_ == reserved_)
    reserve(out);
  return ++last_number_;
}

void queue_machine::reserve(step& out) {
  reserved_ = last_number_ + numbers_per_reservation;
  out.record.counters.emplace_back(message_counter, reserved_);
  lacks_reservation_ = false;
}

result<void> queue_machine::check_room(const queue& q, const outgoing_message& m) {
  const auto& s = q.record.settings;
  FM_CHECK(check(m, s.message_bytes_max));
  if (q.fresh.size() + q.states.size() >= static_cast<std::size_t>(s.messages_max))
    return fail_field(errc::busy, "Queue", "queue `{}` is full: it holds {} messages",
                      q.record.name, s.messages_max);
  if (m.delay_seconds.value_or(s.delay_seconds) > 0 && q.hidden.size() >= limits::queue_in_flight_max)
    return fail_field(errc::busy, "Queue", "queue `{}` has {} messages in flight or delayed",
                      q.record.name, q.hidden.size());
  return {};
}

message_id queue_machine::add_body(step& out, timestamp now, outgoing_message m,
                                   const std::string& sender) {
  const message_id id{next_number(out)};
  out.record.messages.push_back(
      {id, std::move(m.body), std::move(m.attributes), std::move(m.tags), now, sender});
  return id;
}

message_id queue_machine::put(step& out, timestamp now, queue& q, outgoing_message m,
                              const std::string& sender) {
  const auto delay = m.delay_seconds.value_or(q.record.settings.delay_seconds);
  message_state s;
  s.id = add_body(out, now, std::move(m), sender);
  s.place = s.id.value;
  s.queue = q.record.id;
  s.arrived = now;
  if (delay > 0)
    s.hidden_until = now + seconds(delay);
  out.record.message_states.push_back(s);
  if (s.hidden_until)
    hide_until_due(q, s);
  else
    q.fresh.push_back({s.id, s.arrived});
  return s.id;
}

result<queue_machine::answers<message_id>>
queue_machine::send(timestamp now, const std::string& name, std::vector<outgoing_message> messages,
                    const std::string& sender) {
  FM_TRY(auto* q, find(name));
  answers<message_id> out;
  settle(out.made, now, *q);
  for (auto& m : messages) {
    if (auto room = check_room(*q, m); !room)
      out.each.push_back(failure{room.error()});
    else
      out.each.push_back(put(out.made, now, *q, std::move(m), sender));
  }
  serve(out.made, now, *q);
  return out;
}

// ---- receiving ----------------------------------------------------------------------

result<queue_machine::step> queue_machine::receive(timestamp now, const std::string& name,
                                                   receive_order o) {
  FM_TRY(auto* q, find(name));
  FM_CHECK(check(o));
  const auto wait = o.wait.value_or(q->record.settings.wait_seconds);
  if (wait > 0 && waiters_ >= limits::queue_waiters_max)
    return fail_field(errc::busy, "WaitSeconds", "{} receives wait already, as many as may",
                      waiters_);
  step out;
  settle(out, now, *q);
  if (q->hidden.size() - q->delayed >= limits::queue_in_flight_max) {
    out.served.push_back({o.waiter, fail_field(errc::busy, "Queue",
                                               "queue `{}` has {} messages in flight: delete some",
                                               name, limits::queue_in_flight_max)});
    return out;
  }
  q->waiters.push_back({o, now + seconds(wait)});
  ++waiters_;
  serve(out, now, *q);
  end_waits(out, now, *q);
  return out;
}

/// First come, first served. A waiter gets what there is, at least one.
void queue_machine::serve(step& out, timestamp now, queue& q) {
  while (!q.waiters.empty()) {
    const auto order = q.waiters.front().order;
    auto messages = take(out, now, q, order);
    if (messages.empty())
      return;
    out.served.push_back({order.waiter, std::move(messages)});
    q.waiters.pop_front();
    --waiters_;
  }
}

void queue_machine::end_waits(step& out, timestamp now, queue& q) {
  waiters_ -= std::erase_if(q.waiters, [&](const waiter& w) {
    if (w.until > now)
      return false;
    out.served.push_back({w.order.waiter, std::vector<message_state>{}});
    return true;
  });
}

std::vector<message_state> queue_machine::take(step& out, timestamp now, queue& q,
                                               const receive_order& o) {
  std::vector<message_state> taken;
  const auto visibility = o.visibility.value_or(q.record.settings.visibility_seconds);
  while (taken.size() < o.count_max &&
         q.hidden.size() - q.delayed < limits::queue_in_flight_max) {
    auto s = next_visible(now, q);
    if (!s)
      break;
    s->hidden_until = now + seconds(visibility);
    if (++s->receives == 1)
      s->first_received = now;
    out.record.message_states.push_back(*s);
    taken.push_back(*s);
  }
  for (const auto& s : taken)
    hide_until_due(q, s);
  if (!taken.empty() && lacks_reservation_)
    reserve(out); // before anybody can delete the message that tells of its number
  return taken;
}

/// Takes the oldest visible message out of the queue; the caller puts it back.
std::optional<message_state> queue_machine::next_visible(timestamp now, queue& q) {
  const auto until = retained_until(q);
  if (until && *until <= now)
    return std::nullopt; // what is past its retention is erased in bounded steps
  const bool is_fresh = !q.fresh.empty() && (q.ready.empty() ||
                                             q.fresh.front().id.value < q.ready.begin()->first);
  if (is_fresh) {
    const auto m = q.fresh.front();
    q.fresh.pop_front();
    return message_state{m.id, q.record.id, m.id.value, m.arrived, {}, 0, {}, {}};
  }
  if (q.ready.empty())
    return std::nullopt;
  auto s = q.states.at(q.ready.begin()->second);
  take_out(q, s);
  return s;
}

// ---- what time does -----------------------------------------------------------------

/// Of the oldest visible message.
std::optional<timestamp> queue_machine::retained_until(const queue& q) {
  std::optional<timestamp> oldest;
  if (!q.fresh.empty())
    oldest = q.fresh.front().arrived;
  if (!q.ready.empty()) {
    const auto arrived = q.states.at(q.ready.begin()->second).arrived;
    oldest = oldest ? std::min(*oldest, arrived) : arrived;
  }
  if (!oldest)
    return std::nullopt;
  return *oldest + seconds(q.record.settings.retention_seconds);
}

void queue_machine::hide_until_due(queue& q, message_state s) {
  q.hidden.emplace(s.hidden_until, s.id);
  q.delayed += s.receives == 0;
  q.states.emplace(s.id, std::move(s));
}

void queue_machine::show(queue& q, message_state s) {
  q.ready.emplace(s.place, s.id);
  q.states.emplace(s.id, std::move(s));
}

void queue_machine::take_out(queue& q, const message_state& s) {
  if (q.ready.erase(s.place) == 0) {
    q.hidden.erase({s.hidden_until, s.id});
    q.delayed -= s.receives == 0;
  }
  q.states.erase(s.id); // `s` may be in there: last
}

void queue_machine::settle(step& out, timestamp now, queue& q) {
  for (std::size_t n = 0; n < work_per_step_max; ++n) {
    if (q.hidden.empty() || q.hidden.begin()->first > now)
      break;
    unhide(out, now, q, q.hidden.begin()->second);
  }
  expire(out, now, q);
}

void queue_machine::unhide(step& out, timestamp now, queue& q, message_id id) {
  const auto s = q.states.at(id);
  take_out(q, s);
  auto* dead_letters = dead_letters_of(q);
  if (dead_letters == nullptr || s.receives < q.record.settings.receives_max)
    return show(q, s);
  bury(out, now, q, *dead_letters, id);
  if (is_of_subscription(q.record))
    add_mishap(out, {q.record.name, 1, dead_letters->record.name,
                     fmt::format("received {} times, and not delivered", s.receives)});
}

/// To the dead-letter queue, where it begins anew. It is in no queue before.
void queue_machine::bury(step& out, timestamp now, const queue& from, queue& to, message_id id) {
  message_state s{id, to.record.id, next_number(out), now, {}, 0, {}, from.record.id};
  out.record.message_states.push_back(s);
  show(to, s);
  serve(out, now, to);
}

void queue_machine::expire(step& out, timestamp now, queue& q) {
  const auto is_over = [&](timestamp arrived) {
    return arrived + seconds(q.record.settings.retention_seconds) <= now;
  };
  for (std::size_t n = 0; n < work_per_step_max; ++n) {
    if (!q.fresh.empty() && is_over(q.fresh.front().arrived)) {
      const auto id = q.fresh.front().id;
      q.fresh.pop_front();
      end_retention(out, now, q, id);
    } else if (!q.ready.empty() && is_over(q.states.at(q.ready.begin()->second).arrived)) {
      const auto s = q.states.at(q.ready.begin()->second);
      take_out(q, s);
      end_retention(out, now, q, s.id);
    } else {
      return;
    }
  }
}

/// Who subscribed was promised its messages, or their place among the dead letters.
void queue_machine::end_retention(step& out, timestamp now, const queue& q, message_id id) {
  auto* dead_letters = is_of_subscription(q.record) ? dead_letters_of(q) : nullptr;
  if (dead_letters != nullptr)
    bury(out, now, q, *dead_letters, id);
  else
    out.record.erased_messages.push_back(id);
  if (is_of_subscription(q.record))
    add_mishap(out, {q.record.name, 1, dead_letters ? dead_letters->record.name : "",
                     fmt::format("not delivered within the queue's retention of {} s",
                                 q.record.settings.retention_seconds)});
}

void queue_machine::collect_garbage(step& out) {
  for (std::size_t n = 0; n < work_per_step_max && !garbage_.empty(); ++n) {
    out.record.erased_messages.push_back(garbage_.front());
    garbage_.pop_front();
  }
}

queue_machine::step queue_machine::tick(timestamp now) {
  step out;
  for (auto& [name, q] : queues_) {
    settle(out, now, q);
    serve(out, now, q);
    end_waits(out, now, q);
  }
  collect_garbage(out);
  return out;
}

bool queue_machine::is_idle() const {
  return waiters_ == 0 && garbage_.empty() &&
         std::all_of(queues_.begin(), queues_.end(), [](const auto& entry) {
           return entry.second.fresh.empty() && entry.second.states.empty();
         });
}

// ---- by receipt ---------------------------------------------------------------------

/// The state that a receipt is for; null when the message is deleted already.
result<message_state*> queue_machine::holder(queue& q, const std::string& text) {
  FM_TRY(const auto r, parse_receipt(text));
  if (r.queue != q.record.id || r.message.value == 0 || r.message.value > last_number_ ||
      r.receives == 0)
    return fail_field(errc::malformed, "Receipt", "`{}` is not a receipt of queue `{}`", text,
                      q.record.name);
  if (const auto* dead_letters = dead_letters_of(q);
      dead_letters != nullptr && dead_letters->states.contains(r.message))
    return fail_field(errc::conflict, "Receipt",
                      "the message was received too often and went to the dead-letter queue `{}`",
                      dead_letters->record.name);
  auto found = q.states.find(r.message);
  if (found == q.states.end())
    return nullptr;
  if (found->second.receives != r.receives)
    return fail_field(errc::conflict, "Receipt",
                      "the message was received again since: the newer receipt counts");
  return &found->second;
}

result<void> queue_machine::erase_one(step& out, queue& q, const std::string& receipt) {
  FM_TRY(auto* s, holder(q, receipt));
  if (s == nullptr)
    return {};
  out.record.erased_messages.push_back(s->id);
  take_out(q, message_state{*s});
  return {};
}

result<queue_machine::answers<void>>
queue_machine::erase(timestamp now, const std::string& name,
                     const std::vector<std::string>& receipts) {
  FM_TRY(auto* q, find(name));
  answers<void> out;
  for (const auto& r : receipts)
    out.each.push_back(erase_one(out.made, *q, r));
  settle(out.made, now, *q);
  serve(out.made, now, *q); // more may be in flight now
  return out;
}

result<std::string> queue_machine::give_up_one(step& out, timestamp now, queue& q,
                                               const std::string& receipt) {
  FM_TRY(auto* held, holder(q, receipt));
  if (held == nullptr)
    return fail_field(errc::in_use, "Receipt", "the message cannot be given up: it is deleted");
  const auto id = held->id;
  take_out(q, message_state{*held});
  if (auto* dead_letters = dead_letters_of(q)) {
    bury(out, now, q, *dead_letters, id);
    return dead_letters->record.name;
  }
  out.record.erased_messages.push_back(id);
  return std::string{};
}

result<queue_machine::answers<std::string>>
queue_machine::give_up(timestamp now, const std::string& name,
                       const std::vector<std::string>& receipts) {
  FM_TRY(auto* q, find(name));
  answers<std::string> out;
  for (const auto& r : receipts)
    out.each.push_back(give_up_one(out.made, now, *q, r));
  settle(out.made, now, *q);
  serve(out.made, now, *q); // more may be in flight now
  return out;
}

result<void> queue_machine::hide_one(step& out, timestamp now, queue& q, const hide_order& o) {
  FM_CHECK(check_within("VisibilitySeconds", o.seconds, 0, limits::queue_visibility_seconds_max));
  FM_TRY(auto* held, holder(q, o.receipt));
  if (held == nullptr || held->hidden_until <= now)
    return fail_field(errc::in_use, "Receipt", "the message is not in flight: it is {}",
                      held == nullptr ? "deleted" : "visible again");
  auto s = *held;
  take_out(q, s);
  s.hidden_until = now + seconds(o.seconds);
  out.record.message_states.push_back(s);
  hide_until_due(q, s);
  return {};
}

result<queue_machine::answers<void>> queue_machine::hide(timestamp now, const std::string& name,
                                                         const std::vector<hide_order>& orders) {
  FM_TRY(auto* q, find(name));
  answers<void> out;
  settle(out.made, now, *q);
  for (const auto& o : orders)
    out.each.push_back(hide_one(out.made, now, *q, o));
  settle(out.made, now, *q);
  serve(out.made, now, *q);
  return out;
}

queue_machine::step queue_machine::forget(message_id id, queue_id of) {
  step out;
  out.record.erased_messages.push_back(id);
  if (auto* q = find(of))
    if (auto s = q->states.find(id); s != q->states.end())
      take_out(*q, message_state{s->second});
  return out;
}

// ---- questions ----------------------------------------------------------------------

queue_view queue_machine::view_of(const queue& q) {
  queue_view v;
  v.record = q.record;
  v.visible = q.fresh.size() + q.ready.size();
  v.delayed = q.delayed;
  v.in_flight = q.hidden.size() - q.delayed;
  if (auto until = retained_until(q))
    v.oldest = *until + seconds(-q.record.settings.retention_seconds);
  return v;
}

result<queue_view> queue_machine::view(const std::string& name) const {
  auto found = queues_.find(name);
  return found == queues_.end() ? result<queue_view>{no_queue(name)} : view_of(found->second);
}

std::vector<queue_view> queue_machine::views(std::string_view prefix) const {
  std::vector<queue_view> out;
  for (auto q = queues_.lower_bound(prefix); q != queues_.end() && q->first.starts_with(prefix);
       ++q)
    out.push_back(view_of(q->second));
  return out;
}

} // namespace framemill
