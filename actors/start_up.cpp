#include "actors/start_up.hpp"

#include <caf/all.hpp>
#include <spdlog/spdlog.h>

#include <sys/sysinfo.h>
#include <unistd.h>

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

/// Name, slots, cores, memory and an absolute data directory. Who asks for more
/// slots than there are cores gets what he asks for.
void fill_defaults(node_config& c) {
  if (c.name.empty())
    c.name = host_name();
  const auto cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  if (c.slots == 0)
    c.slots = c.cores > 0 ? c.cores : cores;
  if (c.cores == 0)
    c.cores = std::max(cores, c.slots);
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

} // namespace

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "node";
}

std::unique_ptr<caf::actor_system> make_actor_system() {
  static system_config config; // must outlive every system
  return std::make_unique<caf::actor_system>(config);
}

result<void> configure(node_services& s, node_config config) {
  FM_CHECK(validate(config));
  fill_defaults(config);
  s.config = std::move(config);
  s.started = s.clock.now();
  s.scratch_root = s.config.data_dir + "/scratch";
  s.failed_root = s.config.data_dir + "/failed";
  FM_CHECK(make_directory(s.config.data_dir, fs::perms::owner_all));
  return make_directory(s.failed_root, fs::perms::owner_all);
}

result<void> clear_scratch(node_services& s) {
  if (auto killed = kill_orphans(s.scratch_root); killed > 0)
    spdlog::warn("{} orphaned children killed", killed);
  std::error_code ec;
  fs::remove_all(s.scratch_root, ec);
  return make_directory(s.scratch_root, fs::perms::owner_all);
}

result<void> start_children(node_services& s) {
  if (!s.children)
    s.children = std::make_unique<sandboxed_child_host>(
        sandboxed_child_host::options{s.config.media_program, true});
  spdlog::info("sandbox: {}", s.children->sandbox().summary);
  if (!s.children->fingerprint())
    return fail(errc::io_failed, "{} does not run: {}", s.config.media_program,
                s.children->fingerprint().error().message);
  return {};
}

result<void>
open_buckets(node_services& s,
             const std::function<result<std::string>(const std::string& name,
                                                     const std::string& path)>& noted) {
  for (const auto& [name, path] : s.config.buckets) {
    FM_TRY(auto sentinel, noted(name, path));
    FM_TRY(auto b, open_local_bucket({name, path, sentinel}));
    if (auto swept = b->sweep(); swept && *swept > 0)
      spdlog::info("bucket {}: {} unfinished temporary files removed", name, *swept);
    s.sentinels[name] = std::move(sentinel);
    s.buckets[name] = std::move(b);
  }
  return {};
}

bool await_leave(std::future<void>& left, const std::function<bool()>& is_enough) {
  while (!is_enough())
    if (left.wait_for(std::chrono::milliseconds{100}) == std::future_status::ready)
      return true;
  spdlog::warn("not everything in hand has ended; it will be done again");
  return false;
}

} // namespace framemill
