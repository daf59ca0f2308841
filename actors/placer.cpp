#include "actors/placer.hpp"

#include "actors/manners.hpp"
#include "actors/membership_actor.hpp"
#include "actors/notify_desk.hpp"
#include "actors/service_host.hpp"
#include "actors/watch_desk.hpp"
#include "storage/records.hpp"

#include <caf/all.hpp>
#include <spdlog/spdlog.h>

#include <array>

namespace framemill {

namespace {

using self_ptr = caf::stateful_actor<placer_state>*;
constexpr std::chrono::milliseconds tick_every{500};
constexpr microseconds begin_patience{5'000'000}; ///< that questions have with a service
constexpr std::chrono::seconds write_again_after{1};

// ---- Kinds of services ---------------------------------------------------------------------

struct kind_row {
  const char* kind;
  std::vector<service_spec> (*wanted)(const node_services&);
  void (*hear)(placer_state&, const std::string& node, service_word);
};
constexpr std::array kinds{kind_row{bucket_watcher_kind, wanted_watchers, hear_watcher},
                           kind_row{notifier_kind, wanted_crews, hear_crew}};

std::vector<service_spec> wanted_services(const node_services& services) {
  std::vector<service_spec> out;
  for (const auto& row : kinds)
    for (auto& spec : row.wanted(services))
      out.push_back(std::move(spec));
  return out;
}

// ---- Speaking ----------------------------------------------------------------------------

template <class Call>
void on_membership(const placer_state& s, Call call) {
  caf::anon_send(s.membership,
                 membership_call{std::make_shared<std::function<void(membership_state&)>>(
                     std::move(call))});
}

/// To the SERVICE HOST of a node; lost when that is away.
template <class Word>
void say(const placer_state& s, const std::string& node, Word word) {
  if (node == s.services->config.name)
    return s.self->send(s.host, std::move(word));
  if (s.membership)
    on_membership(s,
                  [node, word = std::move(word)](membership_state& m) { m.say(node, word); });
}

// ---- What the core wants done --------------------------------------------------------------

void act_on(placer_state& s, const tell_host& a) { say(s, a.node, a.order); }
void act_on(placer_state& s, const tell_end& a) { say(s, a.node, a.order); }

void flush(placer_state& s) {
  while (s.steps.ready()) {
    auto step = s.steps.take();
    for (const auto& e : step.record.events)
      spdlog::info("PLACER: {}", e.message);
    for (const auto& a : step.of_core)
      std::visit([&](const auto& what) { act_on(s, what); }, a);
  }
}

// ---- Hearing -----------------------------------------------------------------------------

void hear(placer_state& s, const std::string& node, service_word word) {
  if (!s.core->is_host(node, word.service, word.epoch)) {
    spdlog::warn("PLACER: node {} speaks for {} {} under epoch {}, which is not its any more",
                 node, word.service.kind, word.service.name, word.epoch);
    return say(s, node, end_service{word.service, word.epoch});
  }
  for (const auto& row : kinds)
    if (word.service.kind == row.kind)
      return row.hear(s, node, std::move(word));
}

/// Buckets that only other nodes have are told of, and cannot be used.
void note_foreign_buckets(placer_state& s, const node_placeable& m) {
  for (auto& [bucket, nodes] : s.foreign)
    nodes.erase(m.node.name);
  for (const auto& bucket : m.foreign)
    s.foreign[bucket].insert(m.node.name);
  std::erase_if(s.foreign, [](const auto& f) { return f.second.empty(); });
  s.services->foreign_buckets.set(s.foreign);
}

// ---- Beginning -----------------------------------------------------------------------------

placement_node this_machine(const node_services& services) {
  placement_node n;
  n.name = services.config.name;
  n.is_here = true;
  n.standing = node_standing::open;
  n.kinds = service_kinds();
  for (const auto& [name, b] : services.buckets)
    n.buckets.push_back(name);
  return n;
}

} // namespace

void placer_state::apply(placement::step step) {
  const bool is_empty = step.record.empty();
  auto token = steps.add({std::move(step.actions), step.record}, is_empty);
  if (is_empty)
    return flush(*this);
  write(token, std::move(step.record));
}

void placer_state::write(std::uint64_t token, changes record) {
  services->journal->commit(
      std::move(record), [me = caf::actor_cast<caf::actor>(self), token](result<void> written) {
        caf::anon_send(me, committed{token, std::move(written)});
      });
}

void placer_state::answer(const std::string& node, const service_word& word,
                          std::string payload) {
  say(*this, node, service_answer{word.service, word.epoch, word.number, std::move(payload)});
}

void placer_state::ask(const service_id& id, const std::string& text,
                       gateway::reply<std::string> done) {
  put({id, text, std::move(done), services->uptime.now() + begin_patience});
}

void placer_state::put(question q) {
  for (const auto& v : core->services()) {
    if (v.spec.id != q.service || v.record.host.empty())
      continue;
    if (!v.is_confirmed && services->uptime.now() < q.until)
      return questions.push_back(std::move(q));
    if (v.record.host == services->config.name)
      return self->send(host, ask_service{q.service, q.text, std::move(q.done)});
    return on_membership(*this, [node = v.record.host, q = std::move(q)](membership_state& m) {
      m.order(node, "ask service", {q.service.kind, q.service.name, q.text}, q.done);
    });
  }
  q.done(fail(errc::unavailable, "no node hosts {} {}", q.service.kind, q.service.name));
}

/// Of those that were beginning, some may have begun.
void placer_state::put_again() {
  for (auto& q : std::exchange(questions, {}))
    put(std::move(q));
}

std::vector<hosted_service> placer_state::hosted_by(const std::string& node) const {
  std::vector<hosted_service> out;
  for (const auto& v : core->services())
    if (v.record.host == node)
      out.push_back({v.spec.id, v.record.epoch, v.problem});
  return out;
}

caf::behavior placer_actor(self_ptr self, node_services* services, caf::actor coordinator,
                           caf::actor membership) {
  auto& s = self->state;
  s.self = self;
  s.services = services;
  s.coordinator = std::move(coordinator);
  s.membership = std::move(membership);
  tolerate_strangers(self, "PLACER");
  auto records = records_below<service_record>(*services->store, family::meta, "service/");
  if (!records) {
    spdlog::critical("PLACER: {}", records.error().message);
    self->quit(caf::sec::runtime_error);
    return {};
  }
  s.core.emplace(std::move(*records));
  auto me = caf::actor_cast<caf::actor>(self);
  s.host = self->spawn<caf::linked>(service_host, services, me);
  s.apply(s.core->node_known(services->clock.now(), this_machine(*services)));
  s.apply(s.core->begin(services->clock.now(), wanted_services(*services)));
  open_notify_desk(s);
  if (s.membership)
    on_membership(s, [me](membership_state& m) { m.introduce(me); });
  self->delayed_send(self, tick_every, placer_tick{});
  return {
      [=](const node_placeable& m) {
        auto& state = self->state;
        note_foreign_buckets(state, m);
        const auto now = services->clock.now();
        state.apply(m.ended.empty() ? state.core->node_known(now, m.node)
                                    : state.core->node_ended(now, m.node, m.ended));
      },
      [=](const node_hosting& m) {
        auto& state = self->state;
        state.apply(state.core->node_hosts(services->clock.now(), m.node, m.hosted));
        state.put_again();
      },
      [=](node_says& m) { hear(self->state, m.node, std::move(m.word)); },
      // ---- as the owner of the SERVICE HOST here
      [=](const services_hosted& m) {
        auto& state = self->state;
        state.apply(
            state.core->node_hosts(services->clock.now(), services->config.name, m.hosted));
        state.put_again();
      },
      [=](service_word& m) { hear(self->state, services->config.name, std::move(m)); },
      // ---- and of itself
      [=](const batch_booked& m) { end_booking(self->state, m); },
      [=](const placer_call& m) { (*m.call)(self->state); },
      [=](const placer_tick&) {
        auto& state = self->state;
        state.apply(state.core->tick(services->clock.now()));
        state.put_again();
        self->delayed_send(self, tick_every, placer_tick{});
      },
      [=](const committed& m) {
        auto& state = self->state;
        if (m.status) {
          state.steps.written(m.token);
          return flush(state);
        }
        spdlog::error("PLACER: {}", m.status.error().message);
        self->delayed_send(self, write_again_after, write_placement_again{m.token});
      },
      [=](const write_placement_again& m) {
        auto& state = self->state;
        if (auto* step = state.steps.find(m.token))
          state.write(m.token, step->record = state.core->renewed(std::move(step->record)));
      },
  };
}

} // namespace framemill
