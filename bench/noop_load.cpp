#include "bench/noop_load.hpp"

#include "actors/workflow_actor.hpp"

#include <caf/all.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdlib>

namespace framemill::bench {

using steady = std::chrono::steady_clock;

namespace {

double ms_since(steady::time_point t) {
  return std::chrono::duration<double, std::milli>(steady::now() - t).count();
}

shard_record ready_shard(run_id run, std::uint32_t index) {
  shard_record s;
  s.id = {run, index};
  s.role = shard_role::decode;
  s.state = shard_state::ready;
  s.jobs = {0};
  s.request.source_name = nothing;
  s.request.steps.push_back(decode_step{});
  s.request.keep = {"*"};
  return s;
}

/// A run with its plan, as the batch of `run_machine::planned` has it.
changes planned_run(run_id id, const load& l, timestamp now) {
  changes c;
  run_record run;
  run.id = id;
  run.cause = run_cause::call;
  run.object = {"media", fmt::format("in/{}.mp4", id.value), {}};
  run.state = run_state::processing;
  run.created = run.started = now;
  run.shard_count = l.shards + (l.join ? 1 : 0);
  job_record job;
  job.run = id;
  for (std::uint32_t i = 0; i < l.shards; ++i) {
    c.shards.push_back(ready_shard(id, i));
    job.items.push_back({"*", i, "media", "out", "media"});
  }
  if (l.join) {
    auto s = ready_shard(id, l.shards);
    s.role = shard_role::join;
    s.state = shard_state::blocked;
    for (std::uint32_t i = 0; i < l.shards; ++i)
      s.needs.push_back(i);
    c.shards.push_back(std::move(s));
    job.items = {{"*", l.shards, "media", "out", "media"}};
  }
  event_record created;
  created.time = now;
  created.type = "run.created";
  created.run = id;
  c.events.push_back(std::move(created));
  c.runs.push_back(std::move(run));
  c.jobs.push_back(std::move(job));
  return c;
}

/// Journal → driver.
struct shard_told {
  run_id run;
};

[[noreturn]] void die(const std::string& why) {
  spdlog::critical("{}", why);
  std::_Exit(1);
}

} // namespace
} // namespace framemill::bench
FM_LOCAL_MESSAGE(bench::shard_told)
namespace framemill::bench {

std::uint64_t shards_in_all(const load& l) { return l.runs * (l.shards + (l.join ? 1 : 0)); }

caf::behavior driver(caf::stateful_actor<driver_state>* self, node_services* services, load l,
                     caf::actor scheduler, caf::actor membership, std::promise<outcome>* done) {
  auto begin = steady::now();
  self->state.since.resize(l.runs + 1);
  self->state.open_shards.assign(l.runs + 1, l.shards + (l.join ? 1 : 0));
  auto me = caf::actor_cast<caf::actor>(self);
  auto submit = [=] {
    auto& s = self->state;
    if (s.submitted == l.runs)
      return;
    auto id = ++s.submitted;
    s.since[id] = steady::now();
    services->journal->commit(
        planned_run({id}, l, services->clock.now()),
        [me, id](result<void> r) { caf::anon_send(me, committed{id, std::move(r)}); });
  };
  self->state.following = services->journal->follow({}, [me](const event_record& e) {
    if (e.type == "shard.done")
      caf::anon_send(me, shard_told{e.run});
  });
  for (std::uint64_t i = 0; i < l.window; ++i)
    submit();
  self->set_default_handler(caf::drop);
  return {
      [=](const committed& m) {
        if (!m.status)
          die(m.status.error().message);
        self->spawn(workflow_actor, services, run_id{m.token},
                    workflow_places{scheduler, me, me, membership});
      },
      [=](const shard_told& m) {
        auto& s = self->state;
        if (--s.open_shards[m.run.value] > 0)
          return;
        s.result.latencies_ms.push_back(ms_since(s.since[m.run.value]));
        submit();
      },
      [=](const publish_order& m) {
        self->send(m.reply_to, publish_done{m.job.index, std::vector<published_file>{}});
      },
      [=](const run_ended& m) {
        auto& s = self->state;
        if (m.state != run_state::succeeded)
          die(fmt::format("run {} {}", m.run.value, to_string(m.state)));
        if (++s.finished < l.runs)
          return;
        s.following.reset();
        s.result.seconds = ms_since(begin) / 1000;
        done->set_value(std::move(s.result));
        self->quit();
      },
  };
}

double percentile(std::vector<double> v, double p) {
  if (v.empty())
    return 0;
  std::sort(v.begin(), v.end());
  return v[static_cast<std::size_t>(p * static_cast<double>(v.size() - 1) + 0.5)];
}

std::string report(const std::string& subject, const load& l, double cpu_seconds,
                   std::size_t fsyncs, const outcome& r) {
  const auto shards = shards_in_all(l);
  const auto n = static_cast<double>(shards);
  return fmt::format("{{\"subject\":\"{}\",\"runs\":{},\"shards\":{},\"window\":{},"
                     "\"shards_per_second\":{:.0f},\"p50_ms\":{:.3f},\"p99_ms\":{:.3f},"
                     "\"cpu_us_per_shard\":{:.0f},\"fsyncs_per_shard\":{:.3f}}}\n",
                     subject, l.runs, shards, l.window, n / r.seconds,
                     percentile(r.latencies_ms, 0.5), percentile(r.latencies_ms, 0.99),
                     1e6 * cpu_seconds / n, static_cast<double>(fsyncs) / n);
}

} // namespace framemill::bench
