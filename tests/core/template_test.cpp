#include "core/template.hpp"

#include <doctest/doctest.h>

#include <set>

using namespace framemill;

namespace {

video_template h264() {
  video_template v;
  v.codec = "h264";
  v.fps = 0;
  v.bitrate = 0;
  return v;
}

audio_template aac() {
  audio_template a;
  a.codec = "aac";
  a.bitrate = 128;
  a.sample_rate = 44100;
  return a;
}

transcode_template mp4() { return {"mp4", 0, 0, h264(), aac()}; }

/// Says which field was refused and why; "" when nothing was.
std::string refused(const result<void>& r, errc code = errc::invalid_argument) {
  if (r)
    return "";
  return r.error().code == code
             ? r.error().field
             : fmt::format("{}: {}", to_string(r.error().code), r.error().message);
}

template <class Change>
std::string refused_video(Change change, errc code = errc::invalid_argument) {
  auto v = h264();
  change(v);
  return refused(validate(v), code);
}

template <class T, class Change>
std::string refused_with(T t, Change change, errc code = errc::invalid_argument) {
  change(t);
  return refused(validate(t), code);
}

const template_record& preset_of(template_family f, std::uint64_t definition) {
  const auto* p = find_preset(f, definition);
  REQUIRE(p != nullptr);
  return *p;
}

} // namespace

TEST_CASE("presets: all are valid, named, and of one definition each") {
  std::set<std::pair<template_family, std::uint64_t>> ids;
  for (const auto& p : preset_templates()) {
    CAPTURE(p.name);
    auto r = validate(p);
    CHECK_MESSAGE(r.has_value(), r.error().message);
    CHECK(p.origin == template_origin::preset);
    CHECK(!p.name.empty());
    CHECK(ids.emplace(p.family, p.definition).second);
    CHECK(find_preset(p.family, p.definition) == &p);
  }
  CHECK(ids.size() == 26);
}

TEST_CASE("presets: are those of the MPS documentation") {
  const auto& sd = preset_of(template_family::transcode, 100020);
  CHECK(sd.name == "MP4-SD");
  CHECK(sd.transcode->container == "mp4");
  CHECK(sd.transcode->video->height == 540);
  CHECK(sd.transcode->video->bitrate == 1000);
  CHECK(sd.transcode->audio->bitrate == 64);
  CHECK(preset_of(template_family::transcode, 100280).transcode->container == "hls");
  CHECK(preset_of(template_family::transcode, 876).transcode->video->codec == "copy");
  CHECK(preset_of(template_family::transcode, 1140).transcode->audio->bitrate == 256);
  CHECK(preset_of(template_family::transcode, 1020).transcode->container == "mp3");
  CHECK(preset_of(template_family::image_sprite, 10).image_sprite->width == 142);
  CHECK(preset_of(template_family::animated_graphics, 20001).animated_graphics->format
        == "webp");
}

TEST_CASE("presets: old ids are aliases among transcodes only") {
  auto f = template_family::transcode;
  CHECK(find_preset(f, 10) == find_preset(f, 100010));
  CHECK(find_preset(f, 40) == find_preset(f, 100040));
  CHECK(find_preset(f, 240) == find_preset(f, 100240));
  CHECK(find_preset(f, 50) == nullptr);
  CHECK(find_preset(f, 15) == nullptr);
  CHECK(find_preset(f, 0) == nullptr);
  CHECK(find_preset(template_family::sample_snapshot, 20) == nullptr);
  CHECK(find_preset(template_family::sample_snapshot, 10)->sample_snapshot.has_value());
}

TEST_CASE("video_template: numbers outside of their ranges are refused by name") {
  CHECK(refused(validate(h264())) == "");
  CHECK(refused_video([](auto& v) { v.fps = 121; }) == "Fps");
  CHECK(refused_video([](auto& v) { v.fps = -1; }) == "Fps");
  CHECK(refused_video([](auto& v) { v.fps_denominator = 0; }) == "FpsDenominator");
  CHECK(refused_video([](auto& v) { v.bitrate = 127; }) == "Bitrate");
  CHECK(refused_video([](auto& v) { v.bitrate = 100'001; }) == "Bitrate");
  CHECK(refused_video([](auto& v) { v.width = 127; }) == "Width");
  CHECK(refused_video([](auto& v) { v.height = 4097; }) == "Height");
  CHECK(refused_video([](auto& v) { v.gop = -1; }) == "Gop");
  CHECK(refused_video([](auto& v) { v.vcrf = 52; }) == "Vcrf");
  CHECK(refused_video([](auto& v) { v.bframes = 17; }) == "Bframes");
  CHECK(refused_video([](auto& v) { v.hls_time = 0; }) == "HlsTime");
  CHECK(refused_video([](auto& v) { v.hls_time = 10.5; }) == "HlsTime");
  CHECK(refused_video([](auto& v) { v.no_scenecut = 2; }) == "NoScenecut");
}

TEST_CASE("video_template: the ends of the ranges are allowed") {
  CHECK(refused_video([](auto& v) { v.fps = 120; }) == "");
  CHECK(refused_video([](auto& v) { v.fps = 30000, v.fps_denominator = 1001; }) == "");
  CHECK(refused_video([](auto& v) { v.bitrate = 128; }) == "");
  CHECK(refused_video([](auto& v) { v.width = 4096, v.height = 128; }) == "");
  CHECK(refused_video([](auto& v) { v.vcrf = 51, v.bframes = -1, v.hls_time = 10; }) == "");
}

TEST_CASE("video_template: combinations that contradict are refused") {
  CHECK(refused_video([](auto& v) { v.width = 640, v.height = 720; }) == "Width");
  CHECK(refused_video([](auto& v) {
          v.width = 640, v.height = 720, v.resolution_adaptive = on_off::close;
        })
        == "");
  CHECK(refused_video([](auto& v) { v.mode = rate_mode::vcrf; }) == "Vcrf");
  CHECK(refused_video([](auto& v) { v.mode = rate_mode::cbr; }) == "Bitrate");
  CHECK(refused_video([](auto& v) { v.video_profile = "baseline", v.bframes = 2; })
        == "Bframes");
}

TEST_CASE("video_template: known things that we do not have are said to be unsupported") {
  auto u = errc::unsupported;
  CHECK(refused_video([](auto& v) { v.codec = "h265"; }, u) == "Codec");
  CHECK(refused_video([](auto& v) { v.fill_type = fill_type::smarttailor; }, u) == "FillType");
  CHECK(refused_video([](auto& v) { v.segment_type = 5; }, u) == "SegmentType");
  CHECK(refused_video([](auto& v) { v.sar = "2:1"; }, u) == "Sar");
  CHECK(refused_video([](auto& v) { v.video_profile = "high10"; }, u) == "VideoProfile");
  CHECK(refused_video([](auto& v) { v.video_level = "9"; }, u) == "VideoLevel");
  CHECK(refused_video([](auto& v) { v.preset = "warp"; }, u) == "EncoderPreset");
  CHECK(refused_video([](auto& v) { v.codec.reset(); }, errc::missing_argument) == "Codec");

  auto v = h264();
  v.codec = "av1";
  CHECK(validate(v).error().message
        == "Codec `av1` is not supported; supported are: h264, libx264, copy");
}

TEST_CASE("audio_template: codecs fit their container") {
  auto with = [](const char* codec, const char* container) {
    auto a = aac();
    a.codec = codec;
    return refused(validate(a, container), errc::unsupported);
  };
  CHECK(with("aac", "mp4") == "");
  CHECK(with("libfdk_aac", "m4a") == "");
  CHECK(with("mp3", "hls") == "");
  CHECK(with("libmp3lame", "mp3") == "");
  CHECK(with("aac", "mp3") == "Codec");
  CHECK(with("mp3", "m4a") == "Codec");
  CHECK(with("flac", "mp4") == "Codec");
}

TEST_CASE("audio_template: numbers outside of their ranges are refused") {
  auto a = aac();
  a.bitrate = 25;
  CHECK(refused(validate(a, "mp4")) == "Bitrate");
  a.bitrate = 256;
  a.audio_channel = 5;
  CHECK(refused(validate(a, "mp4")) == "AudioChannel");
  a.audio_channel = 6;
  CHECK(refused(validate(a, "mp4")) == "");
  a.codec = "mp3";
  CHECK(refused(validate(a, "mp4")) == "AudioChannel");
  a.audio_channel = 2;
  a.sample_rate = 44101;
  CHECK(refused(validate(a, "mp4"), errc::unsupported) == "SampleRate");
}

TEST_CASE("transcode_template: needs what its container and streams need") {
  CHECK(refused(validate(mp4())) == "");
  auto m = errc::missing_argument;
  CHECK(refused_with(
            mp4(), [](auto& t) { t.container.reset(); }, m)
        == "Container");
  CHECK(refused_with(
            mp4(), [](auto& t) { t.container = "webm"; }, errc::unsupported)
        == "Container");
  CHECK(refused_with(
            mp4(), [](auto& t) { t.video.reset(); }, m)
        == "VideoTemplate");
  CHECK(refused_with(mp4(), [](auto& t) { t.video.reset(), t.remove_video = 1; }) == "");
  CHECK(refused_with(
            mp4(), [](auto& t) { t.audio.reset(); }, m)
        == "AudioTemplate");
  CHECK(refused_with(mp4(), [](auto& t) { t.audio.reset(), t.remove_audio = 1; }) == "");
  CHECK(refused_with(mp4(), [](auto& t) { t.remove_audio = 1, t.remove_video = 1; })
        == "RemoveVideo");
  CHECK(refused_with(mp4(), [](auto& t) { t.remove_audio = 2; }) == "RemoveAudio");
  CHECK(refused_with(mp4(), [](auto& t) { t.container = "m4a", t.video.reset(); }) == "");
  CHECK(refused_with(mp4(), [](auto& t) { t.container = "m4a", t.remove_audio = 1; })
        == "RemoveAudio");
  CHECK(refused_with(mp4(), [](auto& t) { t.video->fps = 200; }) == "VideoTemplate.Fps");
  CHECK(refused_with(mp4(), [](auto& t) { t.audio->bitrate = 1; }) == "AudioTemplate.Bitrate");
}

TEST_CASE("picture templates: ranges and formats") {
  auto u = errc::unsupported;
  CHECK(refused(validate(snapshot_template{})) == "");
  CHECK(refused_with(snapshot_template{}, [](auto& t) { t.width = 100; }) == "Width");
  CHECK(refused_with(
            snapshot_template{}, [](auto& t) { t.format = "bmp"; }, u)
        == "Format");
  CHECK(refused_with(sample_snapshot_template{}, [](auto& t) { t.sample_interval = 0; })
        == "SampleInterval");
  CHECK(refused_with(sample_snapshot_template{}, [](auto& t) { t.sample_interval = 101; })
        == "SampleInterval");
  CHECK(refused_with(image_sprite_template{}, [](auto& t) { t.sample_interval = 101; }) == "");
  CHECK(refused_with(image_sprite_template{}, [](auto& t) { t.row_count = 11; }) == "RowCount");
  CHECK(refused_with(image_sprite_template{}, [](auto& t) { t.column_count = 0; })
        == "ColumnCount");
  CHECK(refused_with(image_sprite_template{}, [](auto& t) { t.width = 4096, t.height = 90; })
        == "Width");
  CHECK(refused_with(
            image_sprite_template{}, [](auto& t) { t.fill_type = fill_type::smarttailor; }, u)
        == "FillType");
  CHECK(refused(validate(animated_graphics_template{})) == "");
  CHECK(refused_with(animated_graphics_template{}, [](auto& t) { t.fps = 31; }) == "Fps");
  CHECK(refused_with(animated_graphics_template{}, [](auto& t) { t.quality = 0; })
        == "Quality");
  CHECK(refused_with(
            animated_graphics_template{}, [](auto& t) { t.format = "apng"; }, u)
        == "Format");
}

namespace {

watermark_template image_mark() {
  watermark_template w;
  w.image.emplace().image_content = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAA=";
  return w;
}

watermark_template text_mark() {
  watermark_template w;
  w.type = watermark_type::text;
  w.text = text_watermark_template{"arial.ttf", "24px", "0xFFFFFF", 1, "hello"};
  return w;
}

} // namespace

TEST_CASE("watermark_template: exactly the member of its type") {
  CHECK(refused(validate(image_mark())) == "");
  CHECK(refused(validate(text_mark())) == "");
  auto m = errc::missing_argument;
  CHECK(refused_with(
            image_mark(), [](auto& w) { w.image.reset(); }, m)
        == "ImageTemplate");
  CHECK(refused_with(
            text_mark(), [](auto& w) { w.text.reset(); }, m)
        == "TextTemplate");
  CHECK(refused_with(image_mark(), [](auto& w) { w.text = text_mark().text; })
        == "TextTemplate");
  CHECK(refused_with(
            image_mark(), [](auto& w) { w.type = watermark_type::svg; }, errc::unsupported)
        == "Type");
}

TEST_CASE("watermark_template: places, sizes and colours") {
  CHECK(refused_with(image_mark(), [](auto& w) { w.x_pos = "7.5%"; }) == "");
  CHECK(refused_with(image_mark(), [](auto& w) { w.x_pos = "101%"; }) == "XPos");
  CHECK(refused_with(
            image_mark(), [](auto& w) { w.y_pos = "12"; }, errc::malformed)
        == "YPos");
  CHECK(refused_with(image_mark(), [](auto& w) { w.image->width = "7px"; })
        == "ImageTemplate.Width");
  CHECK(refused_with(image_mark(), [](auto& w) { w.image->image_content = "R0lGODlh"; })
        == "ImageTemplate.ImageContent");
  CHECK(refused_with(
            image_mark(), [](auto& w) { w.image->image_content = "iVBO!"; }, errc::malformed)
        == "ImageTemplate.ImageContent");
  CHECK(refused_with(text_mark(), [](auto& w) { w.text->font_color = "red"; })
        == "TextTemplate.FontColor");
  CHECK(refused_with(text_mark(), [](auto& w) { w.text->font_alpha = 0; })
        == "TextTemplate.FontAlpha");
  CHECK(refused_with(text_mark(), [](auto& w) { w.text->font_size = "5%"; })
        == "TextTemplate.FontSize");
  CHECK(refused_with(
            text_mark(), [](auto& w) { w.text->font_type = "x.ttf"; }, errc::unsupported)
        == "TextTemplate.FontType");
  CHECK(refused_with(text_mark(), [](auto& w) { w.text->text_content = std::string(101, 'a'); })
        == "TextTemplate.TextContent");
}

TEST_CASE("template_record: has the parameters of its family and no others") {
  template_record r;
  CHECK(refused(validate(r)) == "Family");
  r.transcode = mp4();
  CHECK(refused(validate(r)) == "");
  r.snapshot.emplace();
  CHECK(refused(validate(r)) == "Family");
  r.snapshot.reset();
  r.name = std::string(65, 'x');
  CHECK(refused(validate(r)) == "Name");
}

TEST_CASE("merge: present members win, absent ones keep the template's") {
  transcode_template over;
  over.video.emplace().height = 480;
  over.container = "hls";

  auto t = merge(mp4(), over);

  CHECK(t.container == "hls");
  CHECK(t.video->codec == "h264");
  CHECK(t.video->height == 480);
  CHECK(t.audio == aac());
  CHECK(merge(mp4(), transcode_template{}) == mp4());
}

TEST_CASE("merge: a stream that becomes a copy loses the settings of its encode") {
  transcode_template over;
  over.video.emplace().codec = "copy";
  over.audio.emplace().codec = "copy";

  auto t = merge(mp4(), over);

  CHECK(t.video == over.video);
  CHECK(t.audio == over.audio);
  CHECK(refused(validate(t)) == "");
}

TEST_CASE("transcode_template: a copied stream cannot be asked to change") {
  auto t = mp4();
  t.video.emplace().codec = "copy";
  t.video->fps = 0;
  CHECK(refused(validate(t)) == "");
  t.video->height = 720;
  CHECK(refused(validate(t)) == "VideoTemplate.Height");
  t.video->height = 0;
  t.video->fps = 10;
  CHECK(refused(validate(t)) == "VideoTemplate.Fps");
  t.video->fps = 0;
  t.audio->codec = "copy";
  t.audio->sample_rate = 32000;
  CHECK(refused(validate(t)) == "AudioTemplate.SampleRate");
}

TEST_CASE("merge: gives a stream that the template does not have") {
  auto base = mp4();
  base.audio.reset();
  transcode_template over;
  over.audio = aac();

  CHECK(merge(base, over).audio == aac());
}

TEST_CASE("merge: Vcrf 100 takes it away") {
  auto base = mp4();
  base.video->vcrf = 20;
  transcode_template over;
  over.video.emplace().vcrf = 100;

  CHECK(!merge(base, over).video->vcrf.has_value());
}

TEST_CASE("parse_measure: pixels and percent, nothing else") {
  CHECK(parse_measure("12px")->value == 12);
  CHECK(!parse_measure("12px")->percent);
  CHECK(parse_measure("7.5%")->value == 7.5);
  CHECK(parse_measure("7.5%")->percent);
  for (auto text : {"", "px", "%", "12", "12 px", "-1px", "-0px", "1e3px", "nanpx", "infpx",
                    "0x1px", "12pt", "12%%", " 12px"}) {
    CAPTURE(text);
    CHECK(!parse_measure(text).has_value());
  }
}
