#include "tests/api/client.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace framemill::test;

namespace {

struct family_case {
  const char* infix;
  json create;
  json change;         ///< of Modify
  const char* changed; ///< pointer to what `change` changed
  json bad;            ///< of Create
  const char* bad_code;
  bool has_presets;
};

const std::vector<family_case> families = {
    {"Transcode",
     {{"Container", "mp4"},
      {"Name", "mine"},
      {"VideoTemplate", {{"Codec", "h264"}, {"Fps", 25}, {"Bitrate", 1000}, {"Width", 640}}},
      {"AudioTemplate", {{"Codec", "aac"}, {"Bitrate", 64}, {"SampleRate", 44100}}}},
     {{"VideoTemplate", {{"Bitrate", 1500}}}},
     "/VideoTemplate/Bitrate",
     {{"Container", "mp4"},
      {"VideoTemplate", {{"Codec", "h264"}, {"Fps", 500}, {"Bitrate", 1000}}},
      {"RemoveAudio", 1}},
     "InvalidParameterValue.Fps",
     true},
    {"Watermark",
     {{"Type", "text"},
      {"XPos", "10px"},
      {"TextTemplate",
       {{"FontType", "arial.ttf"},
        {"FontSize", "24px"},
        {"FontColor", "0xFFFFFF"},
        {"FontAlpha", 0.5}}}},
     {{"TextTemplate", {{"FontSize", "30px"}}}},
     "/TextTemplate/FontSize",
     {{"Type", "svg"}, {"SvgTemplate", {{"Width", "10W%"}}}},
     "UnsupportedOperation",
     false},
    {"SnapshotByTimeOffset",
     {{"Width", 640}, {"Height", 360}},
     {{"Width", 480}},
     "/Width",
     {{"Width", 5}},
     "InvalidParameterValue.Width",
     true},
    {"SampleSnapshot",
     {{"SampleType", "Percent"}, {"SampleInterval", 20}},
     {{"SampleInterval", 25}},
     "/SampleInterval",
     {{"SampleType", "Often"}, {"SampleInterval", 1}},
     "InvalidParameterValue.SampleType",
     true},
    {"ImageSprite",
     {{"SampleType", "Time"}, {"SampleInterval", 5}, {"RowCount", 4}, {"ColumnCount", 4}},
     {{"RowCount", 5}},
     "/RowCount",
     {{"SampleType", "Time"}, {"SampleInterval", 5}, {"RowCount", 4}},
     "MissingParameter",
     true},
    {"AnimatedGraphics",
     {{"Fps", 5}},
     {{"Fps", 7}},
     "/Fps",
     {{"Fps", 31}},
     "InvalidParameterValue.Fps",
     true},
};

std::string name(const char* verb, const family_case& c) {
  return fmt::format("{}{}Template{}", verb, c.infix,
                     std::string_view{verb} == "Describe" ? "s" : "");
}

json set_of(const json& response, const family_case& c) {
  return response[fmt::format("{}TemplateSet", c.infix)];
}

} // namespace

TEST_CASE("templates: each family is created, described, modified and deleted") {
  api_fixture f;
  for (const auto& c : families) {
    CAPTURE(std::string{c.infix});

    auto created = f.call(name("Create", c), c.create);
    REQUIRE_MESSAGE(code_of(created) == "", message_of(created));
    json by_id{{"Definition", created["Definition"]}};
    CHECK(created["Definition"] >= 1'000'000);
    auto change = c.change;
    change.update(by_id);
    change["Comment"] = "changed";
    auto modified = f.call(name("Modify", c), change);
    CHECK_MESSAGE(code_of(modified) == "", message_of(modified));

    auto described = f.call(name("Describe", c), {{"Definitions", {created["Definition"]}}});
    CHECK(described["TotalCount"] == 1);
    auto item = set_of(described, c).at(0);
    json::json_pointer changed{c.changed};
    CHECK(item[changed] == c.change[changed]);
    CHECK(item["Comment"] == "changed");
    for (const auto& [key, value] : c.create.items())
      if (!value.is_object() && !c.change.contains(key))
        CHECK(item[key] == value);

    CHECK(code_of(f.call(name("Delete", c), by_id)) == "");
    CHECK(f.call(name("Describe", c),
                 {{"Definitions", {created["Definition"]}}})["TotalCount"] == 0);
  }
}

TEST_CASE("templates: each family names what is wrong") {
  api_fixture f;
  for (const auto& c : families) {
    CAPTURE(std::string{c.infix});
    auto bad = f.call(name("Create", c), c.bad);
    CHECK_MESSAGE(code_of(bad) == c.bad_code, message_of(bad));
    auto unknown = c.create;
    unknown["Colour"] = 1;
    CHECK(code_of(f.call(name("Create", c), unknown)) == "UnknownParameter");
    CHECK(code_of(f.call(name("Modify", c), json::object())) == "MissingParameter");
    CHECK(code_of(f.call(name("Modify", c), {{"Definition", 7'777'777}}))
              .starts_with("ResourceNotFound"));
    CHECK(code_of(f.call(name("Delete", c), {{"Definition", 7'777'777}}))
              .starts_with("ResourceNotFound"));
    CHECK(code_of(f.call(name("Describe", c), {{"Limit", 101}}))
              .starts_with("InvalidParameterValue"));
    CHECK(code_of(f.call(name("Describe", c), {{"Type", "Odd"}}))
              .starts_with("InvalidParameterValue"));
  }
}

TEST_CASE("templates: presets are listed and stay as they are") {
  api_fixture f;
  for (const auto& c : families) {
    if (!c.has_presets)
      continue;
    CAPTURE(std::string{c.infix});
    auto presets = f.call(name("Describe", c), {{"Type", "Preset"}});
    REQUIRE(presets["TotalCount"] > 0);
    auto definition = set_of(presets, c).at(0)["Definition"];

    auto change = c.change;
    change["Definition"] = definition;
    CHECK(code_of(f.call(name("Modify", c), change)) ==
          "InvalidParameterValue.ModifyDefaultTemplate");
    CHECK(code_of(f.call(name("Delete", c), {{"Definition", definition}})) ==
          "InvalidParameterValue.DeleteDefaultTemplate");
  }
}

TEST_CASE("templates: a transcode's Definition is a string, and its type can be asked for") {
  api_fixture f;
  auto video = f.call("DescribeTranscodeTemplates", {{"Definitions", {100020}}});
  CHECK(video["TranscodeTemplateSet"][0]["Definition"] == "100020");
  CHECK(video["TranscodeTemplateSet"][0]["ContainerType"] == "Video");
  CHECK(video["TranscodeTemplateSet"][0]["TEHDConfig"].is_null());

  auto audio =
      f.call("DescribeTranscodeTemplates", {{"ContainerType", "PureAudio"}, {"Limit", 100}});
  CHECK(audio["TotalCount"] > 0);
  for (const auto& t : audio["TranscodeTemplateSet"])
    CHECK(t["RemoveVideo"] == 1);
  CHECK(code_of(f.call("DescribeTranscodeTemplates", {{"ContainerType", "Smell"}})) ==
        "InvalidParameterValue.ContainerType");
  CHECK(code_of(f.call("DescribeImageSpriteTemplates", {{"ContainerType", "Video"}})) ==
        "UnknownParameter");
}

TEST_CASE("templates: the 17th of a picture family is too much") {
  api_fixture f;
  for (int i = 0; i < 16; ++i)
    CHECK(code_of(f.call("CreateAnimatedGraphicsTemplate", {{"Fps", 5}})) == "");
  CHECK(code_of(f.call("CreateAnimatedGraphicsTemplate", {{"Fps", 5}})) ==
        "LimitExceeded.TooMuchTemplate");
}
