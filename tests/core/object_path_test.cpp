#include "core/object_path.hpp"

#include <doctest/doctest.h>

using namespace framemill;

TEST_CASE("normalize_key: a leading slash is dropped, the rest is kept") {
  CHECK(normalize_key("/a/b.mov").value() == "a/b.mov");
  CHECK(normalize_key("a b/'\"c\".mov").value() == "a b/'\"c\".mov");
  CHECK(normalize_key("..a/b..").value() == "..a/b..");
  CHECK(normalize_key("\xf0\x9f\x8e\xac.mp4").value() == "\xf0\x9f\x8e\xac.mp4");
}

TEST_CASE("normalize_key: hostile keys are refused") {
  using namespace std::string_view_literals;
  for (auto key : {""sv, "/"sv, "//a"sv, "a//b"sv, "a/"sv, ".."sv, "../a"sv, "a/../b"sv,
                   "a/.."sv, "."sv, "a/./b"sv, "a\nb"sv, "a\0b"sv, "a\x7f"sv, "a\xc2\x85"sv,
                   "\xff"sv, "\xc0\xae\xc0\xae/a"sv}) {
    CAPTURE(key);
    CHECK(!normalize_key(key).has_value());
  }
}

TEST_CASE("normalize_key: names are bounded to what a file system holds") {
  CHECK(normalize_key(std::string(255, 'a')).has_value());
  CHECK(normalize_key(std::string(256, 'a')).error().code == errc::too_large);
  std::string deep;
  while (deep.size() < 1025)
    deep += "abcd/";
  CHECK(normalize_key(deep + "x").error().code == errc::too_large);
}

TEST_CASE("validate_directory: needs its last slash, not its first") {
  for (auto dir : {"", "/", "/a/", "a/", "/a/b c/"})
    CHECK(validate_directory(dir).has_value());
  for (auto dir : {"a", "/a", "//", "/a//", "/../", "a/../", "/a\n/"})
    CHECK(!validate_directory(dir).has_value());
}

TEST_CASE("split_key: directory, stem and extension") {
  auto check = [](const char* key, const char* directory, const char* stem, const char* ext) {
    auto p = split_key(key);
    CHECK(p.directory == directory);
    CHECK(p.stem == stem);
    CHECK(p.extension == ext);
  };
  check("a/b/c.mov", "a/b/", "c", "mov");
  check("c.tar.gz", "", "c.tar", "gz");
  check("a.b/c", "a.b/", "c", "");
  check(".hidden", "", ".hidden", "");
  check("c.", "", "c", "");
}

TEST_CASE("path templates: every default one is valid") {
  for (int k = 0; k < 5; ++k)
    CHECK(validate_path_template(default_path_template(static_cast<activity_kind>(k)))
              .has_value());
  CHECK(validate_path_template(default_segment_template()).has_value());
  CHECK(validate_path_template(default_vtt_template()).has_value());
}

TEST_CASE("path templates: unknown variables, dots and control characters are refused") {
  for (auto text :
       {"", "{nope}.{format}", "{inputName", "inputName}.mp4", "{{inputName}}",
        "../{inputName}.mp4", "a/../b.mp4", "./a.mp4", "a//b.mp4", "a\tb.mp4", "a/", "{}"}) {
    CAPTURE(text);
    CHECK(!validate_path_template(text).has_value());
  }
  CHECK(validate_path_template("/abs/{inputName}-{definition}.{format}").has_value());
}

TEST_CASE("render_path: fills every variable once") {
  path_variables v{"b", "mov", "mp4", "100020", "/out/", "7"};
  CHECK(render_path("{inputName}_transcode_{definition}.{format}", v)
        == "b_transcode_100020.mp4");
  CHECK(render_path("/{inputDir}/{inputFormat}/{number}.{format}", v) == "out/mov/7.mp4");

  v.input_name = "{format}";
  CHECK(render_path("{inputName}.{format}", v) == "{format}.mp4");
}

TEST_CASE("render_number: steps and pads") {
  CHECK(render_number({}, 0) == "0");
  CHECK(render_number({}, 12) == "12");
  CHECK(render_number({10, 5, 4, "0"}, 2) == "0020");
  CHECK(render_number({0, 1, 3, "é"}, 7) == "éé7");
}

namespace {

activity transcode_to(std::string path, std::string bucket = {}) {
  activity a;
  a.transcode.emplace().output_object_path = std::move(path);
  if (!bucket.empty())
    a.transcode->output_storage = output_storage{"COS", cos_storage{bucket, ""}};
  return a;
}

} // namespace

TEST_CASE("place_output: the source's own place unless told otherwise") {
  auto p = place_output(transcode_to(""), std::nullopt, "", "in-bucket", "in/a/b.mov");

  CHECK(p.bucket == "in-bucket");
  CHECK(p.directory == "in/a/");
  CHECK(p.path_template == "{inputName}_transcode_{definition}.{format}");
}

TEST_CASE("place_output: the workflow's place, then the activity's, wins") {
  output_storage workflow{"COS", cos_storage{"out-bucket", ""}};
  auto p = place_output(transcode_to("x.{format}"), workflow, "/out/", "in", "a/b.mov");
  CHECK(p.bucket == "out-bucket");
  CHECK(p.directory == "out/");
  CHECK(p.path_template == "x.{format}");

  auto q = place_output(transcode_to("x.{format}", "own"), workflow, "out/", "in", "a/b.mov");
  CHECK(q.bucket == "own");
  CHECK(q.directory == "out/");

  output_storage inherits{"COS", cos_storage{}};
  CHECK(place_output(transcode_to(""), inherits, "/", "in", "a/b.mov").bucket == "in");
  CHECK(place_output(transcode_to(""), inherits, "/", "in", "a/b.mov").directory == "");
}

TEST_CASE("place_output: an absolute path leaves the directory out") {
  auto p =
      place_output(transcode_to("/abs/x.{format}"), std::nullopt, "/out/", "in", "a/b.mov");
  CHECK(p.directory == "");
  CHECK(p.path_template == "abs/x.{format}");

  auto q =
      place_output(transcode_to("{inputDir}/x.{format}"), std::nullopt, "/out/", "in", "b");
  CHECK(q.directory == "");
}
