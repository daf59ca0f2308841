#include "actors/service_host.hpp"

#include "actors/bucket_watcher.hpp"
#include "actors/manners.hpp"
#include "actors/notifier_crew.hpp"
#include "core/codec.hpp"

#include <caf/all.hpp>
#include <spdlog/spdlog.h>

#include <array>

namespace framemill {

namespace {

using self_ptr = caf::stateful_actor<service_host_state>*;
constexpr std::chrono::seconds say_again_every{2};
constexpr std::chrono::seconds restart_delay_max{30};

// ---- Kinds -----------------------------------------------------------------------------

service_line line_of(const service_host_state& s, const host_service& order) {
  return {caf::actor_cast<caf::actor>(s.self), order.service, order.epoch};
}

result<caf::actor> spawn_watcher(service_host_state& s, const host_service& order) {
  FM_TRY(auto* watched, s.services->find_bucket(order.service.name));
  FM_TRY(auto how, decode<watch_order>(order.payload));
  watcher_place place{watched, line_of(s, order), how, nullptr};
  if (s.services->store)
    place.books = make_store_ledger(*s.services->store, watched->name());
  else
    place.books = make_asked_ledger({place.line, s.term});
  return s.self->spawn<caf::detached>(bucket_watcher, s.services, std::move(place));
}

result<caf::actor> spawn_crew(service_host_state& s, const host_service& order) {
  FM_TRY(auto how, decode<notify_order>(order.payload));
  return s.self->spawn(notifier_crew, s.services, line_of(s, order), how);
}

struct kind_row {
  const char* kind;
  result<caf::actor> (*spawn)(service_host_state&, const host_service&);
};
constexpr std::array kinds{kind_row{bucket_watcher_kind, spawn_watcher},
                           kind_row{notifier_kind, spawn_crew}};

result<caf::actor> spawn(service_host_state& s, const host_service& order) {
  for (const auto& row : kinds)
    if (order.service.kind == row.kind)
      return row.spawn(s, order);
  return fail(errc::unsupported, "this version cannot host a {}", order.service.kind);
}

// ---- What the book wants done ------------------------------------------------------------

void tell_hosted(service_host_state& s) {
  s.self->send(s.owner, services_hosted{s.book->hosted()});
}

void fares(service_host_state& s, const service_id& id, std::uint64_t epoch,
           std::string problem) {
  if (s.book->told_problem(id, epoch, std::move(problem)))
    tell_hosted(s);
}

void start(service_host_state& s, service_host_state::running& r) {
  auto actor = spawn(s, r.order);
  if (!actor) {
    spdlog::error("SERVICE HOST: {} {}: {}", r.order.service.kind, r.order.service.name,
                  actor.error().message);
    return fares(s, r.order.service, r.order.epoch, actor.error().message);
  }
  r.actor = *actor;
  s.self->monitor(r.actor);
}

void act_on(service_host_state& s, const begin_service& a) {
  auto& r = s.live[a.order.service];
  r = {{}, a.order, 0};
  spdlog::info("SERVICE HOST: {} {} is here, epoch {}", a.order.service.kind,
               a.order.service.name, a.order.epoch);
  start(s, r);
}

/// Nobody waits for its words any more.
void forget_words(service_host_state& s, const service_id& id) {
  for (auto i = s.words.begin(); i != s.words.end();)
    if (i->second.service == id) {
      i->second.answered(fail(errc::cancelled, "{} {} ended here", id.kind, id.name));
      i = s.words.erase(i);
    } else {
      ++i;
    }
}

void act_on(service_host_state& s, const cease_service& a) {
  spdlog::info("SERVICE HOST: {} {} ends here, epoch {}", a.service.kind, a.service.name,
               a.epoch);
  if (auto r = s.live.extract(a.service); !r.empty() && r.mapped().actor)
    s.self->send_exit(r.mapped().actor, caf::exit_reason::kill);
  forget_words(s, a.service);
}

void act_on(service_host_state& s, const say_word& a) { s.self->send(s.owner, a.word); }

void act(service_host_state& s, const service_book::actions& actions) {
  for (const auto& a : actions)
    std::visit([&](const auto& what) { act_on(s, what); }, a);
}

// ---- Services ----------------------------------------------------------------------------

void say(service_host_state& s, service_says m) {
  auto said = s.book->said(m.service, m.epoch, std::move(m.payload), m.topic);
  if (!said)
    return m.answered(
        fail(errc::cancelled, "{} {} ended here", m.service.kind, m.service.name));
  if (said->replaced)
    if (auto older = s.words.extract(*said->replaced); !older.empty())
      older.mapped().answered(fail(errc::cancelled, "a newer word of its kind was said"));
  s.words[said->word.number] = {m.service, std::move(m.answered)};
  s.self->send(s.owner, std::move(said->word));
}

void hear(service_host_state& s, const service_answer& m) {
  if (!s.book->answered(m))
    return;
  if (auto word = s.words.extract(m.number); !word.empty())
    word.mapped().answered(m.payload);
}

/// Why it died is in its log line; how often it may, is its host's business.
void lose(service_host_state& s, const caf::actor_addr& who) {
  for (auto& [id, r] : s.live) {
    if (!r.actor || r.actor.address() != who)
      continue;
    auto delay =
        std::min(std::chrono::seconds{1} * (1 << std::min(r.deaths++, 5)), restart_delay_max);
    r.actor = {};
    spdlog::error("SERVICE HOST: {} {} died; again in {} s", id.kind, id.name, delay.count());
    fares(s, id, r.order.epoch, "it died, and is started again");
    s.self->delayed_send(s.self, delay, begin_again{id, r.order.epoch});
    return;
  }
}

void revive(service_host_state& s, const begin_again& m) {
  auto r = s.live.find(m.service);
  if (r != s.live.end() && r->second.order.epoch == m.epoch && !r->second.actor)
    start(s, r->second);
}

} // namespace

std::vector<std::string> service_kinds() {
  std::vector<std::string> out;
  for (const auto& row : kinds)
    out.emplace_back(row.kind);
  return out;
}

caf::behavior service_host(self_ptr self, node_services* services, caf::actor owner) {
  auto& s = self->state;
  s.self = self;
  s.services = services;
  s.owner = std::move(owner);
  s.book.emplace(static_cast<std::uint64_t>(services->clock.now().us));
  tolerate_strangers(self, "SERVICE HOST");
  self->set_down_handler([=](const caf::down_msg& down) { lose(self->state, down.source); });
  self->delayed_send(self, say_again_every, say_again_tick{});
  return {
      [=](host_service& m) {
        act(self->state, self->state.book->ordered(std::move(m)));
        tell_hosted(self->state);
      },
      [=](const end_service& m) {
        act(self->state, self->state.book->ended(m));
        tell_hosted(self->state);
      },
      [=](const service_answer& m) { hear(self->state, m); },
      [=](const services_welcome& m) {
        *self->state.term = m.term;
        act(self->state, self->state.book->unanswered());
      },
      [=](const say_again_tick&) {
        act(self->state, self->state.book->unanswered());
        self->delayed_send(self, say_again_every, say_again_tick{});
      },
      [=](service_says& m) { say(self->state, std::move(m)); },
      [=](service_fares& m) { fares(self->state, m.service, m.epoch, std::move(m.problem)); },
      [=](const ask_service& m) {
        auto r = self->state.live.find(m.service);
        if (r == self->state.live.end() || !r->second.actor)
          return m.done(fail(errc::unavailable, "{} {} is not on node {}", m.service.kind,
                             m.service.name, services->config.name));
        self->send(r->second.actor, m);
      },
      [=](const begin_again& m) { revive(self->state, m); },
  };
}

} // namespace framemill
