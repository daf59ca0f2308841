#include "tests/media/plan/sources.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace framemill;
using namespace framemill::plan_test;

namespace {

const clip_shape brief{"10 s", {1, 90000}, {25, 1}, 250, 50};
const clip_shape minute{"60 s", {1, 90000}, {25, 1}, 1500, 50};

void drop_audio(planned& p) { p.run.media->streams.resize(1); }
void drop_video(planned& p) {
  p.run.media->streams.erase(p.run.media->streams.begin());
  p.index.reset();
}

video_template copied_video() {
  video_template v;
  v.codec = "copy";
  return v;
}

bool has(const std::vector<std::string>& texts, const std::string& part) {
  return std::any_of(texts.begin(), texts.end(),
                     [&](const auto& t) { return t.find(part) != t.npos; });
}

} // namespace

TEST_CASE("planner: a short clip with every kind of job is one child process") {
  planned p{brief};
  p.transcode(100020);
  p.transcode(100220);
  p.transcode(1010);
  p.snapshots({"1s", "50%"});
  p.samples();
  p.sprite();
  p.animation(2, 5);
  auto plan = p.plan();

  REQUIRE(plan.shards.size() == 1);
  CHECK(plan.shards[0].role == shard_role::whole);
  CHECK(steps_of<decode_step>(plan).size() == 1);
  for (const auto& j : plan.jobs)
    CHECK_MESSAGE(!j.failure, j.failure.value_or(error{}).message);
  for (const auto& kept : plan.shards[0].request.keep)
    CHECK_MESSAGE(!kept.starts_with("v"), kept);
}

TEST_CASE("planner: equal renditions of an MP4 and an HLS are encoded once") {
  planned p{minute};
  p.raw("mp4", 25);
  p.raw("hls", 25);
  auto plan = p.plan();

  for (const auto& d : steps_of<decode_step>(plan))
    CHECK(d.videos.size() == 1);
  REQUIRE(steps_of<audio_step>(plan).size() == 1);
  CHECK(steps_of<audio_step>(plan)[0].outputs.size() == 1);
  CHECK(steps_of<assemble_step>(plan).size() == 2);
}

TEST_CASE("planner: a join needs the shards alone, not the source") {
  planned p{minute};
  p.raw("mp4", 25);
  p.raw("hls", 25).video->height = 360;
  auto plan = p.plan();

  for (const auto& s : plan.shards)
    CHECK((s.request.source_bytes > 0) == (s.role != shard_role::join));
}

TEST_CASE("planner: a clip or another size is another rendition") {
  planned p{brief};
  p.raw("mp4", 25);
  p.raw("mp4", 25).video->height = 360;
  p.raw("mp4", 25);
  p.run.spec.activities[2].transcode->start_offset = 3;
  auto plan = p.plan();

  CHECK(steps_of<decode_step>(plan).at(0).videos.size() == 3);
  CHECK(steps_of<audio_step>(plan).at(0).outputs.size() == 2);
}

TEST_CASE("planner: picture and sound of a clip begin at one source time") {
  planned p{{"late", {1, 90000}, {25, 1}, 1500, 50, 126000}};
  p.raw("mp4", 25);
  p.run.spec.activities[0].transcode->start_offset = 4;
  auto plan = p.plan();

  CHECK(steps_of<audio_step>(plan).at(0).outputs.at(0).begin == doctest::Approx(5.4));
  CHECK(steps_of<decode_step>(plan).at(0).videos.at(0).grid.origin == 126000 + 4 * 90000);
}

TEST_CASE("planner: HLS is published segments first, under names the manifest uses") {
  planned p{brief};
  p.transcode(100220);
  auto plan = p.plan();
  const auto& items = plan.jobs.at(0).items;
  auto step = steps_of<assemble_step>(plan).at(0);

  REQUIRE(items.size() == 2);
  CHECK(items[0].key == "in/clip_transcode_100220_{number}.ts");
  CHECK(items[0].file == step.name + ".*");
  CHECK(items[1].key == "in/clip_transcode_100220.m3u8");
  CHECK(items[1].role == "manifest");
  CHECK(step.segment_pattern == "clip_transcode_100220_%d.ts");
  CHECK(step.hls_seconds == 6);
}

TEST_CASE("planner: fragmented MP4 segments have their init segment first") {
  planned p{brief};
  p.raw("hls", 25).video->segment_type = 7;
  auto plan = p.plan();

  REQUIRE(plan.jobs.at(0).items.size() == 3);
  CHECK(plan.jobs[0].items[0].key == "in/out1_init.mp4");
  CHECK(steps_of<assemble_step>(plan).at(0).init_name == "out1_init.mp4");
}

TEST_CASE("planner: an HLS name that cannot number its segments is refused") {
  planned p{brief};
  p.raw("hls", 25);
  p.run.spec.activities[0].transcode->segment_object_name = "all.{format}";
  p.raw("hls", 25);
  p.run.spec.activities[1].transcode->numbers = number_format{5, 1, 3, "0"};
  auto plan = p.plan();

  CHECK(plan.jobs[0].failure->field == "SegmentObjectName");
  CHECK(plan.jobs[1].failure->field == "ObjectNumberFormat");
  CHECK(plan.shards.empty());
}

TEST_CASE("planner: a source named with %d still has its segments numbered") {
  planned p{brief};
  p.run.object.key = "a%d{number}.mov";
  p.transcode(100220);
  p.transcode(100020);
  auto plan = p.plan();

  CHECK(plan.jobs[0].failure->field == "SegmentObjectName");
  CHECK_FALSE(plan.jobs[1].failure);
}

TEST_CASE("planner: of two jobs with one key the later fails") {
  planned p{brief};
  p.transcode(100020);
  p.transcode(100020);
  auto plan = p.plan();

  CHECK_FALSE(plan.jobs[0].failure);
  REQUIRE(plan.jobs[1].failure);
  CHECK(plan.jobs[1].failure->code == errc::already_exists);
  CHECK(plan.jobs[1].state == job_state::failed);
}

TEST_CASE("planner: an output never overwrites its own source") {
  planned p{brief};
  p.raw("mp4", 25);
  p.run.object.key = "in/clip.mp4";
  p.run.spec.activities[0].transcode->output_object_path = "{inputName}.{format}";

  CHECK(p.plan().jobs[0].failure->code == errc::already_exists);
}

TEST_CASE("planner: several pictures under one name are refused") {
  planned p{brief};
  p.snapshots({"1s", "2s"}).output_object_path = "poster.{format}";

  CHECK(p.plan().jobs[0].failure->field == "OutputObjectPath");
}

TEST_CASE("planner: a source without audio keeps its video and says so") {
  planned p{brief};
  drop_audio(p);
  p.transcode(100020);
  p.transcode(1010);
  auto plan = p.plan();

  CHECK(has(plan.jobs[0].warnings, "no audio"));
  CHECK(steps_of<assemble_step>(plan).at(0).audio.empty());
  CHECK(plan.jobs[1].failure->code == errc::input_no_audio);
}

TEST_CASE("planner: a source without video keeps its audio, pictures fail") {
  planned p{brief};
  drop_video(p);
  p.transcode(100020);
  p.snapshots({"1s"});
  p.sprite();
  p.animation(0, 1);
  auto plan = p.plan();

  CHECK(has(plan.jobs[0].warnings, "no video"));
  CHECK_FALSE(steps_of<assemble_step>(plan).at(0).audio.empty());
  for (std::size_t i : {1, 2, 3})
    CHECK(plan.jobs[i].failure->code == errc::input_no_video);
}

TEST_CASE("planner: with the other stream removed nothing remains") {
  planned p{brief};
  drop_video(p);
  p.raw("mp4", 25).remove_audio = 1;

  CHECK(p.plan().jobs[0].failure->code == errc::input_no_video);
}

TEST_CASE("planner: a stream copy decodes nothing") {
  planned p{minute};
  p.transcode(875);
  auto plan = p.plan();
  auto steps = steps_of<remux_step>(plan);

  REQUIRE(steps.size() == 1);
  CHECK(steps[0].video_stream == 0);
  CHECK(steps[0].audio_stream == 1);
  CHECK(steps_of<decode_step>(plan).empty());
  CHECK(plan.shards[0].needs.empty());
}

TEST_CASE("planner: a copy that the container cannot hold, or that is cut, is refused") {
  planned p{minute};
  p.transcode(875).start_offset = 5;
  p.transcode(876);
  p.run.media->streams[0].codec = "vp9";
  auto plan = p.plan();

  CHECK(plan.jobs[0].failure->field == "StartTimeOffset");
  CHECK(plan.jobs[1].failure->field == "VideoTemplate.Codec");
}

TEST_CASE("planner: copied video takes encoded audio, encoded video copied audio") {
  planned p{minute};
  p.raw("mp4", 0).video = copied_video();
  p.raw("mp4", 25).audio->codec = "copy";
  auto plan = p.plan();
  auto steps = steps_of<remux_step>(plan);

  REQUIRE(plan.shards.size() == 1);
  CHECK(steps.at(0).video_stream == 0);
  CHECK(steps.at(0).audio_file == "a0");
  CHECK(steps.at(1).audio_stream == 1);
  CHECK(steps.at(1).video_file == "v0.s1");
}

TEST_CASE("planner: snapshots beyond the end take the last frame and warn") {
  planned p{brief};
  p.snapshots({"3s", "99s", "0%"});
  auto plan = p.plan();

  CHECK_FALSE(plan.jobs[0].failure);
  CHECK(has(plan.jobs[0].warnings, "last frame"));
  CHECK(plan.jobs[0].items.at(1).key == "in/clip_snapshotByTimeOffset_10_1.jpg");
}

TEST_CASE("planner: far snapshots alone are sought, not decoded through") {
  planned p{{"1 h", {1, 90000}, {25, 1}, 90000, 50}};
  p.snapshots({"0s", "1000s", "1001s", "3000s"});
  auto steps = steps_of<decode_step>(p.plan());

  REQUIRE(steps.size() == 3);
  CHECK(steps[1].start.pts == 1000 * 90000);
  CHECK(steps[1].end == 1001 * 90000);
}

TEST_CASE("planner: a sprite alone decodes key frames only, beside others exact frames") {
  planned p{minute};
  p.sprite();
  auto alone = steps_of<decode_step>(p.plan()).at(0);
  p.snapshots({"1.3s"});
  auto beside = steps_of<decode_step>(p.plan()).at(0);

  CHECK(alone.key_frames_only);
  CHECK(alone.pictures.at(0).picks.at(1).ticks == 10 * 90000);
  CHECK_FALSE(beside.key_frames_only);
}

TEST_CASE("planner: a long sprite has several sheets and a VTT that names them") {
  planned p{{"30 min", {1, 90000}, {25, 1}, 45000, 50}};
  p.sprite();
  auto plan = p.plan();
  auto step = steps_of<sprite_step>(plan).at(0);

  CHECK(step.times.size() == 180);
  CHECK(step.sheet_names ==
        std::vector<std::string>{"clip_imageSprite_10_0.jpg", "clip_imageSprite_10_1.jpg"});
  CHECK(plan.jobs[0].items.back().key == "in/clip_imageSprite_10.vtt");
}

TEST_CASE("planner: an animation picks frames on its own grid") {
  planned p{minute};
  p.animation(10, 15);
  auto plan = p.plan();
  auto picks = steps_of<decode_step>(plan).at(0).pictures.at(0).picks;

  REQUIRE(picks.size() == 10);
  CHECK(picks[1].ticks == 945000);
  CHECK(steps_of<animation_step>(plan).at(0).pictures.size() == 1);
}

TEST_CASE("planner: too many pictures are refused") {
  planned p{{"2 h", {1, 1000}, {25, 1}, 180000, 50}};
  p.animation(0, 0);

  CHECK(p.plan().jobs[0].failure->code == errc::too_large);
}

TEST_CASE("planner: watermarks are placed in pixels of each output") {
  planned p{brief};
  template_record t;
  t.family = template_family::watermark;
  t.definition = 1'000'001;
  t.watermark.emplace();
  t.watermark->coordinate_origin = coordinate_origin::bottom_right;
  t.watermark->x_pos = "10%";
  t.watermark->y_pos = "12px";
  t.watermark->image.emplace();
  t.watermark->image->image_content = "aGk=";
  p.templates.own.push_back(t);
  p.raw("mp4", 25);
  watermark_input mark;
  mark.definition = t.definition;
  mark.end_offset = -2;
  p.run.spec.activities[0].transcode->watermarks = {mark};

  auto missing = p.plan();
  auto assets = required_assets(p.run, p.templates);
  REQUIRE(assets.size() == 1);
  p.assets[assets[0].name] = "cafe";
  auto plan = p.plan();

  CHECK(missing.jobs[0].failure->field == "WatermarkSet[0].ImageContent");
  CHECK(plan.shards.at(0).assets == std::vector<handed_file>{{assets[0].name, "cafe"}});
  auto o = steps_of<decode_step>(plan).at(0).videos.at(0).overlays.at(0);
  CHECK(o.x == 128);
  CHECK(o.y == 12);
  CHECK(o.width == 128);
  CHECK(o.height == 0);
  CHECK(o.end == doctest::Approx(8));
}

TEST_CASE("planner: an unknown Definition fails its job alone") {
  planned p{brief};
  p.transcode(424242);
  p.snapshots({"1s"}).definition = 424242;
  p.transcode(100020);
  auto plan = p.plan();

  CHECK(plan.jobs[0].failure);
  CHECK(plan.jobs[1].failure->code == errc::not_found);
  CHECK_FALSE(plan.jobs[2].failure);
}

TEST_CASE("planner: one frame is a source too") {
  planned p{{"one", {1, 90000}, {25, 1}, 1, 1}};
  p.raw("mp4", 25);
  p.snapshots({"0s"});
  auto plan = p.plan();

  CHECK(steps_of<assemble_step>(plan).at(0).contract.video_frames == 1);
  CHECK_FALSE(plan.jobs[1].failure);
}

TEST_CASE("planner: HDR and interlaced sources name the policy that is applied") {
  planned p{brief};
  p.run.media->streams[0].hdr = true;
  p.run.media->streams[0].interlaced = true;
  p.run.media->streams[0].rotation = 90;
  p.raw("mp4", 0);
  auto plan = p.plan();
  auto step = steps_of<decode_step>(plan).at(0);

  CHECK(step.tonemap);
  CHECK(step.deinterlace);
  CHECK(step.rotation == 90);
  CHECK(plan.warnings.size() == 2);
  CHECK(step.videos.at(0).geometry.width < step.videos.at(0).geometry.height);
}

TEST_CASE("explain: stages, shards and the cost are named") {
  planned p{minute};
  p.raw("mp4", 25);
  p.sprite();
  auto text = explain(p.plan());

  for (const char* word : {"audio", "decode", "join", "one decode for 2 outputs", "CPU s",
                           "frames 0–", "sprite", "in/out1.mp4"})
    CHECK_MESSAGE(text.find(word) != text.npos, word);
}
