#include "tests/media/exec/bench.hpp"
#include "tests/media/exec/media_maker.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

// remux_step with a begin and an end: packets are copied, so what is shown can be told
// from the frames' own numbers, and where the sound lies from its samples.

using namespace framemill;
using namespace framemill::test;

namespace {

remux_step cut(double begin, double end, const std::string& container = "mp4") {
  remux_step out;
  out.name = "copy";
  out.container = container;
  out.video_stream = 0;
  out.audio_stream = 1;
  out.contract.has_video = out.contract.has_audio = true;
  out.begin = begin;
  out.end = end;
  return out;
}

std::vector<int> numbers_of(const std::string& path) {
  std::vector<int> out;
  for (const auto& f : read_video(path))
    out.push_back(f.number);
  return out;
}

std::vector<int> row(int first, int last) {
  std::vector<int> out;
  for (int k = first; k <= last; ++k)
    out.push_back(k);
  return out;
}

double start_of(const stream_info& s) {
  return av::seconds(s.start_pts, av::ratio(s.time_base));
}

} // namespace

TEST_CASE("remux_step: a cut begins with the key frame before it and ends at its frame") {
  scratch s;
  for (auto name : {"source.mp4", "source.mkv", "source.ts"}) {
    CAPTURE(name);
    s.clear();
    const auto source = s.path(name);
    make({.path = source, .frames = 100, .gop = 12, .sound_seconds = 4});
    auto p = probe(source, s);
    const auto origin = av::seconds(p.index.pts.front(), av::ratio(p.index.time_base));
    const bool ts = std::string{name} == "source.ts"; // its AAC needs another framing
    for (auto container : {"mp4", "mov", "flv", "hls"}) {
      CAPTURE(container);
      auto step = cut(origin + 1.06, origin + 48 / 25.0, container);
      step.hls_seconds = 2;
      step.segment_pattern = "%d.ts";
      step.contract.video_frames = 24;
      if (ts) {
        step.audio_stream = -1;
        step.contract.has_audio = false;
      }

      auto r = run_child(request_of(source, {step}, {"copy*"}), source, s).result;

      REQUIRE_MESSAGE(!r.failure, why(r));
      CHECK(r.files.at(0).frames == 24);
      const auto file = std::string{container} == "hls" ? "copy.0.ts" : "copy";
      CHECK(numbers_of(s.out(file)) == row(24, 47));
      if (!ts) {
        const auto& info = *r.files[0].media;
        const auto late = start_of(*info.audio()) - start_of(*info.video());
        CHECK(late > -0.001);
        CHECK(late < 1024.0 / 48000 + 0.002);
      }
    }
  }
}

TEST_CASE("remux_step: an end amid a group keeps all that is shown before it") {
  scratch s;
  const auto source = s.path("source.mp4");
  make({.path = source, .frames = 100, .gop = 12, .sound_seconds = 4});
  for (int last = 49; last < 60; ++last) {
    CAPTURE(last);

    auto r = run_here(request_of(source, {cut(1, (last + 1) / 25.0)}, {"copy"}), source, s);

    REQUIRE_MESSAGE(!r.failure, why(r));
    auto numbers = numbers_of(s.out("copy"));
    const auto planned = row(24, last);
    REQUIRE(numbers.size() >= planned.size());
    CHECK(numbers.size() <= planned.size() + 1); // a P frame that the last B frames need
    CHECK(std::equal(planned.begin(), planned.end(), numbers.begin()));
  }
}

TEST_CASE("remux_step: the sound of a cut is in step with its pictures") {
  scratch s;
  const auto source = s.path("source.mp4");
  make({.path = source, .frames = 100, .gop = 12, .sound_seconds = 4, .tone = 300});

  auto r = run_here(request_of(source, {cut(1, 3)}, {"copy"}), source, s);

  REQUIRE_MESSAGE(!r.failure, why(r));
  int rate = 0;
  const auto all = read_sound(source, rate), part = read_sound(s.out("copy"), rate);
  const auto& info = *r.files.at(0).media;
  const auto begin =
      std::llround((24 / 25.0 + start_of(*info.audio()) - start_of(*info.video())) * rate);
  CHECK(double(part.size()) / rate == doctest::Approx(3 - 24 / 25.0).epsilon(0.02));
  std::size_t differ = 0;
  for (std::size_t i = 2048; i < part.size(); ++i) // a decoder that starts amid has no past
    differ += std::abs(part[i] - all[static_cast<std::size_t>(begin) + i]) > 1e-5F;
  CHECK(differ == 0);
}

TEST_CASE("remux_step: without a key frame before the begin the source's first is taken") {
  scratch s;
  const auto source = s.path("source.mkv");
  make({.path = source,
        .frames = 50,
        .pts = [](int i) { return 10'000 + std::int64_t{i} * 100; },
        .sound_seconds = 5});

  auto r = run_here(request_of(source, {cut(2, 5)}, {"copy"}), source, s);

  REQUIRE_MESSAGE(!r.failure, why(r));
  CHECK(numbers_of(s.out("copy")) == row(0, 24));
  const auto& info = *r.files.at(0).media;
  CHECK(std::abs(start_of(*info.audio()) - start_of(*info.video())) < 0.025);
}

TEST_CASE("remux_step: pictures that refer to what was cut off are left out") {
  scratch s;
  const auto source = s.path("source.mp4");
  make({.path = source, .frames = 60, .gop = 12, .open_gop = true});
  auto step = cut(1, 0);
  step.audio_stream = -1;
  step.contract.has_audio = false;

  auto r = run_here(request_of(source, {step}, {"copy"}), source, s);

  REQUIRE_MESSAGE(!r.failure, why(r));
  auto numbers = numbers_of(s.out("copy"));
  REQUIRE(!numbers.empty());
  CHECK(numbers == row(numbers[0], 59));
  CHECK(r.files.at(0).frames == static_cast<std::int64_t>(numbers.size()));
}

TEST_CASE("remux_step: a begin far in is jumped to, and the copy is the same") {
  scratch s;
  for (auto [name, gop] :
       {std::pair{"source.mp4", 50}, {"source.mkv", 50}, {"source.mp4", 400}}) {
    CAPTURE(name);
    CAPTURE(gop);
    s.clear();
    const auto source = s.path(name);
    make({.path = source, .frames = 1000, .gop = gop, .sound_seconds = 40});

    auto r = run_here(request_of(source, {cut(25, 28)}, {"copy"}), source, s);

    REQUIRE_MESSAGE(!r.failure, why(r));
    auto numbers = numbers_of(s.out("copy"));
    const auto planned = row(gop == 50 ? 600 : 400, 699);
    REQUIRE(numbers.size() >= planned.size());
    CHECK(numbers.size() <= planned.size() + 1);
    CHECK(std::equal(planned.begin(), planned.end(), numbers.begin()));
    const auto& info = *r.files.at(0).media;
    CHECK(std::abs(start_of(*info.audio()) - start_of(*info.video())) < 0.025);
  }
}

TEST_CASE("remux_step: sound alone is cut at its packets") {
  scratch s;
  const auto source = s.path("source.m4a");
  make({.path = source, .codec = "", .sound_seconds = 30});
  for (double begin : {1.0, 20.0}) {
    CAPTURE(begin);
    auto step = cut(begin, begin + 2, "m4a");
    step.video_stream = -1;
    step.audio_stream = 0;
    step.contract.has_video = false;
    step.contract.duration = 2;
    step.contract.duration_tolerance = 0.05;

    auto r = run_here(request_of(source, {step}, {"copy"}), source, s);

    CHECK_MESSAGE(!r.failure, why(r));
  }
}

TEST_CASE("remux_step: a range that holds nothing is the workflow's fault") {
  scratch s;
  const auto source = s.path("source.mp4");
  make({.path = source, .frames = 50, .sound_seconds = 2});
  for (auto [begin, end] : {std::pair{1.0, 1.0}, {1.5, 1.0}, {2.0, 0.0}, {7.0, 9.0}}) {
    CAPTURE(begin);
    CAPTURE(end);
    for (bool video : {true, false}) {
      auto step = cut(begin, end);
      step.video_stream = video ? 0 : -1;
      step.contract.has_video = video;

      auto r = run_here(request_of(source, {step}, {"copy"}), source, s);

      REQUIRE(r.failure);
      CHECK(r.failure->code == errc::invalid_argument);
    }
  }
}
