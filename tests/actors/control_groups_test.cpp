#include "actors/control_groups.hpp"
#include "tests/support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <filesystem>

#include <unistd.h>

using namespace framemill;
using namespace framemill::test;
namespace fs = std::filesystem;

namespace {

/// The files of a kernel that nobody runs.
struct fake_kernel {
  temp_dir dir;
  void write(const std::string& name, const std::string& text) const {
    (void)dir.write(name, text);
  }
  [[nodiscard]] control_groups groups() const { return {dir / "proc", dir / "sys"}; }
  /// As the kernel does, a directory of it goes with its files.
  void empty(const std::string& name) const {
    for (const auto& file : fs::directory_iterator{dir / name})
      fs::remove(file);
  }
};

} // namespace

TEST_CASE("control_groups: version 2, where the daemon's group is its own to divide") {
  fake_kernel k;
  k.write("proc/cgroup", "0::/system.slice/framemilld.service\n");
  const std::string own = "sys/system.slice/framemilld.service/";
  k.write(own + "cgroup.controllers", "cpu memory pids\n");
  k.write(own + "cgroup.subtree_control", "");
  auto groups = k.groups();
  CHECK(groups.summary() == "cgroup v2");
  CHECK(k.dir.read(own + "cgroup.subtree_control") == "+memory +pids");

  auto group = groups.make(64 << 20, 70);

  REQUIRE(group);
  REQUIRE(group->directories.size() == 1);
  auto name = fs::relative(group->directories[0], k.dir.path()).string();
  CHECK(name.starts_with(own + "framemill-fn-" + std::to_string(::getpid()) + "-"));
  CHECK(k.dir.read(name + "/memory.max") == "67108864");
  CHECK(k.dir.read(name + "/memory.swap.max") == "0");
  CHECK(k.dir.read(name + "/memory.oom.group") == "1");
  CHECK(k.dir.read(name + "/pids.max") == "70");
  CHECK(group->doors() == std::vector<std::string>{group->directories[0] + "/cgroup.procs"});
  CHECK_FALSE(group->was_over_memory());
  k.write(name + "/memory.events", "low 0\nhigh 0\nmax 3\noom 1\noom_kill 1\n");
  k.write(name + "/memory.peak", "4096\n");
  CHECK(group->was_over_memory());
  CHECK(group->peak_bytes() == 4096);
}

TEST_CASE("control_groups: version 1, memory and processes in hierarchies of their own") {
  fake_kernel k;
  k.write("proc/cgroup", "8:pids:/\n4:memory:/inside\n0::/\n");
  k.write("sys/memory/inside/cgroup.procs", "");
  k.write("sys/pids/cgroup.procs", "");
  auto groups = k.groups();
  CHECK(groups.summary() == "cgroup v1");

  auto group = groups.make(64 << 20, 70);

  REQUIRE(group);
  REQUIRE(group->directories.size() == 2);
  auto memory = fs::relative(group->directories[0], k.dir.path()).string();
  auto pids = fs::relative(group->directories[1], k.dir.path()).string();
  CHECK(memory.starts_with("sys/memory/inside/framemill-fn-"));
  CHECK(k.dir.read(memory + "/memory.limit_in_bytes") == "67108864");
  CHECK(pids.starts_with("sys/pids/framemill-fn-"));
  CHECK(k.dir.read(pids + "/pids.max") == "70");
  k.write(memory + "/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
  CHECK(group->was_over_memory());
}

TEST_CASE("control_groups: a group that is still busy is removed with a later one") {
  fake_kernel k;
  k.write("proc/cgroup", "8:pids:/\n4:memory:/\n");
  k.write("sys/memory/cgroup.procs", "");
  k.write("sys/pids/cgroup.procs", "");
  auto groups = k.groups();
  auto group = groups.make(1 << 20, 1);
  REQUIRE(group);
  auto directory = group->directories[0];
  groups.remove(std::move(*group)); // its files are there: it cannot go
  CHECK(fs::exists(directory));
  k.empty(fs::relative(directory, k.dir.path()));
  groups.remove({});
  CHECK_FALSE(fs::exists(directory));
}

TEST_CASE("control_groups: what a dead process left is removed, what a living one has is not") {
  fake_kernel k;
  k.write("proc/cgroup", "8:pids:/\n4:memory:/\n");
  k.write("sys/memory/cgroup.procs", "");
  k.write("sys/pids/cgroup.procs", "");
  auto dead = k.dir / "sys/memory/framemill-fn-999999999-1";
  auto living = k.dir / ("sys/memory/framemill-fn-" + std::to_string(::getpid()) + "-1");
  fs::create_directory(dead);
  fs::create_directory(living);
  (void)k.groups();
  CHECK_FALSE(fs::exists(dead));
  CHECK(fs::exists(living));
}

TEST_CASE(
    "control_groups: where there are none, the summary says why, and nothing is bounded") {
  fake_kernel k;
  k.write("proc/cgroup", "0::/\n");
  auto groups = k.groups();
  CHECK_FALSE(groups.are_available());
  CHECK(groups.summary().find("no control groups (v2: ") == 0);
  auto group = groups.make(1, 1);
  REQUIRE(group);
  CHECK(group->doors().empty());
  CHECK(group->peak_bytes() == 0);
}
