#include "actors/child_host.hpp"
#include "actors/services.hpp"
#include "core/limits.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <condition_variable>
#include <csignal>
#include <filesystem>
#include <mutex>

#include <fcntl.h>
#include <unistd.h>

using namespace framemill;
using namespace framemill::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

/// All that a child said.
class heard {
public:
  child_listener listener() {
    return {[this](child_message m) { note([&] { messages.push_back(std::move(m)); }); },
            [this](std::string line) { note([&] { log.push_back(std::move(line)); }); },
            [this](child_exit how) { note([&] { exits.push_back(std::move(how)); }); }};
  }
  template <class Condition>
  [[nodiscard]] bool wait(Condition condition) {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, 60s, condition);
  }
  child_exit wait_for_exit() {
    REQUIRE(wait([&] { return !exits.empty(); }));
    return exits.front();
  }
  [[nodiscard]] bool has_result() const {
    for (const auto& m : messages)
      if (std::holds_alternative<media_result>(m))
        return true;
    return false;
  }

  // Only looked at by `wait`, or when the host is closed.
  std::vector<child_message> messages;
  std::vector<std::string> log;
  std::vector<child_exit> exits;

private:
  template <class F>
  void note(F change) {
    std::lock_guard lock{mutex_};
    change();
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
};

struct hosting {
  explicit hosting(bool sandbox) : host({FAKE_CHILD, sandbox}) {
    fs::create_directories(dir / "in");
    fs::create_directories(dir / "out");
  }
  child_key spawn(const std::string& way, heard& by, std::int64_t memory_bytes_max = 0,
                  framemill::file_handle source = {}) {
    child_spec spec;
    spec.scratch = dir.path();
    spec.source = std::move(source);
    spec.request.source_name = way;
    spec.memory_bytes_max = memory_bytes_max;
    return host.spawn(std::move(spec), by.listener());
  }
  child_exit run(const std::string& way, heard& by, std::int64_t memory_bytes_max = 0) {
    (void)spawn(way, by, memory_bytes_max);
    auto how = by.wait_for_exit();
    host.close();
    CHECK(by.exits.size() == 1);
    return how;
  }

  temp_dir dir;
  sandboxed_child_host host;
};

/// Without a sandbox, and in one where bubblewrap works here.
template <class Test>
void with_and_without_sandbox(Test test) {
  SUBCASE("plain") {
    hosting h{false};
    CHECK_FALSE(h.host.sandbox().bubblewrap);
    test(h);
  }
  SUBCASE("in bubblewrap") {
    hosting h{true};
    if (!h.host.sandbox().bubblewrap) {
      MESSAGE("skipped: " << h.host.sandbox().summary);
      return;
    }
    test(h);
  }
}

} // namespace

TEST_CASE("node_services: a node's inventory has what its child can encode") {
  node_services services;
  CHECK(services.facts().encoders.empty()); // it has no worker

  services.children = std::make_unique<sandboxed_child_host>(
      sandboxed_child_host::options{FAKE_CHILD, false});

  CHECK(services.facts().encoders == std::vector<std::string>{"libx264", "aac"});
  CHECK(services.facts().fingerprint == "fake");
}

TEST_CASE("child_host: what a child says is heard, then its end") {
  with_and_without_sandbox([](hosting& h) {
    CHECK(h.host.fingerprint() == "fake");
    CHECK(h.host.cpu() == "sse2+avx");
    CHECK(h.host.encoders() == std::vector<std::string>{"libx264", "aac"});
    heard child;
    auto how = h.run("answer", child);
    CHECK(how.text() == "exit 0");
    REQUIRE(child.messages.size() >= 2);
    CHECK(std::get<watermark>(child.messages[child.messages.size() - 2]).frames_encoded == 3);
    CHECK(std::get<media_result>(child.messages.back()).frames_decoded == 42);
    CHECK(child.log == std::vector<std::string>{"working"});
  });
}

TEST_CASE("child_host: a crash is told by its signal") {
  with_and_without_sandbox([](hosting& h) {
    heard child;
    CHECK(h.run("crash", child).signal == SIGSEGV);
  });
}

TEST_CASE("child_host: a child in the sandbox cannot write sysctls") {
  hosting h{true};
  if (!h.host.sandbox().bubblewrap) {
    MESSAGE("skipped: " << h.host.sandbox().summary);
    return;
  }
  heard child;
  CHECK(h.run("sysctls", child).text() == "exit 0");
  CHECK(child.log == std::vector<std::string>{"sysctls are closed"});
}

TEST_CASE("child_host: an exit code is told") {
  with_and_without_sandbox([](hosting& h) {
    heard child;
    CHECK(h.run("exit 7", child).text() == "exit 7");
  });
}

TEST_CASE("child_host: a child over its memory limit is killed") {
  with_and_without_sandbox([](hosting& h) {
    heard child;
    auto how = h.run("eat", child, 64 << 20);
    CHECK(how.over_memory);
    CHECK_FALSE(how.stopped);
  });
}

TEST_CASE("child_host: a child that does not speak the protocol is killed") {
  with_and_without_sandbox([](hosting& h) {
    for (const auto* way : {"garbage", "giant", "answer, then garbage"}) {
      CAPTURE(way);
      heard child;
      (void)h.spawn(way, child);
      auto how = child.wait_for_exit();
      CHECK_FALSE(how.violation.empty());
      CHECK(how.text().find("protocol") != std::string::npos);
    }
    h.host.close();
  });
}

TEST_CASE("child_host: an unfinished frame says nothing") {
  hosting h{false};
  heard child;
  CHECK(h.run("half a frame", child).text() == "exit 0");
  CHECK(child.messages.empty());
}

TEST_CASE("child_host: a flood of watermarks comes as few, and the result is heard") {
  hosting h{false};
  heard child;
  CHECK(h.run("flood marks", child).text() == "exit 0");
  CHECK(child.has_result());
  CHECK(child.messages.size() < 20'000);
}

TEST_CASE("child_host: of a flooded log the end is heard, in pieces that fit") {
  hosting h{false};
  heard child;
  CHECK(h.run("flood log", child).text() == "exit 0");
  REQUIRE_FALSE(child.log.empty());
  CHECK(child.log.back() == "last");
  for (const auto& line : child.log)
    CHECK(line.size() <= 2000);
}

TEST_CASE("child_host: stop ends a child that does not end by itself, at once") {
  with_and_without_sandbox([](hosting& h) {
    heard child;
    auto key = h.spawn("hang", child);
    REQUIRE(child.wait([&] { return !child.log.empty(); }));
    auto before = std::chrono::steady_clock::now();
    h.host.stop(key);
    CHECK(child.wait_for_exit().stopped);
    CHECK(std::chrono::steady_clock::now() - before < 5s);
    h.host.stop(key); // long gone
    h.host.close();
    CHECK(child.exits.size() == 1);
  });
}

TEST_CASE("child_host: closing ends all children and tells of each once") {
  with_and_without_sandbox([](hosting& h) {
    heard children;
    for (int i = 0; i < 4; ++i)
      (void)h.spawn("hang", children);
    REQUIRE(children.wait([&] { return children.log.size() == 4; }));
    h.host.close();
    CHECK(children.exits.size() == 4);
    (void)h.spawn("answer", children); // nobody is there to start it
    CHECK(children.exits.size() == 4);
  });
}

TEST_CASE("child_host: a grandchild that keeps the pipes does not hold up the end") {
  with_and_without_sandbox([](hosting& h) {
    heard child;
    auto before = std::chrono::steady_clock::now();
    CHECK(h.run("grandchild", child).text() == "exit 0");
    CHECK(child.has_result());
    CHECK(std::chrono::steady_clock::now() - before < 10s); // it lives for 20
  });
}

TEST_CASE("child_host: a child that dies without reading its request is just dead") {
  hosting h{false};
  h.dir.write("in/do-not-read", "");
  heard child;
  // Larger than a pipe, so that writing it fails while the child dies.
  CHECK(h.run(std::string(1 << 20, 'x'), child).text() == "exit 5");
}

TEST_CASE("child_host: a program that is not there is told as an end") {
  temp_dir dir;
  sandboxed_child_host host{{dir / "nothing", false}};
  CHECK_FALSE(host.fingerprint());
  child_spec spec;
  spec.scratch = dir.path();
  heard child;
  (void)host.spawn(std::move(spec), child.listener());
  CHECK_FALSE(child.wait_for_exit().spawn_error.empty());
}

TEST_CASE("child_host: a child gets its source and nothing else that is open") {
  with_and_without_sandbox([](hosting& h) {
    h.dir.write("clip", "the bytes");
    framemill::file_handle leaked{::open("/dev/null", O_RDONLY)}; // not close-on-exec
    heard child;
    framemill::file_handle clip{::open((h.dir / "clip").c_str(), O_RDONLY)};
    (void)h.spawn("source", child, 0, std::move(clip));
    (void)child.wait_for_exit();
    CHECK(child.log == std::vector<std::string>{"source the bytes"});

    heard other;
    (void)h.spawn("descriptors", other);
    (void)other.wait_for_exit();
    h.host.close();
    REQUIRE(other.log.size() == 1);
    CHECK(other.log[0].starts_with("descriptors 0 1 2 "));
    CHECK(other.log[0].find(fmt::format(" {} ", leaked.get())) == std::string::npos);
  });
}

TEST_CASE("child_host: no child outlives a daemon that is killed") {
  for (const std::string mode : {"plain", "sandbox"}) {
    CAPTURE(mode);
    temp_dir dir;
    fs::create_directories(dir / "in");
    process daemon{{{FAKE_DAEMON, FAKE_CHILD, dir.path(), mode}, {}, {}}};
    REQUIRE(eventually([&] { return daemon.output().find("ready") != std::string::npos; }));
    REQUIRE(users_of(dir.path()).size() >= 2); // the daemon, and the child
    daemon.signal(SIGKILL);
    CHECK(eventually([&] { return users_of(dir.path()).empty(); }, 10s));
  }
}

TEST_CASE("kill_orphans: kills what works below the scratch root, and nothing else") {
  temp_dir dir, elsewhere;
  fs::create_directories(dir / "scratch/r1-s0-e1");
  auto shell = [](const std::string& where) {
    return process{{{"env", "-C", where, "sleep", "100"}, {}, {}}};
  };
  auto is_there = [](process& p, const std::string& where) {
    return eventually([&] {
      std::error_code gone;
      return fs::read_symlink("/proc/" + std::to_string(p.pid()) + "/cwd", gone) == where;
    });
  };
  auto orphan = shell(dir / "scratch/r1-s0-e1");
  auto stranger = shell(elsewhere.path());
  REQUIRE(is_there(orphan, dir / "scratch/r1-s0-e1"));
  REQUIRE(is_there(stranger, elsewhere.path()));
  CHECK(kill_orphans(dir / "scratch") == 1);
  CHECK(orphan.wait(10s)->signal == SIGKILL);
  CHECK(stranger.is_running());
}

TEST_CASE("child_host: what a child takes of the CPUs is known while it lives") {
  with_and_without_sandbox([](hosting& h) {
    heard busy, idle;
    auto worker = h.spawn("spin", busy);
    auto sleeper = h.spawn("hang", idle);

    CHECK(eventually([&] { return h.host.use_of(worker).ran >= 200ms; }));
    CHECK(h.host.use_of(sleeper).ran < 200ms);
    h.host.stop(worker);
    (void)busy.wait_for_exit();
    CHECK(eventually([&] { return h.host.use_of(worker).ran == 0ms; }));
    h.host.close();
  });
}
