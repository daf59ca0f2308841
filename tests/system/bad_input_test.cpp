#include "tests/system/fixture.hpp"

#include <doctest/doctest.h>

#include <unistd.h>

#include <filesystem>

// Files that are not what they should be, and names that are odd: each is
// answered by a code and a sentence that names the file, and nothing is lost.

using namespace framemill;
using namespace framemill::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

struct bad_file {
  std::string name;
  std::string content;
  std::string code;
  std::string phrase; ///< in the sentence
};

std::string little_endian(std::uint32_t n) {
  std::string out;
  for (int shift = 0; shift < 32; shift += 8)
    out += static_cast<char>(n >> shift);
  return out;
}

/// An AVI of one raw picture whose headers claim another size.
std::string avi_claiming(std::uint32_t width, std::uint32_t height, const temp_dir& dir) {
  auto path = dir / "small.avi";
  auto made = run({"ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i",
                   "testsrc2=size=64x48:rate=5:duration=1", "-c:v", "rawvideo", "-pix_fmt",
                   "yuv420p", path});
  REQUIRE_MESSAGE(made.end.exit_code == 0, made.complaint);
  auto bytes = file_content(path);
  auto format = bytes.find("strf"); // BITMAPINFOHEADER: size, width, height
  REQUIRE(format != std::string::npos);
  bytes.replace(format + 12, 8, little_endian(width) + little_endian(height));
  auto main_header = bytes.find("avih"); // width and height are its 9th and 10th number
  bytes.replace(main_header + 8 + 32, 8, little_endian(width) + little_endian(height));
  return bytes;
}

std::vector<bad_file> bad_files(const temp_dir& dir) {
  auto whole = file_content(make_clip());
  auto secret = "file://" + (dir / "secret.mp4");
  return {
      {"text.mp4", "this is a letter, not a film\n", "input_not_media", "not a media file"},
      {"noise.mp4", std::string(70'000, '\x5a'), "input_not_media", "not a media file"},
      {"empty.mp4", "", "input_incomplete", "0 bytes"},
      {"cut.mp4", whole.substr(0, whole.size() / 2), "input_incomplete", "moov"},
      {"hls.mp4", "#EXTM3U\n#EXTINF:4,\n" + secret + "\n#EXT-X-ENDLIST\n", "input_refused",
       "playlist"},
      {"web.mp4", "#EXTM3U\n#EXTINF:4,\nhttp://127.0.0.1:1/a.ts\n", "input_refused",
       "playlist"},
      {"concat.mp4", "ffconcat version 1.0\nfile " + secret + "\n", "input_refused",
       "playlist"},
      {"huge.mp4", avi_claiming(100'000, 100'000, dir), "input_refused", "100000x100000"},
      {"wide.mp4", avi_claiming(40'000, 48, dir), "input_refused", "40000x48"},
  };
}

/// The ledger's lines whose reason is `part`.
std::vector<json> ignored_because(const node_fixture& f, const std::string& part) {
  std::vector<json> out;
  auto answer = f.ask({"bucket", "objects", "media", "--state", "ignored"});
  for (const auto& o : answer["Objects"])
    if (o["Reason"].get<std::string>().find(part) != std::string::npos)
      out.push_back(o);
  return out;
}

} // namespace

TEST_CASE("bad input: what is no whole media file fails once, with a sentence that names it") {
  node_fixture f;
  (void)f.add_workflow(workflow("w", quick_everything()));
  fs::copy_file(make_clip(), f.dir / "secret.mp4");
  auto files = bad_files(f.dir);

  for (const auto& file : files)
    write_file(f.media + "/in/" + file.name, file.content);

  for (const auto& file : files) {
    CAPTURE(file.name);
    auto run = f.finish("in/" + file.name);
    CHECK(state_of(run) == "failed");
    CHECK(failure_code(run) == file.code);
    CHECK(failure_message(run).find(file.name) != std::string::npos);
    CHECK_MESSAGE(failure_message(run).find(file.phrase) != std::string::npos,
                  failure_message(run));
    CHECK_MESSAGE(run["Shards"][0]["Attempts"].size() == 1, "an input error is not retried");
    auto page = f.command.plain({"run", "show", "media:in/" + file.name}).output;
    CHECK_MESSAGE(page.find("input") != std::string::npos, page);
    CHECK_MESSAGE(page.find(file.code) != std::string::npos, page);
  }
  CHECK(f.content("out/").empty());
  CHECK(f.audit()["Failed"].size() == files.size());
  check_quiet(f);
}

TEST_CASE(
    "bad input: a tail that is missing is said, and what is there is kept or refused whole") {
  node_fixture f;
  (void)f.add_workflow(workflow("w", quick_mp4()));
  auto whole = make_clip();
  auto streamed = f.dir / "streamed.mp4";
  REQUIRE(run({"ffmpeg", "-v", "error", "-i", whole, "-c", "copy", "-movflags", "+faststart",
               streamed})
              .end.exit_code
          == 0);
  auto bytes = file_content(streamed);

  write_file(f.media + "/in/tail.mp4", bytes.substr(0, bytes.size() * 2 / 3));
  auto run = f.finish("in/tail.mp4");

  CAPTURE(run["Run"].dump(1));
  if (state_of(run) == "succeeded") {
    CHECK_FALSE((run["Run"]["Warnings"].empty() && run["Jobs"][0]["Warnings"].empty()));
    CHECK(stream_of(probe(f.media + "/out/tail_transcode_0.mp4"), "video").is_object());
  } else {
    CHECK(failure_message(run).find("tail.mp4") != std::string::npos);
    CHECK(f.content("out/").empty());
  }
  check_quiet(f);
}

TEST_CASE("bad input: odd names are processed under those names") {
  node_fixture f;
  (void)f.add_workflow(workflow("w", quick_mp4("{inputName}.out.{format}")));
  std::vector<std::string> stems{"with spaces  twice",
                                 "quote ' and \" and ` and $(x)",
                                 "film \xF0\x9F\x8E\xAC \xE7\x89\x87",
                                 "-v",
                                 "%s%n{format}",
                                 std::string(240, 'x')};

  for (const auto& stem : stems)
    f.drop(make_clip(), "in/" + stem + ".mp4");

  for (const auto& stem : stems) {
    CAPTURE(stem);
    auto run = f.finish("in/" + stem + ".mp4");
    CHECK_MESSAGE(state_of(run) == "succeeded", run["Run"]["Failure"].dump());
    CHECK(f.content("out/").contains("out/" + stem + ".out.mp4"));
  }
  check_quiet(f);
}

TEST_CASE("bad input: a name of 255 bytes runs, and an output name beyond 255 is said") {
  node_fixture f;
  auto tasks = quick_mp4("short.{format}");
  tasks["TranscodeTaskSet"].push_back(
      quick_mp4("{inputName}_too_long.{format}")["TranscodeTaskSet"][0]);
  (void)f.add_workflow(workflow("w", tasks));
  auto name = std::string(251, 'n') + ".mp4";

  f.drop(make_clip(), "in/" + name);
  auto run = f.finish("in/" + name);

  CHECK(state_of(run) == "failed");
  CHECK(failure_message(run).find("255") != std::string::npos);
  CHECK(run["Jobs"][0]["State"] == "succeeded");
  CHECK(run["Jobs"][1]["State"] == "failed");
  CHECK(f.content("out/").size() == 1);
  check_quiet(f);
}

TEST_CASE(
    "bad input: names with control characters and links are ignored, and the books say why") {
  node_fixture f;
  (void)f.add_workflow(workflow("w", quick_mp4()));
  auto outside = f.dir / "outside";
  fs::create_directories(outside);
  fs::copy_file(make_clip(), outside + "/a.mp4");

  f.drop(make_clip(), "in/two\nlines.mp4");
  f.drop(make_clip(), "in/not utf8 \xff.mp4");
  fs::create_symlink(outside + "/a.mp4", f.media + "/in/link.mp4");
  fs::create_directory_symlink(outside, f.media + "/in/linked");
  f.drop(make_clip(), "in/good.mp4");
  CHECK(state_of(f.finish("in/good.mp4")) == "succeeded");

  CHECK(eventually([&] { return !ignored_because(f, "link").empty(); }));
  CHECK(eventually([&] { return ignored_because(f, "").size() >= 3; }));
  CHECK(f.runs().size() == 1);
  CHECK(f.command({"run", "submit", "media:in/link.mp4", "--workflow", "1"}).exit_code != 0);
  CHECK(f.command({"run", "submit", "media:in/linked/a.mp4", "--workflow", "1"}).exit_code
        != 0);
  check_quiet(f);
}

TEST_CASE("bad input: a file that may not be read fails as unreadable") {
  if (::geteuid() == 0) {
    MESSAGE("skipped: root may read everything");
    return;
  }
  node_fixture f;
  (void)f.add_workflow(workflow("w", quick_mp4()));
  f.drop(make_clip(), "in/locked.part");
  fs::permissions(f.media + "/in/locked.part", fs::perms::none);

  fs::rename(f.media + "/in/locked.part", f.media + "/in/locked.mp4");
  auto run = f.finish("in/locked.mp4");

  CHECK(failure_code(run) == "input_unreadable");
  CHECK(failure_message(run).find("locked.mp4") != std::string::npos);
}

TEST_CASE(
    "bad input: sources without sound or without pictures do what is possible, and say so") {
  node_fixture f;
  auto tasks = quick_mp4();
  tasks["TranscodeTaskSet"].push_back({{"Definition", 1110}});
  tasks["SnapshotByTimeOffsetTaskSet"] = {{{"Definition", 10}, {"ExtTimeOffsetSet", {"1s"}}}};
  (void)f.add_workflow(workflow("w", tasks));
  auto sound = f.media + "/in/sound.part";
  f.drop(make_clip({.audio = clip_audio::none}), "in/silent.mp4");
  REQUIRE(run({"ffmpeg", "-v", "error", "-i", make_clip(), "-vn", "-c:a", "copy", "-f", "mp4",
               sound})
              .end.exit_code
          == 0);
  fs::rename(sound, f.media + "/in/sound.mp4");

  auto silent = f.finish("in/silent.mp4");
  auto blind = f.finish("in/sound.mp4");

  CHECK(silent["Jobs"][0]["State"] == "succeeded");
  CHECK(silent["Jobs"][1]["Failure"]["Code"] == "input_no_audio");
  CHECK(silent["Jobs"][2]["State"] == "succeeded");
  CHECK(blind["Jobs"][1]["State"] == "succeeded");
  CHECK(blind["Jobs"][2]["Failure"]["Code"] == "input_no_video");
  check_quiet(f);
}
