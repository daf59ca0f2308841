#include "tests/system/fixture.hpp"

#include <doctest/doctest.h>

#include <signal.h>

#include <filesystem>
#include <random>
#include <sstream>

// framemilld dies by SIGKILL and is started again: nothing is lost, nothing is
// done twice, and what comes out is what comes out of an undisturbed run.

using namespace framemill;
using namespace framemill::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

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
    if (!name.starts_with("outbox.") && !name.starts_with("delivery.")) // notify_test.cpp
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
  CHECK(eventually([&] { return f.node.orphans().empty(); }));
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

int broken_attempts(const json& run) {
  int n = 0;
  for (const auto& shard : run["Shards"])
    for (const auto& attempt : shard["Attempts"])
      n += attempt["Failure"].is_object();
  return n;
}

/// Dies at a point of a run of everything, and lies there.
void die_at(node_fixture& f, const std::string& point) {
  f.node.start({"--allow-faults", "--fail-point", point});
  (void)f.add_workflow(workflow("w", quick_everything()));
  f.drop(make_long_clip(), "in/long.mp4");
  expect_death(f);
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
  CHECK_MESSAGE(broken_attempts(run) >= 3, "the kills came when nothing ran");
  check_one_success(f);
}

TEST_CASE("crash: a finished shard is not done again after a restart") {
  node_fixture f{{}, node_fixture::begin::stopped};
  die_at(f, "shard.done.written:3");
  f.node.start();

  auto run = f.finish("in/long.mp4");

  CHECK(state_of(run) == "succeeded");
  int done_at_once = 0;
  for (const auto& shard : run["Shards"])
    done_at_once += shard["Attempts"].size() == 1 && shard["Attempts"][0]["Failure"].is_null();
  CHECK(done_at_once >= 3);
}

TEST_CASE("crash: intermediate results that are lost or damaged meanwhile are made again") {
  const auto& reference = quick_reference();
  SUBCASE("lost") {
    node_fixture f{{}, node_fixture::begin::stopped};
    die_at(f, "shard.done.written:4");
    for (const auto& path : artifacts(f.node))
      fs::remove(path);
    f.node.start();

    CHECK(state_of(f.finish("in/long.mp4")) == "succeeded");
    CHECK(f.content("out/") == reference.files);
    check_one_success(f);
  }
  SUBCASE("damaged before they are joined") {
    node_fixture f{{}, node_fixture::begin::stopped};
    die_at(f, "shard.done.written:4");
    CHECK(damage_artifacts(f.node) > 0);
    f.node.start();

    CHECK(state_of(f.finish("in/long.mp4")) == "succeeded");
    CHECK(f.content("out/") == reference.files);
    check_one_success(f);
  }
  SUBCASE("damaged before they are published") {
    node_fixture f{{}, node_fixture::begin::stopped};
    die_at(f, "job.publishing.written:3");
    CHECK(damage_artifacts(f.node) > 0);
    f.node.start();

    CHECK(state_of(f.finish("in/long.mp4")) == "succeeded");
    CHECK(f.content("out/") == reference.files);
    check_one_success(f);
  }
}

TEST_CASE(
    "crash: a source that is deleted while the daemon is down fails its run, with a sentence") {
  node_fixture f{{}, node_fixture::begin::stopped};
  die_at(f, "shard.done.written:2");
  fs::remove(f.media + "/in/long.mp4");
  f.node.start();

  auto run = f.finish_run(1);

  CHECK(state_of(run) == "failed");
  CHECK_MESSAGE(failure_code(run).starts_with("input_"), failure_code(run));
  CHECK(failure_message(run).find("long.mp4") != std::string::npos);
  check_quiet(f);
}

TEST_CASE("crash: dying as an overwrite is booked leaves one run for each content") {
  node_fixture f{{}, node_fixture::begin::stopped};
  f.node.start({"--allow-faults", "--fail-point", "ingest.booked:2"});
  (void)f.add_workflow(workflow("w", slow_mp4()));
  f.drop(make_long_clip(), "in/a.mp4");
  REQUIRE(eventually([&] { return !f.node.children().empty(); }));

  f.drop(make_clip({.seconds = 2}), "in/new.part");
  fs::rename(f.media + "/in/new.part", f.media + "/in/a.mp4");
  expect_death(f);
  f.node.start();
  auto newer = f.finish("in/a.mp4");
  auto older = f.finish_run(1);

  CHECK(state_of(newer) == "succeeded");
  CHECK(state_of(older) == "cancelled");
  CHECK(f.runs().size() == 2);
  CHECK(probe(f.media + "/out/a_transcode_0.mp4")["streams"][0]["nb_read_frames"] == "50");
  check_quiet(f);
}

TEST_CASE("crash: dying amid a flood of files books each of them once") {
  constexpr int files = 2'000;
  node_fixture f{{}, node_fixture::begin::stopped};
  f.node.start({"--allow-faults", "--fail-point", "ingest.booked:2"});

  for (int i = 0; i < files; ++i)
    write_file(f.media + "/in/" + std::to_string(i) + ".mp4", std::to_string(i));
  expect_death(f);
  f.node.start();

  CHECK(eventually([&] { return f.audit().value("Ignored", 0) == files; }, 60s, 200ms));
  check_quiet(f);
}

TEST_CASE("crash: who watches a run sees its end, although the daemon died in between") {
  node_fixture f;
  (void)f.add_workflow(workflow("w", slow_mp4()));
  f.drop(make_long_clip(), "in/long.mp4");
  REQUIRE(eventually([&] { return !f.node.children().empty(); }));
  auto watching = process{f.command.command({"run", "watch", "media:in/long.mp4"})};
  REQUIRE(eventually([&] { return !watching.output().empty(); }));

  f.node.kill9();
  f.node.start();

  auto end = watching.wait(60s);
  REQUIRE(end.has_value());
  CHECK(end->exit_code == 0);
  check_one_success(f);
}
