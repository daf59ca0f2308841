#include "tests/system/fixture.hpp"

#include <doctest/doctest.h>

#include <signal.h>

#include <random>
#include <sstream>

// framemilld dies by SIGKILL and is started again: nothing is lost, nothing is
// done twice, and what comes out is what comes out of an undisturbed run.

using namespace framemill;
using namespace framemill::test;
using namespace std::chrono_literals;

namespace {

using outputs = std::map<std::string, std::string>;

/// What a workflow makes of the long clip when nobody disturbs it.
struct undisturbed {
  outputs files;
  std::chrono::milliseconds duration{};
};

undisturbed measure(const json& tasks) {
  node_fixture f;
  (void)f.add_workflow(workflow("w", tasks));
  auto begin = std::chrono::steady_clock::now();
  f.drop(make_long_clip(), "in/long.mp4");
  auto run = f.finish("in/long.mp4");
  REQUIRE_MESSAGE(state_of(run) == "succeeded", run["Run"]["Failure"].dump());
  auto took = std::chrono::steady_clock::now() - begin;
  return {f.content("out/"), std::chrono::duration_cast<std::chrono::milliseconds>(took)};
}

const undisturbed& quick_reference() {
  static const undisturbed reference = measure(quick_everything());
  return reference;
}

/// Every named point at its first pass, and some at a later one.
std::vector<std::string> points() {
  std::istringstream names{run({program("framemilld"), "--list-fail-points"}).output};
  std::vector<std::string> out;
  for (std::string name; std::getline(names, name);)
    out.push_back(name);
  out.insert(out.end(), {"before.commit:4", "before.commit:9", "shard.leased.written:3",
                         "shard.done.written:2", "shard.done.written:4",
                         "job.publishing.written:2", "publish.staged:3", "publish.renamed:2",
                         "publish.renamed:5", "job.done.written:3"});
  return out;
}

void expect_death(node_fixture& f) {
  auto end = f.node.wait_for_end();
  CHECK(end.signal == SIGKILL);
  CHECK(eventually([&] { return f.node.orphans().empty(); }, 5s));
}

/// The workflow is there or it is not; what is missing is done now.
void set_up_again(const node_fixture& f) {
  auto all = f.ask({"workflow", "list"})["WorkflowInfoSet"];
  REQUIRE(all.size() <= 1);
  if (all.empty())
    (void)f.add_workflow(workflow("w", quick_everything()));
  else if (all[0]["Status"] != "Enabled")
    (void)f.ask({"workflow", "enable", std::to_string(all[0]["WorkflowId"].get<int>())});
}

void die_while_setting_up(node_fixture& f) {
  auto specification = workflow("w", quick_everything()).dump();
  auto created = f.command({"workflow", "create", "--file", "-"}, specification);
  if (created.exit_code == 0)
    (void)f.command({"workflow", "enable",
                     std::to_string(created.last()["WorkflowId"].get<std::uint64_t>())});
  expect_death(f);
  f.node.start();
  set_up_again(f);
  f.drop(make_long_clip(), "in/long.mp4");
}

void die_while_running(node_fixture& f, const std::string& point) {
  (void)f.add_workflow(workflow("w", quick_everything()));
  f.drop(make_long_clip(), "in/long.mp4");
  if (point.starts_with("shard.retry") || point.starts_with("run.cancelled"))
    REQUIRE(eventually([&] { return !f.node.children().empty(); }));
  if (point.starts_with("shard.retry"))
    for (auto child : f.node.children())
      ::kill(child, SIGKILL);
  if (point.starts_with("run.cancelled"))
    (void)f.command({"run", "cancel", "media:in/long.mp4"}); // its answer dies with the daemon
  expect_death(f);
  f.node.start();
}

} // namespace

TEST_CASE("crash: whatever durable step framemilld dies at, the run ends as if it had not") {
  const auto& reference = quick_reference();
  for (const auto& point : points())
    SUBCASE(point.c_str()) {
      node_fixture f{{}, node_fixture::begin::stopped};
      f.node.start({"--allow-faults", "--fail-point", point});

      if (point.starts_with("workflow."))
        die_while_setting_up(f);
      else
        die_while_running(f, point);
      auto run = f.finish("in/long.mp4");

      if (point.starts_with("run.cancelled")) {
        CHECK(state_of(run) == "cancelled");
        CHECK(f.runs().size() == 1);
        check_quiet(f);
      } else {
        CHECK_MESSAGE(state_of(run) == "succeeded", run["Run"]["Failure"].dump());
        CHECK(f.content("out/") == reference.files);
        check_one_success(f);
      }
    }
}

TEST_CASE("crash: ten kills at any moment of a sharded run change nothing of its outputs") {
  constexpr unsigned seed = 20261122;
  std::mt19937 random{seed};
  MESSAGE("seed " << seed);
  auto reference = measure(slow_mp4());
  node_fixture f;
  (void)f.add_workflow(workflow("w", slow_mp4()));
  f.drop(make_long_clip(), "in/long.mp4");

  std::uniform_int_distribution<std::int64_t> moment{20, reference.duration.count() / 2};
  for (int i = 0; i < 10; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds{moment(random)}); // the fault's time
    f.node.kill9();
    f.node.start();
  }
  auto run = f.finish("in/long.mp4");

  CHECK_MESSAGE(state_of(run) == "succeeded", run["Run"]["Failure"].dump());
  CHECK(f.content("out/") == reference.files);
  check_one_success(f);
}

TEST_CASE("crash: a finished shard is not done again after a restart") {
  node_fixture f{{}, node_fixture::begin::stopped};
  f.node.start({"--allow-faults", "--fail-point", "shard.done.written:3"});
  (void)f.add_workflow(workflow("w", quick_everything()));
  f.drop(make_long_clip(), "in/long.mp4");
  expect_death(f);
  f.node.start();

  auto run = f.finish("in/long.mp4");

  CHECK(state_of(run) == "succeeded");
  int done_at_once = 0;
  for (const auto& shard : run["Shards"])
    done_at_once += shard["Attempts"].size() == 1 && shard["Attempts"][0]["Failure"].is_null();
  CHECK(done_at_once >= 3);
}
