#include "tests/media/exec/bench.hpp"
#include "tests/media/exec/media_maker.hpp"

#include "media/glyphs.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>

using namespace framemill;
using namespace framemill::test;

namespace {

audio_output sound(const std::string& codec = "aac") {
  audio_output a;
  a.name = "audio";
  a.codec = codec;
  return a;
}

std::string text_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

const result_file* file_named(const media_result& r, const std::string& name) {
  for (const auto& f : r.files)
    if (f.name == name)
      return &f;
  return nullptr;
}

/// Frames of a whole-source transcode in one shard, read back.
std::vector<shown> transcoded(const scratch& s, const std::string& source,
                              const packet_index& x, video_output v) {
  const auto frames = v.last;
  auto a = joined({v.name}, "", frames, 0);
  auto d = shard(x, v, 0, frames);
  auto r = run_here(request_of(source, {d, a}, {"result"}), source, s);
  REQUIRE_MESSAGE(!r.failure, why(r));
  return read_video(s.out("result"));
}

} // namespace

TEST_CASE("framemill-media: one decode, sound and assembly give a verified MP4") {
  scratch s;
  const auto source = s.path("source.mp4");
  make({.path = source, .frames = 75, .sound_seconds = 3});
  auto p = probe(source, s);
  REQUIRE_MESSAGE(!p.result.failure, why(p.result));
  auto v = rendition(p.index, {25, 1}, 25);
  REQUIRE(v.last == 75);
  audio_step a;
  a.stream = 1;
  a.outputs = {sound()};
  auto request = request_of(
      source, {shard(p.index, v, 0, v.last), a, joined({"video"}, "audio", 75, 3)}, {"result"});

  auto o = run_child(request, source, s);

  REQUIRE_MESSAGE(!o.result.failure, why(o.result));
  CHECK(o.exit_status == 0);
  CHECK(o.result.fingerprint.find("x264") != std::string::npos);
  auto f = file_named(o.result, "result");
  REQUIRE(f);
  CHECK(f->sha256.size() == 64);
  CHECK(f->md5.size() == 32);
  CHECK(f->frames == 75);
  REQUIRE(f->media);
  CHECK(f->media->video()->width == 160);
  auto frames = read_video(s.out("result"));
  REQUIRE(frames.size() == 75);
  for (std::size_t k = 0; k < frames.size(); ++k) {
    CHECK(frames[k].number == static_cast<int>(k));
    CHECK(frames[k].seconds == doctest::Approx(double(k) / 25).epsilon(0.001));
    CHECK(frames[k].key == (k % 25 == 0));
  }
}

TEST_CASE("framemill-media: the same request twice gives the same bytes") {
  scratch s;
  const auto source = s.path("source.mp4");
  make({.path = source, .frames = 40, .sound_seconds = 1.6});
  auto p = probe(source, s);
  auto v = rendition(p.index, {25, 1}, 25);
  audio_step a;
  a.stream = 1;
  a.outputs = {sound()};
  auto hls = joined({"video"}, "audio", 40, 1.6);
  hls.name = "list.m3u8";
  hls.container = "hls";
  hls.hls_seconds = 1;
  hls.segment_pattern = "clip_%d.ts";
  auto request = request_of(
      source, {shard(p.index, v, 0, v.last), a, joined({"video"}, "audio", 40, 1.6), hls},
      {"result", "video", "audio", "list.m3u8*"});

  auto once = run_child(request, source, s).result;
  s.clear();
  probe(source, s);
  auto again = run_child(request, source, s).result;

  REQUIRE_MESSAGE(!once.failure, why(once));
  REQUIRE(once.files.size() == again.files.size());
  for (std::size_t i = 0; i < once.files.size(); ++i)
    CHECK_MESSAGE(once.files[i].sha256 == again.files[i].sha256, once.files[i].name);
}

TEST_CASE("decode_step: output rates repeat and drop by the one rule") {
  scratch s;
  const auto source = s.path("source.mp4");
  for (auto [from, to] : {std::pair<rational, rational>{{25, 1}, {30, 1}},
                          {{30, 1}, {25, 1}},
                          {{30000, 1001}, {30000, 1001}},
                          {{30000, 1001}, {25, 1}}}) {
    CAPTURE(from.num);
    CAPTURE(to.num);
    s.clear();
    make({.path = source, .frames = 50, .fps = av::ratio(from)});
    auto p = probe(source, s);
    REQUIRE_MESSAGE(!p.result.failure, why(p.result));
    auto v = rendition(p.index, to, 30);

    auto frames = transcoded(s, source, p.index, v);

    REQUIRE(frames.size() == static_cast<std::size_t>(v.last));
    for (std::size_t k = 0; k < frames.size(); ++k) {
      CHECK(frames[k].number == source_of(static_cast<std::int64_t>(k), v.grid, p.index));
      CHECK(frames[k].seconds
            == doctest::Approx(double(k) * double(to.den) / double(to.num)).epsilon(0.001));
    }
  }
}

TEST_CASE("decode_step: a variable frame rate is kept, or put on a grid") {
  scratch s;
  const auto source = s.path("source.mp4");
  make({.path = source, .frames = 50, .fps = {25, 1}, .pts = [](int i) {
          return std::int64_t{i} * 100 + (i % 3) * 30 + (i > 20 ? 700 : 0);
        }});
  auto p = probe(source, s);
  REQUIRE_MESSAGE(!p.result.failure, why(p.result));
  CHECK(p.index.exact);

  auto kept = rendition(p.index, {0, 1}, 0);
  auto frames = transcoded(s, source, p.index, kept);

  REQUIRE(frames.size() == 50);
  const auto tb = av::ratio(p.index.time_base);
  for (std::size_t k = 0; k < frames.size(); ++k) {
    CHECK(frames[k].number == static_cast<int>(k));
    CHECK(frames[k].seconds
          == doctest::Approx(av::seconds(p.index.pts[k] - p.index.pts[0], tb)).epsilon(0.001));
  }
  auto on_grid = rendition(p.index, {25, 1}, 25);
  frames = transcoded(s, source, p.index, on_grid);
  REQUIRE(frames.size() == static_cast<std::size_t>(on_grid.last));
  for (std::size_t k = 0; k < frames.size(); ++k)
    CHECK(frames[k].number == source_of(static_cast<std::int64_t>(k), on_grid.grid, p.index));
}

TEST_CASE("decode_step: odd sizes, 4:4:4 and 10 bit become 8-bit 4:2:0") {
  scratch s;
  for (auto pixels : {AV_PIX_FMT_YUV444P, AV_PIX_FMT_YUV420P10, AV_PIX_FMT_YUV422P}) {
    CAPTURE(int{pixels});
    s.clear();
    const auto source = s.path("source.mkv");
    make({.path = source,
          .frames = 12,
          .width = 180,
          .height = pixels == AV_PIX_FMT_YUV444P ? 101 : 100,
          .pixels = pixels});
    auto p = probe(source, s);
    REQUIRE_MESSAGE(!p.result.failure, why(p.result));

    auto frames = transcoded(s, source, p.index, rendition(p.index, {25, 1}, 25));

    REQUIRE(frames.size() == 12);
    CHECK(frames[7].number == 7);
    CHECK(frames[7].height == 90);
  }
}

TEST_CASE("decode_step: a rotated picture comes out upright") {
  scratch s;
  const auto source = s.path("source.mp4");
  make({.path = source, .frames = 10, .rotation = 180});
  auto p = probe(source, s);
  REQUIRE(p.result.probe);
  CHECK(p.result.probe->video()->rotation == 180);
  auto v = rendition(p.index, {25, 1}, 25);
  auto d = shard(p.index, v, 0, v.last);
  d.rotation = 180;

  auto r =
      run_here(request_of(source, {d, joined({"video"}, "", 10, 0)}, {"result"}), source, s);

  REQUIRE_MESSAGE(!r.failure, why(r));
  // The maker drew upright pictures, so turning them moves the blocks to the
  // lower half: the upper half is now the ramp.
  auto upright = read_video(s.out("result"));
  CHECK(upright.size() == 10);
  CHECK(upright[5].number != 5);
}

TEST_CASE("decode_step: fill modes keep the picture centred in its canvas") {
  scratch s;
  const auto source = s.path("source.mp4");
  make({.path = source, .frames = 6});
  auto p = probe(source, s);
  for (auto fill : {fill_mode::black, fill_mode::white, fill_mode::gauss}) {
    auto v = rendition(p.index, {25, 1}, 25);
    v.geometry = {160, 160, 160, 90, fill};
    auto r = run_here(
        request_of(source, {shard(p.index, v, 0, 6), joined({"video"}, "", 6, 0)}, {"result"}),
        source, s);
    REQUIRE_MESSAGE(!r.failure, why(r));
    auto frames = read_video(s.out("result"));
    CHECK(frames.at(3).height == 160);
    CHECK(file_named(r, "result")->media->video()->sample_aspect == rational{1, 1});
  }
}

TEST_CASE("decode_step: overlays show between their times, on output time") {
  scratch s;
  const auto source = s.path("source.mp4");
  make({.path = source, .frames = 50});
  auto p = probe(source, s);
  // The mark is a snapshot of another moment, put over the upper half.
  picture_output mark;
  mark.name = "mark";
  mark.format = "png";
  mark.geometry = {160, 90, 160, 90, fill_mode::stretch};
  mark.picks = {{p.index.pts[42], 0}};
  auto d = shard(p.index, rendition(p.index, {25, 1}, 25), 0, 50);
  d.videos.clear();
  d.pictures = {mark};
  auto r = run_here(request_of(source, {d}, {"mark.0"}), source, s);
  REQUIRE_MESSAGE(!r.failure, why(r));
  s.hand_on("mark.0");
  auto v = rendition(p.index, {25, 1}, 25);
  overlay o;
  o.image = "mark.0";
  o.begin = 0.4;
  o.end = 0.8;
  v.overlays = {o};
  overlay t;
  t.text = "100% ':,\\ [it]\n";
  t.font = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf";
  t.font_size = 12;
  t.color = "FFFFFF";
  t.origin = 3;
  if (std::filesystem::exists(t.font))
    v.overlays.push_back(t);

  auto frames = transcoded(s, source, p.index, v);

  REQUIRE(frames.size() == 50);
  for (int k = 0; k < 50; ++k)
    CHECK(frames[static_cast<std::size_t>(k)].number == (k >= 10 && k < 20 ? 42 : k));
}

TEST_CASE("decode_step: letters that a font lacks are told") {
  const std::string latin = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf";
  if (!std::filesystem::exists(latin))
    return;
  scratch s;
  const auto source = s.path("source.mp4");
  make({.path = source, .frames = 10});
  auto p = probe(source, s);
  auto v = rendition(p.index, {25, 1}, 5);
  overlay o;
  o.text = "mark 水印水";
  o.font = latin;
  o.font_size = 12;
  o.color = "FFFFFF";
  v.overlays = {o};

  auto r = run_child(request_of(source, {shard(p.index, v, 0, 10)}, {"video"}), source, s).result;

  REQUIRE_MESSAGE(!r.failure, why(r));
  REQUIRE(r.warnings.size() == 1);
  CHECK(r.warnings[0].find("DejaVuSans.ttf of a text watermark has no `水印`")
        != std::string::npos);
  CHECK(missing_glyphs(latin, "plain Grüße").empty());
  CHECK(missing_glyphs("/nowhere.ttf", "水").empty());
}

TEST_CASE("decode_step: a mark that moves or is no picture is the workflow's fault") {
  scratch s;
  const auto source = s.path("source.mp4");
  make({.path = source, .frames = 50});
  auto p = probe(source, s);
  std::filesystem::copy_file(source, s.path("in/moving"));
  std::ofstream{s.path("in/text")} << "hello";
  for (auto [mark, code] : {std::pair{"moving", errc::unsupported},
                            std::pair{"text", errc::invalid_argument}}) {
    CAPTURE(mark);
    auto v = rendition(p.index, {25, 1}, 25);
    overlay o;
    o.image = mark;
    v.overlays = {o};

    auto r = run_here(request_of(source, {shard(p.index, v, 0, 50)}, {"video"}), source, s);

    REQUIRE(r.failure);
    CHECK(r.failure->code == code);
    CHECK(r.failure->field == "WatermarkSet");
  }
}

TEST_CASE("picture_output: each pick shows the frame at its time") {
  scratch s;
  const auto source = s.path("source.mp4");
  make({.path = source, .frames = 60});
  auto p = probe(source, s);
  auto d = shard(p.index, rendition(p.index, {25, 1}, 25), 0, 60);
  d.videos.clear();
  for (auto format : {"jpg", "png", "webp"}) {
    picture_output o;
    o.name = format;
    o.format = format;
    o.geometry = {160, 90, 160, 90, fill_mode::stretch};
    o.picks = {{p.index.pts[0] - 5, 0},
               {p.index.pts[17], 1},
               {p.index.pts[17] + 1, 2},
               {p.index.pts[59] + 9999, 3}};
    d.pictures.push_back(o);
  }

  auto r = run_child(request_of(source, {d}, {"*"}), source, s).result;

  REQUIRE_MESSAGE(!r.failure, why(r));
  REQUIRE(r.files.size() == 12);
  for (auto format : {"jpg", "png"})
    for (auto [ordinal, number] : {std::pair{0, 0}, {1, 17}, {2, 17}, {3, 59}}) {
      auto name = fmt::format("{}.{}", format, ordinal);
      std::filesystem::rename(s.out(name), s.path("picture." + std::string{format}));
      CHECK(read_video(s.path("picture." + std::string{format})).at(0).number == number);
      CHECK(file_named(r, name)->time == doctest::Approx(number / 25.0));
      CHECK(file_named(r, name)->width == 160);
    }
}

TEST_CASE("sprite_step and animation_step: join raw pictures of several shards") {
  scratch s;
  const auto source = s.path("source.mp4");
  make({.path = source, .frames = 60});
  auto p = probe(source, s);
  std::vector<media_step> steps;
  for (int part = 0; part < 2; ++part) {
    auto d = shard(p.index, rendition(p.index, {25, 1}, 25), part * 30, part * 30 + 30);
    d.videos.clear();
    picture_output o;
    o.name = "raw" + std::to_string(part);
    o.format = "raw";
    o.geometry = {160, 90, 160, 90, fill_mode::stretch};
    for (int i = 0; i < 5; ++i)
      o.picks.push_back(
          {p.index.pts[static_cast<std::size_t>(part * 30 + i * 6)], part * 5 + i});
    d.pictures = {o};
    steps.push_back(d);
  }
  sprite_step sprite;
  sprite.name = "sprite";
  sprite.pictures = {"raw0", "raw1"};
  sprite.format = "png";
  sprite.rows = 2;
  sprite.columns = 3;
  sprite.duration = 2.4;
  sprite.sheet_names = {"a.png", "b.png"};
  for (int i = 0; i < 10; ++i)
    sprite.times.push_back(i * 0.24);
  animation_step gif;
  gif.name = "film.gif";
  gif.pictures = sprite.pictures;
  gif.format = "gif";
  gif.fps = {5, 1};
  auto webp = gif;
  webp.name = "film.webp";
  webp.format = "webp";
  steps.insert(steps.end(), {sprite, gif, webp});

  auto r = run_child(request_of(source, steps, {"sprite.*", "film*"}), source, s).result;

  REQUIRE_MESSAGE(!r.failure, why(r));
  CHECK(r.files.size() == 5);
  CHECK(file_named(r, "sprite.0")->width == 480);
  CHECK(file_named(r, "sprite.1")->height == 180);
  auto vtt = text_of(s.out("sprite.vtt"));
  CHECK(vtt.starts_with("WEBVTT\n\n00:00:00.000 --> 00:00:00.240\na.png#xywh=0,0,160,90\n"));
  CHECK(vtt.find("00:00:02.160 --> 00:00:02.400\nb.png#xywh=0,90,160,90") != vtt.npos);
  std::filesystem::rename(s.out("film.gif"), s.path("film.gif"));
  auto frames = read_video(s.path("film.gif"));
  REQUIRE(frames.size() == 10);
  CHECK(file_named(r, "film.gif")->frames == 10);
  CHECK(frames[9].seconds == doctest::Approx(1.8).epsilon(0.02));
  CHECK(text_of(s.out("film.webp")).starts_with("RIFF"));
}

TEST_CASE("decode_step: sprites alone need key frames only") {
  scratch s;
  const auto source = s.path("source.mp4");
  make({.path = source, .frames = 100, .gop = 10});
  auto p = probe(source, s);
  auto d = shard(p.index, rendition(p.index, {25, 1}, 25), 0, 100);
  d.videos.clear();
  d.key_frames_only = true;
  picture_output o;
  o.name = "picture";
  o.format = "png";
  o.geometry = {160, 90, 160, 90, fill_mode::stretch};
  o.picks = {{p.index.pts[0], 0}, {p.index.pts[55], 1}};
  d.pictures = {o};
  d.end = p.index.pts[55];

  auto r = run_here(request_of(source, {d}, {"picture*"}), source, s);

  REQUIRE_MESSAGE(!r.failure, why(r));
  CHECK(r.frames_decoded <= 11);
  std::filesystem::rename(s.out("picture.1"), s.path("p.png"));
  CHECK(read_video(s.path("p.png")).at(0).number == 50);
}

TEST_CASE("audio_step: sound is continuous and begins and ends on the sample") {
  scratch s;
  const auto source = s.path("source.mp4");
  make({.path = source, .frames = 50, .sound_seconds = 4});
  audio_step a;
  a.stream = 1;
  auto o = sound();
  o.begin = 1;
  o.end = 3;
  o.channels = 1;
  a.outputs = {o};
  auto join = joined({}, "audio", -1, 2);
  join.container = "m4a";
  join.contract.has_audio = true;

  auto r = run_child(request_of(source, {a, join}, {"result"}), source, s).result;

  REQUIRE_MESSAGE(!r.failure, why(r));
  std::filesystem::rename(s.out("result"), s.path("r.m4a"));
  int rate = 0;
  auto samples = read_sound(s.path("r.m4a"), rate);
  CHECK(rate == 48000);
  CHECK(samples.size() >= 96000);
  CHECK(samples.size() < 96000 + 1024);
  auto original = read_sound(source, rate);
  // The encoder is lossy, so ask which offset fits best, over each half.
  for (auto [from, to] : {std::pair{2048, 48000}, {48000, 94000}}) {
    int best = 99;
    double least = 1e9;
    for (int shift = -40; shift <= 40; ++shift) {
      double sum = 0;
      for (int i = from; i < to; ++i)
        sum += std::pow(samples[std::size_t(i)] - original[std::size_t(i + 48000 + shift)], 2);
      if (sum < least)
        least = sum, best = shift;
    }
    CHECK(best == 0);
  }
}

TEST_CASE("audio_step: a late start is filled with silence") {
  scratch s;
  const auto source = s.path("source.mkv");
  make({.path = source, .frames = 50, .sound_seconds = 1, .sound_begin = 0.5});
  audio_step a;
  a.stream = 1;
  a.outputs = {sound()};
  auto join = joined({}, "audio", -1, 1.5);
  join.container = "m4a";

  auto r = run_here(request_of(source, {a, join}, {"result"}), source, s);

  REQUIRE_MESSAGE(!r.failure, why(r));
  std::filesystem::rename(s.out("result"), s.path("r.m4a"));
  int rate = 0;
  auto samples = read_sound(s.path("r.m4a"), rate);
  auto peak = [&](std::size_t from, std::size_t to) {
    float m = 0;
    for (auto i = from; i < to; ++i)
      m = std::max(m, std::abs(samples[i]));
    return m;
  };
  REQUIRE(samples.size() >= 72000);
  CHECK(peak(0, 22000) < 0.02);
  CHECK(peak(25000, 70000) > 0.4);
}

TEST_CASE("audio_step: MP3 from a source without video") {
  scratch s;
  const auto source = s.path("source.wav");
  make(
      {.path = source, .codec = "", .sound_seconds = 1.5, .sample_rate = 22050, .channels = 1});
  auto p = probe(source, s);
  REQUIRE_MESSAGE(!p.result.failure, why(p.result));
  CHECK(p.result.files.empty()); // no index without video
  audio_step a;
  a.stream = 0;
  a.outputs = {sound("mp3")};
  auto join = joined({}, "audio", -1, 1.5);
  join.container = "mp3";

  auto r = run_child(request_of(source, {a, join}, {"result"}), source, s).result;

  REQUIRE_MESSAGE(!r.failure, why(r));
  CHECK(file_named(r, "result")->media->audio()->codec == "mp3");
}

TEST_CASE("assemble_step: HLS segments begin with key frames and carry the given names") {
  scratch s;
  const auto source = s.path("source.mp4");
  make({.path = source, .frames = 100, .sound_seconds = 4});
  auto p = probe(source, s);
  auto v = rendition(p.index, {25, 1}, 25);
  audio_step a;
  a.stream = 1;
  a.outputs = {sound()};
  for (bool fmp4 : {false, true}) {
    CAPTURE(fmp4);
    auto hls = joined({"video"}, "audio", 100, 4);
    hls.container = "hls";
    hls.hls_seconds = 2;
    hls.hls_fmp4 = fmp4;
    hls.name = fmp4 ? "list_b" : "list_a";
    hls.segment_pattern = fmp4 ? "seg-%d.mp4" : "seg-%d.ts";

    auto r =
        run_child(request_of(source, {shard(p.index, v, 0, 100), a, hls}, {hls.name + "*"}),
                  source, s)
            .result;

    REQUIRE_MESSAGE(!r.failure, why(r));
    auto list = text_of(s.out(hls.name));
    CHECK(list.find("#EXT-X-PLAYLIST-TYPE:VOD") != list.npos);
    CHECK(list.find("#EXT-X-INDEPENDENT-SEGMENTS") != list.npos);
    CHECK(list.find("#EXTINF:2.000000,\nseg-0") != list.npos);
    CHECK(list.find("#EXT-X-ENDLIST") != list.npos);
    CHECK((list.find("URI=\"seg-init.mp4\"") != list.npos) == fmp4);
    CHECK(r.files.size() == (fmp4 ? 4 : 3));
    if (!fmp4) {
      std::filesystem::rename(s.out("list_a.1.ts"), s.path("x.ts"));
      auto frames = read_video(s.path("x.ts"));
      CHECK(frames.size() == 50);
      CHECK(frames[0].number == 50);
      CHECK(frames[0].key);
    }
  }
}

TEST_CASE("remux_step: packets are copied, and sound can be replaced") {
  scratch s;
  for (auto name : {"source.mkv", "source.ts", "source.mp4"}) {
    CAPTURE(name);
    s.clear();
    const auto source = s.path(name);
    make({.path = source, .frames = 50, .sound_seconds = 2});
    audio_step a;
    a.stream = 1;
    a.outputs = {sound()};
    remux_step copy;
    copy.name = "copy";
    copy.container = "mp4";
    copy.video_stream = 0;
    copy.audio_stream = 1;
    copy.contract.has_video = copy.contract.has_audio = true;
    copy.contract.video_frames = 50;
    if (std::string{name} == "source.ts") {
      copy.audio_stream = -1;
      copy.audio_file = "audio";
    }

    auto r = run_child(request_of(source, {a, copy}, {"copy"}), source, s).result;

    REQUIRE_MESSAGE(!r.failure, why(r));
    auto frames = read_video(s.out("copy"));
    REQUIRE(frames.size() == 50);
    for (int k = 0; k < 50; ++k)
      CHECK(frames[static_cast<std::size_t>(k)].number == k);
  }
}
