#include "tests/system/fixture.hpp"

#include "tests/support/process.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <regex>

// What cutting costs: the same source in shards and in one piece, by two nodes
// that differ in their configuration alone. bench/quality.py measures more clips.

using namespace framemill;
using namespace framemill::test;

namespace {

// Pieces down to 2 s: far more seams in a minute than by default.
constexpr auto in_shards = "[sharding]\nsource_seconds_min = 2\nseconds_min = 2\n"
                           "cpu_seconds_min = 0\n";
constexpr auto in_one_piece = "[sharding]\nenabled = false\n";

constexpr double ssim_bound = 0.001, vif_bound = 0.005, size_bound = 0.04;

/// Every frame of the source, as it is timed.
json faithful_mp4() {
  json picture{{"Codec", "h264"}, {"Fps", 0},         {"Bitrate", 0},
               {"Vcrf", 23},      {"Gop", 2},         {"GopUnit", "second"},
               {"Width", 640},    {"Height", 0},      {"ResolutionAdaptive", "close"},
               {"EncoderPreset", "veryfast"}};
  json sound{{"Codec", "aac"}, {"Bitrate", 64}, {"SampleRate", 48000}, {"AudioChannel", 2}};
  json raw{{"Container", "mp4"}, {"VideoTemplate", picture}, {"AudioTemplate", sound}};
  return {{"TranscodeTaskSet", {{{"Definition", 0}, {"RawParameter", raw}}}}};
}

struct encoded {
  json certificate;
  json packets; ///< of ffprobe: kind, times and flags of each
  double ssim = 0, vif = 0;
  std::int64_t video_bytes = 0;
};

json packets_of(const std::string& path) {
  auto r = run({"ffprobe", "-v", "error", "-of", "json", "-show_entries",
                "packet=codec_type,pts,dts,duration,flags,size", path});
  auto document = parse_json(r.output);
  REQUIRE_MESSAGE(document, r.complaint);
  return (*document)["packets"];
}

/// All numbers that `words` are followed by, averaged.
double average_of(const std::string& text, const std::string& words) {
  const std::regex pattern{words + "([0-9.]+)"};
  double sum = 0;
  int count = 0;
  for (std::sregex_iterator i{text.begin(), text.end(), pattern}, end; i != end; ++i, ++count)
    sum += std::stod((*i)[1]);
  REQUIRE(count > 0);
  return sum / count;
}

/// Frame n against frame n of the source: each source frame is one of ours.
void compare(encoded& e, const std::string& made, const std::string& source) {
  const auto video = stream_of(probe(made), "video");
  const std::string same = "setpts=N/25/TB,format=yuv420p,split";
  auto graph = fmt::format("[0:v]{0}[a][b];[1:v]scale={1}:{2},{0}[x][y];[a][x]ssim;[b][y]vif", same,
                           video["width"].dump(), video["height"].dump());
  auto r = run({"ffmpeg", "-nostdin", "-i", made, "-i", source, "-lavfi", graph, "-an", "-f",
                "null", "-"},
               {}, std::chrono::minutes{5});
  REQUIRE_MESSAGE(r.end.exit_code == 0, r.complaint);
  e.ssim = average_of(r.complaint, "SSIM.*All:");
  e.vif = average_of(r.complaint, "VIF scale=[0-9] average:");
}

encoded encode(const std::string& source, const char* config) {
  node_fixture f{{.config = config}};
  (void)f.add_workflow(workflow("quality", faithful_mp4()));
  const auto name = "clip" + std::filesystem::path{source}.extension().string();
  f.drop(source, "in/" + name);
  auto done = f.finish("in/" + name);
  REQUIRE_MESSAGE(state_of(done) == "succeeded", done["Run"]["Failure"].dump());
  const auto id = std::to_string(done["Run"]["Id"].get<std::uint64_t>());
  encoded out;
  out.certificate = f.ask({"run", "certificate", id, "--json"})["Certificate"];
  f.node.restart();
  CHECK(f.ask({"run", "certificate", id, "--json"})["Certificate"] == out.certificate);
  const auto made = f.media + "/out/clip_transcode_0.mp4";
  out.packets = packets_of(made);
  for (auto& p : out.packets) {
    if (p["codec_type"] == "video") {
      out.video_bytes += std::stoll(p["size"].get<std::string>());
      p.erase("size");
    }
  }
  compare(out, made, source);
  check_one_success(f);
  return out;
}

std::size_t count_frames(const encoded& e) {
  return static_cast<std::size_t>(
      std::count_if(e.packets.begin(), e.packets.end(),
                    [](const json& p) { return p["codec_type"] == "video"; }));
}

void check_equal_but_for_seams(const std::string& source) {
  CAPTURE(source);
  const auto a = encode(source, in_shards), b = encode(source, in_one_piece);

  CHECK(a.certificate["Passed"] == true);
  CHECK(a.certificate["Seams"].size() >= 4);
  for (const auto& s : a.certificate["Seams"])
    CHECK_MESSAGE(s["Nearest"] == true, s.dump());
  CHECK(b.certificate["Seams"].empty());
  CHECK(count_frames(a) == count_frames(b));
  REQUIRE(a.packets.size() == b.packets.size());
  for (std::size_t i = 0; i < a.packets.size(); ++i) // times, key frames, sizes of sound
    if (a.packets[i] != b.packets[i]) {
      FAIL_CHECK("packet " << i << ": " << a.packets[i].dump() << " against "
                           << b.packets[i].dump());
      break;
    }
  CHECK(std::abs(a.ssim - b.ssim) <= ssim_bound);
  CHECK(std::abs(a.vif - b.vif) <= vif_bound);
  CHECK(std::abs(static_cast<double>(a.video_bytes) / static_cast<double>(b.video_bytes) - 1)
        <= size_bound);
}

} // namespace

TEST_CASE("quality: a source in shards is what it is in one piece, within bounds") {
  check_equal_but_for_seams(make_clip({.seconds = 12, .width = 640, .height = 360}));
}

TEST_CASE("quality: real clips in shards are what they are in one piece, within bounds") {
  int found = 0;
  for (const auto* name : {"video/cockatoo.mp4", "video/movie-hello.mp4"})
    if (auto clip = real_clip(name)) {
      check_equal_but_for_seams(*clip);
      ++found;
    }
  if (found == 0)
    MESSAGE("skipped: no real clips; FRAMEMILL_CLIPS names their directory");
}
