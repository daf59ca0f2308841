#include "actors/queue_broker.hpp"

#include "actors/manners.hpp"
#include "actors/subscription_pusher.hpp"
#include "storage/records.hpp"

#include <caf/all.hpp>
#include <spdlog/spdlog.h>

#include <set>

namespace framemill {

namespace {

constexpr auto tick_every = std::chrono::milliseconds{100};
constexpr auto read_again_after = std::chrono::seconds{1};
constexpr std::size_t page_bytes_max = 256 << 10; ///< more are several commits

} // namespace

result<queue_machine> load_queues(const state_store& store) {
  queue_machine out;
  const auto load_all = [&]<class Record>(family f, std::string_view prefix, Record*) {
    return scan_records<Record>(store, f, prefix, prefix_end(prefix), [&](Record r) {
      out.load(std::move(r));
      return true;
    });
  };
  FM_CHECK(load_all(family::queues, keys::queue_prefix, static_cast<queue_record*>(nullptr)));
  FM_CHECK(load_all(family::queues, keys::topic_prefix, static_cast<topic_record*>(nullptr)));
  FM_CHECK(load_all(family::queues, keys::subscription_prefix,
                    static_cast<subscription_record*>(nullptr)));
  constexpr std::string_view counters = "counter/";
  FM_CHECK(store.scan(family::meta, counters, prefix_end(counters),
                      [&](std::string_view key, std::string_view value) {
                        out.load_counter(key.substr(counters.size()),
                                         std::stoull(std::string{value}, nullptr, 16));
                        return true;
                      }));
  FM_CHECK(load_all(family::message_states, "", static_cast<message_state*>(nullptr)));
  return out;
}

// ---- commit, then answer ------------------------------------------------------------

/// What changes nothing waits for what is under way all the same: a message that
/// is deleted twice is deleted when the first deletion is durable.
void queue_broker_state::apply(queue_machine::step made,
                               std::function<void(const result<void>&)> then) {
  const auto empty = made.record.empty();
  const bool subscriptions =
      !made.record.subscriptions.empty() || !made.record.erased_subscriptions.empty();
  const auto token = steps.add(
      {std::move(made.served), std::move(made.mishaps), std::move(then), subscriptions}, empty);
  keep_ticking();
  if (empty)
    return answer_ready();
  page.add(std::move(made.record));
  last_on_page = token;
  if (page.bytes() >= page_bytes_max)
    write_page();
}

void queue_broker_state::write_page(by writer) {
  if (page.empty())
    return;
  ++commits;
  auto me = caf::actor_cast<caf::actor>(self);
  auto done = [me, bag = answers, token = last_on_page](result<void> r) {
    if (bag->put({token, std::move(r)}))
      caf::anon_send(me, queue_answers{});
  };
  if (writer == by::us)
    services->journal->commit_here(std::exchange(page, {}), std::move(done));
  else
    services->journal->commit(std::exchange(page, {}), std::move(done));
}

/// One that comes alone, while nothing is under way, has nobody to make ready
/// beside it: its way to disk is the shortest.
void queue_broker_state::on_calls(std::vector<queue_call> calls) {
  for (auto& call : calls)
    call(*this);
  write_page(calls.size() == 1 && commits == 0 ? by::us : by::store);
}

void queue_broker_state::on_answers() {
  for (const auto& m : answers->take()) {
    --commits;
    if (!m.status && !refused) {
      spdlog::error("QUEUE BROKER: a change was refused: {}", m.status.error().message);
      answer_ready(); // what is durable before it
      refused = m.status.error();
    }
    steps.written_up_to(m.token);
  }
  answer_ready();
  if (refused && commits == 0)
    read_books();
}

void queue_broker_state::answer_ready() {
  while (steps.ready() || (refused && !steps.is_empty())) {
    auto step = steps.take();
    const auto status = refused ? result<void>{failure{*refused}} : result<void>{};
    if (step.then)
      step.then(status);
    for (auto& w : step.served) {
      if (refused)
        w.messages = failure{*refused};
      serve(std::move(w));
    }
    if (refused)
      continue;
    for (auto& m : step.mishaps)
      troubles.missed(m.subscription, {m.messages, std::move(m.why), std::move(m.went_to)});
    if (!step.mishaps.empty())
      tell_missed();
    if (step.changes_subscriptions)
      tend_pushers();
  }
}

/// What was not written did not happen.
void queue_broker_state::read_books() {
  page = {};
  for (auto& [id, done] : std::exchange(waiters, {}))
    done(failure{*refused});
  auto read = load_queues(*services->store);
  if (!read) {
    spdlog::error("QUEUE BROKER: the books were not read: {}", read.error().message);
    self->delayed_send(self, read_again_after, read_queue_books{});
    return;
  }
  core = std::move(*read);
  refused.reset();
  keep_ticking();
  tend_pushers();
}

// ---- receiving ----------------------------------------------------------------------

void queue_broker_state::receive(const std::string& queue,
                                 const queue_service::receive_request& r, messages_reply done) {
  const auto id = ++last_waiter;
  auto made =
      core.receive(now(), queue, {id, r.count_max, r.visibility_seconds, r.wait_seconds});
  if (!made)
    return done(failure{made.error()});
  waiters.emplace(id, std::move(done));
  apply(std::move(*made), {});
}

void queue_broker_state::serve(queue_machine::served_waiter w) {
  auto found = waiters.extract(w.waiter);
  if (found.empty())
    return; // answered already, when the store refused its wait's step
  auto& done = found.mapped();
  if (!w.messages)
    return done(failure{w.messages.error()});
  done(messages_of(*w.messages));
}

result<std::vector<received_message>>
queue_broker_state::messages_of(const std::vector<message_state>& states) {
  std::vector<received_message> out;
  for (const auto& s : states) {
    FM_TRY(auto body, find_record<message_record>(*services->store, family::messages,
                                                  keys::message_body(s.id)));
    if (body) {
      out.push_back({std::move(*body), receipt_of(s), s.receives, s.first_received,
                     core.name_of(s.source)});
    } else { // the store refused it, and took the receive behind it
      spdlog::error("QUEUE BROKER: message {} has no body and is forgotten", s.id.value);
      apply(core.forget(s.id, s.queue), {});
    }
  }
  return out;
}

// ---- HTTP subscriptions -------------------------------------------------------------

/// One PUSHER for each, and none besides.
void queue_broker_state::tend_pushers() {
  forget_old_troubles();
  auto* web = services->notices.find(sink_kind::http);
  if (web == nullptr)
    return;
  if (!door)
    door = make_queue_service(caf::actor_cast<caf::actor>(self));
  std::map<queue_id, caf::actor> kept;
  for (const auto& topic : core.topics())
    for (const auto& s : topic.subscriptions) {
      const auto q = core.view(s.topic + "/" + s.name); // only HTTP ones have it
      if (!q || q->record.id != s.queue)
        continue;
      auto running = pushers.extract(s.queue);
      kept[s.queue] = running.empty()
                          ? self->spawn<caf::monitored>(subscription_pusher, door,
                                                        caf::actor_cast<caf::actor>(self),
                                                        &services->clock, web, s)
                          : running.mapped();
    }
  for (const auto& [queue, pusher] : std::exchange(pushers, std::move(kept)))
    self->send_exit(pusher, caf::exit_reason::user_shutdown);
}

void queue_broker_state::on_pusher_gone(const caf::actor_addr& who) {
  const auto gone =
      std::erase_if(pushers, [&](const auto& p) { return p.second.address() == who; });
  if (gone > 0 && !refused)
    tend_pushers();
}

// ---- what goes wrong with subscriptions ---------------------------------------------

void queue_broker_state::forget_old_troubles() {
  std::set<std::string> subscriptions;
  for (const auto& topic : core.topics())
    for (const auto& s : topic.subscriptions)
      subscriptions.insert(s.topic + "/" + s.name);
  troubles.keep_only(subscriptions);
}

void queue_broker_state::on_push_tried(queue_id queue, const delivery_answer& a) {
  const auto subscription = core.name_of(queue);
  if (subscription.empty())
    return; // it has ended
  if (a.what == delivery_answer::verdict::delivered)
    troubles.delivered(subscription);
  else if (troubles.failed(now(), subscription, a.why))
    spdlog::warn("QUEUE BROKER: subscription {}: a try to post failed: {}", subscription, a.why);
}

void queue_broker_state::tell_missed() {
  for (const auto& [subscription, m] : troubles.untold(now()))
    spdlog::warn("QUEUE BROKER: subscription {}: {} messages did not stay in its queue; the last "
                 "of them {}: {}",
                 subscription, m.messages,
                 m.went_to.empty() ? "is dropped" : "goes to queue " + m.went_to, m.why);
}

result<topic_view> queue_broker_state::topic(const std::string& name) const {
  FM_TRY(auto out, core.topic(name));
  out.troubles = troubles.of(name);
  return out;
}

std::vector<topic_view> queue_broker_state::topics() const {
  auto out = core.topics();
  for (auto& t : out)
    t.troubles = troubles.of(t.record.name);
  return out;
}

// ---- time ---------------------------------------------------------------------------

void queue_broker_state::keep_ticking() {
  if (!std::exchange(is_ticking, true))
    self->delayed_send(self, tick_every, queue_tick{});
}

void queue_broker_state::on_tick() {
  is_ticking = false;
  tell_missed();
  if (refused || core.is_idle())
    return; // the next step, or the books, begin it anew
  apply(core.tick(now()), {});
}

caf::behavior queue_broker(caf::stateful_actor<queue_broker_state>* self,
                           node_services* services) {
  tolerate_strangers(self, "QUEUE BROKER");
  auto& s = self->state;
  s.self = self;
  s.services = services;
  self->set_down_handler(
      [=](const caf::down_msg& down) { self->state.on_pusher_gone(down.source); });
  s.refused = error{errc::unavailable, "the queues are not read yet", {}};
  s.read_books();
  return {
      [=](const queue_calls& m) {
        self->state.on_calls(m.bag->take());
      },
      [=](queue_answers) {
        self->state.on_answers();
        self->state.write_page();
      },
      [=](const push_tried& m) { self->state.on_push_tried(m.queue, m.answer); },
      [=](queue_tick) {
        self->state.on_tick();
        self->state.write_page();
      },
      [=](read_queue_books) { self->state.read_books(); },
  };
}

} // namespace framemill
