#include "tests/system/cluster_fixture.hpp"

#include <doctest/doctest.h>

#include <signal.h>
#include <sys/mount.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

// Processes of a cluster die, freeze and run out of disk. What comes out is
// what comes out of one node that nobody disturbs.

using namespace framemill;
using namespace framemill::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

/// Attempts of a shard that ended well: one, or it was done twice.
std::size_t successes_of(const json& run, std::uint32_t shard) {
  std::size_t n = 0;
  for (const auto& a : attempts_of(run))
    n += a.shard == shard && a.failure.empty();
  return n;
}

void check_done_once(const json& run) {
  for (const auto& shard : run["Shards"])
    CHECK_MESSAGE(successes_of(run, shard["Id"]["Index"]) == 1, shard["Attempts"].dump(1));
}

/// Of what was encoded. A hedge is no second try: it runs beside the first. And a join
/// may have been leased as the coordinator died, which no worker came to hear of.
void check_nothing_redone(const json& run) {
  for (const auto& a : attempts_of(run)) {
    if (a.role == "join")
      continue;
    const bool is_first = a.epoch == 1 || a.is_hedge;
    CHECK_MESSAGE((is_first && (a.failure.empty() || a.failure == "cancelled")),
                  "shard " << a.shard << " on " << a.node << ": " << a.failure);
  }
}

/// Its children have nothing left to read: they only wait (paced_media.cpp).
bool all_encoded(const cluster_fixture& f, std::uint64_t run) {
  auto progress = f.described(run).value("Progress", json::object());
  return progress.value("FramesEncoded", 0) >= progress.value("FramesPlanned", 1);
}

bool has_ended(const cluster_fixture& f, const std::string& stem) {
  auto runs =
      f.cluster.call("DescribeRuns", {{"Bucket", "media"}, {"KeyPrefix", "in/" + stem}});
  auto found = runs.value("Runs", json::array());
  return !found.empty() && (found[0]["State"] == "succeeded" || found[0]["State"] == "failed");
}

/// A file system of a few megabytes; none where mounting is not allowed.
struct small_disk {
  std::string path;
  bool mounted = false;

  small_disk(std::string where, const std::string& size) : path(std::move(where)) {
    fs::create_directories(path);
    mounted =
        ::mount("framemill-test", path.c_str(), "tmpfs", 0, ("size=" + size).c_str()) == 0;
  }
  small_disk(const small_disk&) = delete;
  small_disk& operator=(const small_disk&) = delete;
  ~small_disk() {
    if (mounted)
      ::umount2(path.c_str(), MNT_DETACH);
  }
};

} // namespace

TEST_CASE("cluster fault: the shard of a killed worker runs elsewhere") {
  cluster_fixture f;
  auto run = f.begin(paced_key);
  auto victim = f.await_holder(run);

  auto fault = now();
  f.cluster.worker(victim.node).kill9();
  auto ended = check_undisturbed(f, paced_key);

  check_moved(ended, victim, fault, moved_within);
  check_done_once(ended);
  CHECK(f.cluster.worker(victim.node).daemon.orphans().empty());
  f.cluster.start(f.cluster.worker(victim.node)); // without a token
  f.cluster.await_up(victim.node);
  CHECK(f.runs().size() == 1);
  check_quiet(f);
}

TEST_CASE(
    "cluster fault: a frozen worker's shard runs elsewhere, and its late word is refused") {
  cluster_fixture f;
  auto run = f.begin(paced_key);
  auto victim = f.await_holder(run);

  auto fault = now();
  f.cluster.worker(victim.node).freeze();
  auto ended = check_undisturbed(f, paced_key);
  auto events = f.events(run).size();
  f.cluster.worker(victim.node).thaw();
  f.cluster.await_up(victim.node);

  check_moved(ended, victim, fault, moved_within);
  check_quiet(f); // the late child has ended
  auto after = f.described(run);
  check_done_once(after);
  CHECK(f.events(run).size() == events);
  CHECK(f.content("out/") == undisturbed(paced_key));
  CHECK(f.runs().size() == 1);
}

TEST_CASE("cluster fault: a worker that thaws before its run ends does no harm") {
  cluster_fixture f;
  auto run = f.begin("in/pace-0.7.mp4");
  auto victim = f.await_holder(run);

  f.cluster.worker(victim.node).freeze();
  f.cluster.await_away(victim.node);
  f.cluster.worker(victim.node).thaw();
  auto ended = check_undisturbed(f, "in/pace-0.7.mp4");

  check_done_once(ended);
  f.cluster.await_up(victim.node);
  check_quiet(f);
}

TEST_CASE("cluster fault: all workers die at once, and new ones end the run") {
  cluster_fixture f;
  (void)f.begin(paced_key, 48, 4);

  for (auto& w : f.cluster.workers())
    w->signal(SIGKILL);
  for (auto name : {"n1", "n2", "n3"})
    f.cluster.start(f.cluster.add(name));
  auto ended = check_undisturbed(f, paced_key, 48);

  check_done_once(ended);
  CHECK(decoding_nodes(ended).contains("n1"));
  check_quiet(f);
}

TEST_CASE("cluster fault: a child that is killed, again and again, costs only its attempt") {
  cluster_fixture f;
  auto run = f.begin(paced_key);

  for (int round = 0; round < 2; ++round) {
    // Asked anew each time: what held it a moment ago may be done with it.
    std::vector<pid_t> children;
    CHECK(eventually([&] {
      children = f.cluster.worker(f.await_holder(run).node).daemon.children();
      return !children.empty();
    }));
    for (auto child : children)
      ::kill(child, SIGKILL);
  }
  auto ended = check_undisturbed(f, paced_key);

  check_done_once(ended);
  CHECK(failures_of(ended) >= 1);
  check_quiet(f);
}

TEST_CASE("cluster fault: a child that stands still is found, and its shard done anew") {
  cluster_fixture f{4, cluster_links::cables, "stall_seconds = 3\n"};
  auto run = f.begin(paced_key);
  auto victim = f.await_holder(run);
  std::vector<pid_t> children;
  REQUIRE(eventually([&] {
    return !(children = f.cluster.worker(victim.node).daemon.children()).empty();
  }));

  for (auto child : children)
    ::kill(child, SIGSTOP);
  auto ended = check_undisturbed(f, paced_key);

  check_done_once(ended);
  CHECK(ended["Shards"][victim.shard]["Attempts"].size() > 1);
  check_quiet(f);
}

TEST_CASE("cluster fault: a worker that is stopped and one that comes, under load, harm nothing") {
  cluster_fixture f;
  constexpr int seconds = 96; // several pieces for each, and each within the drain's time
  auto run = f.begin(paced_key, seconds, 4);
  auto leaving = f.await_holder(run);

  f.cluster.worker(leaving.node).signal(SIGTERM);
  f.cluster.start(f.cluster.add("late"));
  auto ended = check_undisturbed(f, paced_key, seconds);

  CHECK(failures_of(ended) == 0); // it ended the shard in hand first
  CHECK(decoding_nodes(ended).contains("late"));
  CHECK(f.cluster.worker(leaving.node).daemon.wait_for_end().exit_code == 0);
  check_quiet(f);
}

TEST_CASE("cluster fault: a worker whose disk is full hands its work to others") {
  cluster_fixture f{3};
  auto& full = f.cluster.add("full");
  small_disk disk{full.daemon.data_dir(), "2m"};
  if (!disk.mounted) {
    MESSAGE("skipped: this machine lets us mount nothing");
    return;
  }
  full.daemon.start(f.cluster.join_arguments(full, f.cluster.join_token()));
  f.cluster.await_up("full");
  std::ofstream{disk.path + "/ballast"} << std::string(4u << 20, 'x');

  f.put(paced_key);
  auto ended = check_undisturbed(f, paced_key);

  check_done_once(ended);
  for (const auto& a : attempts_of(ended))
    if (a.node == "full")
      CHECK(a.failure == "no_space");
  f.cluster.worker("full").daemon.stop();
  check_quiet(f);
}

TEST_CASE("cluster fault: workers go on while the coordinator is dead, and nothing is redone") {
  cluster_fixture f;
  auto run = f.begin("in/pace-0.4.mp4");
  auto before = f.holders(run).size();

  f.node.kill9();
  f.cluster.start_coordinator();
  auto ended = check_undisturbed(f, "in/pace-0.4.mp4");

  CHECK(before == 3);
  check_nothing_redone(ended);
  CHECK(f.runs().size() == 1);
  check_quiet(f);
}

TEST_CASE("cluster fault: a coordinator that was frozen goes on, and nothing is redone") {
  cluster_fixture f;
  auto run = f.begin("in/pace-0.4.mp4");

  ::kill(f.node.pid(), SIGSTOP);
  std::this_thread::sleep_for(5s); // the fault's time: longer than workers wait in silence
  ::kill(f.node.pid(), SIGCONT);
  auto ended = check_undisturbed(f, "in/pace-0.4.mp4");

  check_nothing_redone(ended);
  CHECK(f.events(run).size() > 0);
  check_quiet(f);
}

TEST_CASE("cluster fault: results that are damaged on the coordinator's disk are made again") {
  cluster_fixture f;
  f.node.stop();
  f.cluster.start_coordinator({"--fail-point", "shard.done.written:4"});
  f.put(paced_key);
  REQUIRE(eventually([&] { return !f.node.is_running(); }));

  CHECK(damage_artifacts(f.node) >= 3);
  f.cluster.start_coordinator();
  (void)check_undisturbed(f, paced_key);

  check_quiet(f);
}

TEST_CASE("cluster fault: what a run has delivered stays when another lets the same go") {
  cluster_fixture f{2, cluster_links::cables, "allow_faults = true\n"};
  (void)f.ask({"fault", "arm", "w1", "shard.delivered:2", "--action", "delay=5000"});
  for (auto key : {"in/pace-0.020.mp4", "in/pace-0.021.mp4"}) // the same content
    f.put(key, 2);

  for (auto key : {"in/pace-0.020.mp4", "in/pace-0.021.mp4"}) {
    auto ended = f.finish(key);
    CHECK(state_of(ended) == "succeeded");
    check_nothing_redone(ended);
    check_done_once(ended);
  }
  check_quiet(f);
}

TEST_CASE("cluster fault: a new coordinator's probes are not taken for those of the last one") {
  cluster_fixture f{1};
  auto width_of = [&](const std::string& key) -> int {
    auto told = f.mps()("DescribeMediaMetaData",
                        {{"InputInfo",
                          {{"Type", "COS"},
                           {"CosInputInfo",
                            {{"Bucket", "media"}, {"Region", "here"}, {"Object", key}}}}}});
    return told.value("MetaData", json::object()).value("Width", 0);
  };
  for (int width : {160, 320})
    f.drop(make_clip({.seconds = 1, .width = width, .height = 90}),
           "apart/" + std::to_string(width) + ".mp4");
  CHECK(width_of("/apart/160.mp4") == 160);

  f.node.kill9();
  f.cluster.start_coordinator();
  f.cluster.await_up("w1");

  CHECK(width_of("/apart/320.mp4") == 320);
  check_quiet(f);
}

TEST_CASE("cluster fault: a node that fails what others do is doubted, and believed twice") {
  cluster_fixture f{2, cluster_links::cables, "allow_faults = true\n"};
  (void)f.ask({"fault", "arm", "w1", "child.crash:1-"}); // but for the self-test's
  auto node = [&] { return f.cluster.node("w1"); };
  auto cordons = [&] {
    auto all = f.ask({"event", "list", "--limit", "1000"})["Events"].get<std::vector<json>>();
    return std::ranges::count_if(all, [](const json& e) {
      return e["Type"] == "node.mode" && e["Node"] == "w1" && e["State"] == "cordoned";
    });
  };
  int sources = 0;
  auto work = [&] {
    const auto key = "in/pace-0.0" + std::to_string(200 + sources++) + ".mp4";
    f.put(key, 2);
    auto ended = f.finish(key);
    CHECK_MESSAGE(state_of(ended) == "succeeded", ended["Run"]["Failure"].dump());
    return ended;
  };

  for (int i = 1; i <= 3; ++i) {
    CAPTURE(i);
    for (const int until = sources + 12; cordons() < i && sources < until;)
      (void)work();
    REQUIRE(cordons() >= i);
    if (i < 3)
      CHECK(eventually([&] { return node().value("Mode", "") == "active"; }));
  }
  CHECK(eventually([&] {
    return node().value("ModeReason", "").find("passes its self-test, but") != std::string::npos;
  }));
  CHECK(node()["Mode"] == "cordoned");
  CHECK(sources >= 9); // three for each

  (void)f.ask({"fault", "disarm", "w1", "child.crash"});
  (void)f.ask({"node", "uncordon", "w1"});
  CHECK(eventually([&] {
    for (const auto& a : attempts_of(work()))
      if (a.node == "w1" && a.failure.empty())
        return true;
    return false;
  }));
  CHECK(node()["Mode"] == "active");
  check_quiet(f);
}

TEST_CASE("cluster fault: a plan that a new coordinator makes counts who is still to come") {
  cluster_fixture f;
  f.node.stop();
  f.cluster.start_coordinator({"--fail-point", "shard.done.written"}); // the probe's
  f.put(quick_key);
  REQUIRE(eventually([&] { return !f.node.is_running(); }));

  f.cluster.start_coordinator();
  (void)check_undisturbed(f, quick_key); // to the byte: cut as for four slots

  check_quiet(f);
}

TEST_CASE("cluster fault: results that came while the coordinator was dead are taken") {
  cluster_fixture f;
  auto run = f.begin("in/pace-0.4.mp4");
  REQUIRE(eventually([&] { return all_encoded(f, run); }));

  f.node.kill9();
  CHECK(eventually([&] {
    for (auto& w : f.cluster.workers())
      if (!w->daemon.children().empty())
        return false;
    return true;
  }));
  f.cluster.start_coordinator();
  auto ended = check_undisturbed(f, "in/pace-0.4.mp4");

  check_nothing_redone(ended);
  check_quiet(f);
}

TEST_CASE(
    "cluster fault: whatever durable step the coordinator dies at, the run ends as ever") {
  cluster_fixture f;
  f.put(quick_key);
  REQUIRE(state_of(f.finish(quick_key)) == "succeeded");
  auto expected = times_of(f.media + "/out/pace-0.02_transcode_0.mp4");
  auto names = run({program("framemilld"), "--list-fail-points"}).output;
  std::istringstream lines{names + "shard.leased.written:3\nshard.done.written:3\n"};
  int number = 0, deaths = 0;
  for (std::string point; std::getline(lines, point);) {
    if (point.starts_with("workflow.") || point.starts_with("run.cancelled"))
      continue; // tests/system/crash_test.cpp has them: no worker takes part
    CAPTURE(point);
    auto stem = "pace-0.0" + std::to_string(10 + number++);
    f.node.stop();
    f.cluster.start_coordinator({"--fail-point", point});

    f.put("in/" + stem + ".mp4");
    CHECK(eventually([&] { return !f.node.is_running() || has_ended(f, stem); }));
    if (!f.node.is_running()) {
      ++deaths;
      f.cluster.start_coordinator();
    }
    auto ended = f.finish("in/" + stem + ".mp4");

    CHECK_MESSAGE(state_of(ended) == "succeeded", ended["Run"]["Failure"].dump());
    CHECK(times_of(f.media + "/out/" + stem + "_transcode_0.mp4") == expected);
    check_done_once(ended);
  }
  CHECK(deaths >= 12);
  check_quiet(f);
}
