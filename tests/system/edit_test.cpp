#include "tests/support/http_receiver.hpp"
#include "tests/system/fixture.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <filesystem>

// EditMedia: files of every kind cut and put one after the other, by real workers.

using namespace framemill;
using namespace framemill::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

json file(const std::string& key, double start = 0, double end = 0) {
  return {{"InputInfo",
           {{"Type", "COS"},
            {"CosInputInfo", {{"Bucket", "media"}, {"Region", "r"}, {"Object", "/" + key}}}}},
          {"StartTimeOffset", start},
          {"EndTimeOffset", end}};
}

json edit(json files, const std::string& path, json more = json::object()) {
  json out{{"FileInfos", std::move(files)},
           {"OutputStorage",
            {{"Type", "COS"}, {"CosOutputStorage", {{"Bucket", "media"}, {"Region", "r"}}}}},
           {"OutputObjectPath", path}};
  out.update(more);
  return out;
}

/// A finished EditMedia: the answer of DescribeTaskDetail.
json edited(const node_fixture& f, const json& request) {
  const auto answer = f.mps()("EditMedia", request);
  REQUIRE_MESSAGE(answer.contains("TaskId"), answer.dump());
  json detail;
  REQUIRE(eventually(
      [&] {
        detail = f.mps()("DescribeTaskDetail", {{"TaskId", answer["TaskId"]}});
        return detail["Status"] == "FINISH";
      },
      120s));
  return detail;
}

std::int64_t frames_of(const json& probed) {
  return std::stoll(stream_of(probed, "video")["nb_read_frames"].get<std::string>());
}

double seconds_of(const json& probed, const std::string& kind) {
  return std::stod(stream_of(probed, kind)["duration"].get<std::string>());
}

} // namespace

TEST_CASE("edit: three files of other sizes and rates become one, cut to the picture") {
  node_fixture f;
  f.drop(make_clip({.seconds = 3, .width = 320, .height = 180, .fps = 25}), "src/a.mp4");
  f.drop(make_clip({.seconds = 2, .width = 160, .height = 160, .fps = 30}), "src/b.mp4");
  f.drop(make_clip({.seconds = 4, .width = 640, .height = 360, .fps = 50, .audio = clip_audio::none}),
         "src/c.mp4");

  auto detail = edited(f, edit({file("src/a.mp4"), file("src/b.mp4", 0.5, 1.5),
                                file("src/c.mp4", -2)},
                               "/out/all.{format}"));

  auto& task = detail["EditMediaTask"];
  CHECK_MESSAGE(task["ErrCode"] == 0, task["Message"]);
  CHECK(task["Output"]["Path"] == "/out/all.mp4");
  CHECK(task["Output"]["MetaData"]["Width"] == 320);
  auto made = probe(f.media + "/out/all.mp4");
  auto video = stream_of(made, "video");
  CHECK(frames_of(made) == 75 + 25 + 50);
  CHECK(video["width"] == 320);
  CHECK(video["height"] == 180);
  CHECK(video["avg_frame_rate"] == "25/1");
  CHECK(std::abs(seconds_of(made, "audio") - 6) < 0.03);
  CHECK(std::abs(seconds_of(made, "video") - 6) < 0.001);
  auto id = f.runs().at(0)["Id"].get<std::uint64_t>();
  auto certificate = f.ask({"run", "certificate", std::to_string(id)})["Certificate"];
  CHECK_MESSAGE(certificate["Passed"] == true, certificate.dump(1));
  check_quiet(f);
}

TEST_CASE("edit: one file is cut to the picture, or copied from the key frame before") {
  node_fixture f;
  f.drop(make_long_clip(), "src/a.mp4"); // a key frame each second

  auto exact = edited(f, edit({file("src/a.mp4", 2.5, 4.5)}, "/out/exact.{format}"));
  auto fast = edited(f, edit({file("src/a.mp4", 2.5, 4.5)}, "/out/fast.{format}",
                             {{"OutputConfig", {{"Type", "fast"}, {"Container", "mov"}}}}));

  CHECK_MESSAGE(exact["EditMediaTask"]["ErrCode"] == 0, exact["EditMediaTask"]["Message"]);
  CHECK_MESSAGE(fast["EditMediaTask"]["ErrCode"] == 0, fast["EditMediaTask"]["Message"]);
  auto source = probe(f.media + "/src/a.mp4");
  auto rate = static_cast<double>(frames_of(source)) / seconds_of(source, "video");
  CHECK(std::abs(static_cast<double>(frames_of(probe(f.media + "/out/exact.mp4"))) - 2 * rate)
        <= 1);
  auto copied = probe(f.media + "/out/fast.mov");
  auto frames = static_cast<double>(frames_of(copied)); // from 2 s on; reordering adds some
  CHECK(frames >= 2.5 * rate - 1);
  CHECK(frames <= 2.5 * rate + 4);
  CHECK(stream_of(copied, "video")["codec_name"] == stream_of(source, "video")["codec_name"]);
  check_quiet(f);
}

TEST_CASE("edit: into every container") {
  node_fixture f;
  f.drop(make_clip({.seconds = 2}), "src/a.mp4");
  f.drop(make_clip({.seconds = 3}), "src/b.mp4");
  for (std::string container : {"mp4", "hls", "mov", "flv"}) {
    CAPTURE(container);
    auto detail = edited(f, edit({file("src/a.mp4"), file("src/b.mp4")},
                                 "/" + container + "/x.{format}",
                                 {{"OutputConfig", {{"Container", container}}}}));
    auto& task = detail["EditMediaTask"];
    CHECK_MESSAGE(task["ErrCode"] == 0, task["Message"]);
    const std::string path = task["Output"]["Path"];
    auto made = probe(f.media + path);
    CHECK(std::abs(std::stod(made["format"]["duration"].get<std::string>()) - 5) < 0.1);
    CHECK_FALSE(stream_of(made, "audio").is_null());
  }
}

TEST_CASE("edit: two HLS outputs of one file beside each other are two") {
  node_fixture f;
  f.drop(make_clip({.seconds = 4}), "src/a.mp4");
  const json hls{{"OutputConfig", {{"Container", "hls"}}}};

  auto x = edited(f, edit({file("src/a.mp4", 0, 1)}, "/out/x.{format}", hls));
  auto before = f.content("out/");
  auto y = edited(f, edit({file("src/a.mp4", 2, 4)}, "/out/y.{format}", hls));

  for (const auto& detail : {x, y})
    CHECK_MESSAGE(detail["EditMediaTask"]["ErrCode"] == 0, detail["EditMediaTask"]["Message"]);
  auto after = f.content("out/");
  CHECK(before.size() >= 2);
  for (const auto& [key, sha256] : before)
    CHECK(after[key] == sha256);
  CHECK(frames_of(probe(f.media + "/out/y.m3u8")) == 50);
}

TEST_CASE("edit: files of different colours are made one") {
  node_fixture f;
  auto tagged = [&](const char* name, const char* matrix) {
    auto path = f.dir / (std::string{name} + ".mp4");
    auto made = run({"ffmpeg", "-v", "error", "-f", "lavfi", "-i",
                     "color=red:s=160x90:r=25:d=1,format=yuv444p,scale=out_color_matrix="
                         + std::string{matrix} + ",format=yuv420p",
                     "-colorspace", matrix, "-color_primaries", matrix, "-color_trc", matrix,
                     "-c:v", "libx264", path});
    REQUIRE(made.end.exit_code == 0);
    f.drop(path, "src/" + std::string{name} + ".mp4");
  };
  tagged("sd", "smpte170m");
  tagged("hd", "bt709");

  auto detail = edited(f, edit({file("src/sd.mp4"), file("src/hd.mp4")}, "/out/x.{format}"));

  CHECK_MESSAGE(detail["EditMediaTask"]["ErrCode"] == 0, detail["EditMediaTask"]["Message"]);
  auto made = f.media + "/out/x.mp4";
  CHECK(stream_of(probe(made), "video")["color_space"] == "bt709");
  auto red_at = [&](const char* time) { // of the middle pixel, as it is shown
    auto bytes = run({"ffmpeg", "-v", "error", "-ss", time, "-i", made, "-frames:v", "1", "-vf",
                      "crop=2:2:80:44", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"})
                     .output;
    REQUIRE(bytes.size() == 12);
    return std::array{int(static_cast<unsigned char>(bytes[0])),
                      int(static_cast<unsigned char>(bytes[1])),
                      int(static_cast<unsigned char>(bytes[2]))};
  };
  auto first = red_at("0.5"), second = red_at("1.5");
  for (std::size_t i = 0; i < 3; ++i)
    CHECK(std::abs(first[i] - second[i]) <= 6);
}

TEST_CASE("edit: the same file twice, and a real clip, keep every frame") {
  auto clip = real_clip("video/bbb_1080p_30s.mp4");
  node_fixture f;
  f.drop(make_clip({.seconds = 2}), "src/a.mp4");
  json files{file("src/a.mp4"), file("src/a.mp4")};
  if (clip) {
    f.drop(*clip, "src/real.mp4");
    files.push_back(file("src/real.mp4", 1, 4));
  }

  auto detail = edited(f, edit(files, "/out/x.{format}"));

  CHECK_MESSAGE(detail["EditMediaTask"]["ErrCode"] == 0, detail["EditMediaTask"]["Message"]);
  auto one = frames_of(probe(f.media + "/src/a.mp4"));
  auto made = frames_of(probe(f.media + "/out/x.mp4"));
  auto rate = static_cast<double>(one) / 2;
  CHECK(made == 2 * one + (clip ? std::llround(3 * rate) : 0));
}

TEST_CASE("edit: what is wrong is said, and nothing is published") {
  node_fixture f;
  f.drop(make_clip({.seconds = 2}), "src/a.mp4");
  write_file(f.media + "/src/rubbish.mp4", "this is no media");

  auto missing = f.mps()("EditMedia", edit({file("src/a.mp4"), file("src/none.mp4")},
                                           "/out/x.{format}"));
  CHECK(missing.dump().find("FileInfos.1.InputInfo") != std::string::npos);
  auto nowhere = edit({file("src/a.mp4")}, "/out/x.{format}");
  nowhere["OutputStorage"]["CosOutputStorage"]["Bucket"] = "nowhere";
  CHECK(f.mps()("EditMedia", nowhere).dump().find("`OutputStorage`") != std::string::npos);
  auto broken = edited(f, edit({file("src/a.mp4"), file("src/rubbish.mp4")}, "/out/x.{format}"));
  CHECK(broken["EditMediaTask"]["ErrCode"] != 0);
  CHECK(broken["EditMediaTask"]["Output"].is_null());
  auto late = edited(f, edit({file("src/a.mp4"), file("src/a.mp4", 5)}, "/out/x.{format}"));
  CHECK(late["EditMediaTask"]["ErrCode"] != 0);
  CHECK(late["EditMediaTask"]["Message"].get<std::string>().find("2.000") != std::string::npos);
  CHECK_FALSE(fs::exists(f.media + "/out/x.mp4"));
}

TEST_CASE("edit: a daemon that is killed on the way goes on, and the end is told") {
  node_fixture f{{}, node_fixture::begin::stopped};
  f.node.start({"--egress-allow", "127.0.0.0/8"});
  http_receiver receiver{http_receiver::always(200)};
  f.drop(make_long_clip(), "src/a.mp4");
  f.drop(make_clip({.seconds = 3}), "src/b.mp4");

  auto answer = f.mps()("EditMedia",
                        edit({file("src/a.mp4"), file("src/b.mp4"), file("src/a.mp4", 1, 9)},
                             "/out/x.{format}",
                             {{"TaskNotifyConfig",
                               {{"NotifyType", "URL"}, {"NotifyUrl", receiver.url()}}}}));
  REQUIRE_MESSAGE(answer.contains("TaskId"), answer.dump());
  REQUIRE(eventually([&] { return !f.node.children().empty(); }));
  f.node.kill9();
  f.node.start({"--egress-allow", "127.0.0.0/8"});
  REQUIRE(receiver.wait_for(1));

  auto body = parse_json(receiver.requests()[0].body);
  REQUIRE(body);
  CHECK((*body)["EventType"] == "EditMediaTask");
  CHECK((*body)["EditMediaTaskEvent"]["TaskId"] == answer["TaskId"]);
  CHECK((*body)["EditMediaTaskEvent"]["ErrCode"] == 0);
  auto a = frames_of(probe(f.media + "/src/a.mp4")), b = frames_of(probe(f.media + "/src/b.mp4"));
  auto made = frames_of(probe(f.media + "/out/x.mp4"));
  CHECK(std::abs(static_cast<double>(made) - static_cast<double>(a + b + a / 3)) <= 2);
  check_quiet(f);
}
