#include "storage/bucket.hpp"
#include "tests/support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace framemill;
using namespace std::chrono_literals;
using framemill::test::temp_dir;
namespace fs = std::filesystem;

namespace {

/// Collects hints; tests wait for one of them, with a limit.
struct watched {
  temp_dir dir;
  std::mutex mutex;
  std::condition_variable came;
  std::set<std::string> keys;
  std::set<std::string> closed;
  std::unique_ptr<bucket_hints> hints;

  watched() { fs::create_directory(dir / "in"); }
  void start() {
    hints = watch_local_bucket(dir / "in", [this](std::vector<bucket_hints::hint> batch) {
      std::lock_guard lock{mutex};
      for (const auto& h : batch) {
        keys.insert(h.key);
        if (h.closed)
          closed.insert(h.key);
      }
      came.notify_all();
    });
  }
  template <class Predicate>
  bool wait(Predicate&& p) {
    std::unique_lock lock{mutex};
    return came.wait_for(lock, 20s, p);
  }
  bool wait_key(const std::string& key) {
    return wait([&] { return keys.contains(key); });
  }
  bool wait_closed(const std::string& key) {
    return wait([&] { return closed.contains(key); });
  }
  bool was_hinted(const std::string& key) {
    std::lock_guard lock{mutex};
    return keys.contains(key);
  }
};

} // namespace

TEST_CASE_FIXTURE(watched, "bucket_hints: tell of files that were closed or renamed in") {
  fs::create_directories(dir / "in/x/y");
  const auto outside = dir.write("outside", "1");
  start();
  CHECK(hints->mode() == "inotify");

  dir.write("in/a.mp4", "1");
  dir.write("in/x/y/b.mp4", "1");
  fs::rename(outside, dir / "in/x/c.mp4");

  CHECK(wait_closed("a.mp4"));
  CHECK(wait_closed("x/y/b.mp4"));
  CHECK(wait_closed("x/c.mp4"));
}

TEST_CASE_FIXTURE(watched, "bucket_hints: tell of files that are gone") {
  dir.write("in/a", "");
  dir.write("in/b", "");
  start();

  fs::remove(dir / "in/a");
  fs::rename(dir / "in/b", dir / "away");

  CHECK(wait_key("a"));
  CHECK(wait_key("b"));
  CHECK(closed.empty());
}

TEST_CASE_FIXTURE(watched, "bucket_hints: a new directory is scanned and then watched") {
  start();

  dir.write("in/new/deep/early.mp4", "1");
  REQUIRE(wait_key("new/"));
  // Either it came before the watch (then the scan of a directory hint finds
  // it), or after it (then it has its own hint).
  dir.write("in/new/late.mp4", "1");
  CHECK(wait_closed("new/late.mp4"));
}

TEST_CASE_FIXTURE(watched, "bucket_hints: a directory that moves keeps its watches, renamed") {
  fs::create_directories(dir / "in/old/sub");
  start();

  fs::rename(dir / "in/old", dir / "in/new");
  REQUIRE(wait_key("old/"));
  REQUIRE(wait_key("new/"));
  dir.write("in/new/sub/a.mp4", "1");

  CHECK(wait_closed("new/sub/a.mp4"));
  CHECK_FALSE(was_hinted("old/sub/a.mp4"));
}

TEST_CASE_FIXTURE(watched,
                  "bucket_hints: ignored names and linked directories are not told of") {
  fs::create_directory(dir / "outside");
  fs::create_directory_symlink(dir / "outside", dir / "in/linked");
  start();

  dir.write("outside/secret", "1");
  dir.write("in/.hidden", "1");
  dir.write("in/a.part", "1");
  dir.write("in/" + std::string{temporary_prefix} + "1", "1");
  fs::rename(dir / "in/a.part", dir / "in/a");

  CHECK(wait_closed("a")); // the last event: all others would have come before
  CHECK(keys == std::set<std::string>{"a"});
}

TEST_CASE_FIXTURE(watched, "bucket_hints: a name that is no key has its directory scanned") {
  fs::create_directory(dir / "in/d");
  start();

  dir.write("in/d/new\nline", "1");

  CHECK(wait_key("d/"));
}

TEST_CASE_FIXTURE(watched,
                  "bucket_hints: a thousand files at once are each told of or scanned") {
  start();

  for (int i = 0; i < 1000; ++i)
    dir.write("in/" + std::to_string(i), "1");

  CHECK(wait([&] { return closed.size() == 1000 || keys.contains(""); }));
}

TEST_CASE_FIXTURE(watched, "bucket_hints: an overflow asks for a scan, and watching goes on") {
  std::mutex gate;
  std::unique_lock closed_gate{gate};
  std::condition_variable told;
  bool scan_asked = false;
  bool after = false;
  std::mutex m;
  auto h = watch_local_bucket(dir / "in", [&](std::vector<bucket_hints::hint> batch) {
    { std::lock_guard wait_until_open{gate}; } // a receiver that is slow
    std::lock_guard lock{m};
    for (const auto& hint : batch) {
      scan_asked |= hint.key.empty();
      after |= hint.key == "after/x" && hint.closed;
    }
    told.notify_all();
  });
  // Three events a file (create, close, delete) until the queue must be full.
  std::size_t queue = 16384;
  std::ifstream{"/proc/sys/fs/inotify/max_queued_events"} >> queue;
  if (queue > 100'000) {
    MESSAGE("skipped: the queue of this machine is too long");
    return;
  }
  for (std::size_t i = 0; i < queue; ++i) {
    dir.write("in/" + std::to_string(i), "");
    fs::remove(dir / ("in/" + std::to_string(i)));
  }
  fs::create_directory(dir / "in/after");
  closed_gate.unlock();

  std::unique_lock lock{m};
  REQUIRE(told.wait_for(lock, 20s, [&] { return scan_asked; }));
  lock.unlock();
  dir.write("in/after/x", "1");
  lock.lock();
  CHECK(told.wait_for(lock, 20s, [&] { return after; }));
  CHECK(h->mode() == "inotify");
}

TEST_CASE_FIXTURE(watched,
                  "bucket_hints: a root that is not there says so, and is found later") {
  fs::remove(dir / "in");
  start();
  CHECK(hints->mode().starts_with("scan: cannot watch"));

  fs::create_directory(dir / "in");
  REQUIRE(wait_key("")); // scan all
  CHECK(hints->mode() == "inotify");
  dir.write("in/a", "1");
  CHECK(wait_closed("a"));

  fs::remove_all(dir / "in");
  CHECK(wait([&] { return hints->mode().ends_with("is gone"); }));
}

TEST_CASE_FIXTURE(watched, "bucket_hints: end while events come") {
  start();
  std::thread writer{[&] {
    for (int i = 0; i < 500; ++i)
      dir.write("in/" + std::to_string(i), "1");
  }};
  REQUIRE(wait([&] { return !keys.empty(); }));

  hints.reset();

  writer.join();
}

TEST_CASE_FIXTURE(watched,
                  "bucket_hints: at the watch limit they say so and keep what they have") {
  // The limit is counted per user: a child in its own user namespace can lower it.
  const std::string limit = "/proc/sys/user/max_inotify_watches";
  for (int i = 0; i < 20; ++i)
    fs::create_directory(dir / ("in/" + std::to_string(i)));
  const pid_t child = ::fork();
  if (child == 0) {
    if (::unshare(CLONE_NEWUSER) != 0 || !(std::ofstream{limit} << 5 << std::flush))
      ::_exit(77);
    start();
    const bool said =
        hints->mode() == "scan: inotify watch limit reached (fs.inotify.max_user_watches)";
    dir.write("in/a", "1");
    ::_exit(said && wait_closed("a") ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  if (WEXITSTATUS(status) == 77)
    MESSAGE("skipped: this needs a user namespace");
  else
    CHECK(status == 0);
}
