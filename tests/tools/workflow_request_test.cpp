#include "tools/framemill/workflow_request.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace framemill::cli;

TEST_CASE("workflow_request: flags become the body of CreateWorkflow") {
  workflow_flags f;
  f.name = "daily";
  f.bucket = "media";
  f.directory = "/in/";
  f.output_bucket = "results";
  f.output_directory = "/out/";
  f.formats = {"mp4", "mov"};
  f.transcodes = {"100020", "100030"};
  f.snapshots = {"10:1s,50%"};
  f.samples = {"10"};
  f.sprites = {"10"};
  f.gifs = {"20000:1:4.5"};
  f.priority = 3;

  auto body = workflow_request(f);

  REQUIRE(body);
  CHECK(*body == json::parse(R"({
    "WorkflowName": "daily",
    "Trigger": {"Type": "CosFileUpload", "CosFileUploadTrigger":
      {"Bucket": "media", "Region": "local", "Dir": "/in/", "Formats": ["mp4", "mov"]}},
    "OutputStorage": {"Type": "COS", "CosOutputStorage": {"Bucket": "results", "Region": "local"}},
    "OutputDir": "/out/",
    "TaskPriority": 3,
    "MediaProcessTask": {
      "TranscodeTaskSet": [{"Definition": 100020}, {"Definition": 100030}],
      "SnapshotByTimeOffsetTaskSet": [{"Definition": 10, "ExtTimeOffsetSet": ["1s", "50%"]}],
      "SampleSnapshotTaskSet": [{"Definition": 10}],
      "ImageSpriteTaskSet": [{"Definition": 10}],
      "AnimatedGraphicTaskSet":
        [{"Definition": 20000, "StartTimeOffset": 1.0, "EndTimeOffset": 4.5}]}})"));
}

TEST_CASE("workflow_request: what nodes must have and should have is asked by labels") {
  workflow_flags f;
  f.required = {"zone=a", "gpu="};
  f.preferred = {"disk=ssd"};
  f.device = "gpu0";
  f.weight = 2.5;

  auto body = workflow_request(f);

  REQUIRE(body);
  CHECK((*body)["Scheduling"]
        == json::parse(R"({"RequiredLabels": {"zone": "a", "gpu": ""},
                           "PreferredLabels": {"disk": "ssd"}, "Device": "gpu0",
                           "Weight": 2.5})"));
  for (const auto* wrong : {"zone", "zone-", "=a"}) {
    f.required = {wrong};
    auto refused = workflow_request(f);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().field == "--require");
    CHECK(refused.error().message.find(wrong) != std::string::npos);
  }
}

TEST_CASE("workflow_request: what is not given is not sent") {
  workflow_flags f;
  f.name = "w";
  f.bucket = "media";

  auto body = workflow_request(f);

  REQUIRE(body);
  CHECK_FALSE(body->contains("OutputStorage"));
  CHECK_FALSE(body->contains("OutputDir"));
  CHECK_FALSE(body->contains("Scheduling"));
  CHECK_FALSE((*body)["Trigger"]["CosFileUploadTrigger"].contains("Formats"));
  CHECK((*body)["MediaProcessTask"].empty());
}

TEST_CASE("workflow_request: a picture of the whole source needs no times") {
  workflow_flags f;
  f.gifs = {"20000"};

  CHECK((*workflow_request(f))["MediaProcessTask"]["AnimatedGraphicTaskSet"][0] ==
        json{{"Definition", 20000}, {"StartTimeOffset", 0.0}, {"EndTimeOffset", 0.0}});
}

TEST_CASE("workflow_request: a value of the wrong shape names its flag") {
  auto fails_at = [](const workflow_flags& f, std::string_view flag) {
    auto body = workflow_request(f);
    return !body && body.error().code == errc::malformed && body.error().field == flag;
  };
  workflow_flags a, b, c, d, e;
  a.transcodes = {"720p"};
  b.snapshots = {"10"};
  c.snapshots = {"10:"};
  d.gifs = {"20000:1"};
  e.gifs = {"20000:1:x"};

  CHECK(fails_at(a, "--transcode"));
  CHECK(fails_at(b, "--snapshot"));
  CHECK(fails_at(c, "--snapshot"));
  CHECK(fails_at(d, "--gif"));
  CHECK(fails_at(e, "--gif"));
}
