#include "tests/system/fixture.hpp"

#include <doctest/doctest.h>

#include <signal.h>

using namespace framemill;
using namespace framemill::test;
using namespace std::chrono_literals;

namespace {

constexpr int exit_failed = 1, exit_usage = 2, exit_not_found = 3, exit_refused = 4,
              exit_unreachable = 5;

/// A run that works on something; its number.
std::uint64_t begin_slow_run(const node_fixture& f) {
  (void)f.add_workflow(workflow("slow", slow_mp4()));
  f.drop(make_clip({.seconds = 20, .width = 640, .height = 360}), "in/a.mp4");
  REQUIRE(eventually([&] { return !f.node.children().empty(); }));
  return f.runs()[0]["Id"];
}

} // namespace

TEST_CASE("control: cancel stops the child at once and publishes nothing") {
  node_fixture f;
  auto id = begin_slow_run(f);

  auto before = std::chrono::steady_clock::now();
  (void)f.ask({"run", "cancel", std::to_string(id)});
  CHECK(eventually([&] { return f.node.children().empty(); }, 2s));
  CHECK(std::chrono::steady_clock::now() - before < 3s);
  auto run = f.finish_run(id);

  CHECK(state_of(run) == "cancelled");
  CHECK(f.content("out/").empty());
  check_quiet(f);
  CHECK(f.command({"run", "cancel", std::to_string(id)}).exit_code == exit_refused);
}

TEST_CASE("control: a cancelled run can be retried, as a run of its own") {
  node_fixture f;
  (void)f.add_workflow(workflow("w", quick_mp4()));
  f.drop(make_long_clip(), "in/a.mp4");
  REQUIRE(eventually([&] { return !f.node.children().empty(); }));
  auto first = f.runs()[0]["Id"].get<std::uint64_t>();
  (void)f.ask({"run", "cancel", std::to_string(first)});

  std::uint64_t second = f.ask({"run", "retry", std::to_string(first)})["RunId"];
  auto run = f.finish_run(second);

  CHECK(second != first);
  CHECK(state_of(run) == "succeeded");
  CHECK(run["Run"]["Cause"] == "retry");
  CHECK(state_of(f.show(first)) == "cancelled");
  check_quiet(f);
}

TEST_CASE("control: MPS's ManageTask aborts a task that waits, and refuses one that runs") {
  node_fixture f;
  (void)f.add_workflow(workflow("slow", slow_mp4()));
  auto source = make_long_clip();
  for (int i = 0; i < 70; ++i) // more than may be live at once
    f.drop(source, "in/" + std::to_string(i) + ".mp4");
  json waiting, processing;
  REQUIRE(eventually([&] {
    // Newest first: the newest that waits is the last to be admitted, the
    // oldest one was admitted first.
    const auto all = f.runs();
    waiting = processing = json();
    for (const auto& run : all)
      if (run["State"] != "waiting")
        processing = run["TaskId"];
      else if (waiting.is_null())
        waiting = run["TaskId"];
    return all.size() == 70 && waiting.is_string() && processing.is_string();
  }));
  auto mps = f.mps();

  auto aborted = mps("ManageTask", {{"OperationType", "Abort"}, {"TaskId", waiting}});
  auto refused = mps("ManageTask", {{"OperationType", "Abort"}, {"TaskId", processing}});

  CHECK_MESSAGE(!aborted.contains("Error"), aborted.dump());
  CHECK(mps("DescribeTaskDetail", {{"TaskId", waiting}})["Status"] == "FINISH");
  CHECK(refused["Error"]["Code"] == "InvalidParameterValue.NotProcessingTask");
  CHECK(mps("DescribeTaskDetail", {{"TaskId", processing}})["Status"] == "PROCESSING");
}

TEST_CASE("control: ProcessMedia runs activities of its own on an object") {
  node_fixture f;
  f.drop(make_clip(), "elsewhere/a.mp4");

  auto answer =
      f.mps()("ProcessMedia",
              {{"InputInfo",
                {{"Type", "COS"},
                 {"CosInputInfo",
                  {{"Bucket", "media"}, {"Region", "local"}, {"Object", "/elsewhere/a.mp4"}}}}},
               {"OutputDir", "/out/"},
               {"MediaProcessTask", quick_mp4()}});

  REQUIRE_MESSAGE(answer.contains("TaskId"), answer.dump());
  auto watched = f.command({"run", "watch", answer["TaskId"].get<std::string>()});
  CHECK(watched.exit_code == 0);
  CHECK(f.content("out/").contains("out/a_transcode_0.mp4"));
  check_quiet(f);
}

TEST_CASE("control: a run is submitted by hand, and explained before it is run") {
  node_fixture f;
  auto id = f.ask({"workflow", "create", "--file", "-"},
                  workflow("w", quick_everything()).dump())["WorkflowId"]
                .get<std::uint64_t>();
  f.drop(make_long_clip(), "in/a.mp4");

  auto plan =
      f.ask({"workflow", "explain", "media:in/a.mp4", "--workflow", std::to_string(id)});
  auto watched = f.command(
      {"run", "submit", "media:in/a.mp4", "--workflow", std::to_string(id), "--watch"});

  CHECK(plan["Plan"]["Jobs"].size() == 5);
  CHECK(plan["Text"].get<std::string>().find("decode") != std::string::npos);
  CHECK(watched.exit_code == 0);
  CHECK(watched.last()["run"]["Run"]["Cause"] == "call");
  CHECK(f.content("out/").size() >= 6);
}

TEST_CASE("control: a workflow is edited and deleted only while it is disabled") {
  node_fixture f;
  auto id = std::to_string(f.add_workflow(workflow("w", quick_mp4())));
  auto other = workflow("other", quick_mp4()).dump();

  CHECK(f.command({"workflow", "edit", id, "--file", "-"}, other).exit_code == exit_refused);
  CHECK(f.command({"workflow", "delete", id}).exit_code == exit_refused);
  (void)f.ask({"workflow", "disable", id});
  CHECK(f.command({"workflow", "edit", id, "--file", "-"}, other).exit_code == 0);
  f.node.kill9();
  f.node.start();

  auto shown = f.ask({"workflow", "show", id});
  CHECK(shown["WorkflowName"] == "other");
  CHECK(shown["Status"] == "Disabled");
  CHECK(f.command({"workflow", "delete", id}).exit_code == 0);
  CHECK(f.command({"workflow", "show", id}).exit_code == exit_not_found);
}

TEST_CASE("control: exit codes are those that the documentation promises") {
  node_fixture f;
  (void)f.add_workflow(workflow("w", quick_mp4()));
  write_file(f.media + "/in/bad.mp4", "not media");

  CHECK(f.command({"run", "watch", "media:in/bad.mp4"}).exit_code == exit_failed);
  CHECK(f.command({"run", "list", "--state", "nonsense"}).exit_code == exit_usage);
  CHECK(f.command({"run", "show", "4711"}).exit_code == exit_not_found);
  CHECK(f.command({"--secret-key", "wrong", "node", "show"}).exit_code == exit_refused);
  f.node.stop();
  CHECK(f.command({"--server", "127.0.0.1:1", "node", "show"}).exit_code == exit_unreachable);
}

TEST_CASE("control: what a daemon is told and cannot do is refused by name") {
  node_fixture f{{}, node_fixture::begin::stopped};
  for (const auto& [words, said] :
       std::initializer_list<std::pair<std::vector<std::string>, std::string>>{
           {{"--join", "127.0.0.1:1", "--token", "t"}, "join is for a worker"},
           {{"--token", "t"}, "token is for a worker"},
           {{"--role", "worker", "--cluster-listen", "127.0.0.1:0"}, "cluster_listen is for"},
           {{"--slots", "-3"}, "slots must be"},
           {{"--cores", "-3"}, "cores must be"},
           {{"--cluster-listen", "127.0.0.1:0", "--name", "bad name"}, "name `bad name`"}}) {
    CAPTURE(said);
    CHECK(f.node.start_refused(words).exit_code == exit_usage);
    CHECK(f.node.log().find(said) != std::string::npos);
  }
}

TEST_CASE("control: a node that is alone says how it would be joined") {
  node_fixture f;

  auto refused = f.command({"node", "join-token"});

  CHECK(refused.exit_code != 0);
  CHECK_MESSAGE(refused.complaint.find("--cluster-listen") != std::string::npos,
                refused.complaint);
}

TEST_CASE("control: what an operator changes is in the log, however quiet that is") {
  node_fixture f{{.config = "log_level = 'error'"}};

  (void)f.add_workflow(workflow("w", quick_mp4()));

  CHECK(f.node.log().find("audit: CreateWorkflow by ") != std::string::npos);
  CHECK(f.node.log().find("API on") == std::string::npos);
}

TEST_CASE("control: SIGTERM lets what is in hand end, and its results are booked") {
  node_fixture f{{.config = "drain_seconds = 50"}};
  (void)f.add_workflow(workflow("w", slow_mp4()));
  f.drop(make_long_clip(), "in/a.mp4");
  REQUIRE(eventually([&] { return f.node.children().size() == 2; })); // two of many shards

  f.node.stop();
  CHECK(f.node.log().find("killed by signal") == std::string::npos);
  CHECK(f.node.orphans().empty());
  f.node.start();
  auto run = f.finish("in/a.mp4");

  CHECK(state_of(run) == "succeeded");
  for (const auto& shard : run["Shards"])
    CHECK_MESSAGE(shard["Attempts"].size() == 1, shard.dump());
  check_one_success(f);
}

TEST_CASE("control: a second SIGTERM ends a daemon that waits for what is in hand") {
  node_fixture f{{.config = "drain_seconds = 60"}};
  (void)begin_slow_run(f);
  for (auto child : f.node.children())
    ::kill(child, SIGSTOP); // it would take for ever

  ::kill(f.node.pid(), SIGTERM);
  REQUIRE(eventually([&] { return f.node.log().find("SIGTERM") != std::string::npos; }));
  CHECK(f.ask({"node", "show"})["Node"]["Name"] == "under-test"); // it still answers
  ::kill(f.node.pid(), SIGTERM);
  auto end = f.node.wait_for_end(10s);

  CHECK(end.exit_code == 0);
  CHECK(f.node.orphans().empty());
}

TEST_CASE("control: SIGTERM ends a worker that nobody answers whom it would join") {
  temp_dir dir;
  process worker{{{program("framemilld"), "--role", "worker", "--data-dir", dir / "worker",
                   "--join", "127.0.0.1:1", "--token", "fmj1.00.00." + std::string(64, '0')}}};
  REQUIRE(eventually([&] { return worker.complaint().find("sandbox") != std::string::npos; }));

  worker.signal(SIGTERM);
  auto end = worker.wait(10s); // joining would take 20

  REQUIRE_MESSAGE(end.has_value(), worker.complaint());
  CHECK_MESSAGE(end->exit_code == 0, worker.complaint());
}

TEST_CASE("control: inspect reads the books offline and says what the daemon said") {
  node_fixture f;
  (void)f.add_workflow(workflow("w", quick_mp4()));
  f.drop(make_clip(), "in/a.mp4");
  REQUIRE(state_of(f.finish("in/a.mp4")) == "succeeded");

  f.node.stop();
  auto inspected = f.command({"inspect", f.node.data_dir(), "runs"});

  CHECK(inspected.exit_code == 0);
  CHECK(inspected.output.find("in/a.mp4") != std::string::npos);
  CHECK(inspected.output.find("succeeded") != std::string::npos);
}
