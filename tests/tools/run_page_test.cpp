#include "tools/framemill/run_page.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace framemill::cli;

namespace {

bool holds(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

const json failed_run = json::parse(R"json({
  "TaskId": "0-WorkflowTask-00000000000000000000000000000007tt0",
  "Run": {"Id": 7, "State": "failed", "Workflow": 3, "Revision": 2, "Cause": "trigger",
    "Spec": {"Name": "daily", "Activities": [{"Kind": "Transcode"}]},
    "Object": {"Bucket": "media", "Key": "in/a\nb.mp4", "Generation": {"Size": 1200}},
    "Failure": {"Code": "input_incomplete", "Message": "the index is missing", "Field": ""},
    "Warnings": ["rotation applied"]},
  "Jobs": [{"Index": 0, "State": "failed", "Outputs": [],
    "Failure": {"Code": "input_incomplete", "Message": "the index is missing", "Field": ""}}],
  "Shards": [{"Id": {"Run": 7, "Index": 2}, "Role": "decode", "State": "failed",
    "Request": {"SourceName": "in/a.mp4"},
    "Attempts": [{"Epoch": 1, "Node": "mill-1", "Exit": "signal 9 (Killed)",
      "Failure": {"Code": "worker_killed", "Message": "somebody killed it", "Field": ""},
      "Log": ["line one", "line \u001b[2Jtwo"],
      "LastWatermark": {"FramesDecoded": 40, "FramesEncoded": 38, "BytesIn": 2000,
                        "BytesOut": 100}}]}],
  "Reproduce": [{"Shard": 2, "Command": "framemill-media --reproduce /data/failed/7-2"}]})json");

} // namespace

TEST_CASE("run_page: a failure is told with all that is known of it") {
  auto page = run_page(failed_run, json::array());

  CHECK(holds(page, "input_incomplete (input): the index is missing"));
  CHECK(holds(page, "worker_killed (transient): somebody killed it"));
  CHECK(holds(page, "mill-1"));
  CHECK(holds(page, "signal 9 (Killed)"));
  CHECK(holds(page, "40 frames decoded, 38 encoded"));
  CHECK(holds(page, "line one"));
  CHECK(holds(page, "framemill-media --reproduce /data/failed/7-2"));
  CHECK(holds(page, R"({"SourceName":"in/a.mp4"})"));
  CHECK(holds(page, "rotation applied"));
}

TEST_CASE("run_page: nothing that the media file chose reaches the terminal raw") {
  auto page = run_page(failed_run, json::array());

  CHECK(holds(page, "in/a\\nb.mp4"));
  CHECK_FALSE(holds(page, "\x1b"));
}

TEST_CASE("run_page: outputs say what they are") {
  auto jobs = json::parse(R"([{"Outputs": [
    {"Object": {"Bucket": "media", "Key": "out/a.mp4"}, "Size": 5000000, "Role": "media",
     "Media": {"Container": "mov,mp4", "Duration": 30.0, "Streams": [
       {"Kind": "video", "Codec": "h264", "Width": 1280, "Height": 720,
        "FrameRate": {"Num": 25, "Den": 1}},
       {"Kind": "audio", "Codec": "aac", "Channels": 2, "SampleRate": 44100}]}},
    {"Object": {"Bucket": "media", "Key": "out/a.jpg"}, "Size": 900, "Role": "picture",
     "Width": 640, "Height": 360, "Media": null}]}])");

  auto text = outputs_text(jobs);

  CHECK(holds(
      text, "media:out/a.mp4  5.0 MB  mov,mp4, 30 s, h264 1280x720 25 fps, aac 2 ch 44100 Hz"));
  CHECK(holds(text, "640x360"));
}

TEST_CASE("run_page: an answer without most of its fields is still a page") {
  CHECK_FALSE(run_page(json::object(), json::array()).empty());
  CHECK_FALSE(run_page(json(nullptr), json(nullptr)).empty());
}

TEST_CASE("run_page: the timeline follows the events") {
  auto events = json::parse(R"([
    {"Time": "2026-11-21T10:00:00.000001Z", "Type": "run.created", "State": "waiting",
     "Message": "object settled"}])");

  CHECK(holds(run_page(failed_run, events), "2026-11-21 10:00:00.000  run.created  waiting"));
}
