#include "cluster/hedging.hpp"
#include "cluster/shard_work.hpp"
#include "core/codec.hpp"
#include "storage/records.hpp"
#include "tests/sim/coordinator.hpp"
#include "tests/sim/plans.hpp"

#include <fmt/ranges.h>

namespace framemill::sim {

namespace {

constexpr microseconds look_every{1'000'000};
constexpr microseconds build_patience{30'000'000};

run_machine load(const services& s, run_id id) {
  auto run = find_record<run_record>(s.store, family::runs, keys::of(id));
  if (!run || !*run)
    s.on.w.violate("run {} is not in the books", id.value);
  auto jobs = records_of<job_record>(s.store, family::jobs, id);
  auto shards = records_of<shard_record>(s.store, family::shards, id);
  if (!jobs || !shards)
    s.on.w.violate("{}", (jobs ? shards.error() : jobs.error()).message);
  return {std::move(**run), std::move(*jobs), std::move(*shards)};
}

} // namespace

workflow_shell::workflow_shell(services& s, run_id run)
    : actor(s.on.w, s.self), services_(s), run_(run) {
  post([this] { begin(); });
}

void workflow_shell::begin() {
  machine_.emplace(load(services_, run_));
  world_.note("WORKFLOW: run {} begins, {}", run_.value, to_string(machine_->run().state));
  for (const auto& shard : machine_->shards())
    for (const auto& f : shard.files)
      services_.pin(run_, f.sha256);
  run_machine::attempt_question may_live_on = [](const attempt_record&) { return true; };
  if (world_.breaks == rule::claims)
    may_live_on = {};
  apply(machine_->start(
      services_.clock(), [this](std::string_view sha) { return has_artifact(sha); },
      may_live_on));
  post_after(look_every, [this] { look_around(); });
}

bool workflow_shell::has_artifact(std::string_view sha256) const {
  return services_.on.disks.artifacts.contains(std::string{sha256});
}

// ---- Steps -----------------------------------------------------------------------------

void workflow_shell::apply(run_machine::step step, noted_fn noted) {
  const bool empty = step.record.empty() || world_.breaks == rule::durable;
  auto is_written = step.record.empty();
  auto token = steps_.add({std::move(step.actions), std::move(noted)}, empty);
  if (!is_written) {
    auto written = [this, token](result<void> r) {
      post([this, token, r] {
        if (!r) { // the books do not have it, so it did not happen
          was_refused_ = true;
          world_.note("WORKFLOW: run {}: {}", run_.value, r.error().message);
          return quit();
        }
        steps_.written(token);
        flush();
      });
    };
    services_.books->commit(std::move(step.record), std::move(written), chain_);
  }
  if (empty)
    flush();
}

void workflow_shell::flush() {
  while (steps_.ready()) {
    auto step = steps_.take();
    for (const auto& a : step.actions)
      std::visit([&](const auto& what) { act_on(what); }, a);
    if (step.noted)
      step.noted();
  }
}

// ---- What a step wants done ------------------------------------------------------------

void workflow_shell::act_on(const offer_shard& a) {
  const auto& shard = machine_->shards()[a.shard];
  if (a.delay.count() > 0)
    return post_after(a.delay, [this, index = a.shard, epoch = shard.epoch] {
      const auto& s = machine_->shards()[index];
      if (s.state == shard_state::ready && s.epoch == epoch)
        act_on(offer_shard{index});
    });
  services_.scheduler->post([to = services_.scheduler, me = this,
                             o = offer_of(machine_->run(), shard),
                             is_first_time = shard.attempts.empty()]() mutable {
    to->offer(std::move(o), me, is_first_time);
  });
}

void workflow_shell::act_on(const decline_worker& a) {
  if (auto lease = granted_.extract(a.worker); !lease.empty())
    services_.scheduler->post([to = services_.scheduler, worker = a.worker,
                               grant = lease.mapped().grant] { to->idle(worker, grant); });
}

void workflow_shell::watch_worker(remote_worker_shell* w) {
  if (watched_.insert(w).second)
    watch(*w, [this, w] { break_leases(w); });
}

void workflow_shell::act_on(const start_shard& a) {
  if (!machine_->is_live(a.shard, a.epoch))
    return act_on(decline_worker{a.worker});
  auto entry = granted_.extract(a.worker);
  if (entry.empty())
    world_.violate("worker {} was granted twice to run {}", a.worker & 0xffff, run_.value);
  auto lease = std::move(entry.mapped());
  watch_worker(lease.handle);
  lease.handle->post([to = lease.handle,
                      a = assignment{order_of(machine_->run(), machine_->shards(), a.shard, a.epoch),
                                     lease.grant, this}]() mutable {
    to->assign(std::move(a));
  });
  leases_[{a.shard, a.epoch}] = std::move(lease);
}

void workflow_shell::act_on(const stop_shard& a) {
  auto lease = leases_.find({a.shard, a.epoch});
  if (lease != leases_.end())
    lease->second.handle->post([to = lease->second.handle, id = shard_id{run_, a.shard},
                                epoch = a.epoch] { to->stop_attempt(id, epoch); });
}

void workflow_shell::act_on(const await_lease& a) {
  for (const auto& attempt : machine_->shards()[a.shard].attempts)
    if (attempt.epoch == a.epoch)
      services_.members->post(
          [to = services_.members,
           m = membership_shell::claim_lease{{run_, a.shard}, a.epoch, attempt.node, this}] {
            to->claim(m);
          });
}

void workflow_shell::act_on(const withdraw_shard& a) {
  services_.scheduler->post(
      [to = services_.scheduler, id = shard_id{run_, a.shard}] { to->withdraw(id); });
}

void workflow_shell::act_on(const plan_run& a) {
  if (machine_->run().state != run_state::probing)
    return;
  const auto& input = services_.on.disks.inputs.at(machine_->run().object.key);
  if (!has_artifact(machine_->shards()[0].files.at(0).sha256))
    world_.violate("run {} is planned from an index that is not there", run_.value);
  auto plan = plan_of(machine_->run().object, input.nature, a.trust_index);
  apply(machine_->planned(services_.clock(), std::move(plan.shards), std::move(plan.jobs), {}));
}

void workflow_shell::act_on(const publish_job& a) {
  const auto& job = machine_->jobs()[a.job];
  publisher_shell::publish_order order{machine_->run(), job, {}, this};
  for (const auto& item : job.items)
    order.files.push_back(machine_->shards()[item.shard].files);
  services_.publisher->post([to = services_.publisher, o = std::move(order)]() mutable {
    to->publish(std::move(o));
  });
}

void workflow_shell::act_on(const finish_run&) {
  world_.note("WORKFLOW: run {} {}{}", run_.value, to_string(machine_->run().state),
              machine_->run().failure ? ": " + machine_->run().failure->message : "");
  services_.release_artifacts(run_);
  services_.keeper->post([to = services_.keeper, run = run_] { to->run_ended(run); });
  quit();
}

// ---- What is told ------------------------------------------------------------------------

void workflow_shell::granted(const worker_granted& m) {
  granted_[m.worker] = {m.node, m.handle, m.grant};
  apply(machine_->granted(services_.clock(), m.shard, m.worker, m.node, m.fingerprint));
}

void workflow_shell::work_refused(std::uint32_t shard,
                                  const std::vector<std::string>& reasons) {
  apply(machine_->fail_all(services_.clock(),
                           {errc::no_slot,
                            fmt::format("no node can ever take shard {}: {}", shard,
                                        fmt::join(reasons, "; ")),
                            {}}));
}

void workflow_shell::attempt_moved(std::uint32_t shard, std::uint32_t epoch,
                                   const watermark& mark) {
  if (machine_->is_live(shard, epoch))
    meter_.moved(services_.clock(), shard, mark, epoch);
}

void workflow_shell::attempt_ended(std::uint32_t shard, attempt_outcome outcome,
                                   noted_fn noted) {
  leases_.erase({shard, outcome.epoch});
  if (world_.breaks == rule::fencing && shard < machine_->shards().size())
    outcome.epoch = machine_->shards()[shard].epoch;
  for (const auto& f : outcome.result.files) // of late ones too: let go with the run
    services_.pin(run_, f.sha256);
  if (machine_->is_live(shard, outcome.epoch)) {
    meter_.ended(shard, outcome.epoch);
    report(shard, outcome);
  }
  apply(machine_->attempt_finished(services_.clock(), shard, std::move(outcome)),
        std::move(noted));
}

void workflow_shell::report(std::uint32_t index, const attempt_outcome& outcome) {
  const auto& shard = machine_->shards()[index];
  attempt_report r{machine_->run().object, shard.id, outcome.epoch, {}, outcome.failure};
  if (!r.failure)
    r.failure = outcome.result.failure;
  for (const auto& a : shard.attempts)
    if (a.epoch == outcome.epoch)
      r.node = a.node;
  services_.members->post([to = services_.members, me = this, r = std::move(r)] {
    to->judged(r, me);
  });
}

void workflow_shell::input_blamed(std::uint32_t shard, std::string report) {
  if (!machine_->finished())
    apply(machine_->quarantine(services_.clock(), shard, std::move(report)));
}

void workflow_shell::lease_found(std::uint32_t shard, std::uint32_t epoch,
                                 remote_worker_shell* handle) {
  world_.note("WORKFLOW: the lease of {}/{} epoch {} is found", run_.value, shard, epoch);
  if (!machine_->is_live(shard, epoch))
    return handle->post(
        [handle, id = shard_id{run_, shard}, epoch] { handle->stop_attempt(id, epoch); });
  watch_worker(handle);
  leases_[{shard, epoch}] = {"", handle, 0};
}

void workflow_shell::lease_missing(std::uint32_t shard, std::uint32_t epoch,
                                   const std::string& why) {
  world_.note("WORKFLOW: the lease of {}/{} epoch {} is missing: {}", run_.value, shard, epoch,
              why);
  apply(machine_->lease_broken(services_.clock(), shard, epoch, {errc::lease_lost, why, {}}));
}

void workflow_shell::break_leases(remote_worker_shell* w) {
  watched_.erase(w);
  std::vector<std::pair<attempt, std::string>> gone;
  for (const auto& [attempt, lease] : leases_)
    if (lease.handle == w)
      gone.emplace_back(attempt, lease.node);
  for (const auto& [attempt, node] : gone) {
    leases_.erase(attempt);
    error lost{errc::lease_lost, fmt::format("node {} was lost", node), {}};
    apply(machine_->lease_broken(services_.clock(), attempt.first, attempt.second,
                                 std::move(lost)));
  }
}

void workflow_shell::publish_done(std::uint32_t job,
                                  result<std::vector<published_file>> files) {
  if (files)
    apply(machine_->published(services_.clock(), job, std::move(*files)));
  else
    retry_publishing(job, files.error());
}

void workflow_shell::retry_publishing(std::uint32_t job, const error& e) {
  auto delay = retry_policy{}.next(e.code, ++publish_attempts_[job], run_.value + job);
  if (!delay || is_lost_result(e.code))
    return apply(machine_->publish_failed(services_.clock(), job, e));
  post_after(*delay, [this, job] {
    if (machine_->jobs()[job].state == job_state::publishing)
      act_on(publish_job{job});
  });
}

void workflow_shell::cancel(std::string why) {
  apply(machine_->cancel(services_.clock(), std::move(why)));
}

// ---- Now and then ------------------------------------------------------------------------

void workflow_shell::replace_lost_build() {
  const auto& build = machine_->run().fingerprint;
  if (build.empty() || services_.builds.empty() || services_.builds.contains(build)) {
    build_missed_ = {};
    return;
  }
  if (!build_missed_)
    build_missed_ = services_.uptime();
  if (services_.uptime() - build_missed_ < build_patience)
    return;
  apply(machine_->fingerprint_lost(
      services_.clock(), [this](std::string_view sha) { return has_artifact(sha); }));
}

void workflow_shell::look_around() {
  if (machine_->finished())
    return;
  post_after(look_every, [this] { look_around(); });
  replace_lost_build();
  if (auto slow = straggler(services_.clock(), machine_->run(), machine_->shards(), meter_))
    apply(machine_->hedge(services_.clock(), *slow));
}

} // namespace framemill::sim
