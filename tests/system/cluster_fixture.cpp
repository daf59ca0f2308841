#include "tests/system/cluster_fixture.hpp"

#include "storage/artifact_store.hpp"
#include "tools/framemill/fault_verdict.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

namespace framemill::test {

using namespace std::chrono_literals;

namespace {

const std::string paced = "media_program = \"" + program("paced_media") + "\"\n";

/// "" when there is no such file.
std::string md5_of_file(const std::string& path) {
  std::ifstream in{path, std::ios::binary};
  std::stringstream bytes;
  bytes << in.rdbuf();
  return in ? md5_of(bytes.str()) : std::string{};
}

/// Of all that ran here, what a drill would ask for.
framemill::cli::drill_facts facts_of(const cluster_fixture& f) {
  framemill::cli::drill_facts out;
  out.audits["media"] = f.audit();
  for (const auto& r : f.runs()) {
    const auto id = r["Id"].get<std::uint64_t>();
    const auto told = f.described(id);
    for (const auto& job : told.value("Jobs", json::array()))
      for (const auto& o : job["Outputs"])
        if (const std::string key = o["Object"]["Key"]; o["Object"]["Bucket"] == "media")
          out.published["media/" + key] = md5_of_file(f.media + "/" + key);
    out.disturbed.push_back({r["Key"].get<std::string>(), told, json(f.events(id))});
  }
  return out;
}

/// Those of docs/faults.md; outputs are compared elsewhere.
void check_invariants(const cluster_fixture& f) {
  namespace verdicts = framemill::cli;
  for (const auto& v : verdicts::judge(facts_of(f)))
    CHECK_MESSAGE(v.found != verdicts::finding::broken,
                  v.invariant << ": " << json(v.details).dump(1));
}

std::string source_of(int seconds) {
  return make_clip({.seconds = static_cast<double>(seconds), .width = 160, .height = 90});
}

} // namespace

cluster_fixture::cluster_fixture(int workers, cluster_links links,
                                 const std::string& worker_config)
    : node_fixture({.config = paced}, node_fixture::begin::stopped),
      cluster(node,
              {.directory = dir / "workers", .config = paced + worker_config, .links = links}) {
  cluster.start_coordinator();
  (void)add_workflow(workflow("w", quick_mp4()));
  cluster.grow_to(workers);
}

void cluster_fixture::put(const std::string& key, int seconds) const {
  drop(source_of(seconds), key);
}

std::uint64_t cluster_fixture::begin(const std::string& key, int seconds, int leased) {
  put(key, seconds);
  std::uint64_t run = 0;
  REQUIRE(eventually([&] {
    auto answer = cluster.call("DescribeRuns", {{"Bucket", "media"}, {"KeyPrefix", key}});
    auto found = answer.value("Runs", json::array());
    run = found.empty() ? 0 : found[0]["Id"].get<std::uint64_t>();
    return run != 0;
  }));
  auto at_work = [&] {
    const auto shards = described(run).value("Shards", json::array());
    return std::count_if(shards.begin(), shards.end(),
                         [](const json& s) { return s["State"] == "leased"; });
  };
  REQUIRE_MESSAGE(eventually([&] { return at_work() >= leased; }), described(run).dump(1));
  return run;
}

std::vector<cluster_fixture::holder> cluster_fixture::holders(std::uint64_t run) const {
  std::vector<holder> out;
  for (const auto& shard : described(run).value("Shards", json::array()))
    if (shard["Role"] == "decode" && shard["State"] == "leased")
      out.push_back({shard["Attempts"].back()["Node"], shard["Id"]["Index"]});
  return out;
}

cluster_fixture::holder cluster_fixture::await_holder(std::uint64_t run) const {
  std::vector<holder> found;
  REQUIRE(eventually([&] { return !(found = holders(run)).empty(); }));
  return found.front();
}

json cluster_fixture::described(std::uint64_t run) const {
  return cluster.call("DescribeRun", {{"RunId", run}});
}

const std::map<std::string, std::string>& undisturbed(const std::string& key, int seconds) {
  static std::map<std::string, std::map<std::string, std::string>> known;
  auto& files = known[key + " " + std::to_string(seconds)];
  if (files.empty()) {
    node_fixture f{{}, node_fixture::begin::stopped};
    f.node.start({"--slots", "4"});
    (void)f.add_workflow(workflow("w", quick_mp4()));
    f.drop(source_of(seconds), key);
    auto run = f.finish(key);
    REQUIRE_MESSAGE(state_of(run) == "succeeded", run["Run"]["Failure"].dump());
    files = f.content("out/");
  }
  return files;
}

std::vector<attempt> attempts_of(const json& run) {
  std::vector<attempt> out;
  for (const auto& shard : run["Shards"])
    for (const auto& a : shard["Attempts"]) {
      auto started = from_iso8601(a["Started"].get<std::string>());
      REQUIRE(started.has_value());
      out.push_back({shard["Id"]["Index"], shard["Role"], a["Node"], a["Epoch"], *started,
                     a["Failure"].is_object() ? a["Failure"].value("Code", "?") : "",
                     a.value("Hedge", false)});
    }
  return out;
}

std::size_t failures_of(const json& run) {
  auto all = attempts_of(run);
  return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [](const auto& a) {
    return !a.failure.empty() && a.failure != "cancelled";
  }));
}

std::set<std::string> decoding_nodes(const json& run) {
  std::set<std::string> out;
  for (const auto& a : attempts_of(run))
    if (a.role == "decode")
      out.insert(a.node);
  return out;
}

std::optional<microseconds> moved_after(const json& run, const cluster_fixture::holder& victim,
                                        timestamp fault) {
  for (const auto& a : attempts_of(run))
    if (a.shard == victim.shard && a.node != victim.node && a.started >= fault)
      return a.started - fault;
  return std::nullopt;
}

void check_moved(const json& run, const cluster_fixture::holder& victim, timestamp fault,
                 std::chrono::milliseconds limit) {
  auto took = moved_after(run, victim, fault);
  REQUIRE_MESSAGE(took.has_value(), run["Shards"][victim.shard].dump(1));
  MESSAGE("shard " << victim.shard << " of " << victim.node << " ran elsewhere after "
                   << took->count() / 1000 << " ms");
  CHECK(*took <= limit);
}

timestamp now() { return system_clock{}.now(); }

std::string times_of(const std::string& path) {
  std::istringstream lines{run({"ffprobe", "-v", "error", "-show_entries",
                                "packet=stream_index,pts", "-of", "csv=p=0", path})
                               .output};
  std::multiset<std::string> all;
  for (std::string line; std::getline(lines, line);)
    all.insert(line);
  std::string out;
  for (const auto& line : all)
    out += line + "\n";
  return out;
}

json check_undisturbed(const cluster_fixture& f, const std::string& key, int seconds) {
  const auto& reference = undisturbed(key, seconds);
  auto run = f.finish(key);
  CHECK_MESSAGE(state_of(run) == "succeeded", run["Run"]["Failure"].dump());
  std::map<std::string, std::string> made;
  for (const auto& [name, expected] : reference)
    if (auto path = f.media + "/" + name; std::filesystem::exists(path))
      made[name] = sha256_of_file(path);
  CHECK(made == reference);
  return run;
}

void check_quiet(cluster_fixture& f) {
  check_quiet(static_cast<const node_fixture&>(f));
  check_invariants(f);
  for (auto& w : f.cluster.workers()) {
    if (!w->daemon.is_running())
      continue;
    CAPTURE(w->name);
    CHECK(eventually([&] { return w->daemon.scratch().empty(); }, 5s));
    CHECK(eventually([&] { return w->daemon.children().empty(); }, 5s));
    CHECK(eventually([&] { return w->daemon.orphans().empty(); }, 5s));
  }
}

} // namespace framemill::test
