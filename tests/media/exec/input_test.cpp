#include "tests/media/exec/bench.hpp"
#include "tests/media/exec/media_maker.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <random>

using namespace framemill;
using namespace framemill::test;
namespace fs = std::filesystem;

namespace {

void write(const std::string& path, const std::string& bytes) {
  std::ofstream{path, std::ios::binary} << bytes;
}

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

error probe_failure(const std::string& source, const scratch& s) {
  auto o = run_child(request_of(source, {probe_step{}}, {"index"}), source, s);
  CHECK(o.exit_status == 0);
  REQUIRE(o.result.failure);
  CHECK(o.result.files.empty());
  return *o.result.failure;
}

} // namespace

TEST_CASE("source: what is not a media file is told apart") {
  scratch s;
  const auto source = s.path("source.mp4");

  write(source, "");
  auto e = probe_failure(source, s);
  CHECK(e.code == errc::input_incomplete);
  CHECK(e.message.find("empty") != std::string::npos);

  std::mt19937 random{7};
  std::string noise(100'000, '\0');
  for (auto& c : noise)
    c = static_cast<char>(random());
  write(source, noise);
  CHECK(probe_failure(source, s).code == errc::input_not_media);

  write(source, "Dear diary, today I wrote no video.\n");
  CHECK(probe_failure(source, s).code == errc::input_not_media);
}

TEST_CASE("source: playlists and references are refused, whatever their name") {
  scratch s;
  const auto source = s.path("source.mp4");
  for (auto text : {"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n",
                    "#EXTM3U\nhttp://127.0.0.1/secret.ts\n",
                    "ffconcat version 1.0\nfile '/etc/passwd'\n", "file '/etc/passwd'\n",
                    "<?xml version=\"1.0\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\">\n",
                    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n", "[playlist]\nFile1=/etc/passwd\n"}) {
    CAPTURE(text);
    write(source, text);
    CHECK(probe_failure(source, s).code == errc::input_refused);
  }
}

TEST_CASE("source: an MP4 without its index is truncated, and the sentence says so") {
  scratch s;
  const auto source = s.path("source.mp4");
  make({.path = source, .frames = 50, .faststart = false});
  fs::resize_file(source, fs::file_size(source) * 2 / 3);

  auto e = probe_failure(source, s);

  CHECK(e.code == errc::input_incomplete);
  CHECK(e.message.find("truncated") != std::string::npos);
}

TEST_CASE("source: pictures that claim to be huge are refused before decoding") {
  scratch s;
  const auto source = s.path("source.avi");
  make({.path = source, .codec = "mpeg4", .frames = 2});
  auto bytes = read(source);
  const std::string sizes{"\xC0\0\0\0\x6C\0\0\0", 8}; // 192 × 108 in the BITMAPINFOHEADER
  auto at = bytes.find(sizes, bytes.find("strf"));
  REQUIRE(at != bytes.npos);
  for (auto i : {0u, 4u}) // 100,000
    bytes.replace(at + i, 4, std::string{"\xA0\x86\x01\0", 4});
  write(source, bytes);

  CHECK(probe_failure(source, s).code == errc::input_refused);
}

TEST_CASE("source: a damaged middle is worked around, and told") {
  scratch s;
  const auto source = s.path("source.mp4");
  make({.path = source, .frames = 100, .gop = 10, .sound_seconds = 4});
  auto p = probe(source, s);
  auto bytes = read(source);
  for (std::size_t i = bytes.size() / 2; i < bytes.size() / 2 + 3000; ++i)
    bytes[i] = static_cast<char>(i * 37);
  write(source, bytes);
  auto v = rendition(p.index, {25, 1}, 25);
  auto d = shard(p.index, v, 0, v.last);
  d.index_file.clear();
  d.start.pts = INT64_MIN;
  d.videos[0].last = INT64_MAX;
  audio_step a;
  a.stream = 1;
  audio_output o;
  o.name = "audio";
  a.outputs = {o};

  auto r = run_child(request_of(source, {d, a, joined({"video"}, "audio", -1, 0)}, {"result"}),
                     source, s)
               .result;

  REQUIRE_MESSAGE(!r.failure, why(r));
  CHECK(read_video(s.out("result")).size() >= 90);
}

TEST_CASE("decode_step: frames other than the index has are input damage") {
  scratch s;
  const auto source = s.path("source.mp4");
  make({.path = source, .frames = 50});
  auto p = probe(source, s);
  auto wrong = p.index;
  for (auto& t : wrong.pts)
    t += t > wrong.pts[20] ? 3 : 0;
  write(s.path("in/index"), encode_index(wrong));
  auto v = rendition(wrong, {25, 1}, 25);

  auto r = run_here(request_of(source, {shard(wrong, v, 0, v.last)}, {"video"}), source, s);

  REQUIRE(r.failure);
  CHECK(r.failure->code == errc::input_damaged);
}

TEST_CASE("source: cut, flipped and repeated bytes never crash the child") {
  scratch s;
  std::mt19937 random{11};
  for (auto name : {"a.mp4", "a.mkv", "a.ts", "a.avi"}) {
    const auto source = s.path(name);
    make({.path = source, .codec = "mpeg4", .frames = 25, .sound_seconds = 1});
    const auto good = read(source);
    for (int round = 0; round < 6; ++round) {
      auto bytes = good;
      for (int i = 0; i < 40; ++i)
        bytes[random() % bytes.size()] = static_cast<char>(random());
      if (round % 2)
        bytes.resize(random() % bytes.size() + 1);
      write(source, bytes);
      CAPTURE(name);
      CAPTURE(round);
      auto o = run_child(request_of(source, {probe_step{}}, {"index*"}), source, s);
      CHECK(o.exit_status == 0);
      CHECK(!o.result.fingerprint.empty());
    }
  }
}
