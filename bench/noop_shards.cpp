#include "actors/scheduler_actor.hpp"
#include "actors/start_up.hpp"
#include "bench/noop_load.hpp"
#include "storage/file_handle.hpp"

#include <CLI/CLI.hpp>
#include <caf/all.hpp>
#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>

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
using bench::load;
using steady = std::chrono::steady_clock;

namespace {

double cpu_seconds() {
  rusage u{};
  ::getrusage(RUSAGE_SELF, &u);
  auto of = [](const timeval& t) { return static_cast<double>(t.tv_sec) + 1e-6 * t.tv_usec; };
  return of(u.ru_utime) + of(u.ru_stime);
}

double seconds_since(steady::time_point t) {
  return std::chrono::duration<double>(steady::now() - t).count();
}

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

result<void> run_load(const std::string& directory, const load& l) {
  std::atomic<std::size_t> fsyncs{0};
  node_services services;
  rocks_options options{directory + "/state", false, [&](std::size_t) { ++fsyncs; }};
  FM_TRY(services.store, open_rocks_state_store(options));
  FM_TRY(services.journal, journal::open(*services.store));
  services.artifacts = std::make_unique<artifact_store>(directory + "/artifacts");
  services.config.name = "here";
  services.config.slots = l.slots;
  auto system_owner = make_actor_system();
  auto& system = *system_owner;
  auto scheduler = system.spawn(scheduler_actor, &services);
  std::vector<caf::actor> workers;
  for (int i = 1; i <= l.slots; ++i)
    workers.push_back(system.spawn(
        noop_worker, worker_slot{static_cast<worker_key>(i), services.config.name}, scheduler));
  auto cpu = cpu_seconds();
  fsyncs = 0;
  std::promise<bench::outcome> promise;
  system.spawn(bench::driver, &services, l, scheduler, caf::actor{}, &promise);
  auto r = promise.get_future().get();
  fmt::print("{}", bench::report("framemill", l, cpu_seconds() - cpu, fsyncs, r));
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
  bench::outcome r;
  for (std::uint64_t i = 0; i < groups; ++i) {
    auto t = steady::now();
    if (::write(file.get(), records.data(), records.size())
            != static_cast<ssize_t>(records.size())
        || ::fdatasync(file.get()) != 0)
      return fail_errno(errno, directory);
    r.latencies_ms.push_back(1000 * seconds_since(t));
  }
  r.seconds = seconds_since(begin);
  load written = l;
  written.runs = groups * l.window;
  fmt::print("{}", bench::report("append+fdatasync", written, cpu_seconds() - cpu, groups, r));
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
  app.add_flag("--join-shard", l.join, "and one that needs them all");
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
