#include "actors/notifier.hpp"

#include "actors/fail_points.hpp"
#include "actors/manners.hpp"
#include "core/limits.hpp"
#include "storage/records.hpp"

#include <caf/all.hpp>
#include <spdlog/spdlog.h>

namespace framemill {

namespace {

using self_ptr = caf::stateful_actor<notifier_state>*;
using kind = delivery_outcome::kind;
using namespace std::chrono_literals;

constexpr std::size_t page_max = 256;
constexpr microseconds sleep_max = 1min; ///< the clock may have been set
constexpr auto write_again_after = 1s;

struct context {
  self_ptr self;
  node_services* services;

  [[nodiscard]] notifier_state& state() const { return self->state; }
  [[nodiscard]] timestamp now() const { return services->clock.now(); }
};

[[noreturn]] void die(const error& why) {
  throw std::runtime_error{why.message};
}

/// Fills the schedule with what is pending, in order.
void read_more(const context& c) {
  auto& s = c.state();
  const auto end = prefix_end(keys::prefix(delivery_state::pending, s.sink));
  while (!s.has_read_all && s.schedule.room() >= page_max) {
    std::size_t count = 0;
    auto read = scan_records<delivery_line>(
        *c.services->store, family::deliveries, s.read_until, end, [&](const delivery_line& d) {
          s.schedule.load(c.now(), {d.event, d.run, lane_of(d.config), d.since, d.next_try,
                                    d.attempts});
          s.read_until = keys::delivery(delivery_state::pending, s.sink, d.event) + '\0';
          return ++count < page_max;
        });
    if (!read)
      die(read.error());
    s.has_read_all = count < page_max;
  }
}

notification to_notification(const delivery_record& d) {
  return {d.sink, d.event, d.run, d.attempts + 1, d.event_type, d.body, d.config};
}

void send(const context& c, event_id event) {
  auto& s = c.state();
  auto d = find_record<delivery_record>(*c.services->store, family::deliveries,
                                        keys::delivery(delivery_state::pending, s.sink, event));
  if (!d)
    die(d.error());
  if (!*d)
    return s.schedule.forget(event);
  auto me = caf::actor_cast<caf::actor>(c.self);
  auto done = [me, event](delivery_answer a) {
    caf::anon_send(me, delivery_answered{event, std::move(a)});
  };
  auto what = to_notification(**d);
  s.under_way.insert_or_assign(event, std::move(**d));
  fail_point("delivery.before");
  if (auto open = fail_door("delivery.send"); !open)
    return done({delivery_answer::verdict::again, open.error().message, {}});
  auto kind = kind_of_sink(s.sink);
  auto place = kind ? c.services->notices.sinks.find(*kind) : c.services->notices.sinks.end();
  if (place == c.services->notices.sinks.end())
    return done({delivery_answer::verdict::parked, "this server has no such sink", {}});
  place->second->deliver(std::move(what), std::move(done));
}

void arm(const context& c) {
  auto& s = c.state();
  auto wake = s.schedule.wake_at();
  if (!wake || (s.armed && *s.armed <= *wake))
    return;
  s.armed = *wake;
  auto delay = std::clamp<microseconds>(*wake - c.now(), 1ms, sleep_max);
  c.self->delayed_send(c.self, delay, notifier_tick{});
}

void pump(const context& c) {
  auto& s = c.state();
  read_more(c);
  for (auto due = s.schedule.due(c.now()); !due.empty(); due = s.schedule.due(c.now()))
    for (auto event : due)
      send(c, event);
  if (s.schedule.is_empty() && s.has_read_all)
    return c.self->quit(); // the OUTBOX looks whether more has come meanwhile
  arm(c);
}

event_record death_of(const delivery_record& d, timestamp now) {
  event_record e;
  e.time = now;
  e.type = "delivery.dead";
  e.run = d.run;
  e.state = "dead";
  e.message = fmt::format("event {} to {}: {}", d.event.value, d.sink, d.last_error);
  return e;
}

changes record_of(delivery_record d, const delivery_outcome& outcome, timestamp now) {
  changes c;
  if (outcome.what == kind::delivered) {
    c.erased_deliveries.emplace_back(d.sink, d.event);
    return c;
  }
  d.attempts = outcome.attempts;
  d.last_try = now;
  d.next_try = outcome.next_try;
  d.last_error = outcome.why;
  if (outcome.what == kind::dead) {
    d.state = delivery_state::dead;
    c.events.push_back(death_of(d, now));
  }
  c.deliveries.push_back(std::move(d));
  return c;
}

void write(const context& c, std::uint64_t token) {
  auto me = caf::actor_cast<caf::actor>(c.self);
  c.services->journal->commit(c.state().writes.at(token).record, [me, token](result<void> r) {
    caf::anon_send(me, committed{token, std::move(r)});
  });
}

void on_answer(const context& c, const delivery_answered& m) {
  auto& s = c.state();
  fail_point("delivery.answered");
  auto now = c.now();
  auto outcome = s.schedule.answered(now, m.event, m.answer);
  const auto& d = s.under_way.at(m.event);
  if (outcome.what == kind::dead)
    spdlog::warn("NOTIFIER: event {} to {} is given up: {}", m.event.value, s.sink, outcome.why);
  auto token = ++s.last_token;
  auto record = record_of(d, outcome, now);
  s.writes.emplace(token, notifier_state::settling{std::move(record), std::move(outcome), now});
  write(c, token);
}

void pass(kind what) {
  switch (what) {
    case kind::delivered: return fail_point("delivery.delivered.written");
    case kind::again: return fail_point("delivery.retry.written");
    case kind::dead: return fail_point("delivery.dead.written");
  }
}

void on_written(const context& c, const committed& m) {
  auto& s = c.state();
  if (!m.status) { // it did happen: the books are told until they take it
    spdlog::error("NOTIFIER: {}: {}", s.sink, m.status.error().message);
    return c.self->delayed_send(c.self, write_again_after, write_again{m.token});
  }
  auto w = std::move(s.writes.extract(m.token).mapped());
  pass(w.outcome.what);
  auto d = std::move(s.under_way.extract(w.outcome.event).mapped());
  s.schedule.written(w.outcome.event);
  c.services->notices.board.tried(s.sink, w.outcome, w.answered, d.happened);
  pump(c);
}

} // namespace

caf::behavior notifier(self_ptr self, node_services* services, std::string sink,
                       caf::actor outbox) {
  context c{self, services};
  auto& s = self->state;
  delivery_rules rules;
  rules.window = services->config.events.retry_window;
  s.schedule = delivery_schedule{rules};
  s.sink = std::move(sink);
  s.read_until = keys::prefix(delivery_state::pending, s.sink);
  tolerate_strangers(self, "NOTIFIER");
  self->set_exception_handler([self](std::exception_ptr& p) -> caf::error {
    try {
      std::rethrow_exception(p);
    } catch (const std::exception& e) {
      spdlog::error("NOTIFIER: {}: {}", self->state.sink, e.what());
    }
    return caf::make_error(caf::sec::runtime_error, "see the log");
  });
  self->monitor(outbox);
  self->set_down_handler([self](const caf::down_msg&) { self->quit(); });
  self->send(self, deliveries_there{});
  return {
      [=](const deliveries_there& m) {
        auto& state = self->state;
        state.has_read_all = false;
        if (m.anew)
          state.read_until = keys::prefix(delivery_state::pending, state.sink);
        pump(c);
      },
      [=](const delivery_answered& m) { on_answer(c, m); },
      [=](const committed& m) { on_written(c, m); },
      [=](const write_again& m) { write(c, m.token); },
      [=](const notifier_tick&) {
        self->state.armed.reset();
        pump(c);
      },
  };
}

} // namespace framemill
