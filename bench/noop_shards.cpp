#include "actors/interfaces.hpp"
#include "actors/scheduler_actor.hpp"
#include "actors/services.hpp"
#include "actors/workflow_actor.hpp"

#include <CLI/CLI.hpp>
#include <caf/all.hpp>
#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <future>

// noop_shards: what the control plane costs. Runs go from their first record to
// their last through the daemon's own SCHEDULER, WORKFLOW actors, run machine,
// journal and RocksDB, fsync included. Replaced are the two ends that touch
// media: a TASK WORKER whose work is nothing, and a PUBLISHER with nothing to
// publish. Probe and planning are left out: a run begins with its plan.
//
//   submit ─→ leased ─→ done, publishing ─→ succeeded    4 commits for one shard,
//                                                        each waits for its fsync
//
// Prints one JSON object a line. Its peer is a plain loop of append + fdatasync.

namespace fs = std::filesystem;
using namespace framemill;
using steady = std::chrono::steady_clock;

namespace {

/// What is put through.
struct load {
  std::uint64_t runs = 2000;
  std::uint32_t shards = 1; ///< of a run
  bool join = false;        ///< one more that needs all others
  std::uint64_t window = 1; ///< runs at once
  int slots = 1;
};

struct outcome {
  double seconds = 0;
  std::vector<double> latencies_ms; ///< of a run, submitted to finished
};

double cpu_seconds() {
  rusage u{};
  ::getrusage(RUSAGE_SELF, &u);
  auto of = [](const timeval& t) { return static_cast<double>(t.tv_sec) + 1e-6 * t.tv_usec; };
  return of(u.ru_utime) + of(u.ru_stime);
}

double percentile(std::vector<double> v, double p) {
  if (v.empty())
    return 0;
  std::sort(v.begin(), v.end());
  return v[static_cast<std::size_t>(p * static_cast<double>(v.size() - 1) + 0.5)];
}

double ms_since(steady::time_point t) {
  return std::chrono::duration<double, std::milli>(steady::now() - t).count();
}

// ---- The work -------------------------------------------------------------------

shard_record ready_shard(run_id run, std::uint32_t index) {
  shard_record s;
  s.id = {run, index};
  s.role = shard_role::decode;
  s.state = shard_state::ready;
  s.jobs = {0};
  s.request.source_name = "in/nothing.mp4";
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

// ---- Actors that stand in for media ------------------------------------------------

/// TASK WORKER with nothing to do.
caf::behavior noop_worker(caf::event_based_actor* self, worker_slot slot, caf::actor scheduler) {
  self->set_default_handler(caf::drop);
  self->send(scheduler, worker_joined{slot, caf::actor_cast<caf::actor>(self)});
  return {
      [=](const assignment& a) {
        attempt_outcome done;
        done.epoch = a.epoch;
        done.exit = "exit 0";
        self->send(a.reply_to, attempt_ended{a.shard.index, std::move(done)});
        self->send(scheduler, worker_idle{slot.key, a.grant});
      },
  };
}

struct driver_state {
  std::uint64_t submitted = 0, finished = 0;
  std::vector<steady::time_point> since; ///< by run id
  outcome result;
};

/// COORDINATOR and PUBLISHER in one: keeps `window` runs live until all are done.
caf::behavior driver(caf::stateful_actor<driver_state>* self, node_services* services, load l,
                     caf::actor scheduler, std::promise<outcome>* done) {
  auto begin = steady::now();
  self->state.since.resize(l.runs + 1);
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
  for (std::uint64_t i = 0; i < l.window; ++i)
    submit();
  self->set_default_handler(caf::drop);
  return {
      [=](const committed& m) {
        if (!m.status) {
          spdlog::critical("noop_shards: {}", m.status.error().message);
          std::_Exit(1);
        }
        self->spawn(workflow_actor, services, run_id{m.token},
                    workflow_places{scheduler, me, me});
      },
      [=](const publish_order& m) {
        self->send(m.reply_to, publish_done{m.job.index, std::vector<published_file>{}});
      },
      [=](const run_ended& m) {
        auto& s = self->state;
        if (m.state != run_state::succeeded) {
          spdlog::critical("noop_shards: run {} {}", m.run.value, to_string(m.state));
          std::_Exit(1);
        }
        s.result.latencies_ms.push_back(ms_since(s.since[m.run.value]));
        if (++s.finished < l.runs)
          return submit();
        s.result.seconds = ms_since(begin) / 1000;
        done->set_value(std::move(s.result));
        self->quit();
      },
  };
}

// ---- Measuring ---------------------------------------------------------------------

struct system_config : caf::actor_system_config { // as actors/node.cpp has it
  system_config() {
    set("scheduler.max-threads", 2);
    set("scheduler.policy", caf::atom("sharing"));
  }
};

void print(const std::string& subject, const load& l, std::uint64_t shards, double cpu,
           std::size_t fsyncs, outcome r) {
  auto n = static_cast<double>(shards);
  fmt::print("{{\"subject\":\"{}\",\"runs\":{},\"shards\":{},\"window\":{},"
             "\"shards_per_second\":{:.0f},\"p50_ms\":{:.3f},\"p99_ms\":{:.3f},"
             "\"cpu_us_per_shard\":{:.0f},\"fsyncs_per_shard\":{:.3f}}}\n",
             subject, l.runs, shards, l.window, n / r.seconds, percentile(r.latencies_ms, 0.5),
             percentile(r.latencies_ms, 0.99), 1e6 * cpu / n, static_cast<double>(fsyncs) / n);
}

result<void> run_load(const std::string& directory, const load& l) {
  std::atomic<std::size_t> fsyncs{0};
  node_services services;
  rocks_options options{directory + "/state", false, [&](std::size_t) { ++fsyncs; }};
  FM_TRY(services.store, open_rocks_state_store(options));
  FM_TRY(services.journal, journal::open(*services.store));
  services.artifacts = std::make_unique<artifact_store>(directory + "/artifacts");
  services.config.slots = l.slots;
  system_config config;
  caf::actor_system system{config};
  auto scheduler = system.spawn(scheduler_actor, &services);
  std::vector<caf::actor> workers;
  for (int i = 1; i <= l.slots; ++i)
    workers.push_back(system.spawn(
        noop_worker, worker_slot{static_cast<worker_key>(i), "here"}, scheduler));
  auto cpu = cpu_seconds();
  fsyncs = 0;
  std::promise<outcome> promise;
  system.spawn(driver, &services, l, scheduler, &promise);
  auto r = promise.get_future().get();
  print("framemill", l, l.runs * (l.shards + (l.join ? 1 : 0)), cpu_seconds() - cpu, fsyncs,
        std::move(r));
  for (auto& w : workers)
    caf::anon_send_exit(w, caf::exit_reason::kill);
  caf::anon_send_exit(scheduler, caf::exit_reason::kill);
  return {};
}

/// The floor: `window` records of a shard's size appended, then one fdatasync.
result<void> run_append(const std::string& directory, const load& l) {
  framemill::file_handle file{::open((directory + "/append").c_str(),
                          O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600)};
  if (!file)
    return fail_errno(errno, directory);
  const std::string records(400 * l.window, 'x');
  const auto groups = l.runs / l.window;
  auto cpu = cpu_seconds();
  auto begin = steady::now();
  outcome r;
  for (std::uint64_t i = 0; i < groups; ++i) {
    auto t = steady::now();
    if (::write(file.get(), records.data(), records.size())
            != static_cast<ssize_t>(records.size())
        || ::fdatasync(file.get()) != 0)
      return fail_errno(errno, directory);
    r.latencies_ms.push_back(ms_since(t));
  }
  r.seconds = ms_since(begin) / 1000;
  print("append+fdatasync", l, groups * l.window, cpu_seconds() - cpu, groups, std::move(r));
  return {};
}

} // namespace

int main(int argc, char** argv) {
  spdlog::set_default_logger(spdlog::stderr_color_mt("noop_shards")); // stdout is for JSON
  spdlog::set_level(spdlog::level::warn);
  CLI::App app{"noop_shards - durable shards that do nothing, through the control plane"};
  std::string directory;
  load l;
  bool append = false;
  app.add_option("--directory", directory, "an empty directory on the disk to measure")
      ->required();
  app.add_option("--runs", l.runs, "how many runs in all");
  app.add_option("--shards", l.shards, "shards of a run");
  app.add_flag("--join", l.join, "and one that needs them all");
  app.add_option("--window", l.window, "runs at once")->check(CLI::PositiveNumber);
  app.add_option("--slots", l.slots, "workers")->check(CLI::PositiveNumber);
  app.add_flag("--append", append, "measure the plain loop and not the control plane");
  CLI11_PARSE(app, argc, argv);
  fs::create_directories(directory);
  auto status = append ? run_append(directory, l) : run_load(directory, l);
  if (!status)
    spdlog::critical("noop_shards: {}", status.error().message);
  return status ? 0 : 1;
}
