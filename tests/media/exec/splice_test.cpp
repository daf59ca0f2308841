#include "tests/media/exec/bench.hpp"
#include "tests/media/exec/media_maker.hpp"

#include "media/work.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <map>

using namespace framemill;
using namespace framemill::test;

namespace {

constexpr rational ntsc{30000, 1001};
constexpr int rate = 48000;

/// Where frame `k` begins, in samples.
std::size_t sample_of(int k) {
  return static_cast<std::size_t>(std::llround(k * 1001.0 / 30000 * rate));
}

audio_output sound(const std::string& codec, int channels = 1) {
  audio_output a;
  a.name = "audio";
  a.codec = codec;
  a.sample_rate = rate;
  a.channels = channels;
  return a;
}

/// Makes in/<name> as clips are made: encoded, with PCM, in a MOV of our own.
void make_clip(const scratch& s, const std::string& name, clip c) {
  c.path = s.path("source.mp4");
  c.fps = av::ratio(ntsc);
  make(c);
  auto p = probe(c.path, s);
  REQUIRE_MESSAGE(!p.result.failure, why(p.result));
  auto v = rendition(p.index, ntsc, 15);
  REQUIRE(v.last == c.frames);
  const bool with_sound = c.sound_seconds > 0;
  auto mov = joined({"video"}, with_sound ? "audio" : "", c.frames, 0);
  mov.name = name;
  mov.container = "mov";
  std::vector<media_step> steps{shard(p.index, v, 0, v.last)};
  if (with_sound)
    steps.push_back(audio_step{1, {sound("pcm_s16le")}});
  steps.push_back(mov);
  auto r = run_child(request_of(c.path, steps, {name}), c.path, s).result;
  REQUIRE_MESSAGE(!r.failure, why(r));
  s.hand_on(name);
}

splice_step splice(std::vector<std::string> clips, std::optional<audio_output> sound = {},
                   rational fps = ntsc) {
  splice_step out;
  out.clips = std::move(clips);
  out.video = "video";
  out.fps = fps;
  out.sound = std::move(sound);
  return out;
}

/// Four clips of 40, 20, 55 and 25 frames: sound as long as the pictures, none, shorter,
/// longer. Their frames show 0…, 100…, 200…, 300….
const std::vector<std::string> four{"a", "b", "c", "d"};
const std::vector<int> four_frames{40, 20, 55, 25};
constexpr int four_in_all = 140;

void make_four(const scratch& s) {
  make_clip(s, "a", {.frames = 40, .first_number = 0, .sound_seconds = 1.35, .tone = 300});
  make_clip(s, "b", {.frames = 20, .first_number = 100});
  make_clip(s, "c", {.frames = 55, .first_number = 200, .sound_seconds = 0.7, .tone = 700});
  make_clip(s, "d", {.frames = 25, .first_number = 300, .sound_seconds = 1.5, .tone = 1100});
}

void check_four(const std::vector<shown>& frames) {
  REQUIRE(frames.size() == four_in_all);
  std::size_t k = 0;
  for (std::size_t c = 0; c < four.size(); ++c)
    for (int i = 0; i < four_frames[c]; ++i, ++k) {
      CAPTURE(k);
      CHECK(frames[k].number == static_cast<int>(c) * 100 + i);
      CHECK(frames[k].key == (i % 15 == 0));
      CHECK(frames[k].seconds - frames[0].seconds
            == doctest::Approx(double(k) * 1001 / 30000).epsilon(0.002));
    }
}

/// The clips' own sound at its place, silence elsewhere.
std::vector<float> four_sounds(const scratch& s) {
  std::vector<float> out(sample_of(four_in_all), 0.F);
  int first = 0;
  for (std::size_t c = 0; c < four.size(); first += four_frames[c], ++c) {
    if (four[c] == "b")
      continue;
    int of_clip = 0;
    auto samples = read_sound(s.path("in/" + four[c]), of_clip);
    const auto begin = sample_of(first), end = sample_of(first + four_frames[c]);
    for (std::size_t i = 0; i < samples.size() && begin + i < end; ++i)
      out[begin + i] = samples[i];
  }
  return out;
}

/// By how many samples `made` lies behind `wanted` between the two, most likely.
int best_shift(const std::vector<float>& made, const std::vector<float>& wanted,
               std::size_t from, std::size_t to) {
  int best = 99;
  double least = 1e9;
  for (int shift = -30; shift <= 30; ++shift) {
    double sum = 0;
    for (auto i = from; i < to; ++i)
      sum += std::pow(made[i + static_cast<std::size_t>(30 + shift)] - wanted[i + 30], 2);
    if (sum < least)
      least = sum, best = shift;
  }
  return best;
}

/// Clips straight from the maker: 24 frames at 25 per second each.
void make_plain(const scratch& s, const std::string& name, clip c = {}) {
  c.path = s.path("in/" + name + ".mov");
  c.frames = 24;
  make(c);
}

media_result spliced(const scratch& s, const splice_step& step) {
  auto a = joined({"video"}, step.sound ? "audio" : "", -1, 0);
  a.container = "mov";
  return run_here(request_of("", {step, a}, {"result"}), "", s);
}

} // namespace

TEST_CASE("splice_step: clips follow each other to the frame and to the sample") {
  scratch s;
  make_four(s);
  auto mov = joined({"video"}, "audio", four_in_all, four_in_all * 1001.0 / 30000);
  mov.container = "mov";
  mov.contract.duration_tolerance = 0.001;

  auto r = run_child(request_of("", {splice(four, sound("pcm_s16le")), mov}, {"result"}), "", s)
               .result;

  REQUIRE_MESSAGE(!r.failure, why(r));
  check_four(read_video(s.out("result")));
  CHECK(r.files.at(0).media->audio()->codec == "pcm_s16le");
  const auto bytes = read_file(s.out("result")).value();
  for (auto tag : {"avc1", "sowt"}) // what QuickTime knows
    CHECK(bytes.find(tag) != std::string::npos);
  int of_result = 0;
  const auto samples = read_sound(s.out("result"), of_result), wanted = four_sounds(s);
  CHECK(of_result == rate);
  REQUIRE(samples.size() == sample_of(four_in_all));
  std::size_t differ = 0;
  for (std::size_t i = 0; i < samples.size(); ++i)
    differ += samples[i] != wanted[i];
  CHECK(differ == 0);
}

TEST_CASE("splice_step: what it makes fits each container, and twice to the byte") {
  scratch s;
  make_four(s);
  std::vector<media_step> steps{splice(four, sound("aac", 1))};
  std::vector<std::string> keep;
  for (std::string container : {"mp4", "mov", "flv", "hls"}) {
    auto a = joined({"video"}, "audio", four_in_all, four_in_all * 1001.0 / 30000);
    a.name = "result." + container;
    a.container = container;
    a.hls_seconds = 2;
    a.segment_pattern = "segment-%d.ts";
    steps.push_back(a);
    keep.push_back(a.name + "*");
  }

  auto r = run_child(request_of("", steps, keep), "", s).result;

  REQUIRE_MESSAGE(!r.failure, why(r));
  const auto wanted = four_sounds(s);
  for (std::string container : {"mp4", "mov"}) {
    CAPTURE(container);
    int of_result = 0;
    auto samples = read_sound(s.out("result." + container), of_result);
    CHECK(samples.size() >= sample_of(four_in_all));
    CHECK(samples.size() < sample_of(four_in_all) + 1024);
    samples.resize(wanted.size());
    for (auto [first, last] : {std::pair{2, 38}, {62, 80}, {117, 138}})
      CHECK(best_shift(samples, wanted, sample_of(first), sample_of(last)) == 0);
    for (auto i = sample_of(42); i < sample_of(58); ++i)
      REQUIRE(std::abs(samples[i]) < 0.01);
  }
  for (std::string container : {"mp4", "mov", "flv"}) {
    CAPTURE(container);
    check_four(read_video(s.out("result." + container)));
  }
  std::map<std::string, std::string> once;
  for (const auto& f : r.files)
    once[f.name] = f.sha256;
  r = run_child(request_of("", steps, keep), "", s).result;
  for (const auto& f : r.files)
    CHECK_MESSAGE(once[f.name] == f.sha256, f.name);
}

TEST_CASE("splice_step: sound that begins late is where its clip says") {
  scratch s;
  make_plain(s, "a");
  make_plain(
      s, "b",
      {.sound_seconds = 0.5, .sound_begin = 0.2, .channels = 1, .sound_codec = "pcm_s16le"});
  auto step = splice({"a.mov", "b.mov"}, sound("pcm_s16le"), {25, 1});

  auto r = spliced(s, step);

  REQUIRE_MESSAGE(!r.failure, why(r));
  int of_result = 0;
  const auto samples = read_sound(s.out("result"), of_result);
  REQUIRE(samples.size() == 48 * rate / 25);
  const auto begin = std::size_t{24 * rate / 25 + rate / 5};
  for (std::size_t i = 0; i <= begin; ++i)
    REQUIRE(samples[i] == 0); // a sine begins with 0
  for (std::size_t i = 1; i < rate / 2; ++i)
    REQUIRE(
        samples[begin + i]
        == doctest::Approx(0.5 * std::sin(2 * M_PI * 440 * double(i) / rate)).epsilon(0.01));
  for (std::size_t i = begin + rate / 2; i < samples.size(); ++i)
    REQUIRE(samples[i] == 0);
}

TEST_CASE("splice_step: clips without sound become silence, as MP3 too") {
  scratch s;
  make_plain(s, "a");
  auto mp3 = joined({}, "audio", -1, 1.92);
  mp3.container = "mp3";

  auto r = run_here(
      request_of("", {splice({"a.mov", "a.mov"}, sound("mp3", 2), {25, 1}), mp3}, {"result"}),
      "", s);

  REQUIRE_MESSAGE(!r.failure, why(r));
  CHECK(r.files.at(0).media->audio()->channels == 2);
}

TEST_CASE("splice_step: a clip without colours gets those of the others") {
  scratch s;
  make_plain(s, "none");
  make_plain(s, "hd",
             {.first_number = 100, .matrix = AVCOL_SPC_BT709, .range = AVCOL_RANGE_MPEG});
  for (auto clips : {std::vector<std::string>{"none.mov", "hd.mov", "none.mov"},
                     {"hd.mov", "none.mov", "hd.mov"}}) {
    CAPTURE(clips[0]);

    auto r = spliced(s, splice(clips, {}, {25, 1}));

    REQUIRE_MESSAGE(!r.failure, why(r));
    const auto& video = *r.files.at(0).media->video();
    CHECK(video.color_space == "bt709");
    CHECK(video.color_range == "tv");
    auto frames = read_video(s.out("result"));
    REQUIRE(frames.size() == 72);
    CHECK(frames[23].number == (clips[0] == "hd.mov" ? 123 : 23));
    CHECK(frames[24].number == (clips[0] == "hd.mov" ? 0 : 100));
  }
  auto r = spliced(s, splice({"none.mov", "none.mov"}, {}, {25, 1}));
  REQUIRE_MESSAGE(!r.failure, why(r));
  CHECK(r.files.at(0).media->video()->color_space == "unknown");
}

TEST_CASE("splice_step: clips whose colours contradict are refused by name") {
  scratch s;
  make_plain(s, "none");
  make_plain(s, "hd", {.matrix = AVCOL_SPC_BT709, .range = AVCOL_RANGE_MPEG});
  make_plain(s, "sd", {.matrix = AVCOL_SPC_SMPTE170M, .range = AVCOL_RANGE_MPEG});
  make_plain(s, "full", {.matrix = AVCOL_SPC_BT709, .range = AVCOL_RANGE_JPEG});
  for (auto [other, says] :
       {std::pair{"sd.mov", "matrix smpte170m"}, {"full.mov", "full range"}}) {
    CAPTURE(other);

    auto r = spliced(s, splice({"hd.mov", "none.mov", other}, {}, {25, 1}));

    REQUIRE(r.failure);
    CHECK(r.failure->code == errc::unsupported);
    CAPTURE(r.failure->message);
    for (std::string part : {"hd.mov", "matrix bt709", other, says}) {
      CAPTURE(part);
      CHECK(r.failure->message.find(part) != std::string::npos);
    }
  }
}

TEST_CASE("splice_step: clips that cannot be one stream are refused by name") {
  scratch s;
  make_plain(s, "good");
  make_plain(s, "wide", {.width = 256});
  make_plain(s, "slow", {.fps = {20, 1}});
  make_plain(s, "mpeg4", {.codec = "mpeg4"});
  make_plain(s, "deaf", {.codec = "", .sound_seconds = 1});
  make_plain(
      s, "low",
      {.sound_seconds = 1, .sample_rate = 44100, .channels = 1, .sound_codec = "pcm_s16le"});
  make_plain(s, "aac", {.sound_seconds = 1, .channels = 1});
  for (std::string bad :
       {"wide.mov", "slow.mov", "mpeg4.mov", "deaf.mov", "low.mov", "aac.mov"}) {
    CAPTURE(bad);

    auto r = spliced(s, splice({"good.mov", bad}, sound("aac"), {25, 1}));

    REQUIRE(r.failure);
    CHECK(r.failure->code == errc::contract_broken);
    CHECK(r.failure->message.find(bad) != std::string::npos);
  }
  auto r = spliced(s, splice({"good.mov", "missing.mov"}, {}, {25, 1}));
  REQUIRE(r.failure);
  CHECK(r.failure->code == errc::not_found);
}
