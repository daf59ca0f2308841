#include "actors/node.hpp"

#include "actors/actor_gateway.hpp"
#include "actors/coordinator.hpp"
#include "actors/publisher.hpp"
#include "actors/scheduler_actor.hpp"
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

} // namespace

struct node::impl {
  node_services services;
  system_config config;
  std::unique_ptr<caf::actor_system> system;
  std::vector<caf::actor> actors;
  std::unique_ptr<gateway> api;

  void start_actors() {
    system = std::make_unique<caf::actor_system>(config);
    auto scheduler = system->spawn(scheduler_actor, &services);
    auto publishing = system->spawn<caf::detached>(publisher, &services);
    auto coordinating = system->spawn(coordinator, &services, scheduler, publishing);
    for (int i = 0; i < services.config.slots; ++i)
      actors.push_back(system->spawn<caf::detached>(
          task_worker, &services,
          worker_slot{static_cast<worker_key>(i + 1), services.config.name}, scheduler));
    actors.insert(actors.end(), {scheduler, publishing, coordinating});
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
  for (auto& a : i.actors)
    caf::anon_send_exit(a, caf::exit_reason::kill);
  i.actors.clear();
  // Everything is durable; detached actors may still hang in a system call, and
  // CAF 0.17 waits for all of them. The process is about to end. What they may
  // still use, the gateway too, is left to it.
  (void)i.system.release();
  (void)impl_.release();
}

gateway& node::api() { return *impl_->api; }
const node_services& node::services() const { return impl_->services; }

} // namespace framemill
