#include "tests/system/fixture.hpp"

#include <doctest/doctest.h>

#include <signal.h>

#include <set>

using namespace framemill;
using namespace framemill::test;
using namespace std::chrono_literals;

namespace {

/// Codes of all failed attempts of a run.
std::multiset<std::string> attempt_failures(const json& run) {
  std::multiset<std::string> out;
  for (const auto& shard : run["Shards"])
    for (const auto& attempt : shard["Attempts"])
      if (attempt["Failure"].is_object())
        out.insert(attempt["Failure"]["Code"]);
  return out;
}

std::map<std::string, std::string> undisturbed_outputs() {
  node_fixture f;
  (void)f.add_workflow(workflow("w", slow_mp4()));
  f.drop(make_long_clip(), "in/long.mp4");
  REQUIRE(state_of(f.finish("in/long.mp4")) == "succeeded");
  return f.content("out/");
}

/// A run of the long clip whose shards are being worked on.
void begin_sharded_run(const node_fixture& f) {
  (void)f.add_workflow(workflow("w", slow_mp4()));
  f.drop(make_long_clip(), "in/long.mp4");
  REQUIRE(eventually([&] { return f.node.children().size() == 2; }));
}

} // namespace

TEST_CASE("child: one that is killed is tried again and gives the same bytes") {
  auto reference = undisturbed_outputs();
  node_fixture f;
  begin_sharded_run(f);

  for (int round = 0; round < 2; ++round) {
    auto victims = f.node.children();
    for (auto child : victims)
      ::kill(child, SIGKILL);
    CHECK(eventually([&] {
      auto now = f.node.children();
      return !now.empty() && now != victims;
    }));
  }
  auto run = f.finish("in/long.mp4");

  CHECK_MESSAGE(state_of(run) == "succeeded", run["Run"]["Failure"].dump());
  CHECK(attempt_failures(run).count("worker_killed") >= 2);
  CHECK(f.content("out/") == reference);
  check_one_success(f);
}

TEST_CASE("child: one that hangs is killed and its shard is tried again") {
  node_fixture f{{.config = "stall_seconds = 2"}};
  begin_sharded_run(f);

  auto victim = f.node.children().front();
  ::kill(victim, SIGSTOP);
  auto run = f.finish("in/long.mp4");

  CHECK_MESSAGE(state_of(run) == "succeeded", run["Run"]["Failure"].dump());
  CHECK(attempt_failures(run).count("worker_hung") == 1);
  check_one_success(f);
}

TEST_CASE(
    "child: one that crashes every time fails the run, with its log and how to repeat it") {
  node_fixture f;
  begin_sharded_run(f);
  auto watching = process{f.command.command({"run", "watch", "media:in/long.mp4"})};

  CHECK(eventually(
      [&] {
        for (auto child : f.node.children())
          ::kill(child, SIGSEGV);
        return !watching.is_running();
      },
      60s));
  auto run = f.show(f.runs()[0]["Id"]);

  CHECK(state_of(run) == "failed");
  CHECK(failure_code(run) == "worker_crashed");
  CHECK(failure_message(run).find("signal") != std::string::npos);
  CHECK_FALSE(run["Reproduce"].empty());
  CHECK(f.content("out/").empty());
  check_quiet(f);
  auto page = f.command.plain({"run", "show", "media:in/long.mp4"}).output;
  for (auto part : {"worker_crashed", "under-test", "--reproduce"})
    CHECK_MESSAGE(page.find(part) != std::string::npos, std::string{part} << " is not in:\n"
                                                                          << page);
}

TEST_CASE("child: none survives an orderly stop of the daemon, and the run goes on after it") {
  node_fixture f;
  begin_sharded_run(f);

  f.node.stop();
  CHECK(f.node.orphans().empty());
  f.node.start();

  CHECK(state_of(f.finish("in/long.mp4")) == "succeeded");
  check_one_success(f);
}

TEST_CASE("child: it sees neither the network nor the host's files") {
  node_fixture f;
  auto sandbox = f.ask({"node", "show"})["Node"]["Sandbox"].get<std::string>();
  if (sandbox.find("bubblewrap (") == std::string::npos) {
    MESSAGE("skipped: " << sandbox);
    return;
  }
  begin_sharded_run(f);
  auto child = std::to_string(f.node.children().front());

  auto links = run({"ls", "/proc/" + child + "/root/"}).output;
  auto network = run({"cat", "/proc/" + child + "/net/dev"}).output;

  CHECK(links.find("home") == std::string::npos);
  CHECK(links.find("root") == std::string::npos);
  CHECK(network.find("eth") == std::string::npos);
  for (std::string right : {"CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"}) {
    CAPTURE(right);
    CHECK(eventually(
        [&] { // it gives up its rights first of all, but after it began
          return file_content("/proc/" + child + "/status").find(right) != std::string::npos;
        },
        2s));
  }
}
