#include "actors/scheduler_actor.hpp"

#include "actors/manners.hpp"
#include "actors/task_worker.hpp"
#include "core/limits.hpp"

#include <caf/all.hpp>

#include <ranges>

namespace framemill {

namespace {

using self_ptr = caf::stateful_actor<scheduler_state>*;
constexpr std::chrono::seconds look_at_scratch_every{1};

/// For those who plan and wait: what there is.
void show_nodes(const scheduler_state& s, node_services& services) {
  std::set<std::string, std::less<>> builds;
  for (const auto& [node, build] : s.fingerprints)
    builds.insert(build);
  services.builds.set(std::move(builds));
  services.cores_here = static_cast<int>(
      std::min<std::int64_t>(s.core.cores_of_widest(), limits::node_cores_max));
}

/// This machine has no beats to tell of its disk.
void see_own_scratch(self_ptr self, const node_services& services) {
  auto& s = self->state;
  const auto now = services.uptime.now();
  if (now - s.scratch_looked < look_at_scratch_every)
    return;
  s.scratch_looked = now;
  if (auto disk = services.scratch_space(); disk.total > 0)
    s.core.set_scratch_left(services.config.name, disk.free - disk.floor);
}

/// What slots of this machine hold, theirs alone.
auto own_reserved(const scheduler_state& s) {
  return std::ranges::subrange{s.reserved.begin(), s.reserved.lower_bound(remote_workers_first)};
}

/// Drained is who has nothing left.
void tell_own_use(self_ptr self) {
  auto& s = self->state;
  const auto busy = static_cast<int>(std::ranges::distance(own_reserved(s)));
  if (s.membership && std::exchange(s.own_busy, busy) != busy)
    self->send(s.membership, own_slots_used{busy});
}

/// Hands out what can be handed out now.
void grant(self_ptr self, node_services* services) {
  auto& s = self->state;
  see_own_scratch(self, *services);
  services->slots_here = static_cast<int>(s.core.workers());
  for (auto& g : s.core.decide(services->clock.now())) {
    auto offered = s.waiting.extract(g.shard);
    if (offered.empty())
      continue;
    s.reserved[g.worker] = {++s.last_grant, offered.mapped().address()};
    self->send(offered.mapped(), worker_granted{g.shard.index, g.worker, g.node,
                                                s.fingerprints[g.node], s.workers.at(g.worker),
                                                s.last_grant});
  }
  tell_own_use(self);
  if (s.core.ready() > 0 && !std::exchange(s.is_looking, true))
    self->delayed_send(self, look_at_scratch_every, look_at_scratch{});
}

/// A WORKFLOW died: its offers are void. Workers it was granted are asked: one
/// that began stops, one whose grant was still in a mailbox is idle.
void forget(self_ptr self, const caf::actor_addr& who) {
  auto& s = self->state;
  for (auto i = s.waiting.begin(); i != s.waiting.end();) {
    auto gone = caf::actor_cast<caf::actor_addr>(i->second) == who;
    if (gone)
      s.core.withdraw(i->first);
    i = gone ? s.waiting.erase(i) : std::next(i);
  }
  for (const auto& [worker, reservation] : s.reserved)
    if (reservation.owner == who)
      self->send(s.workers.at(worker), give_back{reservation.grant});
  s.watched.erase(who);
}

/// A TASK WORKER died: its slot is gone until another one joins. The WORKFLOW
/// that it worked for watches it too, and breaks the lease.
bool lose_worker(self_ptr self, const caf::actor_addr& who) {
  auto& s = self->state;
  auto entry = s.key_of.extract(who);
  if (entry.empty())
    return false;
  s.core.remove_worker(entry.mapped());
  s.workers.erase(entry.mapped());
  s.reserved.erase(entry.mapped());
  return true;
}

bool is_own(worker_key worker) { return worker < remote_workers_first; }

void know(scheduler_state& s, scheduler_node n, bool here) {
  if (here)
    s.fingerprints[n.name] = n.fingerprint;
  else
    s.fingerprints.erase(n.name);
  s.core.set_node(std::move(n));
}

void know_this_machine(scheduler_state& s, const node_services& services) {
  auto n = s.own ? *s.own : own_machine(services);
  if (s.is_stopping) {
    n.takes_work = false;
    n.why_not = "it is stopping";
  }
  know(s, std::move(n), true);
}

void join(scheduler_state& s, const node_services& services, const worker_joined& m) {
  s.key_of[m.worker.address()] = m.slot.key;
  s.workers[m.slot.key] = m.worker;
  // Only keys of its own make a slot this machine's: a node of another may have been
  // removed before its slot joined.
  if (is_own(m.slot.key) && !s.core.has_node(m.slot.node))
    know_this_machine(s, services);
  if (!m.holds)
    return s.core.add_worker(m.slot);
  s.reserved[m.slot.key] = {0, {}};
  s.core.add_worker(m.slot, m.holds);
}

/// While this machine stops: what its slots held has ended, but may not be in the
/// books yet, which each of them sees to.
void leave_if_idle(self_ptr self) {
  auto& s = self->state;
  if (!own_reserved(s).empty())
    return;
  for (const auto& left : std::exchange(s.left, {}))
    for (const auto& [key, worker] : s.workers)
      if (is_own(key))
        self->send(worker, tell_when_noted{left});
}

void stop(self_ptr self, const node_services& services, stop_own_slots m) {
  auto& s = self->state;
  s.is_stopping = true;
  s.left.push_back(std::move(m.left));
  if (s.core.has_node(services.config.name))
    know_this_machine(s, services);
  leave_if_idle(self);
}

/// A build that is away is no reason for ever: its run encodes anew under another.
std::vector<std::string> why_never(const scheduler_state& s, shard_offer o) {
  o.fingerprint.clear();
  return s.core.why_never(o);
}

} // namespace

scheduler_node own_machine(const node_services& services) {
  auto n = offered_by(services.config.name, services.facts());
  for (const auto& [bucket, directory] : services.config.buckets)
    n.buckets.push_back(bucket);
  return n;
}

caf::behavior scheduler_actor(self_ptr self, node_services* services) {
  self->set_down_handler([=](caf::down_msg& down) {
    if (!lose_worker(self, down.source))
      forget(self, down.source);
    leave_if_idle(self);
    grant(self, services);
  });
  tolerate_strangers(self, "SCHEDULER");
  return {
      [=](worker_joined& m) {
        self->monitor(m.worker);
        join(self->state, *services, m);
        show_nodes(self->state, *services);
        grant(self, services);
      },
      [=](node_known& m) {
        auto& s = self->state;
        if (m.here && m.node.name == services->config.name) {
          s.own = std::move(m.node);
          know_this_machine(s, *services);
        } else {
          know(s, std::move(m.node), m.here);
        }
        show_nodes(self->state, *services);
        grant(self, services);
      },
      [=](const scratch_seen& m) {
        self->state.core.set_scratch_left(m.node, m.left_bytes);
        grant(self, services);
      },
      [=](const look_at_scratch&) {
        self->state.is_looking = false;
        grant(self, services);
      },
      [=](const node_forgotten& m) {
        self->state.core.remove_node(m.name);
        self->state.fingerprints.erase(m.name);
        show_nodes(self->state, *services);
      },
      [=](const worker_idle& m) {
        auto& reserved = self->state.reserved;
        auto entry = reserved.find(m.worker);
        if (entry == reserved.end() || entry->second.grant != m.grant)
          return;
        reserved.erase(entry);
        self->state.core.release(m.worker);
        leave_if_idle(self);
        grant(self, services);
      },
      [=](offer_work& m) {
        if (self->state.watched.insert(m.reply_to.address()).second)
          self->monitor(m.reply_to); // once: each call would be told of
        if (m.first_time)
          if (auto reasons = why_never(self->state, m.offer); !reasons.empty()) {
            self->send(m.reply_to, work_refused{m.offer.id.index, std::move(reasons)});
            return;
          }
        self->state.waiting[m.offer.id] = m.reply_to;
        self->state.core.offer(std::move(m.offer));
        grant(self, services);
      },
      [=](const withdraw_work& m) {
        self->state.waiting.erase(m.shard);
        self->state.core.withdraw(m.shard);
      },
      [=](const membership_known& m) { self->state.membership = m.membership; },
      [=](const vacate_own_slots& m) {
        for (const auto& [key, use] : own_reserved(self->state))
          self->send(self->state.workers.at(key), vacate_slot{m.why});
      },
      [=](stop_own_slots& m) { stop(self, *services, std::move(m)); },
      [=](const scheduler_call& m) { (*m.call)(self->state); },
      [=](report_status& m) {
        m.status.slots = static_cast<std::int64_t>(self->state.core.workers());
        m.status.slots_busy = static_cast<std::int64_t>(self->state.core.busy());
        m.status.shards_ready = static_cast<std::int64_t>(self->state.core.ready());
        m.done(std::move(m.status));
      },
  };
}

} // namespace framemill
