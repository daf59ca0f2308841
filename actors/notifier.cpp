#include "actors/notifier.hpp"

#include "actors/fail_points.hpp"
#include "actors/manners.hpp"
#include "core/limits.hpp"

#include <caf/all.hpp>
#include <spdlog/spdlog.h>

namespace framemill {

namespace {

using self_ptr = caf::stateful_actor<notifier_state>*;
using namespace std::chrono_literals;

constexpr microseconds sleep_max = 1min; ///< the clock may have been set
constexpr auto settle_again_after = 1s;

struct context {
  self_ptr self;
  node_services* services;

  [[nodiscard]] notifier_state& state() const { return self->state; }
  [[nodiscard]] delivery_desk& desk() const { return *state().place.desk; }
  [[nodiscard]] const std::string& sink() const { return state().place.sink; }
  [[nodiscard]] timestamp now() const { return services->clock.now(); }
  [[nodiscard]] caf::actor me() const { return caf::actor_cast<caf::actor>(self); }
};

[[noreturn]] void die(const std::string& why) { throw std::runtime_error{why}; }

/// It is not the one that tells this sink any more; or cannot know the books, and its
/// owner starts another.
void end_for(const context& c, const error& why) {
  if (why.code != errc::cancelled)
    die(why.message);
  c.self->quit();
}

// ---- Reading -----------------------------------------------------------------------------

/// Fills the schedule with what is pending, in order.
void read_more(const context& c) {
  auto& s = c.state();
  if (s.is_reading)
    return;
  if (auto from = s.schedule.read_again_from()) {
    s.read_until = std::min(s.read_until, event_id{from->value - 1});
    s.has_read_all = false;
  }
  if (s.has_read_all)
    return;
  if (s.schedule.room() < pending_page_max)
    s.schedule.make_room();
  if (s.schedule.room() < pending_page_max)
    return;
  s.is_reading = s.has_read_all = true; // unless this page, or a word, says otherwise
  c.desk().read(s.read_until, [me = c.me()](result<pending_page> page) {
    caf::anon_send(me, pending_read{std::move(page)});
  });
}

void take_page(const context& c, const pending_page& page) {
  auto& s = c.state();
  s.is_reading = false;
  for (const auto& d : page.deliveries)
    s.schedule.load(c.now(), d);
  if (!page.deliveries.empty())
    s.read_until = page.deliveries.back().event;
  s.has_read_all = s.has_read_all && page.is_last;
  if (std::exchange(s.reads_anew, false))
    s.read_until = {};
}

/// There is more in the books.
void expect_more(const context& c, const deliveries_there& m) {
  auto& s = c.state();
  s.has_read_all = false;
  if (m.anew)
    s.read_until = {};
  s.reads_anew = s.reads_anew || (m.anew && s.is_reading);
}

// ---- Sending -----------------------------------------------------------------------------

notification to_notification(const delivery_record& d) {
  return {d.sink, d.event, d.run, d.attempts + 1, d.event_type, d.body, d.config, {}};
}

void fetch(const context& c, event_id event) {
  c.desk().fetch(event, [me = c.me(), event, asked = c.services->uptime.now()](
                            result<std::optional<delivery_record>> d) {
    caf::anon_send(me, delivery_fetched{event, asked, std::move(d)});
  });
}

/// Is the leave to try that came with what was fetched still good?
std::function<bool()> within_leave(const context& c, timestamp asked) {
  auto lasts = c.desk().leave();
  if (!lasts)
    return {};
  return [services = c.services, asked, lasts = *lasts] {
    return services->uptime.now() - asked <= lasts;
  };
}

void send(const context& c, delivery_record d, std::function<bool()> may_begin) {
  auto& s = c.state();
  auto done = [me = c.me(), event = d.event](delivery_answer a) {
    caf::anon_send(me, delivery_answered{event, std::move(a)});
  };
  auto what = to_notification(d);
  what.may_begin = std::move(may_begin);
  s.under_way.insert_or_assign(d.event, std::move(d));
  fail_point("delivery.before");
  if (auto open = fail_door("delivery.send"); !open)
    return done({delivery_answer::verdict::again, open.error().message, {}});
  auto kind = kind_of_sink(c.sink());
  auto* place = kind ? c.services->notices.find(*kind) : nullptr;
  if (place == nullptr)
    return done({delivery_answer::verdict::parked, "this server has no such sink", {}});
  place->deliver(std::move(what), std::move(done));
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
      fetch(c, event);
  if (s.schedule.is_empty() && s.has_read_all && !s.is_reading)
    return c.self->quit(); // its owner looks whether more has come meanwhile
  arm(c);
}

void take(const context& c, delivery_fetched& m) {
  if (!m.delivery)
    return end_for(c, m.delivery.error());
  if (!*m.delivery) {
    c.state().schedule.forget(m.event);
    return pump(c);
  }
  auto may_begin = within_leave(c, m.asked);
  if (may_begin && !may_begin())
    return fetch(c, m.event);
  send(c, std::move(**m.delivery), std::move(may_begin));
}

// ---- Settling ----------------------------------------------------------------------------

void settle(const context& c, std::uint64_t token) {
  const auto& s = c.state();
  const auto& outcome = s.settling.at(token);
  c.desk().settle(s.under_way.at(outcome.event), outcome,
                  [me = c.me(), token](result<bool> booked) {
                    caf::anon_send(me, delivery_settled{token, std::move(booked)});
                  });
}

void on_answer(const context& c, const delivery_answered& m) {
  auto& s = c.state();
  fail_point("delivery.answered");
  auto outcome = s.schedule.answered(c.now(), m.event, m.answer);
  if (outcome.what == delivery_end::dead)
    spdlog::warn("NOTIFIER: event {} to {} is given up: {}", m.event.value, c.sink(),
                 outcome.why);
  auto token = ++s.last_token;
  s.settling.emplace(token, std::move(outcome));
  settle(c, token);
}

void on_settled(const context& c, const delivery_settled& m) {
  auto& s = c.state();
  if (!m.is_booked && m.is_booked.error().code == errc::cancelled)
    return end_for(c, m.is_booked.error());
  if (!m.is_booked) { // it did happen: the books are told until they take it
    spdlog::error("NOTIFIER: {}: {}", c.sink(), m.is_booked.error().message);
    return c.self->delayed_send(c.self, settle_again_after, write_again{m.token});
  }
  const auto outcome = std::move(s.settling.extract(m.token).mapped());
  if (!*m.is_booked)
    die(fmt::format("the books know event {} otherwise", outcome.event.value));
  pass_outcome(outcome.what);
  s.under_way.erase(outcome.event);
  s.schedule.written(outcome.event);
  pump(c);
}

} // namespace

caf::behavior notifier(self_ptr self, node_services* services, notifier_place place,
                       caf::actor owner) {
  context c{self, services};
  auto& s = self->state;
  delivery_rules rules;
  rules.window = place.retry_window;
  s.schedule = delivery_schedule{rules};
  s.place = std::move(place);
  tolerate_strangers(self, "NOTIFIER");
  self->set_exception_handler([self](std::exception_ptr& p) -> caf::error {
    try {
      std::rethrow_exception(p);
    } catch (const std::exception& e) {
      spdlog::error("NOTIFIER: {}: {}", self->state.place.sink, e.what());
    }
    return caf::make_error(caf::sec::runtime_error, "see the log");
  });
  self->monitor(owner);
  self->set_down_handler([self](const caf::down_msg&) { self->quit(); });
  self->send(self, deliveries_there{});
  return {
      [=](const deliveries_there& m) {
        expect_more(c, m);
        pump(c);
      },
      [=](const pending_read& m) {
        if (!m.page)
          return end_for(c, m.page.error());
        take_page(c, *m.page);
        pump(c);
      },
      [=](delivery_fetched& m) { take(c, m); },
      [=](const delivery_answered& m) { on_answer(c, m); },
      [=](const delivery_settled& m) { on_settled(c, m); },
      [=](const write_again& m) { settle(c, m.token); },
      [=](const notifier_tick&) {
        self->state.armed.reset();
        pump(c);
      },
  };
}

} // namespace framemill
