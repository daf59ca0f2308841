#include "actors/workflow_actor.hpp"

#include "actors/fail_points.hpp"
#include "actors/manners.hpp"
#include "actors/planning.hpp"
#include "cluster/hedging.hpp"
#include "cluster/shard_work.hpp"
#include "storage/records.hpp"

#include <caf/all.hpp>
#include <spdlog/spdlog.h>

namespace framemill {

namespace {

using self_ptr = caf::stateful_actor<workflow_state>*;
constexpr microseconds show_every{200'000};
constexpr std::chrono::milliseconds see_who_is_back_every{100};

struct context {
  self_ptr self;
  node_services* services;
  [[nodiscard]] workflow_state& state() const { return self->state; }
  [[nodiscard]] run_machine& machine() const { return *self->state.machine; }
  [[nodiscard]] timestamp now() const { return services->clock.now(); }
};

void act(const context& c, const run_action& action);

result<run_machine> load(const node_services& services, run_id id) {
  const auto& store = *services.store;
  FM_TRY(auto run, find_record<run_record>(store, family::runs, keys::of(id)));
  if (!run)
    return fail(errc::not_found, "no run {}", id.value);
  FM_TRY(auto jobs, records_of<job_record>(store, family::jobs, id));
  FM_TRY(auto shards, records_of<shard_record>(store, family::shards, id));
  return run_machine{std::move(*run), std::move(jobs), std::move(shards)};
}

/// Which fail points a step passes when it has become durable.
std::vector<std::string_view> passed_by(const changes& c) {
  std::vector<std::string_view> out;
  for (const auto& r : c.runs)
    switch (r.state) {
      case run_state::probing: out.push_back("run.probing.written"); break;
      case run_state::processing: out.push_back("run.planned.written"); break;
      case run_state::cancelled: out.push_back("run.cancelled.written"); break;
      case run_state::succeeded:
      case run_state::failed: out.push_back("run.finished.written"); break;
      case run_state::waiting: break;
    }
  for (const auto& s : c.shards)
    switch (s.state) {
      case shard_state::leased: out.push_back("shard.leased.written"); break;
      case shard_state::done: out.push_back("shard.done.written"); break;
      case shard_state::ready:
        if (!s.attempts.empty())
          out.push_back("shard.retry.written");
        break;
      default: break;
    }
  for (const auto& j : c.jobs) {
    if (j.state == job_state::publishing)
      out.push_back("job.publishing.written");
    if (j.state == job_state::succeeded)
      out.push_back("job.done.written");
  }
  return out;
}

void show(const context& c, bool always) {
  auto up = c.services->uptime.now();
  if (!always && up - c.state().last_shown < show_every)
    return;
  c.state().last_shown = up;
  c.services->progress.set(
      c.state().meter.measure(c.now(), c.machine().run(), c.machine().jobs(), c.machine().shards()),
      c.state().meter.marks());
}

/// Actions of durable steps, in the order of the steps.
void flush(const context& c) {
  auto& steps = c.state().steps;
  while (steps.ready()) {
    auto step = steps.take();
    for (auto point : step.passed)
      fail_point(point);
    for (const auto& a : step.actions)
      act(c, a);
    if (step.noted)
      step.noted();
  }
}

void apply(const context& c, run_machine::step step, std::function<void()> noted = {}) {
  const bool empty = step.record.empty();
  auto token = c.state().steps.add(
      {std::move(step.actions), passed_by(step.record), std::move(noted)}, empty);
  if (empty)
    return flush(c);
  fail_point("before.commit");
  if (!c.machine().finished())
    show(c, true); // an end is shown when it is durable
  auto me = caf::actor_cast<caf::actor>(c.self);
  auto written = [me, token](result<void> r) {
    caf::anon_send(me, committed{token, std::move(r)});
  };
  c.services->journal->commit(std::move(step.record), std::move(written), c.state().chain);
}

// ---- What a step wants done -------------------------------------------------------

void act_on(const context& c, const offer_shard& a) {
  const auto& shard = c.machine().shards()[a.shard];
  if (a.delay.count() > 0) {
    c.self->delayed_send(c.self, a.delay, offer_again{a.shard, shard.epoch});
    return;
  }
  c.self->send(c.state().scheduler,
               offer_work{offer_of(c.machine().run(), shard),
                          caf::actor_cast<caf::actor>(c.self), shard.attempts.empty()});
}

void act_on(const context& c, const decline_worker& a) {
  if (auto lease = c.state().granted.extract(a.worker); !lease.empty())
    c.self->send(c.state().scheduler, worker_idle{a.worker, lease.mapped().grant});
}

void watch(const context& c, const caf::actor& worker) {
  if (c.state().watched.insert(worker.address()).second)
    c.self->monitor(worker);
}

void act_on(const context& c, const start_shard& a) {
  if (!c.machine().is_live(a.shard, a.epoch))
    return act_on(c, decline_worker{a.worker}); // stopped meanwhile
  auto lease = c.state().granted.extract(a.worker).mapped();
  watch(c, lease.handle);
  c.self->send(lease.handle,
               assignment{order_of(c.machine().run(), c.machine().shards(), a.shard, a.epoch),
                          caf::actor_cast<caf::actor>(c.self), lease.grant});
  c.state().leases[{a.shard, a.epoch}] = std::move(lease);
}

void act_on(const context& c, const stop_shard& a) {
  auto lease = c.state().leases.find({a.shard, a.epoch});
  if (lease != c.state().leases.end())
    c.self->send(lease->second.handle, stop_attempt{{c.machine().run().id, a.shard}, a.epoch});
}

void act_on(const context& c, const await_lease& a) {
  for (const auto& attempt : c.machine().shards()[a.shard].attempts)
    if (attempt.epoch == a.epoch)
      c.self->send(c.state().membership,
                   claim_lease{{c.machine().run().id, a.shard}, a.epoch, attempt.node,
                               caf::actor_cast<caf::actor>(c.self)});
}

void act_on(const context& c, const withdraw_shard& a) {
  c.self->send(c.state().scheduler, withdraw_work{{c.machine().run().id, a.shard}});
}

/// Of each source, what its probe made; "" = it has no video.
std::vector<std::string> indexes_of(const run_machine& m) {
  std::vector<std::string> out(m.run().source_count());
  for (std::uint32_t i = 0; i < out.size(); ++i)
    for (const auto& f : m.shards()[i].files)
      if (f.name == "index")
        out[i] = f.sha256;
  return out;
}

void act_on(const context& c, const plan_run& a) {
  if (c.machine().run().state != run_state::probing)
    return;
  if (c.services->nodes_may_return)
    return c.self->delayed_send(c.self, see_who_is_back_every, plan_again{a.trust_index});
  auto plan = plan_for(*c.services, c.machine().run(), indexes_of(c.machine()), a.trust_index);
  if (!plan) {
    // A watermark's bucket may be away for a while, or the disk full.
    auto delay = retry_policy{}.next(plan.error().code, ++c.state().plan_attempts,
                                     c.machine().run().id.value);
    if (delay && !is_lost_result(plan.error().code))
      return c.self->delayed_send(c.self, *delay, plan_again{a.trust_index});
    return apply(c, c.machine().plan_failed(c.now(), plan.error()));
  }
  apply(c, c.machine().planned(c.now(), std::move(plan->shards), std::move(plan->jobs),
                               std::move(plan->warnings)));
}

void act_on(const context& c, const publish_job& a) {
  const auto& job = c.machine().jobs()[a.job];
  publish_order order{c.machine().run(), job, {}, caf::actor_cast<caf::actor>(c.self)};
  for (const auto& item : job.items)
    order.files.push_back(c.machine().shards()[item.shard].files);
  c.self->send(c.state().publisher, std::move(order));
}

void act_on(const context& c, const finish_run&) {
  const auto& run = c.machine().run();
  show(c, true);
  auto& n = c.services->counters;
  ++(run.state == run_state::succeeded ? n.runs_succeeded
     : run.state == run_state::failed  ? n.runs_failed
                                       : n.runs_cancelled);
  spdlog::info("WORKFLOW: run {} {}{}", run.id.value, to_string(run.state),
               run.failure ? ": " + run.failure->message : "");
  for (auto& done : std::exchange(c.state().when_cancelled, {}))
    done({});
  c.services->release_artifacts(run.id);
  c.services->progress.erase(run.id);
  c.self->send(c.state().coordinator, run_ended{run.id, run.state});
  c.self->quit();
}

void act(const context& c, const run_action& action) {
  std::visit([&](const auto& a) { act_on(c, a); }, action);
}

void retry_publishing(const context& c, std::uint32_t job, const error& e) {
  retry_policy policy;
  auto& attempts = c.state().publish_attempts[job];
  if (auto delay = policy.next(e.code, ++attempts, c.machine().run().id.value + job);
      delay && !is_lost_result(e.code))
    c.self->delayed_send(c.self, *delay, publish_again{job});
  else
    apply(c, c.machine().publish_failed(c.now(), job, e));
}

void count(node_services& services, const attempt_outcome& outcome) {
  auto& n = services.counters;
  ++n.attempts;
  if (outcome.failure || outcome.result.failure)
    ++n.attempts_failed;
  else if (outcome.last_watermark)
    n.frames_encoded += static_cast<std::uint64_t>(outcome.last_watermark->frames_encoded);
}

/// Asks whose fault it was, when there are others to compare with.
void report(const context& c, std::uint32_t index, const attempt_outcome& outcome) {
  if (!c.state().membership)
    return;
  const auto& run = c.machine().run();
  const auto& shard = c.machine().shards()[index];
  if (splices(shard.request))
    return; // which of its files it was, nobody can say
  attempt_report r{run.object_of(shard.source), shard.id, outcome.epoch, {}, outcome.failure};
  if (!r.failure)
    r.failure = outcome.result.failure;
  for (const auto& a : shard.attempts)
    if (a.epoch == outcome.epoch)
      r.node = a.node;
  c.self->send(c.state().membership,
               attempt_judged{std::move(r), caf::actor_cast<caf::actor>(c.self)});
}

/// An input was found lost or damaged: what is left of it must not be taken for it.
void drop_damaged(const context& c, const attempt_outcome& outcome) {
  const auto& why = outcome.failure ? outcome.failure : outcome.result.failure;
  if (why && why->code == errc::artifact_lost && !why->field.empty())
    if (auto whole = c.services->artifacts->verify(why->field); !whole)
      spdlog::warn("run {}: {}", c.machine().run().id.value, whole.error().message);
}

constexpr std::chrono::seconds look_every{1};
/// A node of the run's encoder build may be restarting.
constexpr microseconds build_patience{30'000'000};

bool has_artifact(const context& c, std::string_view sha) {
  // Hashed, not only looked for: a disk may have lost more than names.
  return c.services->artifacts->verify(sha).has_value();
}

/// No node has the run's encoder build: what was encoded is encoded anew, since
/// one output never mixes two.
void replace_build(const context& c) {
  apply(c, c.machine().fingerprint_lost(
               c.now(), [c](std::string_view sha) { return has_artifact(c, sha); }));
}

/// The machines were upgraded, or those of this build left for good.
void look_for_build(const context& c) {
  const auto& build = c.machine().run().fingerprint;
  auto& since = c.state().build_missed;
  const auto now = c.services->uptime.now();
  if (build.empty() || !c.services->builds.lacks(build))
    since = {};
  else if (!since)
    since = now;
  else if (now - since >= build_patience)
    replace_build(c);
}

/// The same for a node that is alone: between its lives.
void check_own_build(const context& c) {
  const auto& build = c.machine().run().fingerprint;
  if (!c.services->children || build.empty() || c.machine().finished())
    return;
  if (auto own = c.services->children->fingerprint(); own && *own != build)
    replace_build(c);
}

void look_around(const context& c) {
  if (c.machine().finished())
    return;
  c.self->delayed_send(c.self, look_every, look_around_tick{});
  look_for_build(c);
  const auto& m = c.machine();
  if (auto slow = straggler(c.now(), m.run(), m.shards(), c.state().meter))
    apply(c, c.machine().hedge(c.now(), *slow));
}

/// A TASK WORKER died, and what it worked on with it; or its node is gone.
void break_leases(const context& c, const caf::actor_addr& worker) {
  c.state().watched.erase(worker);
  std::vector<std::pair<workflow_state::attempt, std::string>> broken;
  for (const auto& [attempt, lease] : c.state().leases)
    if (lease.handle.address() == worker)
      broken.emplace_back(attempt, lease.node);
  for (const auto& [attempt, node] : broken) {
    c.state().leases.erase(attempt);
    auto why = node == c.services->config.name ? "the worker died"
                                               : fmt::format("node {} was lost", node);
    apply(c, c.machine().lease_broken(c.now(), attempt.first, attempt.second,
                                      {errc::lease_lost, std::move(why), {}}));
  }
}

void pin_artifacts(const context& c) {
  for (const auto& shard : c.machine().shards()) {
    for (const auto& f : shard.files)
      c.services->pins.pin(c.machine().run().id, f.sha256);
    for (const auto& f : shard.assets)
      c.services->pins.pin(c.machine().run().id, f.sha256);
  }
}

} // namespace

caf::behavior workflow_actor(self_ptr self, node_services* services, run_id run,
                             workflow_places places) {
  context c{self, services};
  self->state.scheduler = places.scheduler;
  self->state.publisher = places.publisher;
  self->state.coordinator = places.coordinator;
  self->state.membership = places.membership;
  tolerate_strangers(self, "WORKFLOW");
  self->set_exception_handler([run](std::exception_ptr& p) -> caf::error {
    try {
      std::rethrow_exception(p);
    } catch (const std::exception& e) {
      spdlog::error("WORKFLOW: run {}: {}", run.value, e.what());
    }
    return caf::make_error(caf::sec::runtime_error, "see the log");
  });
  auto machine = load(*services, run);
  if (!machine) {
    spdlog::error("WORKFLOW: run {}: {}", run.value, machine.error().message);
    self->quit(caf::sec::runtime_error);
    return {};
  }
  self->state.machine.emplace(std::move(*machine));
  pin_artifacts(c);
  auto may_live_on = [=](const attempt_record& a) {
    return places.membership && a.node != services->config.name;
  };
  apply(c, c.machine().start(
               c.now(), [=](std::string_view sha) { return has_artifact(c, sha); }, may_live_on));
  self->set_down_handler([=](const caf::down_msg& down) { break_leases(c, down.source); });
  if (places.membership)
    self->delayed_send(self, look_every, look_around_tick{});
  else
    check_own_build(c);
  return {
      [=](const worker_granted& m) {
        self->state.granted[m.worker] = {m.node, m.handle, m.grant};
        apply(c, c.machine().granted(c.now(), m.shard, m.worker, m.node, m.fingerprint));
      },
      [=](const work_refused& m) {
        apply(c, c.machine().fail_all(
                     c.now(), {errc::no_slot,
                               fmt::format("no node can ever take shard {}: {}", m.shard,
                                           fmt::join(m.reasons, "; ")),
                               {}}));
      },
      [=](const attempt_moved& m) {
        if (!c.machine().is_live(m.shard, m.epoch))
          return;
        self->state.meter.moved(c.now(), m.shard, m.mark, m.epoch);
        show(c, false);
      },
      [=](attempt_ended& m) {
        self->state.leases.erase({m.shard, m.outcome.epoch});
        // From afar, nobody has yet. Late ones too: an equal result may be on its way,
        // so all are let go with the run.
        for (const auto& f : m.outcome.result.files)
          services->pins.pin(run, f.sha256);
        if (c.machine().is_live(m.shard, m.outcome.epoch)) {
          self->state.meter.ended(m.shard, m.outcome.epoch);
          drop_damaged(c, m.outcome);
          report(c, m.shard, m.outcome);
          count(*services, m.outcome);
        }
        apply(c, c.machine().attempt_finished(c.now(), m.shard, std::move(m.outcome)),
              std::move(m.noted));
      },
      [=](const input_blamed& m) {
        if (!c.machine().finished())
          apply(c, c.machine().quarantine(c.now(), m.shard, m.report));
      },
      [=](const look_around_tick&) { look_around(c); },
      [=](const lease_found& m) {
        if (!c.machine().is_live(m.shard, m.epoch)) {
          self->send(m.handle, stop_attempt{{run, m.shard}, m.epoch});
          return;
        }
        watch(c, m.handle);
        self->state.leases[{m.shard, m.epoch}] = {"", m.handle, m.grant};
      },
      [=](const lease_missing& m) {
        apply(c, c.machine().lease_broken(c.now(), m.shard, m.epoch,
                                          {errc::lease_lost, m.why, {}}));
      },
      [=](publish_done& m) {
        if (m.files)
          apply(c, c.machine().published(c.now(), m.job, std::move(*m.files)));
        else
          retry_publishing(c, m.job, m.files.error());
      },
      [=](const publish_again& m) {
        if (c.machine().jobs()[m.job].state == job_state::publishing)
          act_on(c, publish_job{m.job});
      },
      [=](const plan_again& m) { act_on(c, plan_run{m.trust_index}); },
      [=](const offer_again& m) {
        const auto& shard = c.machine().shards()[m.shard];
        if (shard.state == shard_state::ready && shard.epoch == m.epoch)
          act_on(c, offer_shard{m.shard});
      },
      [=](cancel_run& m) {
        if (m.done)
          self->state.when_cancelled.push_back(std::move(m.done));
        apply(c, c.machine().cancel(c.now(), m.why));
      },
      [=](const committed& m) {
        if (!m.status) {
          // The books do not have it, so it did not happen: begin again from them.
          spdlog::error("WORKFLOW: run {}: {}", run.value, m.status.error().message);
          for (auto& done : std::exchange(self->state.when_cancelled, {}))
            done(failure{m.status.error()});
          self->quit(workflow_store_failed);
          return;
        }
        self->state.steps.written(m.token);
        flush(c);
      },
  };
}

} // namespace framemill
