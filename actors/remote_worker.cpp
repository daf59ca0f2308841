#include "actors/remote_worker.hpp"

#include "actors/manners.hpp"

#include <caf/all.hpp>
#include <spdlog/spdlog.h>

namespace framemill {

namespace {

using self_ptr = caf::stateful_actor<remote_worker_state>*;
constexpr microseconds tell_again_after{1'000'000};
constexpr int times_unheard_max = 30;

void tell(self_ptr self, cluster_message word) {
  auto& s = self->state;
  self->send(s.membership, tell_node{s.slot.worker, std::move(word)});
}

/// Says what the node should know: to stop, or to begin.
void give_order(self_ptr self, timestamp now) {
  auto& job = *self->state.job;
  job.told = now;
  if (job.stopping)
    tell(self, stop_held{job.shard, job.epoch});
  else if (job.order)
    tell(self, *job.order);
}

void stop(self_ptr self, timestamp now) {
  self->state.job->stopping = true;
  give_order(self, now);
}

void end(self_ptr self, attempt_outcome outcome, std::function<void()> noted = {}) {
  auto& s = self->state;
  auto job = std::move(*s.job);
  s.job.reset();
  if (!job.vacated.empty() && outcome.failure && outcome.failure->code == errc::cancelled)
    outcome.failure = error{errc::lease_lost, job.vacated, {}};
  if (job.owner)
    self->send(job.owner, attempt_ended{job.shard.index, std::move(outcome), std::move(noted)});
  else if (noted) // its run may be on the way
    self->send(s.membership, late_outcome{job.shard, std::move(outcome), std::move(noted)});
  self->send(s.scheduler, worker_idle{s.slot.worker.key, job.grant});
  self->send(s.membership, slot_used{s.slot.worker, -1});
}

bool is_same(const remote_worker_state::work& job, const held_attempt& held) {
  return job.shard == held.shard && job.epoch == held.epoch;
}

/// The node's own word about the slot, against ours.
void compare(self_ptr self, node_services* services, const std::optional<held_attempt>& held) {
  auto& job = *self->state.job;
  const auto now = services->uptime.now();
  if (held && is_same(job, *held)) {
    job.order.reset();
    if (job.stopping && !held->ended && now - job.told >= tell_again_after)
      give_order(self, now);
    if (held->mark && held->mark != job.mark && job.owner) {
      job.mark = held->mark;
      self->send(job.owner, attempt_moved{job.shard.index, job.epoch, *held->mark});
    }
    return;
  }
  if (now - job.told < tell_again_after)
    return; // a beat that left before the order came
  if (job.order && !job.stopping) {
    if (++job.times_unheard <= times_unheard_max)
      return give_order(self, now);
    tell(self, stop_held{job.shard, job.epoch}); // should it hear of it yet
  }
  // It has neither it nor an outcome: stopped before it came, forgotten, or not taken.
  attempt_outcome lost;
  lost.epoch = job.epoch;
  lost.failure = job.stopping
                     ? error{errc::cancelled, "stopped before it began", {}}
                     : error{errc::lease_lost,
                             fmt::format("node {} no longer holds it", self->state.slot.worker.node),
                             {}};
  lost.exit = "lost";
  end(self, std::move(lost));
}

} // namespace

caf::behavior remote_worker(self_ptr self, node_services* services, remote_slot slot,
                            caf::actor scheduler, caf::actor membership) {
  auto& s = self->state;
  s.slot = slot;
  s.scheduler = scheduler;
  s.membership = membership;
  tolerate_strangers(self, "REMOTE WORKER");
  if (slot.held) {
    remote_worker_state::work job;
    job.shard = slot.held->shard;
    job.epoch = slot.held->epoch;
    job.told = services->uptime.now();
    s.job = std::move(job);
    self->send(membership, slot_used{slot.worker, 1});
  }
  self->send(scheduler,
             worker_joined{slot.worker, caf::actor_cast<caf::actor>(self), slot.holds});
  return {
      [=](assignment& a) {
        auto& state = self->state;
        if (state.job) { // the SCHEDULER reserves; this cannot be
          attempt_outcome refused;
          refused.epoch = a.epoch;
          refused.failure = error{errc::busy, "the worker is busy", {}};
          self->send(a.reply_to, attempt_ended{a.shard.index, std::move(refused), {}});
          return;
        }
        remote_worker_state::work job;
        job.shard = a.shard;
        job.epoch = a.epoch;
        job.owner = a.reply_to;
        job.grant = a.grant;
        job.order = std::move(a); // all but who asks
        job.order->slot = state.slot.index;
        state.job = std::move(job);
        self->send(state.membership, slot_used{state.slot.worker, 1});
        give_order(self, services->uptime.now());
      },
      [=](const give_back& m) {
        auto& state = self->state;
        if (state.job && state.job->grant == m.grant) {
          state.job->owner = nullptr;
          state.job->vacated = "its run began again"; // and may claim it before it ends
          stop(self, services->uptime.now());
        } else {
          self->send(state.scheduler, worker_idle{state.slot.worker.key, m.grant});
        }
      },
      [=](const stop_attempt& m) {
        auto& job = self->state.job;
        if (job && job->shard == m.shard && job->epoch == m.epoch)
          stop(self, services->uptime.now());
      },
      [=](const vacate_slot& m) {
        auto& job = self->state.job;
        if (!job)
          return;
        job->vacated = m.why;
        stop(self, services->uptime.now());
      },
      [=](const slot_claimed& m) {
        if (self->state.job)
          self->state.job->owner = m.owner;
      },
      [=](const slot_seen& m) {
        if (self->state.job)
          compare(self, services, m.held);
      },
      [=](slot_ended& m) {
        auto& job = self->state.job;
        if (job && job->shard == m.shard && job->epoch == m.outcome.epoch)
          end(self, std::move(m.outcome), std::move(m.noted));
      },
  };
}

} // namespace framemill
