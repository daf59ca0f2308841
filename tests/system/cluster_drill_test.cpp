#include "tests/system/cluster_fixture.hpp"

#include <doctest/doctest.h>

// What `framemill fault drill` plays on a live cluster, as an operator does, and
// what it says of it.

using namespace framemill;
using namespace framemill::test;

namespace {

struct drill {
  const char* name;
  json faults;
  bool comes_to_pass = true; ///< false: a worker need not read its wall clock meanwhile
};

/// Within the first second, for so many.
json fault(const std::string& node, const std::string& point, const std::string& action,
           double lasts) {
  return {{"Node", node}, {"Point", point}, {"Action", action},
          {"From", 0},    {"To", 1},        {"For", lasts}};
}

json scenario(const cluster_fixture& f, const std::string& source, const drill& d) {
  return {{"Name", d.name},
          {"Workload",
           {{"Bucket", "media"},
            {"Workflow", "w"},
            {"Objects", {"in/pace-0.2-{seed}a.mp4", "in/pace-0.2-{seed}b.mp4"}},
            {"Directory", f.media},
            {"DropFile", source},
            {"Within", 1}}},
          {"Faults", d.faults},
          {"Quiesce", 120}};
}

/// Plays it; every invariant has to hold, and every one has to be looked at, but that
/// nobody is told of these runs.
void check_held(const cluster_fixture& f, const drill& d, int seed) {
  CAPTURE(d.name);
  const auto file = f.dir / "scenario.json";
  write_file(file, scenario(f, make_clip({.seconds = 16, .width = 160, .height = 90}), d).dump());

  auto played = f.command({"fault", "drill", "--scenario", file, "--seed", std::to_string(seed)});

  CHECK_MESSAGE(played.exit_code == 0, played.output << played.complaint);
  const auto verdicts = played.last().value("Verdicts", json::array());
  CHECK(verdicts.size() == 11);
  for (const auto& v : verdicts) {
    const bool may_be_open = v["Details"] == json::array({"nobody was to be told"})
                             || (v["Invariant"] == "every fault came to pass" && !d.comes_to_pass);
    CHECK_MESSAGE((v["Finding"] == "holds" || (v["Finding"] == "not checked" && may_be_open)),
                  v.dump(1) << played.last()["Diary"].dump(1));
  }
}

} // namespace

TEST_CASE("cluster drill: frames and clocks that are wrong leave every invariant whole") {
  const std::string coordinator = "under-test";
  const drill drills[] = {
      {"every frame of two nodes comes twice, both ways",
       json::array({fault("w1", "link.send:2-", "duplicate", 5),
                    fault("w1", "link.receive:1-", "duplicate", 5),
                    fault("w2", "link.send:2-", "duplicate", 5),
                    fault("w2", "link.receive:1-", "duplicate", 5)})},
      {"frames of all nodes overtake each other, one way or the other",
       json::array({fault("w1", "link.send:2-", "reorder", 5),
                    fault("w2", "link.send:2-", "reorder", 5),
                    fault("w3", "link.receive:1-", "reorder", 5),
                    fault("w4", "link.receive:1-", "reorder", 5)})},
      {"a worker's clock is hours ahead, another's behind, and both are set right",
       json::array({fault("w1", "clock.now:1-", "skew=7200000", 3),
                    fault("w2", "clock.now:1-", "skew=-7200000", 3)}),
       false},
      {"the coordinator's clock is set ahead, and back",
       json::array({fault(coordinator, "clock.now:1-", "skew=40000", 3)})},
      {"the coordinator's clock is behind, and set right",
       json::array({fault(coordinator, "clock.now:1-", "skew=-40000", 3)})},
  };
  cluster_fixture f{4, cluster_links::cables, "allow_faults = true\n"};

  for (int seed = 1; const auto& d : drills)
    check_held(f, d, seed++);
  for (const auto& w : f.cluster.workers())
    CHECK(f.cluster.presence(w->name) == "up");
}
