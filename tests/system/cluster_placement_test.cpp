#include "tests/system/cluster_fixture.hpp"

#include <doctest/doctest.h>

#include <algorithm>

// Which nodes a workflow's runs use, and how much of each: asked for by the
// workflow, offered by the nodes' own configuration.

using namespace framemill;
using namespace framemill::test;
using namespace std::chrono_literals;

namespace {

const std::string key = "picky/pace-0.02.mp4", slow_key = "picky/pace-0.2.mp4";

/// A second workflow, on `picky/`, with wishes.
void add_picky(const cluster_fixture& f, json scheduling) {
  auto spec = workflow("picky", quick_mp4());
  spec["Trigger"]["CosFileUploadTrigger"]["Dir"] = "/picky/";
  spec["Scheduling"] = std::move(scheduling);
  (void)f.add_workflow(spec);
}

/// A worker with more slots than one, and whatever else.
void start_wide(cluster_fixture& f, const std::string& slots, std::vector<std::string> more) {
  auto& w = f.cluster.add("wide");
  auto words = f.cluster.join_arguments(w, f.cluster.join_token());
  *(std::find(words.begin(), words.end(), "--slots") + 1) = slots;
  words.insert(words.end(), more.begin(), more.end());
  w.daemon.start(words);
  f.cluster.await_up("wide");
}

std::set<std::string> nodes_of(const json& run) {
  std::set<std::string> out;
  for (const auto& a : attempts_of(run))
    out.insert(a.node);
  return out;
}

/// What nodes say of the shards that wait: all sentences of all looks until the
/// run ends, and the most shards that were decoded at once.
struct watched {
  std::set<std::string> sentences;
  std::size_t at_once = 0;
};
watched watch(const cluster_fixture& f, std::uint64_t run) {
  watched out;
  REQUIRE(eventually([&] {
    out.at_once = std::max(out.at_once, f.holders(run).size());
    auto explained = f.cluster.call("ExplainRun", {{"RunId", run}});
    for (const auto& shard : explained["Explanation"].value("Shards", json::array()))
      for (const auto& verdict : shard["Nodes"])
        out.sentences.insert(verdict["Sentence"]);
    return f.described(run)["Run"]["State"] == "succeeded";
  }));
  return out;
}

} // namespace

TEST_CASE("cluster: a run that no node can take names each node's reason, and a label helps") {
  cluster_fixture f{2};
  add_picky(f, {{"RequiredLabels", {{"gpu", "yes"}}}});

  f.put(key);
  auto failed = f.finish(key);

  CHECK(state_of(failed) == "failed");
  CHECK(failure_code(failed) == "no_slot");
  auto why = failure_message(failed);
  for (const auto* part : {"w1: no label gpu=yes", "w2: no label gpu=yes"})
    CHECK_MESSAGE(why.find(part) != std::string::npos, why);
  CHECK(attempts_of(failed).empty());

  (void)f.ask({"node", "label", "w1", "gpu=yes"});
  auto run = f.ask({"run", "retry", failed["Run"]["Id"].dump()})["RunId"].get<std::uint64_t>();
  auto ended = f.finish_run(run);

  CHECK_MESSAGE(state_of(ended) == "succeeded", ended["Run"]["Failure"].dump());
  CHECK(nodes_of(ended) == std::set<std::string>{"w1"});
}

TEST_CASE("cluster: what no node has is told of devices, memory and scratch too") {
  std::string config, lacks;
  json wish = json::object();
  SUBCASE("device") {
    config = "[[device]]\nname = \"gpu1\"\n";
    wish["Device"] = "gpu0";
    lacks = "w1: no device gpu0";
  }
  SUBCASE("memory") {
    config = "memory_mib = 64\n";
    lacks = "MiB, it has 64 MiB";
  }
  SUBCASE("scratch") {
    config = "scratch_floor_mib = 1000000000\n"; // a PiB
    lacks = "w1: needs 1 MiB of scratch, it has 0 MiB";
  }
  cluster_fixture f{1, cluster_links::cables, config};
  add_picky(f, wish);

  f.put(key);
  auto failed = f.finish(key);

  CHECK(failure_code(failed) == "no_slot");
  CHECK_MESSAGE(failure_message(failed).find(lacks) != std::string::npos,
                failure_message(failed));
}

TEST_CASE("cluster: a node keeps no more cores busy than it offers, whatever its slots") {
  cluster_fixture f{0};
  start_wide(f, "4", {"--cores", "2"});

  auto run = f.begin(paced_key, 24, 2);
  auto seen = watch(f, run);

  CHECK(seen.at_once == 2);
  CHECK(seen.sentences.contains("needs 1 core, 0 free"));
  CHECK(f.cluster.node("wide")["Facts"]["Cores"] == 2);
}

TEST_CASE("cluster: sessions of a device are taken by who works on pictures, one by one") {
  cluster_fixture f{1};
  start_wide(f, "2", {"--device", "gpu0=1"});
  add_picky(f, {{"Device", "gpu0"}});

  auto run = f.begin(slow_key, 24, 1);
  auto seen = watch(f, run);

  CHECK(seen.at_once == 1);
  CHECK(seen.sentences.contains("all sessions of device gpu0 are in use"));
  CHECK(seen.sentences.contains("no device gpu0"));
  CHECK(nodes_of(f.described(run)) == std::set<std::string>{"wide"});
}
