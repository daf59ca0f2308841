#include "tests/api/faults.hpp"

using namespace framemill;
using namespace framemill::test;

namespace {

json node(const std::string& type, json successors, json parameters = nullptr) {
  json out{{"ActivityType", type}, {"ReardriveIndex", std::move(successors)}};
  if (!parameters.is_null())
    out["ActivityPara"] = std::move(parameters);
  return out;
}

const json transcode{{"TranscodeTask", {{"Definition", 100020}}}};
const json sample{{"SampleSnapshotTask", {{"Definition", 10}}}};

json graph() {
  return {node("input", {1, 2}), node("action-trans", {3}, transcode),
          node("action-samplesnapshot", {3}, sample), node("output", json::array(), json::object())};
}

json parameters(const std::string& name) {
  return {{"ScheduleName", name},
          {"Trigger",
           {{"Type", "CosFileUpload"},
            {"CosFileUploadTrigger", {{"Bucket", "in"}, {"Region", "r"}, {"Dir", "/in/"}}}}},
          {"Activities", graph()},
          {"OutputDir", "/out/"}};
}

json info_of(const api_fixture& f, const json& id) {
  return f.call("DescribeSchedules", {{"ScheduleIds", {id}}})["ScheduleInfoSet"].at(0);
}

json created(const api_fixture& f, const std::string& name) {
  return f.call("CreateSchedule", parameters(name)).at("ScheduleId");
}

json input() {
  return {{"Type", "COS"},
          {"CosInputInfo", {{"Bucket", "in"}, {"Region", "r"}, {"Object", "/in/a.mov"}}}};
}

} // namespace

TEST_CASE("CreateSchedule: a new scheme is disabled, and described as the graph it is") {
  api_fixture f;

  auto answer = f.call("CreateSchedule", parameters("s"));
  REQUIRE_MESSAGE(code_of(answer) == "", message_of(answer));
  auto info = info_of(f, answer["ScheduleId"]);

  CHECK(info["ScheduleName"] == "s");
  CHECK(info["Type"] == "Custom");
  CHECK(info["Status"] == "Disabled");
  CHECK(info["Trigger"]["CosFileUploadTrigger"]["Dir"] == "/in/");
  CHECK(info["OutputDir"] == "/out/");
  CHECK(info["TaskNotifyConfig"].is_null());
  CHECK(info["CreateTime"] == to_iso8601(test_start));
  auto& nodes = info["Activities"];
  REQUIRE(nodes.size() == 4);
  CHECK(nodes[0]["ActivityType"] == "input");
  CHECK(nodes[0]["ReardriveIndex"] == json{1, 2});
  CHECK(nodes[0]["ActivityPara"].is_null());
  CHECK(nodes[1]["ActivityType"] == "action-trans");
  CHECK(nodes[1]["PredriveIndex"] == json::array({0}));
  CHECK(nodes[1]["ReardriveIndex"] == json::array({3}));
  CHECK(nodes[1]["ActivityPara"]["TranscodeTask"]["Definition"] == 100020);
  CHECK(nodes[1]["ActivityPara"]["SampleSnapshotTask"].is_null());
  CHECK(nodes[2]["ActivityPara"]["SampleSnapshotTask"]["Definition"] == 10);
  CHECK(nodes[3]["ActivityType"] == "output");
  CHECK(nodes[3]["PredriveIndex"] == json{1, 2});
  CHECK(nodes[3]["ReardriveIndex"] == json::array());
}

TEST_CASE("CreateSchedule: what was described can be sent back") {
  api_fixture f;
  auto id = created(f, "s");
  auto info = info_of(f, id);
  for (auto* field : {"ScheduleId", "Type", "Status", "CreateTime", "UpdateTime"})
    info.erase(field);
  info["ScheduleName"] = "t";

  auto again = f.call("CreateSchedule", info);

  REQUIRE_MESSAGE(code_of(again) == "", message_of(again));
  CHECK(info_of(f, again["ScheduleId"])["Activities"] == info["Activities"]);
}

TEST_CASE("CreateSchedule: each fault has its code and names its field") {
  api_fixture f;
  const auto good = parameters("a");
  const fault rows[] = {
      {with(good, "/ScheduleName", nullptr), "MissingParameter", "ScheduleName"},
      {with(good, "/Trigger", nullptr), "MissingParameter", "Trigger"},
      {with(good, "/Activities", nullptr), "MissingParameter", "Activities"},
      {with(good, "/ScheduleName", "a b"), "InvalidParameterValue", "ScheduleName"},
      {with(good, "/ResourceId", "r-1"), "UnsupportedOperation", "ResourceId"},
      {with(good, "/Trigger/CosFileUploadTrigger/Dir", "/in"), "InvalidParameterValue",
       "Trigger.CosFileUploadTrigger.Dir"},
      {with(good, "/Activities", json::array()), "InvalidParameterValue",
       "Activities.0.ActivityType"},
      {with(good, "/Activities/0/ActivityType", "action-trans"), "InvalidParameterValue",
       "Activities.0.ActivityType"},
      {with(good, "/Activities/3/ActivityType", "input"), "InvalidParameterValue",
       "Activities.3.ActivityType"},
      {with(good, "/Activities/1/ActivityType", "input"), "InvalidParameterValue",
       "Activities.1.ActivityType"},
      {with(good, "/Activities/1/ActivityType", "action-dance"), "InvalidParameterValue",
       "Activities.1.ActivityType"},
      {with(good, "/Activities/1/ActivityType", "action-AIAnalysis"), "UnsupportedOperation",
       "Activities.1.ActivityType"},
      {with(good, "/Activities/1/ActivityPara", {{"AiAnalysisTask", {{"Definition", 10}}}}),
       "UnsupportedOperation", "Activities.1.ActivityPara.AiAnalysisTask"},
      {with(good, "/Activities/1/ActivityPara", sample), "InvalidParameterValue",
       "Activities.1.ActivityPara"},
      {with(good, "/Activities/1/ActivityPara", nullptr), "InvalidParameterValue",
       "Activities.1.ActivityPara"},
      {with(good, "/Activities/0/ActivityPara", transcode), "InvalidParameterValue",
       "Activities.0.ActivityPara"},
      {with(good, "/Activities/2/ActivityPara/SampleSnapshotTask/Definition", 999),
       "InvalidParameterValue", "Activities.2.ActivityPara.SampleSnapshotTask.Definition"},
      {with(good, "/Activities/0/ReardriveIndex", json::array({1})), "InvalidParameterValue",
       "Activities.2"},
      {with(good, "/Activities/1/ReardriveIndex", json::array()), "InvalidParameterValue",
       "Activities.1.ReardriveIndex"},
      {with(good, "/Activities/1/ReardriveIndex", json::array({4})), "InvalidParameterValue",
       "Activities.1.ReardriveIndex.0"},
      {with(good, "/Activities/1/ReardriveIndex", json::array({-1})), "InvalidParameterValue",
       "Activities.1.ReardriveIndex.0"},
      {with(good, "/Activities/1/ReardriveIndex", json::array({1})), "InvalidParameterValue",
       "Activities.1.ReardriveIndex.0"},
      {with(good, "/Activities/1/ReardriveIndex", json::array({0})), "InvalidParameterValue",
       "Activities.1.ReardriveIndex.0"},
      {with(good, "/Activities/1/ReardriveIndex", json::array({3, 3})), "InvalidParameterValue",
       "Activities.1.ReardriveIndex.1"},
      {with(good, "/Activities/3/ReardriveIndex", json::array({1})), "InvalidParameterValue",
       "Activities.3.ReardriveIndex"},
      {with(good, "/Activities/1/ReardriveIndex", json::array({2})), "UnsupportedOperation",
       "Activities.1.ReardriveIndex"},
      {with(with(good, "/Activities/1/ReardriveIndex", json::array({2})),
            "/Activities/2/ReardriveIndex", json::array({1})),
       "InvalidParameterValue", "Activities"},
      {with(good, "/Activities",
            {node("input", json::array({1})), node("output", json::array())}),
       "MissingParameter", "Activities"},
      {with(good, "/TaskNotifyConfig", {{"NotifyType", "URL"}}), "MissingParameter",
       "TaskNotifyConfig.NotifyUrl"},
  };
  check_refused(f, "CreateSchedule", rows);
  CHECK(f.call("DescribeSchedules", json::object())["TotalCount"] == 0);
}

TEST_CASE("ModifySchedule: replaces what is given, and keeps the rest") {
  api_fixture f;
  auto id = created(f, "a");
  auto before = info_of(f, id);
  json one{node("input", json::array({1})), node("action-trans", json::array({2}), transcode),
           node("output", json::array())};

  auto renamed = f.call("ModifySchedule", {{"ScheduleId", id}, {"ScheduleName", "b"}});
  REQUIRE_MESSAGE(code_of(renamed) == "", message_of(renamed));
  auto after = info_of(f, id);
  CHECK(after["ScheduleName"] == "b");
  CHECK(after["Activities"] == before["Activities"]);
  CHECK(after["OutputDir"] == "/out/");

  CHECK(code_of(f.call("ModifySchedule",
                       {{"ScheduleId", id}, {"Activities", one}, {"OutputDir", ""}}))
        == "");
  after = info_of(f, id);
  CHECK(after["Activities"].size() == 3);
  CHECK(after["OutputDir"] == "");
  CHECK(after["ScheduleName"] == "b");

  auto wrong = f.call("ModifySchedule", {{"ScheduleId", id}, {"OutputDir", "out"}});
  CHECK(code_of(wrong) == "InvalidParameterValue");
  CHECK(message_of(wrong).find("`OutputDir`") != std::string::npos);
}

TEST_CASE("ModifySchedule: a TaskNotifyConfig that says nothing ends the notifications") {
  api_fixture f;
  auto with_notify = parameters("a");
  with_notify["TaskNotifyConfig"] = {{"NotifyType", "URL"}, {"NotifyUrl", "http://h/x"}};
  auto id = f.call("CreateSchedule", with_notify).at("ScheduleId");

  (void)f.call("ModifySchedule", {{"ScheduleId", id}, {"OutputDir", "/b/"}});
  CHECK(info_of(f, id)["TaskNotifyConfig"]["NotifyUrl"] == "http://h/x");
  auto ended = f.call("ModifySchedule",
                      {{"ScheduleId", id}, {"TaskNotifyConfig", json::object()}});

  CHECK_MESSAGE(code_of(ended) == "", message_of(ended));
  CHECK(info_of(f, id)["TaskNotifyConfig"].is_null());
}

TEST_CASE("CreateSchedule: more than anybody means is refused before it is read") {
  api_fixture f;
  auto many = parameters("a");
  many["Activities"] = json(20'000, node("input", json::array()));
  auto answer = f.call("CreateSchedule", many);
  CHECK(code_of(answer).starts_with("LimitExceeded"));
  CHECK(message_of(answer).find("`Activities`") != std::string::npos);
}

TEST_CASE("scheme: enabled, it can be neither modified nor deleted") {
  api_fixture f;
  json id{{"ScheduleId", created(f, "a")}};
  auto change = id;
  change["ScheduleName"] = "b";

  CHECK(code_of(f.call("EnableSchedule", id)) == "");
  CHECK(info_of(f, id["ScheduleId"])["Status"] == "Enabled");
  CHECK(code_of(f.call("ModifySchedule", change)) == "FailedOperation");
  CHECK(code_of(f.call("DeleteSchedule", id)) == "FailedOperation");

  CHECK(code_of(f.call("DisableSchedule", id)) == "");
  CHECK(code_of(f.call("ModifySchedule", change)) == "");
  CHECK(code_of(f.call("DeleteSchedule", id)) == "");
  CHECK(f.call("DescribeSchedules", json::object())["TotalCount"] == 0);
}

TEST_CASE("scheme: workflows and schemes are not found as each other") {
  api_fixture f;
  auto scheme = created(f, "a");
  auto workflow = f.call("CreateWorkflow", workflow_parameters("a"))["WorkflowId"];
  constexpr auto unknown = "ResourceNotFound.TemplateNotExist";

  CHECK(f.call("DescribeWorkflows", json::object())["TotalCount"] == 1);
  CHECK(f.call("DescribeSchedules", json::object())["TotalCount"] == 1);
  for (auto* verb : {"Enable", "Disable", "Delete"}) {
    CAPTURE(verb);
    CHECK(code_of(f.call(std::string{verb} + "Workflow", {{"WorkflowId", scheme}})) == unknown);
    CHECK(code_of(f.call(std::string{verb} + "Schedule", {{"ScheduleId", workflow}}))
          == unknown);
  }
  CHECK(code_of(f.call("ModifySchedule", {{"ScheduleId", workflow}})) == unknown);
}

TEST_CASE("DescribeSchedules: newest first, by page, status and trigger") {
  api_fixture f;
  for (int i = 1; i <= 3; ++i)
    (void)created(f, fmt::format("s{}", i));
  f.call("EnableSchedule", {{"ScheduleId", 2}});

  auto first = f.call("DescribeSchedules", {{"Limit", 2}});
  CHECK(first["TotalCount"] == 3);
  REQUIRE(first["ScheduleInfoSet"].size() == 2);
  CHECK(first["ScheduleInfoSet"][0]["ScheduleName"] == "s3");
  CHECK(f.call("DescribeSchedules", {{"Status", "Enabled"}})["TotalCount"] == 1);
  CHECK(f.call("DescribeSchedules", {{"TriggerType", "CosFileUpload"}})["TotalCount"] == 3);
  CHECK(f.call("DescribeSchedules", {{"TriggerType", "AwsS3FileUpload"}})["TotalCount"] == 0);
  for (auto* field : {"Status", "TriggerType"})
    CHECK(code_of(f.call("DescribeSchedules", {{field, "Moon"}})) == "InvalidParameterValue");
}

TEST_CASE("ProcessMedia: runs a scheme, which a ScheduleTask tells") {
  api_fixture f;
  auto id = created(f, "a");

  auto answer = f.call("ProcessMedia", {{"InputInfo", input()}, {"ScheduleId", id}});
  REQUIRE_MESSAGE(code_of(answer) == "", message_of(answer));
  std::string task_id = answer["TaskId"];
  auto detail = f.call("DescribeTaskDetail", {{"TaskId", task_id}});

  CHECK(task_id.find("-ScheduleTask-") != std::string::npos);
  CHECK(detail["TaskType"] == "ScheduleTask");
  CHECK(detail["WorkflowTask"].is_null());
  auto& task = detail["ScheduleTask"];
  CHECK(task["TaskId"] == task_id);
  CHECK(task["Status"] == "FINISH");
  CHECK(task["InputInfo"]["CosInputInfo"]["Object"] == "/in/a.mov");
  REQUIRE(task["ActivityResultSet"].size() == 2);
  auto& first = task["ActivityResultSet"][0];
  CHECK(first["ActivityType"] == "Transcode");
  CHECK(first["ActivityResItem"]["TranscodeTask"]["Status"] == "SUCCESS");
  for (auto* other : {"SampleSnapshotTask", "AnalysisTask", "ExecRuleTask", "SmartEraseTask"})
    CHECK(first["ActivityResItem"].at(other).is_null());
  auto listed = f.call("DescribeTasks", {{"Status", "FINISH"}});
  CHECK(listed["TaskSet"][0]["TaskId"] == task_id);
  CHECK(listed["TaskSet"][0]["TaskType"] == "ScheduleTask");
}

TEST_CASE("ProcessMedia: the call's terms go before the scheme's") {
  api_fixture f;
  auto id = created(f, "a");
  json notify{{"NotifyType", "URL"}, {"NotifyUrl", "http://h/x"}};

  auto answer = f.call("ProcessMedia", {{"InputInfo", input()},
                                        {"ScheduleId", id},
                                        {"OutputDir", "/else/"},
                                        {"TaskNotifyConfig", notify},
                                        {"TasksPriority", 4}});
  REQUIRE_MESSAGE(code_of(answer) == "", message_of(answer));
  auto detail = f.call("DescribeTaskDetail", {{"TaskId", answer["TaskId"]}});

  CHECK(detail["TaskNotifyConfig"]["NotifyUrl"] == "http://h/x");
  CHECK(detail["ScheduleTask"]["ActivityResultSet"][0]["ActivityResItem"]["TranscodeTask"]
              ["Input"]["OutputObjectPath"]
        == "/else/a_transcode_100020");
}

TEST_CASE("ProcessMedia: activities of the call's own go before a scheme") {
  api_fixture f;
  auto id = created(f, "a");
  json own{node("input", json::array({1})), node("action-samplesnapshot", json::array({2}), sample),
           node("output", json::array())};

  auto answer = f.call("ProcessMedia",
                       {{"InputInfo", input()}, {"ScheduleId", id}, {"Activities", own}});
  REQUIRE_MESSAGE(code_of(answer) == "", message_of(answer));
  auto detail = f.call("DescribeTaskDetail", {{"TaskId", answer["TaskId"]}});

  REQUIRE(detail["ScheduleTask"]["ActivityResultSet"].size() == 1);
  CHECK(detail["ScheduleTask"]["ActivityResultSet"][0]["ActivityType"] == "SampleSnapshot");
}

TEST_CASE("ProcessMedia: a scheme that is not there, and two ways at once, are refused") {
  api_fixture f;
  auto id = created(f, "a");
  auto workflow = f.call("CreateWorkflow", workflow_parameters("a"))["WorkflowId"];
  json call{{"InputInfo", input()}};

  for (const auto& unknown : {json(99), workflow}) {
    auto answer = f.call("ProcessMedia", with(call, "/ScheduleId", unknown));
    CHECK(code_of(answer) == "ResourceNotFound.TemplateNotExist");
    CHECK(message_of(answer).find("`ScheduleId`") != std::string::npos);
  }
  json both = with(call, "/ScheduleId", id);
  both["MediaProcessTask"]["TranscodeTaskSet"] = {{{"Definition", 100020}}};
  auto answer = f.call("ProcessMedia", both);
  CHECK(code_of(answer) == "InvalidParameterValue");
  CHECK(message_of(answer).find("`MediaProcessTask`") != std::string::npos);
  answer = f.call("ProcessMedia", with(call, "/Activities", json::array())); // as absent
  CHECK(code_of(answer) == "InvalidParameter");
}
