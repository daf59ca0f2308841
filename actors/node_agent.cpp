#include "actors/node_agent.hpp"

#include "actors/fail_points.hpp"
#include "actors/manners.hpp"
#include "actors/node_orders.hpp"
#include "actors/service_host.hpp"
#include "actors/task_worker.hpp"
#include "core/codec.hpp"
#include "core/host_port.hpp"
#include "core/random.hpp"

#include <caf/all.hpp>
#include <spdlog/spdlog.h>

#include <filesystem>

namespace framemill {

namespace {

using self_ptr = caf::stateful_actor<node_agent_state>*;
/// Silence of the coordinator after which the connection is made anew.
constexpr microseconds silence_max{3'000'000};

struct restart_slot {
  std::uint32_t slot = 0;
};

/// An operator's word was carried out; on whatever thread.
struct order_done {
  std::uint64_t order = 0;
  result<std::string> answer;
};

} // namespace
} // namespace framemill
FM_LOCAL_MESSAGE(restart_slot)
FM_LOCAL_MESSAGE(order_done)
namespace framemill {
namespace {

// ---- Speaking ------------------------------------------------------------------------

void say(node_agent_state& s, cluster_message word) {
  envelope e;
  e.sender = s.services->config.name;
  e.term = s.term;
  e.sequence = ++s.sequence;
  e.body = std::move(word);
  // What is lost is made up for by the next beat.
  s.sending.pass(encode(e), [&](std::string frame) { s.link->send(std::move(frame)); });
}

/// Again with each beat until the welcome comes: it may be lost on the way.
void say_hello(node_agent_state& s) {
  s.facts.scratch_bytes = s.services->scratch_space().free;
  say(s, node_hello{s.services->config.name, s.boot, s.facts, s.book->held(), s.leaving,
                    s.timeline.value_or("")});
}

void begin_connection(node_agent_state& s) {
  s.heard = s.services->uptime.now();
  s.sending.clear();
  s.hearing.clear();
  s.sequence = 0;
  s.connected = true;
  s.welcome = false;
  say_hello(s);
}

void end_connection(node_agent_state& s, const std::string& why) {
  s.connected = false;
  s.welcome = false;
  s.data->lost();
  spdlog::warn("NODE AGENT: no connection to the coordinator: {}", why);
}

void act(node_agent_state& s, const std::vector<book_action>& actions);

void beat(node_agent_state& s) {
  if (!s.connected)
    return;
  if (!s.welcome)
    return say_hello(s);
  node_beat b;
  b.held = s.book->held();
  b.scratch_bytes = s.services->scratch_space().free;
  b.services = s.hosted;
  say(s, std::move(b));
  act(s, s.book->beat());
}

// ---- The book's wishes -----------------------------------------------------------------

void act_on(node_agent_state& s, const start_attempt& a) {
  s.self->send(s.slots.at(a.order.slot).worker,
               assignment{a.order, caf::actor_cast<caf::actor>(s.self)});
}

void act_on(node_agent_state& s, const kill_attempt& a) {
  s.self->send(s.slots.at(a.slot).worker, stop_attempt{a.shard, a.epoch});
}

void act_on(node_agent_state& s, const tell_outcome& a) {
  if (s.welcome)
    say(s, a.outcome);
}

void act(node_agent_state& s, const std::vector<book_action>& actions) {
  for (const auto& a : actions)
    std::visit([&](const auto& what) { act_on(s, what); }, a);
}

/// Where the node dials instead, in a fault drill: `control` or `data`.
std::optional<host_port> via_of(const node_services& services, const std::string& plane) {
  auto entry = services.config.cluster.via.find(plane);
  if (entry == services.config.cluster.via.end())
    return std::nullopt;
  auto place = parse_host_port(entry->second, "cluster-via");
  return place ? std::optional{*place} : std::nullopt;
}

// ---- Hearing -----------------------------------------------------------------------------

void start_service_host(node_agent_state& s);

/// What is held and hosted is of a time that the coordinator does not know: by the same
/// numbers it means something else.
void enter_timeline(node_agent_state& s, const std::string& id) {
  const auto former = std::exchange(s.timeline, id);
  if (!former || *former == id)
    return;
  spdlog::warn("NODE AGENT: the coordinator goes on from a backup: what is held here ends");
  act(s, s.book->forsake());
  s.self->demonitor(s.service_host);
  s.self->send_exit(s.service_host, caf::exit_reason::user_shutdown);
  start_service_host(s);
}

void hear(node_agent_state& s, const node_welcome& m) {
  if (m.cluster != s.place.cluster) {
    spdlog::critical("NODE AGENT: the coordinator is of cluster {}, ours is {}", m.cluster,
                     s.place.cluster);
    return s.link->reconnect();
  }
  s.welcome = true;
  enter_timeline(s, m.timeline);
  data_client::options data;
  data.host = s.place.host;
  data.port = m.data_port;
  data.server_key = s.place.server_key;
  data.keys = s.keys;
  if (auto via = via_of(*s.services, "data")) {
    data.host = via->host;
    data.port = via->port;
  }
  s.data->set(std::move(data));
  spdlog::info("NODE AGENT: welcome in cluster {}, term {}", m.cluster, s.term);
  act(s, s.book->welcomed());
  s.self->send(s.service_host, services_welcome{s.term});
  if (s.leaving)
    say(s, node_leaving{}); // may have been said before the term was known
}

[[noreturn]] void refused_for_good(const std::string& why) {
  spdlog::critical("NODE AGENT: the coordinator refuses this node: {}", why);
  spdlog::default_logger()->flush();
  std::_Exit(69); // EX_UNAVAILABLE; children die with us
}

void hear(node_agent_state&, const node_refused& m) {
  if (m.final)
    refused_for_good(m.reason);
  spdlog::warn("NODE AGENT: refused for now: {}", m.reason);
}

void hear(node_agent_state&, const coordinator_beat&) {}

void hear(node_agent_state& s, const assign_attempt& m) {
  if (s.leaving) {
    attempt_outcome refused;
    refused.epoch = m.epoch;
    refused.failure = error{errc::lease_lost,
                            fmt::format("node {} is stopping", s.services->config.name), {}};
    refused.exit = "not started";
    return say(s, node_outcome{m.shard, std::move(refused)});
  }
  act(s, s.book->assigned(m));
}

void hear(node_agent_state& s, const stop_held& m) { act(s, s.book->stop(m.shard, m.epoch)); }

void hear(node_agent_state& s, const outcome_noted& m) { s.book->noted(m.shard, m.epoch); }

void hear(node_agent_state& s, const node_order& m) {
  order_answer done = [me = caf::actor_cast<caf::actor>(s.self),
                       order = m.order](result<std::string> answer) {
    caf::anon_send(me, order_done{order, std::move(answer)});
  };
  if (m.what == "ask service" && m.arguments.size() == 3)
    return s.self->send(s.service_host, ask_service{{m.arguments[0], m.arguments[1]},
                                                    m.arguments[2], std::move(done)});
  carry_out(*s.services, m, std::move(done));
}

void hear(node_agent_state& s, const host_service& m) { s.self->send(s.service_host, m); }

void hear(node_agent_state& s, const end_service& m) { s.self->send(s.service_host, m); }

void hear(node_agent_state& s, const service_answer& m) { s.self->send(s.service_host, m); }

void report(node_agent_state& s, order_done m) {
  node_report word;
  word.order = m.order;
  if (m.answer)
    word.text = std::move(*m.answer);
  else
    word.failure = m.answer.error();
  say(s, std::move(word));
}

/// Words that only a node says.
template <class Other>
void hear(node_agent_state& s, const Other&) {
  spdlog::warn("NODE AGENT: the coordinator speaks like a node");
  s.link->reconnect();
}

void hear(node_agent_state& s, const std::string& frame) {
  auto e = decode<envelope>(frame);
  if (!e || e->version != 1) {
    spdlog::error("NODE AGENT: {}", e ? "another protocol version" : e.error().message);
    return s.link->reconnect();
  }
  if (e->term < s.term)
    return; // a coordinator of the past
  s.term = e->term;
  s.heard = s.services->uptime.now();
  std::visit([&](const auto& body) { hear(s, body); }, e->body);
}

// ---- Slots -----------------------------------------------------------------------------

void start_slot(node_agent_state& s, std::uint32_t index) {
  auto me = caf::actor_cast<caf::actor>(s.self);
  worker_slot slot{index + 1, s.services->config.name};
  std::shared_ptr<supply> from = make_remote_supply(*s.services, s.data);
  s.slots[index] = {s.self->spawn<caf::detached>(task_worker, s.services, slot, me, from)};
  s.self->monitor(s.slots[index].worker);
}

std::optional<std::uint32_t> slot_of(const node_agent_state& s, const caf::actor_addr& worker) {
  for (std::uint32_t i = 0; i < s.slots.size(); ++i)
    if (s.slots[i].worker.address() == worker)
      return i;
  return std::nullopt;
}

/// A TASK WORKER died: so did its attempt; the slot gets another.
void lose_slot(node_agent_state& s, const caf::actor_addr& worker) {
  auto slot = slot_of(s, worker);
  if (!slot)
    return;
  spdlog::error("NODE AGENT: the TASK WORKER of slot {} died; another starts", *slot);
  attempt_outcome lost;
  lost.failure = error{errc::worker_crashed, "the worker died", {}};
  for (const auto& h : s.book->held())
    if (h.slot == *slot && !h.ended) {
      lost.epoch = h.epoch;
      act(s, s.book->ended(*slot, std::move(lost)));
      break;
    }
  start_slot(s, *slot);
}

/// What it hosted is gone: the next beat tells, and it is placed anew.
void start_service_host(node_agent_state& s) {
  s.hosted.clear();
  s.service_host =
      s.self->spawn(framemill::service_host, s.services, caf::actor_cast<caf::actor>(s.self));
  s.self->monitor(s.service_host);
  if (s.welcome)
    s.self->send(s.service_host, services_welcome{s.term});
}

void lose(node_agent_state& s, const caf::actor_addr& who) {
  if (s.service_host.address() != who)
    return lose_slot(s, who);
  spdlog::error("NODE AGENT: the SERVICE HOST died; another starts");
  start_service_host(s);
}

void leave_if_done(node_agent_state& s) {
  if (!s.leaving || !s.left || !s.book->empty())
    return;
  std::exchange(s.left, nullptr)->set_value();
}

result<void> open_link(node_agent_state& s) {
  auto me = caf::actor_cast<caf::actor>(s.self);
  link::options o;
  o.host = s.place.host;
  o.port = s.place.control_port;
  o.server_key = s.place.server_key;
  o.keys = s.keys;
  if (auto via = via_of(*s.services, "control")) {
    o.host = via->host;
    o.port = via->port;
  }
  link::listener l;
  l.on_up = [me] { caf::anon_send(me, link_up{}); };
  l.on_frame = [me](std::string frame) { caf::anon_send(me, link_frame{std::move(frame)}); };
  l.on_down = [me](std::string why) { caf::anon_send(me, link_down{std::move(why)}); };
  FM_TRY(s.link, link::open(std::move(o), std::move(l)));
  return {};
}

} // namespace

caf::behavior node_agent(self_ptr self, node_services* services, known_coordinator place,
                         key_pair keys, node_facts facts) {
  auto& s = self->state;
  s.self = self;
  s.services = services;
  s.place = std::move(place);
  s.keys = std::move(keys);
  s.facts = std::move(facts);
  s.boot = random_hex(8);
  s.book.emplace(static_cast<std::uint32_t>(services->config.slots));
  s.slots.resize(static_cast<std::size_t>(services->config.slots));
  tolerate_strangers(self, "NODE AGENT");
  self->set_down_handler([=](const caf::down_msg& down) { lose(self->state, down.source); });
  start_service_host(s);
  for (std::uint32_t i = 0; i < s.slots.size(); ++i)
    start_slot(s, i);
  if (auto r = open_link(s); !r) {
    spdlog::critical("NODE AGENT: {}", r.error().message);
    self->quit(caf::sec::runtime_error);
    return {};
  }
  self->delayed_send(self, beat_every, beat_tick{});
  return {
      [=](const link_up&) { begin_connection(self->state); },
      [=](link_frame& m) {
        auto& state = self->state;
        state.hearing.pass(std::move(m.frame), [&](const std::string& frame) { hear(state, frame); });
      },
      [=](const link_down& m) { end_connection(self->state, m.why); },
      [=](const beat_tick&) {
        auto& state = self->state;
        beat(state);
        leave_if_done(state);
        const auto now = services->uptime.now();
        if (now - state.heard > silence_max) {
          state.heard = now;
          state.link->reconnect();
        }
        self->delayed_send(self, beat_every, beat_tick{});
      },
      [=](order_done& m) { report(self->state, std::move(m)); },
      // ---- as the owner of its SERVICE HOST
      [=](const services_hosted& m) { self->state.hosted = m.hosted; },
      [=](const service_word& m) {
        if (self->state.welcome)
          say(self->state, m);
      },
      [=](const leave_cluster& m) {
        self->state.leaving = true;
        self->state.left = m.left;
        say(self->state, node_leaving{});
      },
      // ---- as the SCHEDULER and WORKFLOW of its TASK WORKERs
      [=](const worker_joined&) {},
      [=](const worker_idle&) {},
      [=](const attempt_moved& m) {
        if (auto slot = slot_of(self->state, caf::actor_cast<caf::actor_addr>(self->current_sender())))
          self->state.book->moved(*slot, m.mark);
      },
      [=](attempt_ended& m) {
        auto& state = self->state;
        auto slot = slot_of(state, caf::actor_cast<caf::actor_addr>(self->current_sender()));
        if (!slot)
          return;
        act(state, state.book->ended(*slot, std::move(m.outcome)));
      },
  };
}

} // namespace framemill
