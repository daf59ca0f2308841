#include "tests/system/fixture.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

using namespace framemill;
using namespace framemill::test;

namespace {

json one_of_each() {
  json still{{"Definition", 10}};
  json animation{{"Definition", 20000}, {"StartTimeOffset", 1}, {"EndTimeOffset", 3}};
  json tasks{{"TranscodeTaskSet",
              {{{"Definition", 100030}}, {{"Definition", 100210}}, {{"Definition", 1110}}}},
             {"SnapshotByTimeOffsetTaskSet",
              {{{"Definition", 10}, {"ExtTimeOffsetSet", {"1s", "50%"}}}}},
             {"SampleSnapshotTaskSet", {still}},
             {"ImageSpriteTaskSet", {still}},
             {"AnimatedGraphicTaskSet", {animation, animation}}};
  tasks["AnimatedGraphicTaskSet"][1]["Definition"] = 20001;
  return tasks;
}

void check_video(const std::string& path, int width, int height, int frames, double seconds) {
  CAPTURE(path);
  auto probed = probe(path);
  auto video = stream_of(probed, "video");
  REQUIRE(video.is_object());
  CHECK(video["codec_name"] == "h264");
  CHECK(video["width"] == width);
  CHECK(video["height"] == height);
  CHECK(video["nb_read_frames"] == std::to_string(frames));
  CHECK(std::abs(std::stod(probed["format"]["duration"].get<std::string>()) - seconds) < 0.15);
}

void check_picture(const std::string& path, const std::string& codec, int width, int height) {
  CAPTURE(path);
  auto video = stream_of(probe(path), "video");
  REQUIRE(video.is_object());
  CHECK(video["codec_name"] == codec);
  CHECK(video["width"] == width);
  CHECK(video["height"] == height);
}

/// The position of the first event of a type and state; npos when there is none.
std::size_t position(const std::vector<json>& events, const std::string& type,
                     const std::string& state) {
  for (std::size_t i = 0; i < events.size(); ++i)
    if (events[i]["Type"] == type && events[i]["State"] == state)
      return i;
  return std::string::npos;
}

} // namespace

TEST_CASE("system: HLS in fragmented MP4 plays from its first segment to its last") {
  node_fixture f;
  json segments{
      {"Codec", "h264"}, {"Fps", 0}, {"Bitrate", 0}, {"HlsTime", 2}, {"SegmentType", 7}};
  json sound{{"Codec", "aac"}, {"Bitrate", 128}, {"SampleRate", 44100}};
  json raw{{"Container", "hls"}, {"VideoTemplate", segments}, {"AudioTemplate", sound}};
  (void)f.add_workflow(workflow(
      "fragments", {{"TranscodeTaskSet", {{{"Definition", 0}, {"RawParameter", raw}}}}}));

  f.drop(make_clip({.seconds = 5, .width = 640, .height = 360}), "in/clip.mp4");
  auto run = f.finish("in/clip.mp4");

  REQUIRE_MESSAGE(state_of(run) == "succeeded", run["Run"]["Failure"].dump());
  check_video(f.media + "/out/clip_transcode_0.m3u8", 640, 360, 125, 5);
}

TEST_CASE("system: a clip dropped into a bucket becomes everything that its workflow says") {
  node_fixture f;
  (void)f.add_workflow(workflow("everything", one_of_each()));

  f.drop(make_clip({.seconds = 5, .width = 640, .height = 360}), "in/clip.mp4");
  auto run = f.finish("in/clip.mp4");

  REQUIRE_MESSAGE(state_of(run) == "succeeded", run["Run"]["Failure"].dump());
  auto out = [&](const std::string& name) { return f.media + "/out/" + name; };
  check_video(out("clip_transcode_100030.mp4"), 640, 360, 125, 5);
  CHECK(stream_of(probe(out("clip_transcode_100030.mp4")), "audio")["codec_name"] == "aac");
  check_video(out("clip_transcode_100210.m3u8"), 640, 360, 125, 5);
  auto audio = probe(out("clip_transcode_1110.m4a"));
  CHECK(stream_of(audio, "audio")["codec_name"] == "aac");
  CHECK(stream_of(audio, "video").is_null());
  check_picture(out("clip_snapshotByTimeOffset_10_0.jpg"), "mjpeg", 640, 360);
  check_picture(out("clip_snapshotByTimeOffset_10_1.jpg"), "mjpeg", 640, 360);
  for (int i = 0; i < 10; ++i)
    check_picture(out("clip_sampleSnapshot_10_" + std::to_string(i) + ".jpg"), "mjpeg", 640,
                  360);
  check_picture(out("clip_imageSprite_10_0.jpg"), "mjpeg", 1420, 800);
  auto cues = file_content(out("clip_imageSprite_10.vtt"));
  CHECK(cues.starts_with("WEBVTT"));
  CHECK(cues.find("clip_imageSprite_10_0.jpg#xywh=") != std::string::npos);
  auto gif = stream_of(probe(out("clip_animatedGraphic_20000.gif")), "video");
  CHECK(gif["codec_name"] == "gif");
  CHECK(file_content(out("clip_animatedGraphic_20001.webp")).substr(8, 4) == "WEBP");

  check_one_success(f);
  CHECK(f.audit()["Failed"].empty());
}

TEST_CASE("system: what a run publishes is what it says that it published, in the order of its "
          "events") {
  node_fixture f;
  (void)f.add_workflow(workflow("some", quick_everything()));

  f.drop(make_clip(), "in/a.mp4");
  auto run = f.finish("in/a.mp4");

  REQUIRE(state_of(run) == "succeeded");
  std::size_t told = 0;
  for (const auto& job : run["Jobs"])
    for (const auto& output : job["Outputs"]) {
      auto path = f.media + "/" + output["Object"]["Key"].get<std::string>();
      CHECK(static_cast<std::size_t>(output["Size"]) == file_content(path).size());
      ++told;
    }
  CHECK(told == f.content("out/").size());
  auto events = f.events(run["Run"]["Id"]);
  auto created = position(events, "run.created", "waiting");
  auto probing = position(events, "run.state", "probing");
  auto processing = position(events, "run.state", "processing");
  auto succeeded = position(events, "run.state", "succeeded");
  CHECK(created == 0);
  CHECK(created < probing);
  CHECK(probing < processing);
  CHECK(processing < succeeded);
  CHECK(succeeded == events.size() - 1);
  CHECK(std::is_sorted(events.begin(), events.end(), [](const json& a, const json& b) {
    return a["Id"].get<std::uint64_t>() < b["Id"].get<std::uint64_t>();
  }));
}

TEST_CASE("system: a source that is cut in shards loses no frame and repeats none") {
  node_fixture f;
  (void)f.add_workflow(workflow("long", quick_mp4()));

  f.drop(make_long_clip(), "in/long.mp4");
  auto run = f.finish("in/long.mp4");

  REQUIRE_MESSAGE(state_of(run) == "succeeded", run["Run"]["Failure"].dump());
  auto shards = std::count_if(run["Shards"].begin(), run["Shards"].end(),
                              [](const json& s) { return s["Role"] == "decode"; });
  CHECK(shards >= 2);
  check_video(f.media + "/out/long_transcode_0.mp4", 320, 180, 600, 24);
  check_one_success(f);
}

TEST_CASE("system: progress on the event stream never falls, and ends after publishing") {
  node_fixture f;
  (void)f.add_workflow(workflow("long", quick_mp4()));

  f.drop(make_long_clip(), "in/long.mp4");
  auto watched = f.command({"run", "watch", "media:in/long.mp4"});

  CHECK(watched.exit_code == 0);
  double last = 0;
  for (const auto& line : watched.documents)
    if (line.contains("progress")) {
      double now = line["progress"]["Fraction"];
      CHECK(now >= last);
      last = now;
    }
}

TEST_CASE("system: health and metrics are answered without credentials") {
  node_fixture f;

  auto health = http_get(f.node.endpoint(), "/health");
  auto metrics = http_get(f.node.endpoint(), "/metrics");

  CHECK(health.status == 200);
  CHECK(health.body.find("ok") != std::string::npos);
  CHECK(metrics.status == 200);
  CHECK(metrics.body.find("# TYPE framemill_") != std::string::npos);
}

TEST_CASE("system: real clips become playable files of the same length") {
  std::vector<std::string> names;
  for (std::string name :
       {"video/movie-hello.mp4", "video/realshort.mp4", "formats/lego_webm.webm",
        "phone/internal_emulator_transformer_output_180_rotated.mp4"})
    if (real_clip(name))
      names.push_back(name);
  if (names.empty()) {
    MESSAGE("skipped: no real clips; FRAMEMILL_CLIPS names their directory");
    return;
  }
  node_fixture f;
  (void)f.add_workflow(workflow("real", quick_mp4()));

  for (const auto& name : names)
    f.drop(*real_clip(name), "in/" + name.substr(name.find('/') + 1));

  for (const auto& name : names) {
    CAPTURE(name);
    auto file = name.substr(name.find('/') + 1);
    auto run = f.finish("in/" + file);
    REQUIRE_MESSAGE(state_of(run) == "succeeded", run["Run"]["Failure"].dump());
    auto made = probe(f.media + "/out/" + file.substr(0, file.rfind('.')) + "_transcode_0.mp4");
    double before = run["Run"]["Media"]["Duration"];
    auto after = std::stod(made["format"]["duration"].get<std::string>());
    CHECK(std::abs(after - before) < 0.5);
  }
}
