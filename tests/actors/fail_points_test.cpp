#include "actors/fail_points.hpp"
#include "storage/file_handle.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <csignal>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

using namespace framemill;
using namespace std::chrono_literals;

namespace {

/// Nothing is armed before, and nothing after.
struct in_peace {
  in_peace() { disarm_all(); }
  ~in_peace() { disarm_all(); }
};

void arm_text(std::string_view text) {
  auto r = arm_fail_point(text);
  REQUIRE_MESSAGE(r, r.error().message);
}

/// Which of the passes failed.
std::vector<int> failures(std::string_view door, int passes) {
  std::vector<int> out;
  for (int i = 1; i <= passes; ++i)
    if (!fail_door(door))
      out.push_back(i);
  return out;
}

fault_state state_of(std::string_view point) {
  for (auto& s : fault_states())
    if (s.place.name == point)
      return s;
  return {};
}

errc refusal(std::string_view place, std::string_view action) {
  auto r = parse_fault(place, action);
  return r ? errc{} : r.error().code;
}

} // namespace

TEST_CASE("fail_point: dies at the pass that was named, and only there") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  file_handle from{ends[0]}, to{ends[1]};
  auto pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    (void)arm_fail_point("before.commit:3");
    fail_point("publish.staged");
    for (int i = 0; i < 5; ++i) {
      fail_point("before.commit");
      (void)!::write(to.get(), "x", 1);
    }
    ::_exit(0);
  }
  to = {};
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGKILL);
  char passed[8];
  CHECK(::read(from.get(), passed, sizeof passed) == 2);
}

TEST_CASE("fail_door: answers with an error at the passes that were named") {
  in_peace test;
  CHECK(failures("store.commit", 3).empty());
  arm_text("store.commit=error");
  CHECK(failures("bucket.open", 3).empty());
  CHECK(failures("store.commit", 4) == std::vector{1});
  arm_text("store.commit:2-3=error");
  CHECK(failures("store.commit", 5) == std::vector{2, 3});
  arm_text("store.commit:3-=error");
  CHECK(failures("store.commit", 5) == std::vector{3, 4, 5});
  auto e = fail_door("store.commit").error();
  CHECK(e.code == errc::io_failed);
  CHECK(e.message.find("store.commit") != std::string::npos);
  arm_text("data.open=error");
  CHECK(fail_door("data.open").error().code == errc::unavailable);
}

TEST_CASE("fail_points: the list says what is armed, and what came of it") {
  in_peace test;
  arm_text("bucket.stage:2-3=error");
  (void)failures("bucket.stage", 2);
  auto s = state_of("bucket.stage");
  REQUIRE(s.armed);
  CHECK(s.armed->first == 2);
  CHECK(s.armed->last == 3);
  CHECK(s.armed->action == fault_action::error);
  CHECK(s.passes == 2);
  CHECK(s.failed == 1);
  CHECK_FALSE(state_of("bucket.open").armed);
  CHECK(disarm("bucket.stage"));
  CHECK_FALSE(state_of("bucket.stage").armed);
  CHECK(failures("bucket.stage", 3).empty());
}

TEST_CASE("fail_point: a delay holds the thread up for its time") {
  in_peace test;
  arm_text("publish.booked=delay=30");
  auto begin = std::chrono::steady_clock::now();
  fail_point("publish.booked");
  CHECK(std::chrono::steady_clock::now() - begin >= 30ms);
  fail_point("publish.booked"); // the second pass is not named
  CHECK(state_of("publish.booked").failed == 1);
}

TEST_CASE("fail_point: who hangs goes on when it is disarmed, or armed anew") {
  in_peace test;
  for (bool anew : {false, true}) {
    CAPTURE(anew);
    arm_text("link.send=hang");
    std::atomic<bool> through{false};
    std::thread hanging{[&] {
      (void)fail_door("link.send");
      through = true;
    }};
    CHECK(test::eventually([] { return state_of("link.send").failed == 1; }));
    CHECK_FALSE(through);
    if (anew)
      arm_text("link.send:9");
    else
      CHECK(disarm("link.send"));
    hanging.join();
    CHECK(through);
  }
}

TEST_CASE("fail_effect: tells the caller to do what the name says, at its passes") {
  in_peace test;
  CHECK_FALSE(fail_effect("child.crash"));
  arm_text("child.crash:2");
  CHECK_FALSE(fail_effect("child.crash"));
  CHECK(fail_effect("child.crash"));
  CHECK_FALSE(fail_effect("child.crash"));
}

TEST_CASE("frame_door: loses, repeats and reorders what it is armed for, and holds nothing") {
  in_peace test;
  auto through = [](std::string_view armed) {
    disarm_all();
    if (!armed.empty())
      arm_text(armed);
    frame_door door{"link.send"};
    std::string out;
    for (auto frame : {"a", "b", "c", "d", "e"})
      door.pass(frame, [&](const std::string& f) { out += f; });
    return out;
  };

  CHECK(through("") == "abcde");
  CHECK(through("link.send:2=error") == "acde");
  CHECK(through("link.send:2-3=duplicate") == "abbccde");
  CHECK(through("link.send:2=reorder") == "acbde");
  CHECK(through("link.send:1-4=reorder") == "badce");
  CHECK(through("link.send:2-=reorder") == "acbed"); // in pairs: none waits for ever
  CHECK(through("link.receive:1-=error") == "abcde");
}

TEST_CASE("frame_door: what was held back does not reach another connection") {
  in_peace test;
  arm_text("link.send=reorder");
  frame_door door{"link.send"};
  std::string out;
  auto note = [&](const std::string& f) { out += f; };

  door.pass("old", note);
  door.clear();
  door.pass("new", note);

  CHECK(out == "new");
}

TEST_CASE("fail_clock: is wrong by so much at its passes, forward or back") {
  in_peace test;
  CHECK(fail_clock("clock.now") == 0ms);
  arm_text("clock.now:2-3=skew=-1500");
  CHECK(fail_clock("clock.now") == 0ms);
  CHECK(fail_clock("clock.now") == -1500ms);
  CHECK(fail_clock("clock.now") == -1500ms);
  CHECK(fail_clock("clock.now") == 0ms);
  arm_text("clock.now:1-=skew=60000");
  CHECK(fail_clock("clock.now") == 60s);
}

TEST_CASE("parse_fault: what cannot be armed is refused, and why") {
  CHECK(refusal("nowhere", "kill") == errc::not_found);
  CHECK(refusal("", "") == errc::not_found);
  for (auto place : {"before.commit:", "before.commit:0", "before.commit:x", "before.commit:-1",
                     "before.commit:3-2", "before.commit:1:2", "before.commit:1-2-3",
                     "before.commit:99999999999999999999", "before.commit: 1"})
    CHECK_MESSAGE(refusal(place, "kill") == errc::malformed, place);
  for (auto action : {"explode", "delay", "delay=", "delay=0", "delay=600001", "delay=-1", "KILL"})
    CHECK_MESSAGE(refusal("store.commit", action) == errc::invalid_argument, action);
  for (auto action : {"skew=", "skew=0", "skew=86400001", "skew=--1", "skew", ""})
    CHECK_MESSAGE(refusal("clock.now", action) == errc::invalid_argument, action);
  CHECK(refusal("before.commit", "error") == errc::unsupported); // it cannot say no
  CHECK(refusal("child.crash", "kill") == errc::unsupported);
  CHECK(refusal("store.commit", "duplicate") == errc::unsupported); // no frames pass there
  CHECK(refusal("data.fetch", "reorder") == errc::unsupported);
  CHECK(refusal("link.send", "skew=5") == errc::unsupported);
  CHECK(refusal("clock.now", "kill") == errc::unsupported);
}

TEST_CASE("fail_points: each is known once, and the manual knows it") {
  std::set<std::string_view> seen;
  std::ifstream file{FRAMEMILL_SOURCE_DIR "/docs/faults.md"};
  std::stringstream manual;
  manual << file.rdbuf();
  for (const auto& p : fail_point_places()) {
    CHECK_MESSAGE(seen.insert(p.name).second, p.name);
    auto row = "| `" + std::string{p.name} + "` |";
    CHECK_MESSAGE(manual.str().find(row) != std::string::npos, row);
  }
  for (auto name : fail_point_names())
    CHECK_MESSAGE(seen.contains(name), name);
}

TEST_CASE("flip_a_bit: changes one byte of a file, and no more") {
  test::temp_dir dir;
  auto path = dir.write("f", "abcde");
  CHECK(flip_a_bit(path));
  CHECK(dir.read("f") == "abbde");
  CHECK_FALSE(flip_a_bit(dir / "gone"));
}
