#include "tests/api/client.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace framemill::test;

namespace {

bool names(const json& response, std::string_view field) {
  return message_of(response).find(field) != std::string::npos;
}

struct refusal {
  const char* action;
  json parameters;
  const char* code;
  const char* field;
};

} // namespace

TEST_CASE("DescribeNodes and DescribeNode: the booked and the live, in one object") {
  api_fixture f;

  auto all = f.cluster("DescribeNodes", json::object());
  auto one = f.cluster("DescribeNode", {{"Name", "one"}});

  REQUIRE(all["Nodes"].size() == 2);
  CHECK(all["Nodes"][1]["Presence"] == "away");
  CHECK(one["Node"] == all["Nodes"][0]);
  CHECK(one["Node"]["Mode"] == "active");
  CHECK(one["Node"]["Presence"] == "up");
  CHECK(one["Node"]["Facts"]["Slots"] == 0);
  CHECK(one["Node"]["Running"][0]["Run"] == 7);
  CHECK(one["Node"]["Running"][0]["Role"] == "decode");
  CHECK(f.cluster("DescribeNode", json::object())["Node"]["Name"] == "node-1");
}

TEST_CASE("SetNodeMode: mode, reason and deadline reach the node") {
  api_fixture f;
  auto node = [&] { return f.cluster("DescribeNode", {{"Name", "one"}})["Node"]; };

  auto drained = f.cluster(
      "SetNodeMode",
      {{"Name", "one"}, {"Mode", "draining"}, {"Reason", "new disk"}, {"DrainSeconds", 600}});

  CHECK(code_of(drained) == "");
  CHECK(node()["Mode"] == "draining");
  CHECK(node()["ModeReason"] == "new disk");
  CHECK(node()["DrainDeadline"] == "2026-11-21T20:47:36.000000Z");
  f.cluster("SetNodeMode", {{"Name", "one"}, {"Mode", "active"}});
  CHECK(node()["Mode"] == "active");
  CHECK(node()["DrainDeadline"].is_null());
}

TEST_CASE("LabelNode and RemoveNode: labels come and go, and so do nodes") {
  api_fixture f;

  f.cluster("LabelNode", {{"Name", "two"}, {"Set", {{"rack", "a"}, {"disk", "ssd"}}}});
  f.cluster("LabelNode", {{"Name", "two"}, {"Set", {{"rack", "b"}}}, {"Remove", {"disk"}}});
  auto labels = f.cluster("DescribeNode", {{"Name", "two"}})["Node"]["Labels"];
  auto removed = f.cluster("RemoveNode", {{"Name", "two"}});

  CHECK(labels == json{{"rack", "b"}});
  CHECK(code_of(removed) == "");
  CHECK(f.cluster("DescribeNodes", json::object())["Nodes"].size() == 1);
}

TEST_CASE("CreateJoinToken: one use and a quarter of an hour, unless told otherwise") {
  api_fixture f;

  auto plain = f.cluster("CreateJoinToken", json::object());
  auto told = f.cluster("CreateJoinToken", {{"Uses", 4}, {"TtlSeconds", 60}});

  CHECK(plain["Token"] == "t.secret");
  CHECK(plain["Uses"] == 1);
  CHECK(plain["Expires"] == "2026-11-21T20:52:36.000000Z");
  CHECK(told["Uses"] == 4);
  CHECK(told["Expires"] == "2026-11-21T20:38:36.000000Z");
}

TEST_CASE("OrderNode: the node's own words come back") {
  api_fixture f;

  auto said = f.cluster(
      "OrderNode",
      {{"Name", "one"}, {"What", "fault arm"}, {"Arguments", {"shard.leased:2", "kill"}}});

  CHECK(said["Text"] == "fault arm shard.leased:2 kill");
}

TEST_CASE("DescribeCluster and DescribeMetrics: what a live display needs") {
  api_fixture f;

  auto cluster = f.cluster("DescribeCluster", json::object())["Cluster"];
  auto metrics = f.cluster("DescribeMetrics", json::object())["Metrics"];

  CHECK(cluster["Term"] == 3);
  CHECK(cluster["Fingerprints"]["libavcodec 59"] == json{"one", "two"});
  CHECK(metrics[0]["Name"] == "framemill_runs_finished_total");
  CHECK(metrics[0]["Value"] == 3);
  CHECK(metrics[0]["Counter"] == true);
}

TEST_CASE("ExplainRun, ReleaseRun, DescribeCertificate: a run by number or TaskId") {
  api_fixture f;
  auto workflow = f.call("CreateWorkflow", workflow_parameters("a"))["WorkflowId"];
  f.system.set_run_state(run_state::failed);
  auto task =
      f.cluster("SubmitRun", {{"Bucket", "in"}, {"Key", "a"}, {"WorkflowId", workflow}});

  auto why = f.cluster("ExplainRun", {{"RunId", task["TaskId"]}})["Explanation"];
  auto again = f.cluster("ReleaseRun", {{"RunId", 1}});
  auto certificate = f.cluster("DescribeCertificate", {{"RunId", 1}});

  CHECK(why["Run"] == 1);
  CHECK(why["Shards"][0]["QueuePosition"] == 2);
  CHECK(why["Shards"][0]["Nodes"][0]["Sentence"] == "busy: 2 of 2 slots");
  CHECK(again["RunId"] == 2);
  CHECK(again["TaskId"] == to_task_id({2}));
  CHECK(certificate["Certificate"]["Frames"] == 100);
  CHECK(code_of(f.cluster("DescribeCertificate", {{"RunId", 1}, {"Job", 1}}))
        == "InternalError");
  CHECK(code_of(f.cluster("DescribeCertificate", {{"RunId", 1}, {"Job", 2}}))
        == "ResourceNotFound");
  CHECK(code_of(f.cluster("ExplainRun", {{"RunId", 99}})) == "ResourceNotFound");
  CHECK(code_of(f.cluster("ReleaseRun", {{"RunId", "nonsense"}})) == "ResourceNotFound");
}

TEST_CASE("BackupState: goes to an absolute directory") {
  api_fixture f;

  CHECK(code_of(f.cluster("BackupState", {{"Directory", "/srv/copy"}})) == "");
  CHECK(f.system.backed_up_to() == "/srv/copy");
}

TEST_CASE("cluster actions: what is wrong is refused by its field") {
  api_fixture f;
  const std::vector<refusal> wrong{
      {"DescribeNode", {{"Name", "nine"}}, "ResourceNotFound", "Name"},
      {"SetNodeMode", {{"Name", "nine"}, {"Mode", "paused"}}, "ResourceNotFound", "Name"},
      {"SetNodeMode", {{"Mode", "paused"}}, "MissingParameter", "Name"},
      {"SetNodeMode", {{"Name", "one"}}, "MissingParameter", "Mode"},
      {"SetNodeMode", {{"Name", "one"}, {"Mode", "asleep"}}, "InvalidParameterValue", "Mode"},
      {"SetNodeMode", {{"Name", "one"}, {"Mode", "removed"}}, "InvalidParameterValue", "Mode"},
      {"SetNodeMode",
       {{"Name", "one"}, {"Mode", "paused"}, {"DrainSeconds", 5}},
       "InvalidParameterValue",
       "DrainSeconds"},
      {"SetNodeMode",
       {{"Name", "one"}, {"Mode", "draining"}, {"DrainSeconds", -1}},
       "InvalidParameterValue",
       "DrainSeconds"},
      {"SetNodeMode",
       {{"Name", "one"}, {"Mode", "paused"}, {"Reason", std::string(2000, 'x')}},
       "InvalidParameterValue",
       "Reason"},
      {"SetNodeMode",
       {{"Name", "one"}, {"Mode", "paused"}, {"Force", true}},
       "UnknownParameter",
       "Force"},
      {"LabelNode", {{"Name", "one"}}, "MissingParameter", "Set"},
      {"LabelNode", {{"Name", "one"}, {"Set", {{"a", 1}}}}, "InvalidParameter", "Set.a"},
      {"LabelNode",
       {{"Name", "one"}, {"Set", {{"a", "1"}}}, {"Remove", {"a"}}},
       "InvalidParameterValue",
       "Remove"},
      {"RemoveNode", {{"Name", "nine"}}, "ResourceNotFound", "Name"},
      {"CreateJoinToken", {{"Uses", 0}}, "InvalidParameterValue", "Uses"},
      {"CreateJoinToken", {{"Uses", 5'000'000'000}}, "InvalidParameterValue", "Uses"},
      {"CreateJoinToken", {{"TtlSeconds", 90'000}}, "InvalidParameterValue", "TtlSeconds"},
      {"OrderNode", {{"Name", "one"}, {"What", "halt"}}, "InvalidParameterValue", "What"},
      {"OrderNode", {{"Name", "nine"}, {"What", "self-test"}}, "ResourceNotFound", "Name"},
      {"OrderNode",
       {{"Name", "one"}, {"What", "fault arm"}, {"Arguments", std::vector<int>(17)}},
       "InvalidParameter",
       "Arguments"},
      {"BackupState", {{"Directory", "copy"}}, "InvalidParameterValue", "Directory"},
      {"BackupState",
       {{"Directory", std::string("/a\0b", 4)}},
       "InvalidParameterValue",
       "Directory"},
      {"DescribeNodes", {{"Limit", 3}}, "UnknownParameter", "Limit"},
      {"DescribeCertificate", {{"RunId", 1}, {"Job", -1}}, "InvalidParameterValue", "Job"},
  };

  for (const auto& w : wrong) {
    CAPTURE(w.action);
    auto answer = f.cluster(w.action, w.parameters);
    CHECK_MESSAGE(code_of(answer) == w.code, message_of(answer));
    CHECK_MESSAGE(names(answer, w.field), message_of(answer));
  }
}

TEST_CASE("gateway: a node without a cluster says so") {
  hand_clock time{test_start};
  fake_gateway system{time};
  std::vector<errc> said;
  auto note = [&](const auto& r) { said.push_back(r ? errc::internal : r.error().code); };

  // Called as the interface has them, not as the fake does.
  system.gateway::nodes(note);
  system.gateway::cluster(note);
  system.gateway::remove_node("one", note);
  system.gateway::explain_run(run_id{1}, note);

  CHECK(said == std::vector(4, errc::unsupported));
}
