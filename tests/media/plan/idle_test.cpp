#include "tests/media/plan/sources.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>

using namespace framemill;
using namespace framemill::plan_test;

// Parameters that change nothing must say so in the job's warnings.

namespace {

const clip_shape brief{"10 s", {1, 90000}, {25, 1}, 250, 50};

std::vector<std::string> warnings_of(const planned& p) {
  auto plan = p.plan();
  REQUIRE(!plan.jobs.empty());
  REQUIRE_FALSE(plan.jobs.front().failure);
  return plan.jobs.front().warnings;
}

bool has(const std::vector<std::string>& texts, const std::string& part) {
  return std::any_of(texts.begin(), texts.end(),
                     [&](const auto& t) { return t.find(part) != t.npos; });
}

/// A job with one image mark whose template `change` has made its own.
planned marked(const std::function<void(watermark_template&, watermark_input&)>& change) {
  planned p{brief};
  template_record t;
  t.family = template_family::watermark;
  t.definition = 1'000'001;
  t.watermark.emplace().image.emplace().image_content = "aGk=";
  watermark_input mark;
  mark.definition = t.definition;
  change(*t.watermark, mark);
  p.templates.own.push_back(t);
  p.raw("mp4", 25);
  p.run.spec.activities[0].transcode->watermarks = {mark};
  p.assets[required_assets(p.run, p.templates).at(0).name] = "cafe";
  return p;
}

} // namespace

TEST_CASE("idle parameters: a preset has none, whatever it makes") {
  for (std::uint64_t definition : {100020, 100220, 875, 876, 1100, 1010}) {
    CAPTURE(definition);
    planned p{brief};
    p.transcode(definition);

    CHECK(warnings_of(p).empty());
  }
}

TEST_CASE("idle parameters: segments are for HLS") {
  for (auto [container, idle] : {std::pair{"mp4", true}, {"hls", false}}) {
    planned p{brief};
    auto& v = *p.raw(container, 25).video;
    v.hls_time = 4;
    v.segment_type = 7;
    auto warnings = warnings_of(p);

    CHECK(has(warnings, "HlsTime does nothing in mp4") == idle);
    CHECK(has(warnings, "SegmentType does nothing in mp4") == idle);
  }
}

TEST_CASE("idle parameters: segments of another length than HlsTime are told") {
  planned p{brief};
  auto& v = *p.raw("hls", 25).video;
  v.hls_time = 5;
  v.gop = 75;

  CHECK(has(warnings_of(p), "HlsTime 5: segments are 6.000 s"));
}

TEST_CASE("idle parameters: what waits for another parameter") {
  planned p{brief};
  auto& v = *p.raw("mp4", 0).video;
  v.fps_denominator = 1001;
  v.gop_unit = gop_unit::second;
  v.vcrf = 20;
  v.bitrate = 1000;
  v.mode = rate_mode::cbr;
  auto warnings = warnings_of(p);

  CHECK(has(warnings, "FpsDenominator does nothing"));
  CHECK(has(warnings, "GopUnit does nothing"));
  CHECK(has(warnings, "Mode CBR does nothing"));
}

TEST_CASE("idle parameters: copied streams name what does nothing to them") {
  planned p{brief};
  auto& t = p.raw("mp4", 0);
  t.video = video_template{};
  t.video->codec = t.audio->codec = "copy";
  t.video->bitrate = 2000;
  t.video->bframes = 3;
  t.audio->bitrate = 128;
  auto warnings = warnings_of(p);

  CHECK(has(warnings, "Bitrate, Bframes of VideoTemplate do nothing"));
  CHECK(has(warnings, "Bitrate of AudioTemplate does nothing"));
}

TEST_CASE("idle parameters: a picture's settings do nothing to sound alone") {
  planned p{brief};
  auto& t = p.raw("m4a", 25);

  CHECK(has(warnings_of(p), "VideoTemplate does nothing in m4a"));
  t.remove_video = 1; // says so itself
  CHECK(warnings_of(p).empty());
}

TEST_CASE("audio: channels that are not made are told") {
  struct expectation {
    std::int32_t source;
    std::int64_t asked;
    const char* said;
  };
  for (auto [source, asked, said] : {expectation{2, 6, "the source has 2, so 2 are made"},
                                     {1, 6, "the source has 1, so 1 are made"},
                                     {6, 0, "6 channels are mixed to 2; 6 keeps"},
                                     {6, 6, ""},
                                     {6, 2, ""},
                                     {1, 2, ""}}) {
    CAPTURE(source);
    CAPTURE(asked);
    planned p{brief};
    p.run.media->streams[1].channels = source;
    p.raw("mp4", 25).audio->audio_channel = asked;
    auto warnings = warnings_of(p);

    CHECK(warnings.empty() == std::string{said}.empty());
    CHECK((warnings.empty() || has(warnings, said)));
  }
}

TEST_CASE("audio: a bitrate beyond its codec is told") {
  planned p{brief};
  auto& a = *p.raw("mp4", 25).audio;
  a.sample_rate = 8000;
  a.audio_channel = 1;
  a.bitrate = 128;

  CHECK(has(warnings_of(p), "at most 48 kbps"));
  a.sample_rate = 48000;
  CHECK(warnings_of(p).empty());
}

TEST_CASE("watermark: one that is never seen is told") {
  auto outside = marked([](auto& t, auto&) { t.x_pos = "1280px"; });
  auto below = marked([](auto& t, auto&) { t.y_pos = "100%"; });
  auto late = marked([](auto&, auto& w) { w.start_offset = 12; });
  auto edge = marked([](auto& t, auto&) { t.x_pos = "1279px"; });

  CHECK(has(warnings_of(outside), "WatermarkSet[0] is not seen: it begins 1280 and 0 px"));
  CHECK(has(warnings_of(below), "not seen"));
  CHECK(has(warnings_of(late), "begins at 12.000 s, the video ends at 10.000 s"));
  CHECK(warnings_of(edge).empty());
}

TEST_CASE("watermark: a repetition of what does not move is told") {
  auto p = marked([](auto& t, auto&) { t.image->repeat_type = "once"; });

  CHECK(has(warnings_of(p), "RepeatType once does nothing"));
}

TEST_CASE("animation: the quality of a GIF is told to do nothing") {
  planned p{brief};
  template_record t;
  t.family = template_family::animated_graphics;
  t.definition = 1'000'002;
  t.animated_graphics.emplace().quality = 40;
  p.templates.own.push_back(t);
  p.animation(2, 4);
  p.run.spec.activities[0].animated_graphic->definition = t.definition;

  CHECK(has(warnings_of(p), "Quality does nothing in gif"));
}
