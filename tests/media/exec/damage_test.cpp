#include "tests/media/exec/bench.hpp"
#include "tests/media/exec/media_maker.hpp"

#include "media/work.hpp"

#include <doctest/doctest.h>

#include <filesystem>

using namespace framemill;
using namespace framemill::test;

// Damage of an intermediate must read as errc::corrupt, whatever it hits: the
// run then makes the file anew. Any other failure would end the job.

namespace {

/// Runs `request` with `file` of in/ damaged in every way that `stride` reaches,
/// and as it was.
void check_damage(const scratch& s, const std::string& file, std::size_t stride,
                  const media_request& request) {
  const auto path = s.path("in/" + file);
  const auto whole = read_file(path).value();
  auto check = [&](const std::string& bytes) {
    REQUIRE(write_file(path, bytes));
    auto r = run_here(request, "", s);
    REQUIRE(r.failure);
    CHECK_MESSAGE(r.failure->code == errc::corrupt, why(r));
  };
  CAPTURE(file);
  for (std::size_t at = 0; at < whole.size(); at += stride) {
    CAPTURE(at);
    auto bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x11);
    check(bytes);
    check(whole.substr(0, at));
  }
  REQUIRE(write_file(path, whole));
  auto r = run_here(request, "", s);
  CHECK_MESSAGE(!r.failure, why(r));
}

} // namespace

TEST_CASE("packet file: any damage is corrupt, in its head, packets, foot and witnesses") {
  scratch s;
  const auto source = s.path("a.mp4");
  make({.path = source, .frames = 40, .sound_seconds = 1.6});
  auto p = probe(source, s);
  audio_step a;
  a.stream = 1;
  a.outputs = {{"sound", "aac", 64, 48000, 1, 0, 0}};
  std::vector<media_step> steps{a};
  for (int i = 0; i < 2; ++i) {
    auto v = rendition(p.index, {25, 1}, 10);
    v.name = "part" + std::to_string(i);
    steps.push_back(shard(p.index, v, i * 20, i * 20 + 20));
  }
  auto r = run_here(request_of(source, steps, {"part0", "part1", "sound"}), source, s);
  REQUIRE_MESSAGE(!r.failure, why(r));
  for (auto file : {"part0", "part1", "sound"})
    s.hand_on(file);
  auto join = request_of("", {joined({"part0", "part1"}, "sound", 40, 1.6)}, {"result"});

  check_damage(s, "part0", 401, join);
  check_damage(s, "part1", 397, join);
  check_damage(s, "sound", 211, join);
}

TEST_CASE("raw picture file: any damage is corrupt, in its heads, pixels and foot") {
  scratch s;
  const auto source = s.path("a.mp4");
  make({.path = source, .frames = 20});
  auto p = probe(source, s);
  auto d = shard(p.index, rendition(p.index, {25, 1}, 25), 0, 20);
  d.videos.clear();
  picture_output o;
  o.name = "tiles";
  o.format = "raw";
  o.geometry = {32, 18, 32, 18, fill_mode::stretch};
  o.picks = {{p.index.pts[0], 0}, {p.index.pts[10], 1}};
  d.pictures = {o};
  auto r = run_here(request_of(source, {d}, {"tiles"}), source, s);
  REQUIRE_MESSAGE(!r.failure, why(r));
  s.hand_on("tiles");
  sprite_step sprite;
  sprite.name = "sprite";
  sprite.pictures = {"tiles"};
  sprite.format = "png";
  sprite.rows = 1;
  sprite.columns = 2;
  sprite.times = {0, 0.4};
  sprite.duration = 0.8;
  sprite.sheet_names = {"a.png"};
  animation_step gif;
  gif.name = "film.gif";
  gif.pictures = {"tiles"};
  gif.format = "gif";

  check_damage(s, "tiles", 13, request_of("", {sprite}, {"sprite.*"}));
  check_damage(s, "tiles", 61, request_of("", {gif}, {"film.gif"}));
}

TEST_CASE("index: any damage is corrupt") {
  scratch s;
  const auto source = s.path("a.mp4");
  make({.path = source, .frames = 20});
  auto p = probe(source, s);
  const auto whole = read_file(s.path("in/index")).value();
  auto request =
      request_of(source, {shard(p.index, rendition(p.index, {25, 1}, 10), 0, 20)}, {"video"});
  for (std::size_t at = 0; at < whole.size(); ++at) {
    auto bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x11);
    for (const auto& damaged : {bytes, whole.substr(0, at)}) {
      REQUIRE(write_file(s.path("in/index"), damaged));
      auto r = run_here(request, source, s);
      REQUIRE(r.failure);
      CHECK_MESSAGE(r.failure->code == errc::corrupt, why(r));
    }
  }
}
