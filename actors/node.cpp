#include "actors/node.hpp"

#include "actors/actor_gateway.hpp"
#include "actors/coordinator.hpp"
#include "actors/manners.hpp"
#include "actors/publisher.hpp"
#include "actors/scheduler_actor.hpp"
#include "actors/supply.hpp"
#include "actors/task_worker.hpp"
#include "storage/records.hpp"

#include <caf/all.hpp>
#include <spdlog/spdlog.h>

#include <sys/sysinfo.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

namespace framemill {

namespace fs = std::filesystem;

namespace {

struct system_config : caf::actor_system_config {
  system_config() {
    set("scheduler.max-threads", 2);
    // "stealing", the default, polls while idle.
    set("scheduler.policy", caf::atom("sharing"));
  }
};

std::int64_t default_memory_bytes() {
  struct sysinfo info {};
  if (::sysinfo(&info) != 0)
    return 0;
  return static_cast<std::int64_t>(info.totalram) * info.mem_unit / 4 * 3;
}

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "node";
}

void fill_defaults(node_config& c) {
  if (c.name.empty())
    c.name = host_name();
  if (c.slots == 0)
    c.slots = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  if (c.memory_bytes == 0)
    c.memory_bytes = default_memory_bytes();
  c.data_dir = fs::absolute(c.data_dir).lexically_normal().string();
}

result<void> make_directory(const std::string& path, fs::perms mode) {
  std::error_code ec;
  fs::create_directories(path, ec);
  if (!ec)
    fs::permissions(path, mode, ec);
  return ec ? result<void>{fail_errno(ec.value(), "directory " + path)} : result<void>{};
}

/// A bucket's sentinel is noted when it is first opened; a mount that is not
/// there later, or another one in its place, freezes the bucket.
result<void> open_buckets(node_services& s) {
  for (const auto& [name, path] : s.config.buckets) {
    FM_TRY(auto noted, s.store->find(family::meta, "bucket/" + name));
    FM_TRY(auto b, open_local_bucket({name, path, noted.value_or("")}));
    if (!noted) {
      FM_TRY(auto sentinel, local_bucket_sentinel(path));
      write_batch batch;
      batch.put(family::meta, "bucket/" + name, sentinel);
      FM_CHECK(s.store->commit_and_wait(std::move(batch)));
    }
    if (auto swept = b->sweep(); swept && *swept > 0)
      spdlog::info("bucket {}: {} unfinished temporary files removed", name, *swept);
    s.buckets[name] = std::move(b);
  }
  return {};
}

/// Scratch of a former life is worthless: its leases are over.
result<void> clear_scratch(node_services& s) {
  if (auto killed = kill_orphans(s.scratch_root); killed > 0)
    spdlog::warn("{} orphaned children killed", killed);
  std::error_code ec;
  fs::remove_all(s.scratch_root, ec);
  return make_directory(s.scratch_root, fs::perms::owner_all);
}

/// Keeps what live runs will reuse, removes the rest.
result<void> collect_artifacts(node_services& s) {
  std::set<std::string, std::less<>> live;
  result<void> status;
  FM_CHECK(s.store->scan(family::live_runs, "", "", [&](std::string_view key, auto) {
    auto from = std::string{key} + "/";
    status = scan_records<shard_record>(*s.store, family::shards, from, prefix_end(from),
                                        [&](const shard_record& shard) {
                                          for (const auto& f : shard.files)
                                            live.insert(f.sha256);
                                          for (const auto& f : shard.assets)
                                            live.insert(f.sha256);
                                          return true;
                                        });
    return status.has_value();
  }));
  FM_CHECK(status);
  FM_TRY(auto freed, s.artifacts->collect([&](std::string_view sha) { return live.contains(sha); }));
  if (freed > 0)
    spdlog::info("{} MiB of unused artifacts removed", freed >> 20);
  return {};
}

/// SUPERVISOR of a node: a TASK WORKER that dies is started again after a
/// second. The others hold the handles of everybody; when one of them dies the
/// failure climbs: the process ends, and its next start goes on from the store.
struct supervisor_state {
  static inline const char* name = "supervisor";
  std::map<caf::actor_addr, int> worker_of; ///< slot
  std::map<caf::actor_addr, std::string> vital;
  worker_key last_key = 0;
};

struct start_worker {
  int slot = 0;
};

} // namespace
} // namespace framemill
FM_LOCAL_MESSAGE(start_worker)
namespace framemill {
namespace {

using supervisor_ptr = caf::stateful_actor<supervisor_state>*;

[[noreturn]] void climb(const std::string& who) {
  spdlog::critical("SUPERVISOR: the {} died; the daemon ends, its next start goes on", who);
  spdlog::default_logger()->flush();
  std::_Exit(70); // EX_SOFTWARE; children die with us
}

caf::behavior supervisor(supervisor_ptr self, node_services* services, caf::actor scheduler,
                         std::map<std::string, caf::actor> vital) {
  for (const auto& [name, actor] : vital) {
    self->state.vital[actor.address()] = name;
    self->monitor(actor);
  }
  self->set_down_handler([=](const caf::down_msg& down) {
    auto& s = self->state;
    if (auto who = s.vital.find(down.source); who != s.vital.end())
      climb(who->second);
    if (auto slot = s.worker_of.extract(down.source); !slot.empty()) {
      spdlog::error("SUPERVISOR: the TASK WORKER of slot {} died; another starts", slot.mapped());
      self->delayed_send(self, std::chrono::seconds{1}, start_worker{slot.mapped()});
    }
  });
  tolerate_strangers(self, "SUPERVISOR");
  for (int i = 0; i < services->config.slots; ++i)
    self->send(self, start_worker{i});
  return {
      [=](const start_worker& m) {
        auto& s = self->state;
        worker_slot slot{++s.last_key, services->config.name};
        auto worker = self->spawn<caf::detached>(task_worker, services, slot, scheduler,
                                                 std::shared_ptr{make_local_supply(*services)});
        s.worker_of[worker.address()] = m.slot;
        self->monitor(worker);
      },
  };
}

} // namespace

struct node::impl {
  node_services services;
  system_config config;
  std::unique_ptr<caf::actor_system> system;
  std::unique_ptr<gateway> api;

  void start_actors() {
    system = std::make_unique<caf::actor_system>(config);
    auto scheduler = system->spawn(scheduler_actor, &services);
    auto publishing = system->spawn<caf::detached>(publisher, &services);
    // Detached: it asks buckets, and a dead mount must not hold the others up.
    auto coordinating =
        system->spawn<caf::detached>(coordinator, &services, scheduler, publishing);
    system->spawn(supervisor, &services, scheduler,
                  std::map<std::string, caf::actor>{{"SCHEDULER", scheduler},
                                                    {"PUBLISHER", publishing},
                                                    {"COORDINATOR", coordinating}});
    api = make_actor_gateway(*system, services, coordinating, scheduler);
  }
};

result<std::unique_ptr<node>> node::start(node_config config) {
  FM_CHECK(validate(config));
  fill_defaults(config);
  auto i = std::make_unique<impl>();
  auto& s = i->services;
  s.config = std::move(config);
  s.started = s.clock.now();
  s.scratch_root = s.config.data_dir + "/scratch";
  s.failed_root = s.config.data_dir + "/failed";
  FM_CHECK(make_directory(s.config.data_dir, fs::perms::owner_all));
  FM_CHECK(make_directory(s.failed_root, fs::perms::owner_all));
  FM_TRY(s.store, open_rocks_state_store({s.config.data_dir + "/state", false}));
  FM_TRY(s.journal, journal::open(*s.store));
  s.artifacts = std::make_unique<artifact_store>(s.config.data_dir + "/artifacts");
  FM_CHECK(clear_scratch(s));
  FM_CHECK(collect_artifacts(s));
  FM_CHECK(open_buckets(s));
  s.children = std::make_unique<child_host>(child_host::options{s.config.media_program, true});
  spdlog::info("sandbox: {}", s.children->sandbox().summary);
  if (!s.children->fingerprint())
    return fail(errc::io_failed, "{} does not run: {}", s.config.media_program,
                s.children->fingerprint().error().message);
  i->start_actors();
  return std::unique_ptr<node>{new node(std::move(i))};
}

node::node(std::unique_ptr<impl> i) : impl_(std::move(i)) {}

node::~node() {
  auto& i = *impl_;
  i.services.children->close(); // no child outlives us
  // Everything is durable. CAF 0.17 would wait for every actor, and a detached
  // one may hang in a system call: they, and what they still use, run on until
  // the process ends, which is next.
  (void)i.system.release();
  (void)impl_.release();
}

gateway& node::api() { return *impl_->api; }
const node_services& node::services() const { return impl_->services; }

} // namespace framemill
