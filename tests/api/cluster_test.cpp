#include "tests/api/client.hpp"

#include "storage/records.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace framemill::test;

namespace {

struct cluster_fixture : api_fixture {
  std::uint64_t workflow = call("CreateWorkflow", workflow_parameters("a"))["WorkflowId"];
  json submit(const std::string& key) {
    return cluster("SubmitRun", {{"Bucket", "in"}, {"Key", key}, {"WorkflowId", workflow}});
  }
};

} // namespace

TEST_CASE("DescribeRuns: newest first, by key of the last one") {
  cluster_fixture f;
  for (auto* key : {"x/1.mp4", "x/2.mp4", "y/3.mp4"})
    f.submit(key);
  f.system.set_run_state(run_state::processing);
  f.submit("y/4.mp4");

  auto first = f.cluster("DescribeRuns", {{"Limit", 3}});
  REQUIRE(first["Runs"].size() == 3);
  auto& newest = first["Runs"][0];
  CHECK(newest["Id"] == 4);
  CHECK(newest["TaskId"] == to_task_id({4}));
  CHECK(newest["State"] == "processing");
  CHECK(newest["Cause"] == "call");
  CHECK(newest["WorkflowName"] == "a");
  CHECK(newest["Key"] == "y/4.mp4");
  CHECK(newest["Fraction"] == 0.5);
  CHECK(newest["Finished"] == "");
  CHECK(newest["Failure"].is_null());
  CHECK(first["Runs"][1]["Fraction"] == 1.0);
  CHECK(first["Next"] == 2);
  auto rest = f.cluster("DescribeRuns", {{"Before", first["Next"]}});
  CHECK(rest["Runs"].size() == 1);
  CHECK(rest["Next"] == 0);

  auto count = [&](json p) { return f.cluster("DescribeRuns", p)["Runs"].size(); };
  CHECK(count({{"State", "succeeded"}}) == 3);
  CHECK(count({{"KeyPrefix", "y/"}}) == 2);
  CHECK(count({{"Bucket", "out"}}) == 0);
  CHECK(count({{"WorkflowId", f.workflow}}) == 4);
  CHECK(code_of(f.cluster("DescribeRuns", {{"State", "odd"}})) == "InvalidParameterValue");
  CHECK(code_of(f.cluster("DescribeRuns", {{"Limit", 101}})) == "InvalidParameterValue");
}

TEST_CASE("DescribeRun: by number, by text and by TaskId, with all that belongs to it") {
  cluster_fixture f;
  auto submitted = f.submit("a.mp4");
  CHECK(submitted["RunId"] == 1);
  shard_record shard;
  shard.id = {run_id{1}, 1};
  shard.request.steps = {decode_step{}};
  f.system.put(family::shards, keys::of(shard.id), shard);

  for (const json& id : {json(1), json("1"), submitted["TaskId"]}) {
    auto r = f.cluster("DescribeRun", {{"RunId", id}});
    REQUIRE_MESSAGE(code_of(r) == "", message_of(r));
    CHECK(r["Run"]["Id"] == 1);
    CHECK(r["TaskId"] == submitted["TaskId"]);
    CHECK(r["Jobs"].size() == 1);
    CHECK(r["Shards"][0]["Request"]["Steps"][0]["Kind"] == 2);
    CHECK(r["Progress"]["Fraction"] == 1.0);
    CHECK(r["Reproduce"][0]["Shard"] == 1);
    CHECK(r["Reproduce"][0]["Command"] ==
          "framemill-media --reproduce /var/lib/framemill/failed/1");
  }
  CHECK(code_of(f.cluster("DescribeRun", {{"RunId", 99}})) == "ResourceNotFound");
  CHECK(code_of(f.cluster("DescribeRun", {{"RunId", "nonsense"}})) == "ResourceNotFound");
  CHECK(code_of(f.cluster("DescribeRun", json::object())) == "MissingParameter");
}

TEST_CASE("CancelRun and RetryRun: a run is stopped, and made again") {
  cluster_fixture f;
  f.system.set_run_state(run_state::processing);
  f.submit("a.mp4");

  CHECK(code_of(f.cluster("CancelRun", {{"RunId", 1}})) == "");
  CHECK(f.cluster("DescribeRun", {{"RunId", 1}})["Run"]["State"] == "cancelled");
  CHECK(code_of(f.cluster("CancelRun", {{"RunId", 1}})) == "FailedOperation");
  auto again = f.cluster("RetryRun", {{"RunId", 1}});
  CHECK(again["RunId"] == 2);
  CHECK(again["TaskId"] == to_task_id({2}));
  CHECK(code_of(f.cluster("RetryRun", {{"RunId", 99}})) == "ResourceNotFound");
}

TEST_CASE("SubmitRun and ExplainPlan: an unknown workflow is ResourceNotFound") {
  cluster_fixture f;
  json parameters{{"Bucket", "in"}, {"Key", "a.mp4"}, {"WorkflowId", 99}};
  CHECK(code_of(f.cluster("SubmitRun", parameters)) == "ResourceNotFound");
  CHECK(code_of(f.cluster("ExplainPlan", parameters)) == "ResourceNotFound");

  parameters["WorkflowId"] = f.workflow;
  auto plan = f.cluster("ExplainPlan", parameters);
  CHECK(plan["Plan"]["Cost"] == 12.5);
  CHECK(plan["Plan"]["Shards"][0]["Request"]["Steps"].size() == 1);
  CHECK(plan["Text"].is_string());
}

TEST_CASE("DescribeObjects: the ledger by prefix, state and page") {
  cluster_fixture f;
  for (auto* key : {"a/1", "a/2", "a/3", "b/1"}) {
    object_record o;
    o.object = {"in", key, {}};
    o.state = std::string_view{key} == "a/2" ? object_state::ignored : object_state::settled;
    f.system.put(family::objects, keys::object("in", key), o);
  }

  auto first = f.cluster("DescribeObjects", {{"Bucket", "in"}, {"Prefix", "a/"}, {"Limit", 2}});
  CHECK(first["Objects"].size() == 2);
  CHECK(first["Next"] == "a/2");
  auto rest =
      f.cluster("DescribeObjects", {{"Bucket", "in"}, {"Prefix", "a/"}, {"After", "a/2"}});
  CHECK(rest["Objects"].size() == 1);
  CHECK(rest["Objects"][0]["Object"]["Key"] == "a/3");
  CHECK(rest["Next"] == "");
  CHECK(f.cluster("DescribeObjects", {{"Bucket", "in"}, {"State", "ignored"}})["Objects"]
            .size() == 1);
  CHECK(f.cluster("DescribeObjects", {{"Bucket", "i"}})["Objects"].size() == 0);
  CHECK(code_of(f.cluster("DescribeObjects", json::object())) == "MissingParameter");
}

TEST_CASE("DescribeEvents: in order, of one run, by page") {
  cluster_fixture f;
  for (std::uint64_t i = 1; i <= 5; ++i) {
    event_record e;
    e.id = {i};
    e.run = {i % 2 + 1};
    f.system.publish(e);
  }

  auto first = f.cluster("DescribeEvents", {{"Limit", 2}});
  CHECK(first["Events"][0]["Id"] == 1);
  CHECK(first["Next"] == 2);
  CHECK(f.cluster("DescribeEvents", {{"After", 2}})["Events"].size() == 3);
  auto of_run = f.cluster("DescribeEvents", {{"Run", 2}});
  CHECK(of_run["Events"].size() == 3);
  CHECK(of_run["Next"] == 0);
}

TEST_CASE("DescribeBuckets, AuditBucket, DescribeNode: what the gateway says") {
  cluster_fixture f;
  auto bucket = f.cluster("DescribeBuckets", json::object())["Buckets"][0];
  CHECK(bucket["Name"] == "in");
  CHECK(bucket["WatchedBy"] == "one");
  CHECK(bucket["Nodes"][1]["WhyNot"] == "it is away");
  auto audit = f.cluster("AuditBucket", {{"Bucket", "in"}, {"Prefix", "a/"}})["Audit"];
  CHECK(audit["Balanced"] == true);
  CHECK(audit["Prefix"] == "a/");
  CHECK(code_of(f.cluster("AuditBucket", {{"Bucket", "out"}})) == "ResourceNotFound");
  CHECK(f.cluster("DescribeNode", json::object())["Node"]["Name"] == "node-1");
}
