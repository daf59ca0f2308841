#include "actors/control_groups.hpp"

#include "storage/posix_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <optional>

namespace framemill {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view prefix = "framemill-fn-";
constexpr std::string_view own_leaf = "framemilld"; ///< where the daemon itself is, v2

/// One write, as the kernel wants it.
result<void> set(const std::string& file, const std::string& value) {
  FM_TRY(auto f, open_at(AT_FDCWD, file, O_WRONLY | O_CREAT, file, 0644));
  return write_all(f.get(), value, file);
}

std::string text_of(const std::string& file) {
  std::ifstream in{file};
  return {std::istreambuf_iterator<char>{in}, {}};
}

/// The path of our group in the hierarchy of `controller`; "" is that of v2.
/// Lines are `NUMBER:CONTROLLER,…:PATH` (cgroups(7)).
std::optional<std::string> own_path(const std::string& proc, std::string_view controller) {
  std::ifstream in{proc + "/cgroup"};
  for (std::string line; std::getline(in, line);) {
    auto first = line.find(':');
    auto second = line.find(':', first + 1);
    if (second == std::string::npos)
      continue;
    auto names = "," + line.substr(first + 1, second - first - 1) + ",";
    if (names == ",," ? controller.empty()
                      : !controller.empty()
                            && names.find(fmt::format(",{},", controller)) != std::string::npos)
      return line.substr(second + 1);
  }
  return std::nullopt;
}

bool has_word(const std::string& text, std::string_view word) {
  auto spaced = " " + text + " ";
  for (auto& c : spaced)
    c = c == '\n' ? ' ' : c;
  return spaced.find(fmt::format(" {} ", word)) != std::string::npos;
}

result<void> make_directory(const std::string& path) {
  std::error_code ec;
  fs::create_directory(path, ec);
  return ec ? result<void>{fail_errno(ec.value(), path)} : result<void>{};
}

/// Its own group may not hold processes and divide memory: the daemon moves to
/// a leaf, unless others are there too.
result<void> divide(const std::string& group) {
  const std::string wanted = "+memory +pids";
  if (set(group + "/cgroup.subtree_control", wanted))
    return {};
  const auto leaf = group + "/" + std::string{own_leaf};
  FM_CHECK(make_directory(leaf));
  FM_CHECK(set(leaf + "/cgroup.procs", "0"));
  auto divided = set(group + "/cgroup.subtree_control", wanted);
  if (!divided) {
    FM_CHECK(set(group + "/cgroup.procs", "0"));
    ::rmdir(leaf.c_str());
  }
  return divided;
}

} // namespace

std::vector<std::string> control_group::doors() const {
  std::vector<std::string> out;
  for (const auto& d : directories)
    out.push_back(d + "/cgroup.procs");
  return out;
}

bool control_group::was_over_memory() const {
  std::ifstream in{events};
  std::string name;
  for (std::uint64_t count = 0; in >> name >> count;)
    if (name == "oom_kill")
      return count > 0;
  return false;
}

std::int64_t control_group::peak_bytes() const {
  std::int64_t out = 0;
  std::ifstream{peak} >> out;
  return out;
}

control_groups::control_groups(const std::string& proc, const std::string& sys) {
  auto second = find_v2(proc, sys);
  auto first = second ? result<void>{} : find_v1(proc, sys);
  if (version_ == 0)
    summary_ = fmt::format("no control groups (v2: {}; v1: {})", second.error().message,
                           first.error().message);
  else
    summary_ = fmt::format("cgroup v{}", version_);
  sweep();
}

result<void> control_groups::find_v2(const std::string& proc, const std::string& sys) {
  auto path = own_path(proc, "");
  if (!path)
    return fail(errc::unsupported, "not in use");
  auto group = sys + (*path == "/" ? "" : *path);
  if (group.ends_with("/"
                      + std::string{own_leaf})) // an earlier life of this process moved there
    group.resize(group.size() - own_leaf.size() - 1);
  auto controllers = text_of(group + "/cgroup.controllers");
  if (!has_word(controllers, "memory") || !has_word(controllers, "pids"))
    return fail(errc::unsupported, "memory and pids are not ours to divide");
  FM_CHECK(divide(group));
  version_ = 2;
  parents_ = {group};
  return {};
}

result<void> control_groups::find_v1(const std::string& proc, const std::string& sys) {
  std::vector<std::string> parents;
  for (std::string controller : {"memory", "pids"}) {
    auto path = own_path(proc, controller);
    auto root = fmt::format("{}/{}", sys, controller);
    // In a container the path may be that of the host, and not to be seen here.
    auto group = path ? root + (*path == "/" ? "" : *path) : root;
    if (!fs::exists(group + "/cgroup.procs"))
      group = root;
    if (!path || ::access((group + "/cgroup.procs").c_str(), W_OK) != 0)
      return fail(errc::unsupported, "{} may not be written", group);
    parents.push_back(std::move(group));
  }
  version_ = 1;
  parents_ = std::move(parents);
  return {};
}

/// What processes left behind that are no more: names end in `PID-NUMBER`.
void control_groups::sweep() const {
  for (const auto& parent : parents_) {
    std::error_code ec;
    for (const auto& entry : fs::directory_iterator{parent, ec}) {
      auto name = entry.path().filename().string();
      if (name.starts_with(prefix)
          && !fs::exists("/proc/" + std::to_string(std::atoi(name.c_str() + prefix.size()))))
        ::rmdir(entry.path().c_str());
    }
  }
}

/// No process with our number may have left it: such a group still has its bounds.
std::string control_groups::fresh_name() const {
  static std::atomic<std::uint64_t> last{0};
  std::string name;
  auto is_there = [&](const std::string& parent) { return fs::exists(parent + name); };
  do
    name = fmt::format("/{}{}-{}", prefix, ::getpid(), ++last);
  while (std::any_of(parents_.begin(), parents_.end(), is_there));
  return name;
}

result<control_group> control_groups::make(std::int64_t memory_bytes_max, int processes_max) {
  remove({}); // of those that were left
  const auto name = fresh_name();
  control_group group;
  for (const auto& parent : parents_)
    group.directories.push_back(parent + name);
  if (version_ != 0) {
    const auto& memory = group.directories.front();
    group.events = memory + (version_ == 2 ? "/memory.events" : "/memory.oom_control");
    group.peak = memory + (version_ == 2 ? "/memory.peak" : "/memory.max_usage_in_bytes");
  }
  if (auto filled = fill(group, memory_bytes_max, processes_max); !filled) {
    remove(std::move(group));
    return failure{filled.error()};
  }
  return group;
}

result<void> control_groups::fill(const control_group& group, std::int64_t memory_bytes_max,
                                  int processes_max) const {
  if (version_ == 0)
    return {};
  for (const auto& d : group.directories)
    FM_CHECK(make_directory(d));
  const auto& memory = group.directories.front();
  const auto bytes = std::to_string(memory_bytes_max);
  FM_CHECK(set(group.directories.back() + "/pids.max", std::to_string(processes_max)));
  // Swap is not accounted everywhere; where it is not, memory alone is bounded.
  if (version_ == 1) {
    FM_CHECK(set(memory + "/memory.limit_in_bytes", bytes));
    (void)set(memory + "/memory.memsw.limit_in_bytes", bytes);
    return {};
  }
  (void)set(memory + "/memory.swap.max", "0");
  FM_CHECK(set(memory + "/memory.max", bytes));
  return set(memory + "/memory.oom.group", "1");
}

void control_groups::remove(control_group group) {
  left_.insert(left_.end(), group.directories.begin(), group.directories.end());
  std::erase_if(left_,
                [](const auto& d) { return ::rmdir(d.c_str()) == 0 || errno == ENOENT; });
}

} // namespace framemill
