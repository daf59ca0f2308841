#include "storage/records.hpp"
#include "storage/state_store.hpp"
#include "tests/support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <csignal>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

#include <sys/mount.h>
#include <sys/wait.h>

using namespace framemill;
using framemill::test::temp_dir;

namespace {

write_batch one(std::string key, std::string value) {
  write_batch b;
  b.put(family::runs, std::move(key), std::move(value));
  return b;
}

std::unique_ptr<state_store> opened(const std::string& directory) {
  auto s = open_rocks_state_store({.directory = directory});
  REQUIRE_MESSAGE(s, (s ? "" : s.error().message));
  return std::move(*s);
}

std::size_t count(const state_store& s) {
  std::size_t n = 0;
  REQUIRE(s.scan(family::runs, "", "", [&](auto, auto) { return ++n > 0; }));
  return n;
}

/// Runs `body` in a forked child, which must not return.
template <class F>
pid_t forked(F&& body) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    body();
    ::_exit(1);
  }
  REQUIRE(pid > 0);
  return pid;
}

} // namespace

TEST_CASE("rocks_state_store: what was committed is there after a new start") {
  temp_dir dir;
  REQUIRE(opened(dir / "new/state")->commit_and_wait(one("a", "1")));

  CHECK(opened(dir / "new/state")->find(family::runs, "a").value() == "1");
}

TEST_CASE("rocks_state_store: the destructor answers what is queued") {
  temp_dir dir;
  std::atomic<int> answered = 0;
  {
    auto s = opened(dir / "state");
    for (int i = 0; i < 3000; ++i)
      s->commit(one(std::to_string(i), ""), [&](auto r) { answered += r ? 1 : 0; });
  }

  CHECK(answered == 3000);
  CHECK(count(*opened(dir / "state")) == 3000);
}

TEST_CASE("rocks_state_store: concurrent commits share fsyncs, in the order of their calls") {
  temp_dir dir;
  std::atomic<std::size_t> groups = 0;
  std::atomic<std::size_t> batches = 0;
  auto s = open_rocks_state_store({.directory = dir / "state", .on_group = [&](std::size_t n) {
                                     ++groups;
                                     batches += n;
                                   }});
  REQUIRE(s);
  constexpr int threads = 8;
  constexpr int each = 500;
  std::atomic<int> out_of_order = 0;

  std::vector<std::thread> writers;
  for (int t = 0; t < threads; ++t)
    writers.emplace_back([&, t] {
      std::promise<void> last;
      int next = 0; // touched on the store's thread only
      for (int i = 0; i < each; ++i)
        (*s)->commit(one(fmt::format("{}/{:04}", t, i), ""), [&, i](auto r) {
          out_of_order += !r || i != next++ ? 1 : 0;
          if (i == each - 1)
            last.set_value();
        });
      last.get_future().wait();
    });
  for (auto& w : writers)
    w.join();

  CHECK(out_of_order == 0);
  CHECK(batches == threads * each);
  CHECK(groups < batches / 2);
  CHECK(count(**s) == threads * each);
  MESSAGE(fmt::format("{} commits in {} fsyncs", batches.load(), groups.load()));
}

TEST_CASE("rocks_state_store: a thread that lends itself has its answer when it goes on") {
  temp_dir dir;
  auto s = opened(dir / "state");
  std::thread::id writer;

  s->enqueue(one("a", "1"), [&](const result<void>& r) {
    CHECK(r);
    writer = std::this_thread::get_id();
  });
  s->write_queued();

  CHECK(writer == std::this_thread::get_id());
  CHECK(s->find(family::runs, "a").value() == "1");
  s->write_queued(); // there is nothing to write
}

TEST_CASE("rocks_state_store: beside threads that lend themselves all is answered once, in order") {
  temp_dir dir;
  auto s = opened(dir / "state");
  constexpr int count = 400;
  std::mutex mutex; // makes the order of calls that of `given`
  std::vector<int> given, answered; // by the one writer at a time
  const auto send = [&](int from, auto call) {
    for (int i = from; i < from + count; ++i) {
      std::lock_guard lock{mutex};
      given.push_back(i);
      call(one(std::to_string(i), ""), [&answered, i](const result<void>& r) {
        CHECK(r);
        answered.push_back(i);
      });
    }
  };

  std::thread lender{[&] {
    for (int i = 2; i < 6; ++i) {
      send(i * count, [&](write_batch b, auto done) { s->enqueue(std::move(b), done); });
      s->write_queued();
    }
  }};
  send(0, [&](write_batch b, auto done) { s->commit(std::move(b), done); });
  lender.join();
  s.reset(); // answers what is queued

  CHECK(answered == given);
}

TEST_CASE("rocks_state_store: a chain that breaks is cut out of the group that waits") {
  temp_dir dir;
  auto s = opened(dir / "state");
  auto chain = std::make_shared<commit_chain>();
  std::promise<void> gate;
  std::promise<result<void>> linked, other;
  s->commit(one("first", ""), [&](const result<void>&) { gate.get_future().wait(); });

  auto link = one("linked", "");
  link.belong_to(chain);
  s->commit(std::move(link), [&](result<void> r) { linked.set_value(std::move(r)); });
  s->commit(one("other", ""), [&](result<void> r) { other.set_value(std::move(r)); });
  chain->break_off(); // both wait in the queue: one group
  gate.set_value();

  CHECK(linked.get_future().get().error().code == errc::conflict);
  CHECK(other.get_future().get().has_value());
  CHECK_FALSE(s->find(family::runs, "linked").value().has_value());
  CHECK(s->find(family::runs, "other").value().has_value());
}

TEST_CASE("rocks_state_store: SIGKILL loses no acknowledged commit") {
  temp_dir dir;
  for (int round = 0; round < 3; ++round) {
    int pipe_ends[2];
    REQUIRE(::pipe(pipe_ends) == 0);
    const auto child = forked([&] {
      auto s = open_rocks_state_store({.directory = dir / "state"});
      for (std::uint32_t i = 0; s && i < 1'000'000; ++i)
        (*s)->commit(one(fmt::format("{}/{:08}", round, i), std::string(200, 'x')),
                     [&, i](auto r) {
                       if (r && ::write(pipe_ends[1], &i, sizeof i) != sizeof i)
                         ::_exit(2);
                     });
    });
    ::close(pipe_ends[1]);

    // Kill it in the middle of its work, then see what it had acknowledged.
    std::uint32_t acknowledged = 0;
    for (std::uint32_t n = 0; ::read(pipe_ends[0], &n, sizeof n) == sizeof n;) {
      acknowledged = n + 1;
      if (n == 500)
        REQUIRE(::kill(child, SIGKILL) == 0);
    }
    ::close(pipe_ends[0]);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));

    auto s = opened(dir / "state");
    REQUIRE(acknowledged > 500);
    for (std::uint32_t i = 0; i < acknowledged; ++i)
      REQUIRE(s->find(family::runs, fmt::format("{}/{:08}", round, i)).value().has_value());
  }
}

TEST_CASE("rocks_state_store: a second one on the same directory is told who has it") {
  temp_dir dir;
  SUBCASE("in this process") {
    auto s = opened(dir / "state");
    const auto second = open_rocks_state_store({.directory = dir / "state"});
    REQUIRE_FALSE(second);
    CHECK(second.error().code == errc::busy);
    CHECK(second.error().message.find(dir / "state") != std::string::npos);
  }
  SUBCASE("in another process") {
    int ready[2];
    REQUIRE(::pipe(ready) == 0);
    const auto child = forked([&] {
      auto s = open_rocks_state_store({.directory = dir / "state"});
      if (s && ::write(ready[1], "r", 1) == 1)
        ::pause();
    });
    char c = 0;
    REQUIRE(::read(ready[0], &c, 1) == 1);

    const auto second = open_rocks_state_store({.directory = dir / "state"});
    const auto reader = open_rocks_state_store({.directory = dir / "state", .read_only = true});

    REQUIRE_FALSE(second);
    CHECK(second.error().code == errc::busy);
    CHECK(second.error().message.find(std::to_string(child)) != std::string::npos);
    CHECK(reader.has_value());
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    ::close(ready[0]);
    ::close(ready[1]);
    CHECK(open_rocks_state_store({.directory = dir / "state"}).has_value());
  }
}

TEST_CASE("rocks_state_store: a newer schema is refused with both numbers") {
  temp_dir dir;
  write_batch newer;
  newer.put(family::meta, "schema", std::to_string(schema_version + 41));
  REQUIRE(opened(dir / "state")->commit_and_wait(std::move(newer)));

  for (const bool read_only : {false, true}) {
    const auto s = open_rocks_state_store({.directory = dir / "state", .read_only = read_only});
    REQUIRE_FALSE(s);
    CHECK(s.error().code == errc::schema_newer);
    CHECK(s.error().message.find(std::to_string(schema_version + 41)) != std::string::npos);
  }
}

TEST_CASE("rocks_state_store: states of messages of version 1 are moved to their own family") {
  temp_dir dir;
  constexpr int count = 10'001; // more than one batch
  write_batch old;
  for (int i = 0; i < count; ++i)
    old.put(family::messages, fmt::format("state/{:016x}", i), std::to_string(i));
  old.put(family::messages, "body/0000000000000001", "body");
  old.put(family::meta, "schema", "1");
  REQUIRE(opened(dir / "state")->commit_and_wait(std::move(old)));
  SUBCASE("for a reader only, they stay") {
    const auto s = open_rocks_state_store({.directory = dir / "state", .read_only = true});
    REQUIRE(s);
    CHECK((*s)->find(family::meta, "schema").value() == "1");
  }

  const auto s = opened(dir / "state");

  int moved = 0, left = 0;
  REQUIRE(s->scan(family::message_states, "", "", [&](std::string_view key, std::string_view v) {
    CHECK(key == fmt::format("{:016x}", moved));
    CHECK(v == std::to_string(moved));
    return ++moved > 0;
  }));
  REQUIRE(s->scan(family::messages, "", "", [&](auto, auto) { return ++left > 0; }));
  CHECK(moved == count);
  CHECK(left == 1);
  CHECK(s->find(family::meta, "schema").value() == std::to_string(schema_version));
}

TEST_CASE("rocks_state_store: read-only reads, refuses to write, and creates nothing") {
  temp_dir dir;
  const auto missing = open_rocks_state_store({.directory = dir / "none", .read_only = true});
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == errc::not_found);
  CHECK_FALSE(std::filesystem::exists(dir / "none"));

  REQUIRE(opened(dir / "state")->commit_and_wait(one("a", "1")));
  auto s = open_rocks_state_store({.directory = dir / "state", .read_only = true});
  REQUIRE(s);
  CHECK((*s)->find(family::runs, "a").value() == "1");
  CHECK((*s)->commit_and_wait(one("b", "")).error().code == errc::unsupported);
}

TEST_CASE("rocks_state_store: a full disk fails commits whole, and space heals it") {
  temp_dir dir;
  const auto disk = dir / "disk";
  std::filesystem::create_directory(disk);
  if (::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=24m") != 0) {
    MESSAGE("skipped: this needs the right to mount a tmpfs");
    return;
  }
  struct unmounted {
    const std::string& path;
    ~unmounted() { ::umount2(path.c_str(), MNT_DETACH); }
  } cleanup{disk};
  auto s = opened(disk + "/state");
  dir.write("disk/ballast", std::string(12u << 20, 'b'));

  int accepted = 0;
  result<void> last;
  while (accepted < 1000 && last)
    if (last =
            s->commit_and_wait(one(fmt::format("{:04}", accepted), std::string(100'000, 'x')));
        last)
      ++accepted;

  REQUIRE_FALSE(last);
  CHECK(last.error().code == errc::no_space);
  CHECK(last.error().message.find(disk) != std::string::npos);
  CHECK(count(*s) == static_cast<std::size_t>(accepted));
  CHECK_FALSE(s->commit_and_wait(one("still full", std::string(100'000, 'x'))));

  std::filesystem::remove(disk + "/ballast");
  const auto healed = s->commit_and_wait(one("zzzz", "1"));
  REQUIRE_MESSAGE(healed, (healed ? "" : healed.error().message));
  CHECK(count(*s) == static_cast<std::size_t>(accepted) + 1);
  s.reset();
  CHECK(count(*opened(disk + "/state")) == static_cast<std::size_t>(accepted) + 1);
}

TEST_CASE("rocks_state_store: a damaged table is reported, not read") {
  temp_dir dir;
  REQUIRE(opened(dir / "state")->commit_and_wait(one("a", std::string(1000, 'x'))));
  std::filesystem::remove(dir / "state/CURRENT");
  dir.write("state/CURRENT", "MANIFEST-999999\n");

  const auto s = open_rocks_state_store({.directory = dir / "state"});

  REQUIRE_FALSE(s);
  CHECK(s.error().message.find(dir / "state") != std::string::npos);
}
