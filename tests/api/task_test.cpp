#include "tests/api/client.hpp"

#include "storage/records.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace framemill::test;
using namespace std::chrono_literals;

namespace {

json input(const std::string& object = "/in/a.mov", const std::string& bucket = "in") {
  return {
      {"Type", "COS"},
      {"CosInputInfo", {{"Bucket", bucket}, {"Region", "ap-guangzhou"}, {"Object", object}}}};
}

json process_parameters() {
  return {{"InputInfo", input()},
          {"OutputDir", "/out/"},
          {"MediaProcessTask",
           {{"TranscodeTaskSet", {{{"Definition", 100020}}}},
            {"ImageSpriteTaskSet", {{{"Definition", 10}}}}}}};
}

std::string submit(api_fixture& f) {
  return f.call("ProcessMedia", process_parameters())["TaskId"];
}

} // namespace

TEST_CASE("ProcessMedia: a finished task shows each output by its kind") {
  api_fixture f;

  auto id = submit(f);
  auto detail = f.call("DescribeTaskDetail", {{"TaskId", id}});

  CHECK(detail["TaskType"] == "WorkflowTask");
  CHECK(detail["Status"] == "FINISH");
  CHECK(detail["CreateTime"] == to_iso8601(test_start));
  for (auto* variant : {"EditMediaTask", "ScheduleTask", "LiveStreamProcessTask"})
    CHECK(detail[variant].is_null());
  auto& task = detail["WorkflowTask"];
  CHECK(task["TaskId"] == id);
  CHECK(task["ErrCode"] == 0);
  CHECK(task["Message"] == "SUCCESS");
  CHECK(task["InputInfo"]["CosInputInfo"]["Object"] == "/in/a.mov");
  CHECK(task["MetaData"]["VideoStreamSet"][0]["Fps"] == 30);
  REQUIRE(task["MediaProcessResultSet"].size() == 2);

  auto& transcode = task["MediaProcessResultSet"][0];
  CHECK(transcode["Type"] == "Transcode");
  CHECK(transcode["ImageSpriteTask"].is_null());
  CHECK(transcode["TranscodeTask"]["Status"] == "SUCCESS");
  CHECK(transcode["TranscodeTask"]["Progress"] == 100);
  CHECK(transcode["TranscodeTask"]["ErrCodeExt"] == "");
  CHECK(transcode["TranscodeTask"]["Input"]["OutputObjectPath"] == "/out/a_transcode_100020");
  CHECK(transcode["TranscodeTask"]["Input"]["OutputStorage"]["CosOutputStorage"]["Bucket"] ==
        "in");
  auto& output = transcode["TranscodeTask"]["Output"];
  CHECK(output["Path"] == "/a.mp4");
  CHECK(output["Container"] == "mov,mp4,m4a,3gp,3g2,mj2");
  CHECK(output["Definition"] == 100020);
  CHECK(output["OutputStorage"]["CosOutputStorage"]["Region"] == "ap-guangzhou");

  auto& sprite = task["MediaProcessResultSet"][1];
  CHECK(sprite["Type"] == "ImageSprites");
  CHECK(sprite["ImageSpriteTask"]["Output"]["WebVttPath"] == "/a.vtt");
  CHECK(sprite["ImageSpriteTask"]["Output"]["ImagePathSet"] == json{"/a_0.jpg"});
}

TEST_CASE("ProcessMedia: a live task shows its progress, and no output") {
  api_fixture f;
  f.system.set_run_state(run_state::processing);

  auto detail = f.call("DescribeTaskDetail", {{"TaskId", submit(f)}});

  CHECK(detail["Status"] == "PROCESSING");
  CHECK(detail["FinishTime"] == "");
  auto& sub = detail["WorkflowTask"]["MediaProcessResultSet"][0]["TranscodeTask"];
  CHECK(sub["Status"] == "PROCESSING");
  CHECK(sub["Progress"] == 41);
  CHECK(sub["Output"].is_null());
}

TEST_CASE("DescribeTaskDetail: a failure says MPS's code and our sentence") {
  api_fixture f;
  f.system.set_run_state(run_state::failed);
  auto id = submit(f);
  job_record job;
  job.run = {1};
  job.state = job_state::failed;
  job.failure = error{errc::input_no_video, "the source has no video", ""};
  f.system.put(family::jobs, keys::job(job.run, 0), job);

  auto set =
      f.call("DescribeTaskDetail", {{"TaskId", id}})["WorkflowTask"]["MediaProcessResultSet"];

  auto& sub = set[0]["TranscodeTask"];
  CHECK(sub["Status"] == "FAIL");
  CHECK(sub["ErrCodeExt"] == "SourceFileError.NoVideoMedia");
  CHECK(sub["ErrCode"] == 60000);
  CHECK(sub["Message"] == "the source has no video");
  CHECK(set[1]["ImageSpriteTask"]["Status"] == "FAIL");
}

TEST_CASE("ProcessMedia: each fault has its code and names its field") {
  api_fixture f;
  auto good = process_parameters();
  auto with = [&](const char* pointer, json value) {
    auto p = good;
    p[json::json_pointer{pointer}] = std::move(value);
    return p;
  };
  struct row {
    json parameters;
    const char* code;
    const char* field;
  };
  const row rows[] = {
      {with("/InputInfo", nullptr), "MissingParameter", "InputInfo"},
      {with("/InputInfo/Type", "URL"), "UnsupportedOperation", "InputInfo.Type"},
      {with("/InputInfo/Type", "TAPE"), "InvalidParameterValue", "InputInfo.Type"},
      {with("/InputInfo/CosInputInfo", nullptr), "MissingParameter", "InputInfo.CosInputInfo"},
      {with("/InputInfo/CosInputInfo/Object", "/a/../../b"), "InvalidParameterValue", "Object"},
      {with("/InputInfo/UrlInputInfo", {{"Url", "http://x/"}}), "UnsupportedOperation",
       "UrlInputInfo"},
      {with("/MediaProcessTask", nullptr), "InvalidParameter", "MediaProcessTask"},
      {with("/MediaProcessTask", json::object()), "InvalidParameter", "MediaProcessTask"},
      {with("/ScheduleId", 1), "InvalidParameterValue", "MediaProcessTask"},
      {with("/Activities", {{{"ActivityType", "input"}}}), "InvalidParameterValue",
       "MediaProcessTask"},
      {with("/SmartEraseTask", {{"Definition", 1}}), "UnsupportedOperation", "SmartEraseTask"},
      {with("/TasksPriority", -11), "InvalidParameterValue", "TasksPriority"},
      {with("/TaskPriority", 1), "UnknownParameter", "TaskPriority"},
      {with("/TaskType", "Offline"), "UnsupportedOperation", "TaskType"},
      {with("/SkipMateData", 1), "UnsupportedOperation", "SkipMateData"},
      {with("/SessionId", std::string(51, 's')), "InvalidParameterValue.SessionIdTooLong",
       "SessionId"},
      {with("/SessionContext", std::string(1001, 's')),
       "InvalidParameterValue.SessionContextTooLong", "SessionContext"},
  };
  for (const auto& r : rows) {
    CAPTURE(r.parameters.dump());
    auto response = f.call("ProcessMedia", r.parameters);
    CHECK(code_of(response) == r.code);
    CHECK_MESSAGE(message_of(response).find(fmt::format("{}`", r.field)) != std::string::npos,
                  message_of(response));
  }
}

TEST_CASE("ProcessMedia: a SessionId works once, and its context comes back") {
  api_fixture f;
  auto parameters = process_parameters();
  parameters["SessionId"] = "s-1";
  parameters["SessionContext"] = "对象";

  auto first = f.call("ProcessMedia", parameters);
  CHECK(code_of(f.call("ProcessMedia", parameters)) == "InvalidParameterValue.SessionId");

  auto detail = f.call("DescribeTaskDetail", {{"TaskId", first["TaskId"]}});
  CHECK(detail["SessionId"] == "s-1");
  CHECK(detail["SessionContext"] == "对象");
}

TEST_CASE("DescribeTaskDetail: an unknown task is ResourceNotFound") {
  api_fixture f;
  CHECK(code_of(f.call("DescribeTaskDetail", {{"TaskId", to_task_id({99})}})) ==
        "ResourceNotFound");
  CHECK(code_of(f.call("DescribeTaskDetail", {{"TaskId", "nonsense"}})) == "ResourceNotFound");
  CHECK(code_of(f.call("DescribeTaskDetail", json::object())) == "MissingParameter");
}

TEST_CASE("DescribeTasks: pages by ScrollToken, newest first") {
  api_fixture f;
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i)
    ids.push_back(submit(f));

  auto first = f.call("DescribeTasks", {{"Status", "FINISH"}, {"Limit", 2}});
  CHECK(first["TotalCount"] == 5);
  CHECK(first["TaskSet"][0]["TaskId"] == ids[4]);
  CHECK(first["TaskSet"][0]["SubTaskTypes"] == json{"Transcode", "ImageSprites"});
  CHECK(first["ScrollToken"] == ids[2]);
  auto second =
      f.call("DescribeTasks",
             {{"Status", "FINISH"}, {"Limit", 3}, {"ScrollToken", first["ScrollToken"]}});
  CHECK(second["TaskSet"].size() == 3);
  CHECK(second["TaskSet"][0]["TaskId"] == ids[2]);
  CHECK(second["ScrollToken"] == "");
}

TEST_CASE("DescribeTasks: filters by status, time and failure") {
  api_fixture f;
  submit(f);
  f.time.advance(10min);
  f.system.set_run_state(run_state::failed);
  submit(f);
  f.system.set_run_state(run_state::waiting);
  submit(f);
  auto total = [&](json p) { return f.call("DescribeTasks", p)["TotalCount"]; };

  CHECK(total({{"Status", "FINISH"}}) == 2);
  CHECK(total({{"Status", "PROCESSING"}}) == 0);
  auto waiting = f.call("DescribeTasks", {{"Status", "WAITING"}});
  CHECK(waiting["TaskSet"][0]["BeginProcessTime"] == "0000-00-00T00:00:00Z");
  CHECK(total({{"Status", "FINISH"}, {"SubTaskHasFailed", true}}) == 1);
  CHECK(total({{"Status", "FINISH"}, {"SubTaskHasFailed", false}}) == 1);
  CHECK(total({{"Status", "FINISH"}, {"StartTime", to_iso8601(test_start + 5min)}}) == 1);
  CHECK(total({{"Status", "FINISH"}, {"EndTime", to_iso8601(test_start + 5min)}}) == 1);
  f.time.advance(8 * 24h);
  CHECK(total({{"Status", "FINISH"}}) == 0);
}

TEST_CASE("DescribeTasks: its faults") {
  api_fixture f;
  auto code = [&](json p) { return code_of(f.call("DescribeTasks", p)); };
  CHECK(code(json::object()) == "MissingParameter");
  CHECK(code({{"Status", "DONE"}}) == "InvalidParameterValue");
  CHECK(code({{"Status", "FINISH"}, {"Limit", 101}}) == "InvalidParameterValue.Limit");
  CHECK(
      code({{"Status", "FINISH"}, {"StartTime", "yesterday"}}).starts_with("InvalidParameter"));
  CHECK(code({{"Status", "FINISH"}, {"ScrollToken", "?"}}) == "InvalidParameterValue");
}

TEST_CASE("ManageTask: aborts what waits, and nothing else") {
  api_fixture f;
  f.system.set_run_state(run_state::waiting);
  auto waiting = submit(f);
  f.system.set_run_state(run_state::processing);
  auto processing = submit(f);
  auto code = [&](const char* operation, const std::string& id) {
    return code_of(f.call("ManageTask", {{"OperationType", operation}, {"TaskId", id}}));
  };

  CHECK(code("Pause", waiting) == "InvalidParameterValue.InvalidOperationType");
  CHECK(code("Abort", "nonsense") == "InvalidParameterValue.TaskId");
  CHECK(code("Abort", to_task_id({99})) == "InvalidParameterValue.TaskId");
  CHECK(code("Abort", processing) == "InvalidParameterValue.NotProcessingTask");
  CHECK(code("Abort", waiting) == "");
  CHECK(code("Abort", waiting) == "InvalidParameterValue.NotProcessingTask");
  auto detail = f.call("DescribeTaskDetail", {{"TaskId", waiting}});
  CHECK(detail["Status"] == "FINISH");
  CHECK(detail["WorkflowTask"]["ErrCode"] != 0);
}

TEST_CASE("DescribeMediaMetaData: what the probe found") {
  api_fixture f;

  auto data = f.call("DescribeMediaMetaData", {{"InputInfo", input()}})["MetaData"];

  CHECK(data["Size"] == 123456);
  CHECK(data["Width"] == 1280);
  CHECK(data["Rotate"] == 90);
  CHECK(data["Duration"] == 2.5);
  CHECK(data["VideoDuration"] == 2.5);
  CHECK(data["VideoStreamSet"][0]["FpsNumerator"] == 30000);
  CHECK(data["VideoStreamSet"][0]["HdrType"] == "sdr");
  CHECK(data["AudioStreamSet"][0]["SamplingRate"] == 44100);
  CHECK(data["AudioStreamSet"][0]["Channel"] == 2);
}

TEST_CASE("DescribeMediaMetaData: a source that cannot be read is SrcFile") {
  api_fixture f;
  auto code = [&](json in) {
    return code_of(f.call("DescribeMediaMetaData", {{"InputInfo", in}}));
  };
  CHECK(code(input("/text.mp4")) == "InvalidParameterValue.SrcFile");
  CHECK(code(input("/a.mp4", "nowhere")) == "InvalidParameterValue.SrcFile");
  CHECK(code(input("/../a.mp4")) == "InvalidParameterValue.SrcFile");
  CHECK(code({{"Type", "URL"}, {"UrlInputInfo", {{"Url", "http://x/"}}}}) ==
        "UnsupportedOperation");
}

TEST_CASE("ParseNotification: answers the event of a body, and refuses what is none") {
  api_fixture f;
  auto detail = f.call("DescribeTaskDetail", {{"TaskId", submit(f)}});
  json body{{"EventType", "WorkflowTask"}, {"WorkflowTaskEvent", detail["WorkflowTask"]}};

  auto event = f.call("ParseNotification", {{"Content", body.dump()}});

  CHECK(event["EventType"] == "WorkflowTask");
  CHECK(event["WorkflowTaskEvent"] == detail["WorkflowTask"]);
  CHECK(event["ScheduleTaskEvent"].is_null());
  CHECK(event["SessionId"] == "");
  CHECK(code_of(f.call("ParseNotification", {{"Content", "no"}})) ==
        "InvalidParameterValue.InvalidContent");
  CHECK(code_of(f.call("ParseNotification", json::object())) == "MissingParameter");
}
