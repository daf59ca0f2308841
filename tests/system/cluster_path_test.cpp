#include "tests/system/cluster_fixture.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <set>

// One source is encoded by many nodes at once; nodes come and go as an operator
// wants.

using namespace framemill;
using namespace framemill::test;
using namespace std::chrono_literals;

namespace {

std::size_t started_on(const json& run, const std::string& node) {
  std::size_t n = 0;
  for (const auto& a : attempts_of(run))
    n += a.node == node;
  return n;
}

void set_mode(const cluster_fixture& f, const std::string& verb, const std::string& node) {
  (void)f.ask({"node", verb, node});
}

} // namespace

TEST_CASE("cluster: one source is encoded by several nodes, as by one") {
  cluster_fixture f;

  (void)f.begin(paced_key, 48, 4);
  auto run = check_undisturbed(f, paced_key, 48);

  CHECK(decoding_nodes(run).size() == 4);
  CHECK(failures_of(run) == 0);
  CHECK(f.runs().size() == 1);
  check_quiet(f);
}

TEST_CASE("cluster: a node that joins under load gets its share") {
  cluster_fixture f{2};
  const std::string next_key = "in/pace-0.2b.mp4";
  const std::uint64_t runs[] = {f.begin(paced_key, 48, 2), f.begin(next_key, 48, 0)};

  f.cluster.start(f.cluster.add("late"));
  CHECK(eventually([&] {
    for (auto run : runs)
      for (const auto& h : f.holders(run))
        if (h.node == "late")
          return true;
    return false;
  }));
  CHECK(state_of(f.finish(next_key)) == "succeeded");
  auto ended = f.finish(paced_key);

  CHECK_MESSAGE(state_of(ended) == "succeeded", ended["Run"]["Failure"].dump());
  CHECK(failures_of(ended) == 0);
  CHECK(stream_of(probe(f.media + "/out/pace-0.2_transcode_0.mp4"), "video")["nb_read_frames"]
        == "1200");
  check_quiet(f);
}

TEST_CASE(
    "cluster: a drained node ends its shard and gets no other, until it is wanted again") {
  cluster_fixture f{2};
  auto run = f.begin(paced_key, 48, 2);

  set_mode(f, "drain", "w1");
  auto drained = now();
  CHECK(eventually([&] { return f.cluster.node("w1").value("Drained", false); }));
  auto took = now() - drained;
  auto of_w1 = started_on(f.described(run), "w1");
  auto ended = f.finish(paced_key);

  CHECK_MESSAGE(state_of(ended) == "succeeded", ended["Run"]["Failure"].dump());
  CHECK_MESSAGE(took < 8s,
                "one shard takes about 2 s; drained after " << took.count() << " us");
  CHECK(failures_of(ended) == 0);
  CHECK(started_on(ended, "w1") == of_w1);
  set_mode(f, "uncordon", "w1");
  (void)f.begin("in/pace-0.2b.mp4", 48, 2);
  CHECK(decoding_nodes(f.finish("in/pace-0.2b.mp4")).contains("w1"));
  check_quiet(f);
}

TEST_CASE("cluster: a cordoned node gets nothing, nor does a paused one") {
  cluster_fixture f{2};
  std::string verb = "cordon", mode = "cordoned", undo = "uncordon";
  SUBCASE("cordoned") {}
  SUBCASE("paused") {
    verb = "pause", mode = "paused", undo = "resume";
  }
  set_mode(f, verb, "w2");

  f.put(quick_key);
  auto run = f.finish(quick_key);

  CHECK_MESSAGE(state_of(run) == "succeeded", run["Run"]["Failure"].dump());
  CHECK(started_on(run, "w2") == 0);
  CHECK(f.cluster.node("w2").value("Mode", "") == mode);
  set_mode(f, undo, "w2");
  CHECK(f.cluster.node("w2").value("Mode", "") == "active");
  check_quiet(f);
}

TEST_CASE("cluster: a node that is removed is refused at once, and its shard goes elsewhere") {
  cluster_fixture f;
  auto run = f.begin(paced_key);
  auto victim = f.await_holder(run);

  auto removed = now();
  set_mode(f, "remove", victim.node);
  auto ended = check_undisturbed(f, paced_key);

  CHECK(moved_after(ended, victim, removed).has_value());
  CHECK(f.cluster.presence(victim.node).empty());
  auto& worker = f.cluster.worker(victim.node);
  worker.kill9();
  f.cluster.start(worker);
  CHECK(eventually([&] {
    return worker.daemon.log().find("refuses this node's key") != std::string::npos;
  }));
  CHECK(f.cluster.presence(victim.node).empty());

  worker.kill9();
  worker.daemon.start(f.cluster.join_arguments(worker, f.cluster.join_token()));
  f.cluster.await_up(victim.node);
  check_quiet(f);
}

TEST_CASE("cluster: a restored coordinator takes nothing of the time that was lost") {
  cluster_fixture f{2};
  const auto backup = f.dir / "backup";
  (void)f.begin("in/pace-0.2.mp4", 24, 1);
  (void)f.ask({"backup", backup});
  auto before = f.finish("in/pace-0.2.mp4");
  f.put("in/pace-0.02.mp4"); // of the lost time, with its run
  auto lost = f.finish("in/pace-0.02.mp4");
  REQUIRE(state_of(lost) == "succeeded");
  (void)f.begin("in/pace-0.3.mp4", 24, 2); // and what the workers are at

  f.node.stop();
  std::filesystem::rename(f.node.data_dir(), f.dir / "lost");
  auto restored = f.command({"restore", backup});
  REQUIRE_MESSAGE(restored.exit_code == 0, restored.complaint);
  f.cluster.start_coordinator();

  auto again = f.finish("in/pace-0.2.mp4"); // was under way in the backup
  CHECK_MESSAGE(state_of(again) == "succeeded", again["Run"]["Failure"].dump());
  CHECK(again["Run"]["Id"] == before["Run"]["Id"]);
  for (const auto* key : {"in/pace-0.02.mp4", "in/pace-0.3.mp4"}) { // found by the watcher
    auto anew = f.finish(key);
    CHECK_MESSAGE(state_of(anew) == "succeeded", anew["Run"]["Failure"].dump());
    CHECK(anew["Run"]["Id"].get<std::uint64_t>() > lost["Run"]["Id"].get<std::uint64_t>() + 1000);
  }
  for (auto& w : f.cluster.workers())
    CHECK(w->daemon.log().find("goes on from a backup") != std::string::npos);
  CHECK(f.content("out/").size() == 3);
  check_quiet(f);
}

TEST_CASE("cluster: a worker that is named like the coordinator is refused") {
  cluster_fixture f{1};
  auto own = f.cluster.call("DescribeCluster")["Cluster"].value("Coordinator", "");
  REQUIRE_FALSE(own.empty());

  auto& twin = f.cluster.add(own);
  auto end = twin.daemon.start_refused(f.cluster.join_arguments(twin, f.cluster.join_token()));

  CHECK(end.exit_code > 0);
  CHECK(twin.daemon.log().find("coordinator's own machine") != std::string::npos);
  auto cordoned = f.command({"node", "cordon", own});
  CHECK(cordoned.exit_code != 0);
  CHECK(cordoned.complaint.find("coordinator's own machine") != std::string::npos);
}

TEST_CASE("cluster: the coordinator's own machine works, and does what its operator says") {
  cluster_fixture f{1};
  auto start_working = [&] {
    f.cluster.start_coordinator({"--slots", "2"}, "coordinator,gateway,worker");
  };
  f.node.stop();
  start_working();
  f.cluster.await_up("w1");
  const std::string own = f.cluster.call("DescribeCluster")["Cluster"]["Coordinator"];
  REQUIRE(f.cluster.node(own).value("Presence", "") == "up");

  set_mode(f, "cordon", own);
  f.node.kill9();
  start_working();
  f.put(quick_key);
  auto elsewhere = f.finish(quick_key);
  CHECK_MESSAGE(state_of(elsewhere) == "succeeded", elsewhere["Run"]["Failure"].dump());
  CHECK(started_on(elsewhere, own) == 0);

  set_mode(f, "uncordon", own);
  auto run = f.begin(paced_key, 24, 3);
  CHECK(started_on(f.described(run), own) > 0);
  auto drained = f.command({"node", "drain", own, "--deadline", "0s"});
  CHECK_MESSAGE(drained.exit_code == 0, drained.complaint);
  CHECK(eventually([&] { return f.cluster.node(own).value("Drained", false); }));
  const auto of_own = started_on(f.described(run), own);
  auto ended = f.finish(paced_key);
  CHECK_MESSAGE(state_of(ended) == "succeeded", ended["Run"]["Failure"].dump());
  CHECK(started_on(ended, own) == of_own);
  std::multiset<std::string> broken;
  for (const auto& a : attempts_of(ended))
    if (a.node == own && !a.failure.empty())
      broken.insert(a.failure);
  CHECK(broken.count("lease_lost") > 0);
  CHECK(broken.count("lease_lost") == broken.size());

  auto removed = f.command({"node", "remove", own});
  CHECK(removed.exit_code != 0);
  CHECK(removed.complaint.find("coordinator's own machine") != std::string::npos);
  check_quiet(f);
}

TEST_CASE("cluster: a stranger stays outside, whatever token it shows") {
  cluster_fixture f{1};
  auto used_up = f.cluster.join_token(1);
  auto& first = f.cluster.add("first");
  first.daemon.start(f.cluster.join_arguments(first, used_up));
  f.cluster.await_up("first");

  auto guessed = used_up;
  auto& secret = guessed[guessed.find('.', 5) + 1];
  secret = secret == 'a' ? 'b' : 'a';
  for (const auto& [name, token] :
       {std::pair{"late", used_up}, std::pair{"guesser", guessed}}) {
    CAPTURE(name);
    auto& w = f.cluster.add(name);
    auto end = w.daemon.start_refused(f.cluster.join_arguments(w, token));
    CHECK(end.exit_code > 0);
    CHECK(w.daemon.log().find("token") != std::string::npos);
    CHECK(w.daemon.log().find(token) == std::string::npos);
    CHECK(f.cluster.presence(name).empty());
  }
  CHECK(f.cluster.nodes().size() == 2);
}

TEST_CASE("cluster: a source that brings two nodes' children down is quarantined") {
  cluster_fixture f;

  f.put("in/poison.mp4");
  auto run = f.finish("in/poison.mp4");
  f.put(quick_key);
  auto healthy = check_undisturbed(f, quick_key);

  CHECK(state_of(run) == "failed");
  CHECK(failure_code(run) == "input_quarantined");
  CHECK(decoding_nodes(run).size() >= 2);
  std::map<std::uint32_t, std::size_t> tries;
  for (const auto& a : attempts_of(run))
    ++tries[a.shard];
  for (const auto& [shard, n] : tries)
    CHECK_MESSAGE(n <= 2, "shard " << shard << " was tried on");
  CHECK(state_of(healthy) == "succeeded");
  for (const auto& n : f.cluster.nodes())
    CHECK(n.value("Mode", "") == "active");
  auto released = f.command({"run", "release", std::to_string(run["Run"]["Id"].get<int>())});
  CHECK_MESSAGE(released.exit_code == 0, released.complaint);
  CHECK(state_of(f.finish("in/poison.mp4")) == "failed");
  CHECK(f.runs().size() == 3);
  check_quiet(f);
}
