#include "actors/actor_gateway.hpp"
#include "actors/membership_actor.hpp"
#include "actors/scheduler_actor.hpp"
#include "actors/start_up.hpp"
#include "actors/worker_node.hpp"
#include "bench/noop_load.hpp"

#include <CLI/CLI.hpp>
#include <caf/all.hpp>
#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <filesystem>
#include <limits>
#include <thread>

// noop_cluster: what noop_shards.cpp puts through one process, through a real
// cluster. This process is the coordinator: SCHEDULER, MEMBERSHIP with its
// sockets (CURVE, ZAP), REMOTE WORKERs, WORKFLOWs, journal and RocksDB. Each
// worker is a process of its own, the daemon's whole worker_node: enrolment by
// token, self-test, NODE AGENT, TASK WORKERs with their scratch directories.
// Replaced are the PUBLISHER, who has nothing to publish, and the worker's door
// to children, behind which a shard of nothing ends at once.
//
//   submit ─→ leased ─→ [node] ─→ done, publishing ─→ succeeded

namespace fs = std::filesystem;
using namespace framemill;
using bench::load;

namespace {

/// Shards of nothing are done at once; what else is asked (the fingerprint, the
/// self-test) is real.
class noop_children final : public child_host {
public:
  explicit noop_children(std::string program)
      : real_{sandboxed_child_host::options{std::move(program), true}} {}

  child_key spawn(child_spec spec, child_listener told) override {
    if (spec.request.source_name != bench::nothing)
      return real_.spawn(std::move(spec), std::move(told));
    told.on_message(media_result{});
    told.on_exit({.code = 0});
    return std::numeric_limits<child_key>::max(); // nobody's
  }
  void stop(child_key key) override { real_.stop(key); }
  void signal(child_key key, int number) override { real_.signal(key, number); }
  [[nodiscard]] cpu_use use_of(child_key key) const override { return real_.use_of(key); }
  void close() override { real_.close(); }
  [[nodiscard]] const sandbox_status& sandbox() const override { return real_.sandbox(); }
  [[nodiscard]] const result<std::string>& fingerprint() const override {
    return real_.fingerprint();
  }

private:
  sandboxed_child_host real_;
};

double cpu_seconds(pid_t process) {
  clockid_t clock{};
  timespec t{};
  if (::clock_getcpuclockid(process, &clock) != 0 || ::clock_gettime(clock, &t) != 0)
    return 0;
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// ---- Workers ---------------------------------------------------------------------

int work(node_config config) {
  auto children = std::make_unique<noop_children>(config.media_program);
  auto node = worker_node::start(std::move(config), std::move(children));
  if (!node) {
    spdlog::critical("noop_cluster: {}", node.error().message);
    return 1;
  }
  for (;;)
    ::pause(); // until the coordinator's SIGKILL
}

/// Processes of this program; they end with this.
class workers {
public:
  ~workers() {
    for (auto pid : pids_)
      ::kill(pid, SIGKILL);
    for (auto pid : pids_)
      ::waitpid(pid, nullptr, 0);
  }
  result<void> start(std::vector<std::string> words) {
    std::vector<char*> argv;
    for (auto& w : words)
      argv.push_back(w.data());
    argv.push_back(nullptr);
    auto pid = ::fork();
    if (pid < 0)
      return fail_errno(errno, "fork");
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::execv("/proc/self/exe", argv.data());
      ::_exit(127);
    }
    pids_.push_back(pid);
    return {};
  }
  [[nodiscard]] double cpu_seconds() const {
    double all = 0;
    for (auto pid : pids_)
      all += ::cpu_seconds(pid);
    return all;
  }

private:
  std::vector<pid_t> pids_;
};

// ---- Coordinator -----------------------------------------------------------------

struct options {
  std::string directory, worker_directory, media_program;
  int nodes = 4;
  load work;
};

result<caf::actor> start_membership(caf::actor_system& system, node_services& services,
                                    const caf::actor& scheduler) {
  FM_TRY(auto life, begin_term(services));
  auto opened = std::make_shared<std::promise<result<cluster_endpoints>>>();
  auto where = opened->get_future();
  auto actor = system.spawn<caf::detached>(membership_actor, &services, std::move(life),
                                           cluster_endpoints{"127.0.0.1"}, scheduler, opened);
  FM_CHECK(where.get());
  return actor;
}

result<join_offer> ask_for_token(gateway& api, int uses) {
  std::promise<result<join_offer>> promise;
  api.make_join_token(uses, std::chrono::minutes{10},
                      [&](result<join_offer> offer) { promise.set_value(std::move(offer)); });
  return promise.get_future().get();
}

/// Each with its share of the slots; returns when all have joined.
result<void> start_workers(workers& out, const options& o, const node_services& services,
                           const join_offer& offer) {
  for (int i = 0; i < o.nodes; ++i) {
    const auto slots = o.work.slots * (i + 1) / o.nodes - o.work.slots * i / o.nodes;
    const auto name = fmt::format("w{}", i + 1);
    std::vector<std::string> words{"noop_cluster", "--worker", name, "--slots",
                                   std::to_string(slots), "--directory",
                                   o.worker_directory + "/" + name, "--media-program", o.media_program};
    std::stringstream command{offer.command}; // framemilld --role worker --join … --token …
    for (std::string word; command >> word;)
      if (word == "--join" || word == "--token") {
        words.push_back(word);
        command >> word;
        words.push_back(word);
      }
    FM_CHECK(out.start(std::move(words)));
  }
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes{1};
  while (services.slots_here < o.work.slots) {
    if (std::chrono::steady_clock::now() > deadline)
      return fail(errc::timed_out, "the workers do not come");
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
  }
  return {};
}

result<void> coordinate(const options& o) {
  static std::atomic<std::size_t> fsyncs{0};
  auto& services = *new node_services; // actors use it until the process ends
  node_config config;
  config.name = "coordinator";
  config.data_dir = o.directory + "/coordinator";
  FM_CHECK(configure(services, std::move(config)));
  rocks_options store{services.config.data_dir + "/state", false,
                      [](std::size_t) { ++fsyncs; }};
  FM_TRY(services.store, open_rocks_state_store(store));
  FM_TRY(services.journal, journal::open(*services.store));
  services.artifacts = std::make_unique<artifact_store>(services.config.data_dir + "/artifacts");
  auto* system = make_actor_system().release();
  auto scheduler = system->spawn(scheduler_actor, &services);
  FM_TRY(auto membership, start_membership(*system, services, scheduler));
  auto api = make_actor_gateway(*system, services, {{}, scheduler, membership, {}});
  FM_TRY(auto offer, ask_for_token(*api, o.nodes));
  workers nodes;
  FM_CHECK(start_workers(nodes, o, services, offer));

  const auto own = cpu_seconds(::getpid()), theirs = nodes.cpu_seconds();
  fsyncs = 0;
  std::promise<bench::outcome> promise;
  system->spawn(bench::driver, &services, o.work, scheduler, membership, &promise);
  auto done = promise.get_future().get();
  const auto cpu = cpu_seconds(::getpid()) - own + nodes.cpu_seconds() - theirs;
  fmt::print("{}", bench::report("framemill", o.work, cpu, fsyncs, done));
  std::fflush(nullptr);
  return {};
}

} // namespace

int main(int argc, char** argv) {
  spdlog::set_default_logger(spdlog::stderr_color_mt("noop_cluster")); // stdout is for JSON
  spdlog::set_level(spdlog::level::warn);
  CLI::App app{"noop_cluster - durable shards that do nothing, through a cluster"};
  options o;
  node_config worker;
  app.add_option("--directory", o.directory, "an empty directory on the disk to measure")
      ->required();
  app.add_option("--worker-directory", o.worker_directory,
                 "of the workers, who keep nothing durable (default: the same)");
  app.add_option("--media-program", o.media_program, "framemill-media, absolute")->required();
  app.add_option("--nodes", o.nodes, "worker processes")->check(CLI::PositiveNumber);
  app.add_option("--runs", o.work.runs, "how many runs in all");
  app.add_option("--shards", o.work.shards, "shards of a run");
  app.add_flag("--join-shard", o.work.join, "and one that needs them all");
  app.add_option("--window", o.work.window, "runs at once")->check(CLI::PositiveNumber);
  app.add_option("--slots", o.work.slots, "of all workers together")->check(CLI::PositiveNumber);
  app.add_option("--worker", worker.name, "be this worker and not the coordinator");
  app.add_option("--join", worker.cluster.join, "of a worker");
  app.add_option("--token", worker.cluster.token, "of a worker");
  CLI11_PARSE(app, argc, argv);
  fs::create_directories(o.directory);
  if (o.worker_directory.empty())
    o.worker_directory = o.directory;
  if (!worker.name.empty()) {
    worker.roles = {.coordinator = false, .gateway = false};
    worker.data_dir = o.directory;
    worker.media_program = o.media_program;
    worker.slots = o.work.slots;
    return work(std::move(worker));
  }
  auto status = coordinate(o);
  if (!status)
    spdlog::critical("noop_cluster: {}", status.error().message);
  std::_Exit(status ? 0 : 1);
}
