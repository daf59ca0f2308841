#include "media/plan/geometry.hpp"
#include "media/plan/naming.hpp"
#include "media/plan/settings.hpp"
#include "media/plan/source_clock.hpp"

#include <doctest/doctest.h>

using namespace framemill;

namespace {

stream_info picture(std::int32_t width, std::int32_t height, std::int32_t rotation = 0,
                    rational sar = {1, 1}) {
  stream_info s;
  s.width = width;
  s.height = height;
  s.rotation = rotation;
  s.sample_aspect = sar;
  return s;
}

picture_size size_of(const fitted_picture& f) { return {f.geometry.width, f.geometry.height}; }

} // namespace

TEST_CASE("geometry: a source is seen upright with square samples") {
  CHECK(display_size(picture(1920, 1080, 90)) == picture_size{1080, 1920});
  CHECK(display_size(picture(720, 576, 0, {16, 15})) == picture_size{768, 576});
  CHECK(display_size(picture(720, 480, 270, {8, 9})) == picture_size{480, 640});
  CHECK(display_size(picture(640, 480, 0, {1, 1000})) == picture_size{640, 480});
  CHECK(display_size(picture(640, 480, 0, {0, 0})) == picture_size{640, 480});
}

TEST_CASE("geometry: one side keeps the aspect, open means the long and the short side") {
  CHECK(size_of(fit({1920, 1080}, {0, 720})) == picture_size{1280, 720});
  CHECK(size_of(fit({1080, 1920}, {0, 720})) == picture_size{720, 1280});
  CHECK(size_of(fit({1080, 1920}, {0, 720, on_off::close})) == picture_size{404, 720});
  CHECK(size_of(fit({1279, 719}, {})) == picture_size{1278, 718});
}

TEST_CASE("geometry: nothing is upscaled") {
  auto one_side = fit({640, 360}, {0, 1080});
  auto box = fit({640, 480}, {1920, 1080, on_off::close, fill_type::black});

  CHECK(one_side.clamped);
  CHECK(size_of(one_side) == picture_size{640, 360});
  CHECK(box.clamped);
  CHECK(size_of(box) == picture_size{854, 480});
  CHECK(box.geometry.inner_width == 640);
}

TEST_CASE("geometry: a box is filled as asked") {
  auto black = fit({1920, 1080}, {640, 640, on_off::close, fill_type::black}).geometry;
  auto stretched = fit({1920, 1080}, {640, 640, on_off::close, fill_type::stretch}).geometry;

  CHECK(black == picture_geometry{640, 640, 640, 360, fill_mode::black});
  CHECK(stretched == picture_geometry{640, 640, 640, 640, fill_mode::stretch});
}

TEST_CASE("key_grid: automatic is two seconds, segments six, each a whole number of GOPs") {
  video_template v;
  auto file = make_key_grid(v, {25, 1}, {25, 1}, delivery::file);
  auto segments = make_key_grid(v, {30000, 1001}, {25, 1}, delivery::segments);
  auto kept = make_key_grid(v, {0, 1}, {25, 1}, delivery::segments);

  CHECK(file.gop == 50);
  CHECK(segments.gop == 60);
  CHECK(segments.unit == 180);
  CHECK(segments.hls_seconds == doctest::Approx(6.006));
  CHECK(kept.gop_seconds == 2);
  CHECK(kept.unit_seconds == 6);
}

TEST_CASE("key_grid: an asked GOP rules the segment, an asked segment the automatic GOP") {
  video_template gop;
  gop.gop = 100;
  gop.hls_time = 6;
  video_template five;
  five.hls_time = 5;

  CHECK(make_key_grid(gop, {25, 1}, {25, 1}, delivery::segments).unit == 200);
  CHECK(make_key_grid(five, {25, 1}, {25, 1}, delivery::segments).gop == 25);
  CHECK(make_key_grid(five, {25, 1}, {25, 1}, delivery::segments).hls_seconds == 5);
}

TEST_CASE("encoder_settings: the rate follows mode, bitrate and Vcrf") {
  auto control = [](std::optional<std::int64_t> vcrf, std::int64_t kbps, rate_mode mode) {
    video_template v;
    v.vcrf = vcrf;
    v.bitrate = kbps;
    v.mode = mode;
    return encoder_settings(v).control;
  };

  CHECK(control({}, 0, rate_mode::vbr) == rate_control::crf);
  CHECK(control(20, 0, rate_mode::vbr) == rate_control::crf);
  CHECK(control(20, 1000, rate_mode::vbr) == rate_control::capped_crf);
  CHECK(control({}, 1000, rate_mode::vbr) == rate_control::capped_crf);
  CHECK(control({}, 1000, rate_mode::abr) == rate_control::abr);
  CHECK(control({}, 1000, rate_mode::cbr) == rate_control::cbr);
}

TEST_CASE("output_rate: the names of NTSC rates mean n/1001") {
  auto rate = [](double fps) {
    video_template v;
    v.fps = fps;
    return output_rate(v);
  };

  CHECK(rate(0) == rational{0, 1});
  CHECK(rate(25) == rational{25, 1});
  CHECK(rate(29.97) == rational{30000, 1001});
  CHECK(rate(23.976) == rational{24000, 1001});
  CHECK(rate(12.5) == rational{25, 2});
}

TEST_CASE("audio_settings: six channels only for who asks") {
  stream_info surround;
  surround.channels = 6;
  auto channels = [&](std::int64_t asked, const char* container) {
    audio_template a;
    a.audio_channel = asked;
    return audio_settings(a, container, surround).channels;
  };

  CHECK(channels(0, "mp4") == 2);
  CHECK(channels(2, "mp4") == 2);
  CHECK(channels(6, "mp4") == 6);
  CHECK(channels(6, "mp3") == 2);
}

TEST_CASE("clip: offsets count from the start, or back from the end") {
  source_clock t{{1, 1000}, 500, 60500, 60};

  auto tail = resolve_clip(t, -10, 0);
  auto middle = resolve_clip(t, 10, -10);

  REQUIRE(tail);
  CHECK(tail->origin == 50500);
  CHECK(tail->end == 60500);
  CHECK(tail->end_seconds == 0);
  REQUIRE(middle);
  CHECK(middle->length == doctest::Approx(40));
  CHECK(middle->end_seconds == doctest::Approx(50.5));
  CHECK(resolve_clip(t, 0, 100)->whole);
}

TEST_CASE("clip: a start beyond the source and an empty clip fail and name the field") {
  source_clock t{{1, 1000}, 0, 60000, 60};

  CHECK(resolve_clip(t, 60, 0).error().field == "StartTimeOffset");
  CHECK(resolve_clip(t, 20, 10).error().field == "EndTimeOffset");
  CHECK_FALSE(resolve_clip({{1, 1000}, 0, INT64_MAX, 0}, -5, 0));
  CHECK(resolve_clip({{1, 1000}, 0, INT64_MAX, 0}, 1e300, 0));
}

TEST_CASE("relative_key: from a playlist to what lies beside, below or elsewhere") {
  CHECK(relative_key("a/b/x.vtt", "a/b/y.jpg") == "y.jpg");
  CHECK(relative_key("a/x.vtt", "a/b/y.jpg") == "b/y.jpg");
  CHECK(relative_key("a/c/d/x.vtt", "a/b/y.jpg") == "../../b/y.jpg");
  CHECK(relative_key("x.vtt", "y.jpg") == "y.jpg");
}
