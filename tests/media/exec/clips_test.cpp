#include "tests/media/exec/bench.hpp"
#include "tests/media/exec/media_maker.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <set>

// Real clips, when they are there: FRAMEMILL_CLIPS, or ../shared/media beside the
// source tree. Without them these cases have nothing to do.

using namespace framemill;
using namespace framemill::test;
namespace fs = std::filesystem;

namespace {

std::vector<fs::path> clips() {
  auto named = std::getenv("FRAMEMILL_CLIPS");
  fs::path root = named ? fs::path{named} : fs::path{FRAMEMILL_SOURCE_DIR} / "../shared/media";
  std::vector<fs::path> out;
  std::error_code none;
  for (const auto& e : fs::recursive_directory_iterator{root, none})
    if (e.is_regular_file() && e.path().extension() != ".tsv" && e.path().extension() != ".txt")
      out.push_back(e.path());
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<audio_output> sound_of(const media_info& info) {
  audio_output a;
  a.name = "audio";
  a.sample_rate = 48000;
  a.channels = 2;
  return info.audio() ? std::vector{a} : std::vector<audio_output>{};
}

/// The first two seconds, with sound, as a planner would ask for them.
media_result transcode(const fs::path& clip, const probed& p, const scratch& s) {
  const auto& info = *p.result.probe;
  const auto& video = *info.video();
  auto v = rendition(p.index, {25, 1}, 25);
  v.grid.end =
      std::min(v.grid.end, v.grid.origin + 2 * p.index.time_base.den / p.index.time_base.num);
  v.last = frame_count(v.grid, p.index);
  auto d = shard(p.index, v, 0, v.last);
  d.tonemap = video.hdr;
  d.rotation = video.rotation;
  d.deinterlace = video.interlaced;
  if (!p.index.exact) {
    d.index_file.clear();
    d.start.pts = d.begin = INT64_MIN;
    d.end = INT64_MAX;
    d.videos[0].last = INT64_MAX;
  }
  std::vector<media_step> steps{d};
  auto sounds = sound_of(info);
  const auto begin =
      double(v.grid.origin) * double(p.index.time_base.num) / double(p.index.time_base.den);
  if (!sounds.empty()) {
    sounds[0].begin = begin;
    sounds[0].end = begin + 2;
    audio_step a;
    a.stream = info.audio()->index;
    a.outputs = sounds;
    steps.push_back(a);
  }
  auto join = joined({"video"}, sounds.empty() ? "" : "audio", p.index.exact ? v.last : -1, 0);
  steps.push_back(join);
  return run_child(request_of(clip.string(), steps, {"result"}), clip.string(), s).result;
}

} // namespace

TEST_CASE("real clips: each is probed, or refused with a reason") {
  for (const auto& clip : clips()) {
    CAPTURE(clip.filename().string());
    scratch s;
    auto o = run_child(request_of(clip.string(), {probe_step{}}, {"index*"}), clip.string(), s);
    CHECK(o.exit_status == 0);
    CHECK((o.result.failure || o.result.probe));
    if (o.result.failure)
      MESSAGE(clip.filename().string() << ": " << o.result.failure->message);
  }
}

TEST_CASE("real clips: the first seconds of each decode to the frames of the index") {
  int exact = 0, inexact = 0;
  for (const auto& clip : clips()) {
    CAPTURE(clip.filename().string());
    scratch s;
    auto p = probe(clip.string(), s);
    if (p.result.failure || !p.result.probe->video()
        || clip.parent_path().filename() == "image")
      continue;
    auto r = transcode(clip, p, s);
    if (r.failure)
      MESSAGE(clip.filename().string()
              << " exact=" << p.index.exact << " " << p.index.reason << ": " << why(r));
    CHECK((!r.failure || class_of(r.failure->code) == failure_class::input));
    ++(p.index.exact ? exact : inexact);
  }
  MESSAGE(exact << " exact, " << inexact << " as decoded");
}

// libavcodec decodes 4:4:4 of x264 before build 151 by a rule of its own, and learns the
// build from the first packet alone: shards that began elsewhere were green.
TEST_CASE("real clips: 4:4:4 of an old x264 is decoded alike from every access point") {
  const auto all = clips();
  const auto clip = std::find_if(all.begin(), all.end(), [](const fs::path& p) {
    return p.filename() == "cockatoo.mp4";
  });
  if (clip == all.end()) {
    MESSAGE("skipped: cockatoo.mp4 is not here");
    return;
  }
  scratch s;
  auto p = probe(clip->string(), s);
  REQUIRE_MESSAGE(p.index.exact, p.index.reason);
  REQUIRE(p.index.access_points.size() > 2);
  auto v = rendition(p.index, {20, 1}, 20);
  std::vector<std::string> parts;
  for (std::int64_t first = 0; first < v.last; first += 100) {
    v.name = "part" + std::to_string(parts.size());
    auto d = shard(p.index, v, first, std::min<std::int64_t>(first + 100, v.last));
    auto r = run_child(request_of(clip->string(), {d}, {v.name}), clip->string(), s).result;
    REQUIRE_MESSAGE(!r.failure, why(r));
    s.hand_on(v.name);
    parts.push_back(v.name);
  }

  auto r = run_child(request_of("", {joined(parts, "", v.last, 0)}, {"result"}), "", s).result;

  REQUIRE_MESSAGE(!r.failure, why(r));
  for (const auto& f : r.files.at(0).seams) {
    CAPTURE(f.frame);
    CHECK(f.psnr > 20);
  }
}
