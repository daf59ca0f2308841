#include "tests/sim/coordinator.hpp"

namespace framemill::sim {

namespace {
constexpr microseconds tell_again_after{1'000'000};
}

remote_worker_shell::remote_worker_shell(services& s, remote_slot slot)
    : actor(s.on.w, s.self), services_(s), slot_(std::move(slot)) {
  post([this] { // an actor begins when a thread is free
    if (slot_.held) {
      job_.emplace();
      job_->shard = slot_.held->shard;
      job_->epoch = slot_.held->epoch;
      job_->told = services_.uptime();
      tell_use(1);
      ++services_.on.facts.seen.adopted;
    }
    services_.scheduler->post([to = services_.scheduler, me = this, holds = slot_.holds] {
      to->join(me->slot_.worker, me, holds);
    });
  });
}

void remote_worker_shell::tell(cluster_message word) {
  services_.members->post(
      [to = services_.members, node = slot_.worker.node, key = slot_.worker.key,
       word = std::move(word)]() mutable { to->tell_node(node, key, std::move(word)); });
}

void remote_worker_shell::tell_use(int change) {
  services_.members->post([to = services_.members, w = slot_.worker, change] {
    to->slot_used(w.node, w.key, change);
  });
}

void remote_worker_shell::give_order() {
  job_->told = services_.uptime();
  if (job_->stopping)
    tell(stop_held{job_->shard, job_->epoch});
  else if (job_->order)
    tell(*job_->order);
}

void remote_worker_shell::stop() {
  job_->stopping = true;
  give_order();
}

void remote_worker_shell::end(attempt_outcome outcome, noted_fn noted) {
  auto job = std::move(*job_);
  job_.reset();
  if (!job.vacated.empty() && outcome.failure && outcome.failure->code == errc::cancelled)
    outcome.failure = error{errc::lease_lost, job.vacated, {}};
  if (job.owner)
    job.owner->post([to = job.owner, shard = job.shard.index, o = std::move(outcome),
                     n = std::move(noted)]() mutable {
      to->attempt_ended(shard, std::move(o), std::move(n));
    });
  else if (noted) // its run may be on the way
    services_.members->post([to = services_.members,
                             m = late_outcome{job.shard, std::move(outcome),
                                              std::move(noted)}]() mutable {
      to->unclaimed(std::move(m));
    });
  services_.scheduler->post([to = services_.scheduler, key = slot_.worker.key,
                             grant = job.grant] { to->idle(key, grant); });
  tell_use(-1);
}

/// The node's own word about the slot, against ours.
void remote_worker_shell::compare(const std::optional<held_attempt>& held) {
  auto& job = *job_;
  const auto now = services_.uptime();
  if (held && job.shard == held->shard && job.epoch == held->epoch) {
    job.order.reset();
    if (job.stopping && !held->ended && now - job.told >= tell_again_after)
      give_order();
    if (held->mark && held->mark != job.mark && job.owner) {
      job.mark = held->mark;
      job.owner->post([to = job.owner, shard = job.shard.index, epoch = job.epoch,
                       mark = *held->mark] { to->attempt_moved(shard, epoch, mark); });
    }
    return;
  }
  if (now - job.told < tell_again_after)
    return; // a beat that left before the order came
  if (job.order && !job.stopping)
    return give_order();
  attempt_outcome lost;
  lost.epoch = job.epoch;
  lost.failure = job.stopping
                     ? error{errc::cancelled, "stopped before it began", {}}
                     : error{errc::lease_lost,
                             fmt::format("node {} no longer holds it", slot_.worker.node),
                             {}};
  lost.exit = "lost";
  end(std::move(lost));
}

void remote_worker_shell::assign(assignment a) {
  if (job_)
    world_.violate("slot {} of {} was granted twice", slot_.index, slot_.worker.node);
  job_.emplace();
  job_->shard = a.order.shard;
  job_->epoch = a.order.epoch;
  job_->owner = a.reply_to;
  job_->grant = a.grant;
  job_->order = std::move(a.order);
  job_->order->slot = slot_.index;
  tell_use(1);
  give_order();
}

void remote_worker_shell::give_back(grant_number grant) {
  if (job_ && job_->grant == grant) {
    job_->owner = nullptr;
    job_->vacated = "its run began again"; // and may claim it before it ends
    stop();
  } else {
    services_.scheduler->post([to = services_.scheduler, key = slot_.worker.key, grant] {
      to->idle(key, grant);
    });
  }
}

void remote_worker_shell::stop_attempt(shard_id shard, std::uint32_t epoch) {
  if (job_ && job_->shard == shard && job_->epoch == epoch)
    stop();
}

void remote_worker_shell::vacate(std::string why) {
  if (!job_)
    return;
  job_->vacated = std::move(why);
  stop();
}

void remote_worker_shell::claimed(workflow_shell* owner) {
  if (job_)
    job_->owner = owner;
}

void remote_worker_shell::seen(const std::optional<held_attempt>& held) {
  if (job_)
    compare(held);
}

void remote_worker_shell::ended(shard_id shard, attempt_outcome outcome, noted_fn noted) {
  if (job_ && job_->shard == shard && job_->epoch == outcome.epoch)
    end(std::move(outcome), std::move(noted));
}

} // namespace framemill::sim
