#include "tests/api/faults.hpp"

using namespace framemill;
using namespace framemill::test;

namespace {

json file(const std::string& object) {
  return {{"InputInfo",
           {{"Type", "COS"},
            {"CosInputInfo", {{"Bucket", "in"}, {"Region", "r"}, {"Object", object}}}}}};
}

json parameters() {
  json cut = file("/in/b.mov");
  cut.update({{"StartTimeOffset", 1.5}, {"EndTimeOffset", 4}, {"Id", "second"}});
  return {{"FileInfos", {file("/in/a.mov"), cut}},
          {"OutputStorage",
           {{"Type", "COS"}, {"CosOutputStorage", {{"Bucket", "in"}, {"Region", "r"}}}}},
          {"OutputObjectPath", "/out/edited.{format}"}};
}

} // namespace

TEST_CASE("EditMedia: a finished task shows its files and its output") {
  api_fixture f;

  auto answer = f.call("EditMedia", parameters());
  REQUIRE_MESSAGE(code_of(answer) == "", message_of(answer));
  std::string id = answer["TaskId"];
  auto detail = f.call("DescribeTaskDetail", {{"TaskId", id}});

  CHECK(id.find("-EditMedia-") != std::string::npos);
  CHECK(detail["TaskType"] == "EditMediaTask");
  CHECK(detail["WorkflowTask"].is_null());
  auto& task = detail["EditMediaTask"];
  CHECK(task["TaskId"] == id);
  CHECK(task["Status"] == "FINISH");
  CHECK(task["ErrCode"] == 0);
  CHECK(task["Message"] == "SUCCESS");
  auto& files = task["Input"]["FileInfoSet"];
  REQUIRE(files.size() == 2);
  CHECK(files[0]["InputInfo"]["CosInputInfo"]["Object"] == "/in/a.mov");
  CHECK(files[1]["StartTimeOffset"] == 1.5);
  CHECK(files[1]["EndTimeOffset"] == 4);
  CHECK(files[1]["Id"] == "second");
  CHECK(task["Output"]["OutputStorage"]["CosOutputStorage"]["Bucket"] == "in");
  CHECK(task["Output"]["Path"].get<std::string>().ends_with(".mp4"));
  CHECK(task["Output"]["MetaData"]["VideoStreamSet"].size() == 1);
}

TEST_CASE("EditMedia: each fault has its code and names its field") {
  api_fixture f;
  const auto good = parameters();
  const fault rows[] = {
      {with(good, "/FileInfos", nullptr), "MissingParameter", "FileInfos"},
      {with(good, "/FileInfos", json::array()), "MissingParameter", "FileInfos"},
      {with(good, "/OutputStorage", nullptr), "MissingParameter", "OutputStorage"},
      {with(good, "/OutputObjectPath", nullptr), "MissingParameter", "OutputObjectPath"},
      {with(good, "/OutputObjectPath", ""), "MissingParameter", "OutputObjectPath"},
      {with(good, "/OutputObjectPath", "/out/x.mp4"), "InvalidParameterValue",
       "OutputObjectPath"},
      {with(good, "/FileInfos/1/InputInfo/Type", "URL"), "UnsupportedOperation",
       "FileInfos.1.InputInfo.Type"},
      {with(good, "/FileInfos/0/InputInfo/CosInputInfo/Object", ""), "InvalidParameterValue",
       "FileInfos.0.InputInfo.CosInputInfo.Object"},
      {with(good, "/FileInfos/1/EndTimeOffset", 1), "InvalidParameterValue",
       "FileInfos.1.EndTimeOffset"},
      {with(good, "/OutputConfig", {{"Container", "avi"}}), "UnsupportedOperation",
       "OutputConfig.Container"},
      {with(good, "/OutputConfig", {{"Container", "m4a"}}), "UnsupportedOperation",
       "OutputConfig.Container"},
      {with(good, "/OutputConfig", {{"Type", "fast"}}), "UnsupportedOperation",
       "OutputConfig.Type"},
      {with(good, "/OutputConfig", {{"Type", "slow"}}), "InvalidParameterValue",
       "OutputConfig.Type"},
      {with(good, "/ComposeConfig", {{"Canvas", {{"Color", "#000000"}}}}),
       "UnsupportedOperation", "ComposeConfig"},
      {with(good, "/TasksPriority", 11), "InvalidParameterValue", "TasksPriority"},
      {with(good, "/TaskNotifyConfig", {{"NotifyType", "URL"}}), "MissingParameter",
       "TaskNotifyConfig.NotifyUrl"},
  };
  check_refused(f, "EditMedia", rows);
}

TEST_CASE("EditMedia: a SessionId works once") {
  api_fixture f;
  auto request = with(parameters(), "/SessionId", "s");

  CHECK(code_of(f.call("EditMedia", request)) == "");
  CHECK(code_of(f.call("EditMedia", request)) == "InvalidParameterValue.SessionId");
}
