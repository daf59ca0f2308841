#include "tests/api/client.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace framemill::test;

namespace {

json info_of(api_fixture& f, std::uint64_t id) {
  return f.call("DescribeWorkflows", {{"WorkflowIds", {id}}})["WorkflowInfoSet"].at(0);
}

} // namespace

TEST_CASE("CreateWorkflow: a new workflow is disabled, and described as it was given") {
  api_fixture f;
  auto parameters = workflow_parameters("转码-1");
  parameters["OutputDir"] = "/out/";
  parameters["TaskPriority"] = 3;
  parameters["OutputStorage"] = {{"Type", "COS"},
                                 {"CosOutputStorage", {{"Bucket", "out"}, {"Region", "r"}}}};
  parameters["MediaProcessTask"]["SampleSnapshotTaskSet"] = {{{"Definition", 10}}};

  auto created = f.call("CreateWorkflow", parameters);
  REQUIRE(code_of(created) == "");
  auto info = info_of(f, created["WorkflowId"]);

  CHECK(info["WorkflowName"] == "转码-1");
  CHECK(info["Status"] == "Disabled");
  CHECK(info["Trigger"]["Type"] == "CosFileUpload");
  CHECK(info["Trigger"]["CosFileUploadTrigger"]["Dir"] == "/in/");
  CHECK(info["Trigger"]["AwsS3FileUploadTrigger"].is_null());
  CHECK(info["OutputStorage"]["CosOutputStorage"]["Bucket"] == "out");
  CHECK(info["OutputStorage"]["S3OutputStorage"].is_null());
  CHECK(info["OutputDir"] == "/out/");
  CHECK(info["TaskPriority"] == 3);
  CHECK(info["MediaProcessTask"]["TranscodeTaskSet"][0]["Definition"] == 100020);
  CHECK(info["MediaProcessTask"]["SampleSnapshotTaskSet"].size() == 1);
  CHECK(info["MediaProcessTask"]["ImageSpriteTaskSet"] == json::array());
  for (auto* group :
       {"AiContentReviewTask", "AiAnalysisTask", "AiRecognitionTask", "TaskNotifyConfig"})
    CHECK(info[group].is_null());
  CHECK(info["CreateTime"] == to_iso8601(test_start));
}

TEST_CASE("CreateWorkflow: what its runs ask of nodes is kept, and described") {
  api_fixture f;
  auto parameters = workflow_parameters("a");
  CHECK(info_of(f, f.call("CreateWorkflow", parameters)["WorkflowId"])["Scheduling"]
        == json::parse(R"({"RequiredLabels": {}, "PreferredLabels": {}, "Device": "",
                           "Weight": 1.0})"));
  parameters["WorkflowName"] = "b";
  parameters["Scheduling"] = {{"RequiredLabels", {{"zone", "a"}}},
                              {"PreferredLabels", {{"disk", "ssd"}}},
                              {"Device", "gpu0"},
                              {"Weight", 2.5}};

  auto created = f.call("CreateWorkflow", parameters);

  REQUIRE(code_of(created) == "");
  CHECK(info_of(f, created["WorkflowId"])["Scheduling"] == parameters["Scheduling"]);
}

TEST_CASE("CreateWorkflow: what was described can be sent back") {
  api_fixture f;
  auto id = f.call("CreateWorkflow", workflow_parameters("a"))["WorkflowId"];
  auto info = info_of(f, id);
  for (auto* field : {"Status", "CreateTime", "UpdateTime"})
    info.erase(field);

  CHECK(code_of(f.call("ResetWorkflow", info)) == "");
}

TEST_CASE("CreateWorkflow: each fault has its code and names its field") {
  api_fixture f;
  auto good = workflow_parameters("a");
  struct row {
    json parameters;
    const char* code;
    const char* field;
  };
  auto no_name = good;
  no_name.erase("WorkflowName");
  auto no_bucket = good;
  no_bucket["Trigger"]["CosFileUploadTrigger"].erase("Bucket");
  const row rows[] = {
      {no_name, "MissingParameter", "WorkflowName"},
      {no_bucket, "MissingParameter", "Trigger.CosFileUploadTrigger.Bucket"},
      {with(good, "/WorkflowName", 7), "InvalidParameter", "WorkflowName"},
      {with(good, "/WorkflowName", ""), "InvalidParameterValue", "WorkflowName"},
      {with(good, "/WorkflowName", "a b"), "InvalidParameterValue", "WorkflowName"},
      {with(good, "/Colour", "red"), "UnknownParameter", "Colour"},
      {with(good, "/Trigger/Type", "Sunrise"), "InvalidParameterValue", "Trigger.Type"},
      {with(good, "/Trigger/Type", "AwsS3FileUpload"), "UnsupportedOperation", "Trigger.Type"},
      {with(good, "/Trigger/CosFileUploadTrigger", nullptr), "MissingParameter",
       "Trigger.CosFileUploadTrigger"},
      {with(good, "/Trigger/CosFileUploadTrigger/Dir", "/in"), "InvalidParameterValue",
       "Trigger.CosFileUploadTrigger.Dir"},
      {with(good, "/TaskPriority", 11), "InvalidParameterValue", "TaskPriority"},
      {with(good, "/Scheduling/Weight", 0), "InvalidParameterValue", "Scheduling.Weight"},
      {with(good, "/Scheduling/Weight", "much"), "InvalidParameter", "Scheduling.Weight"},
      {with(good, "/Scheduling/Zone", "a"), "UnknownParameter", "Scheduling.Zone"},
      {with(good, "/Scheduling/Device", "gpu 0"), "InvalidParameterValue", "Scheduling.Device"},
      {with(good, "/Scheduling/RequiredLabels", json{{"a b", "x"}}), "InvalidParameterValue",
       "Scheduling.RequiredLabels"},
      {with(good, "/Scheduling/RequiredLabels", "zone=a"), "InvalidParameter",
       "Scheduling.RequiredLabels"},
      {with(good, "/MediaProcessTask", nullptr), "InvalidParameterValue", "MediaProcessTask"},
      {with(good, "/MediaProcessTask/TranscodeTaskSet/0/Definition", 999),
       "InvalidParameterValue", "MediaProcessTask.TranscodeTaskSet.0.Definition"},
      {with(good, "/MediaProcessTask/TranscodeTaskSet/0/Definition", "x"), "InvalidParameter",
       "MediaProcessTask.TranscodeTaskSet.0.Definition"},
      {with(good, "/MediaProcessTask/TranscodeTaskSet/0/MosaicSet", {{{"XPos", "1px"}}}),
       "UnsupportedOperation", "MediaProcessTask.TranscodeTaskSet.0.MosaicSet"},
      {with(good, "/MediaProcessTask/SampleSnapshotTaskSet",
            {{{"Definition", 10}}, {{"Definition", 11}}}),
       "InvalidParameterValue", "MediaProcessTask.SampleSnapshotTaskSet.1.Definition"},
      {with(good, "/MediaProcessTask/AdaptiveDynamicStreamingTaskSet", {{{"Definition", 10}}}),
       "UnsupportedOperation", "AdaptiveDynamicStreamingTaskSet"},
      {with(good, "/AiAnalysisTask", {{"Definition", 10}}), "UnsupportedOperation",
       "AiAnalysisTask"},
      {with(good, "/OutputStorage", {{"Type", "AWS-S3"}}), "UnsupportedOperation",
       "OutputStorage.Type"},
  };
  for (const auto& r : rows) {
    CAPTURE(r.parameters.dump());
    auto response = f.call("CreateWorkflow", r.parameters);
    CHECK(code_of(response) == r.code);
    CHECK_MESSAGE(message_of(response).find(fmt::format("{}`", r.field)) != std::string::npos,
                  message_of(response));
  }
  CHECK(f.call("DescribeWorkflows", json::object())["TotalCount"] == 0);
}

TEST_CASE("CreateWorkflow: a name is taken once") {
  api_fixture f;
  f.call("CreateWorkflow", workflow_parameters("a"));

  auto again = f.call("CreateWorkflow", workflow_parameters("a"));

  CHECK(code_of(again) == "InvalidParameterValue");
  CHECK(message_of(again).find("WorkflowName") != std::string::npos);
}

TEST_CASE("workflow: enabled, it can be neither reset nor deleted") {
  api_fixture f;
  json id{{"WorkflowId", f.call("CreateWorkflow", workflow_parameters("a"))["WorkflowId"]}};
  auto reset = workflow_parameters("b");
  reset.update(id);

  CHECK(code_of(f.call("EnableWorkflow", id)) == "");
  CHECK(code_of(f.call("EnableWorkflow", id)) == ""); // again: no change
  CHECK(info_of(f, id["WorkflowId"])["Status"] == "Enabled");
  for (auto* action : {"ResetWorkflow", "DeleteWorkflow"}) {
    auto refused = f.call(action, action[0] == 'R' ? reset : id);
    CHECK(code_of(refused) == "FailedOperation");
    CHECK(message_of(refused) == "workflow is enabled; disable it first");
  }

  CHECK(code_of(f.call("DisableWorkflow", id)) == "");
  CHECK(code_of(f.call("ResetWorkflow", reset)) == "");
  CHECK(info_of(f, id["WorkflowId"])["WorkflowName"] == "b");
  CHECK(code_of(f.call("DeleteWorkflow", id)) == "");
  CHECK(f.call("DescribeWorkflows", {{"WorkflowIds", {id["WorkflowId"]}}})["TotalCount"] == 0);
}

TEST_CASE("workflow: an unknown id is ResourceNotFound.TemplateNotExist") {
  api_fixture f;
  auto reset = workflow_parameters("b");
  reset["WorkflowId"] = 77;
  CHECK(code_of(f.call("ResetWorkflow", reset)) == "ResourceNotFound.TemplateNotExist");
  for (auto* action : {"EnableWorkflow", "DisableWorkflow", "DeleteWorkflow"}) {
    CHECK(code_of(f.call(action, {{"WorkflowId", 77}})) == "ResourceNotFound.TemplateNotExist");
    CHECK(code_of(f.call(action, json::object())) == "MissingParameter");
  }
}

TEST_CASE("DescribeWorkflows: newest first, by page and by status") {
  api_fixture f;
  for (int i = 1; i <= 12; ++i)
    f.call("CreateWorkflow", workflow_parameters(fmt::format("w{}", i)));
  f.call("EnableWorkflow", {{"WorkflowId", 3}});

  auto first = f.call("DescribeWorkflows", json::object());
  CHECK(first["TotalCount"] == 12);
  CHECK(first["WorkflowInfoSet"].size() == 10);
  CHECK(first["WorkflowInfoSet"][0]["WorkflowName"] == "w12");

  auto rest = f.call("DescribeWorkflows", {{"Offset", 10}, {"Limit", 100}});
  CHECK(rest["WorkflowInfoSet"].size() == 2);
  CHECK(rest["WorkflowInfoSet"][1]["WorkflowName"] == "w1");
  CHECK(f.call("DescribeWorkflows", {{"Offset", 50}})["WorkflowInfoSet"] == json::array());

  auto enabled = f.call("DescribeWorkflows", {{"Status", "Enabled"}});
  CHECK(enabled["TotalCount"] == 1);
  CHECK(enabled["WorkflowInfoSet"][0]["WorkflowId"] == 3);
  CHECK(code_of(f.call("DescribeWorkflows", {{"Status", "Asleep"}})) ==
        "InvalidParameterValue");
}
