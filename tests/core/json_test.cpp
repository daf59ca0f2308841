#include "core/json.hpp"

#include "tests/core/sample.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace framemill::testing;

namespace {

template <class T>
result<T> read(const char* text, unknown_fields policy = unknown_fields::refuse) {
  return from_json_value<T>(parse_json(text).value(), policy);
}

template <class T>
void check_refused(const char* text, errc code, const char* field) {
  CAPTURE(text);
  auto r = read<T>(text);
  REQUIRE(!r.has_value());
  CHECK(to_string(r.error().code) == to_string(code));
  CHECK(r.error().field == field);
}

} // namespace

TEST_CASE("json: every record comes back as it was") {
  for_each_record([]<class T>(const char* name) {
    CAPTURE(name);
    auto value = sample<T>();

    auto back = from_json_value<T>(parse_json(to_text(to_json_value(value))).value());

    REQUIRE_MESSAGE(back.has_value(), back.error().field, ": ", back.error().message);
    CHECK(*back == value);
  });
}

TEST_CASE("json: unknown keys are refused by their path") {
  check_refused<trigger>(R"({"Bucket":"b","Nope":1})", errc::unknown_argument, "Nope");
  check_refused<trigger>(R"({"Bucket":"b","bucket":"c"})", errc::unknown_argument, "bucket");
  check_refused<workflow_spec>(R"({"Trigger":{"Bucket":"b","X":{}}})", errc::unknown_argument,
                               "Trigger.X");
  check_refused<activity>(R"({"TranscodeTask":{"Definition":1,"WatermarkSet":[{"Definition":1},
                              {"Definition":1,"Zoom":2}]}})",
                          errc::unknown_argument, "TranscodeTask.WatermarkSet.1.Zoom");
  CHECK(read<trigger>(R"({"Bucket":"b","Nope":1})", unknown_fields::ignore).has_value());
}

TEST_CASE("json: missing keys are named, null is missing") {
  check_refused<trigger>("{}", errc::missing_argument, "Bucket");
  check_refused<trigger>(R"({"Bucket":null})", errc::missing_argument, "Bucket");
  check_refused<workflow_spec>(R"({"Trigger":{}})", errc::missing_argument, "Trigger.Bucket");
  CHECK(read<trigger>(R"({"Bucket":"b","Dir":null,"Formats":null})")->dir == "/");
}

TEST_CASE("json: wrong types are named") {
  check_refused<trigger>(R"({"Bucket":1})", errc::malformed, "Bucket");
  check_refused<trigger>(R"({"Bucket":"b","Formats":"mp4"})", errc::malformed, "Formats");
  check_refused<trigger>(R"({"Bucket":"b","Formats":["mp4",7]})", errc::malformed, "Formats.1");
  check_refused<trigger>("[]", errc::malformed, "");
  check_refused<rational>(R"({"Num":"x"})", errc::malformed, "Num");
  check_refused<rational>(R"({"Num":"1x"})", errc::malformed, "Num");
  check_refused<rational>(R"({"Num":""})", errc::malformed, "Num");
  check_refused<rational>(R"({"Num":1.5})", errc::malformed, "Num");
  check_refused<rational>(R"({"Num":true})", errc::malformed, "Num");
  check_refused<overlay>(R"({"Alpha":"nan"})", errc::malformed, "Alpha");
  check_refused<overlay>(R"({"Alpha":"inf"})", errc::malformed, "Alpha");
}

TEST_CASE("json: digits in a string and whole floats are numbers") {
  CHECK(read<rational>(R"({"Num":"5"})")->num == 5);
  CHECK(read<rational>(R"({"Num":"-5"})")->num == -5);
  CHECK(read<rational>(R"({"Num":5.0})")->num == 5);
  CHECK(read<overlay>(R"({"Alpha":"0.5"})")->alpha == 0.5);
  CHECK(read<probe_step>(R"({"WithIndex":"false"})")->with_index == false);
}

TEST_CASE("json: numbers that do not fit are out of range") {
  check_refused<rational>(R"({"Num":18446744073709551615})", errc::invalid_argument, "Num");
  check_refused<overlay>(R"({"X":2147483648})", errc::invalid_argument, "X");
  check_refused<shard_id>(R"({"Index":-1})", errc::invalid_argument, "Index");
  check_refused<shard_id>(R"({"Index":4294967296})", errc::invalid_argument, "Index");
}

TEST_CASE("json: enum names are exact, and the allowed ones are told") {
  check_refused<snapshot_template>(R"({"FillType":"Black"})", errc::invalid_argument,
                                   "FillType");
  CHECK(read<snapshot_template>(R"({"FillType":"red"})").error().message
        == "`red` is not one of: stretch, black, white, gauss, smarttailor");
}

TEST_CASE("json: what we do not have is refused when it is set") {
  check_refused<transcode_task>(R"({"Definition":1,"BlindWatermark":{"Definition":2}})",
                                errc::unsupported, "BlindWatermark");
  check_refused<video_template>(R"({"BitDepth":10})", errc::unsupported, "BitDepth");
  for (auto text :
       {R"({"Definition":1,"MosaicSet":[]})", R"({"Definition":1,"MosaicSet":null})",
        R"({"Definition":1,"BlindWatermark":null})", R"({"Definition":1,"BlindWatermark":{}})",
        R"({"Definition":1,"HeadTailParameter":""})",
        R"({"Definition":1,"RawParameter":{"VideoTemplate":{"RawPts":0}}})"}) {
    CAPTURE(text);
    CHECK(read<transcode_task>(text).has_value());
  }
}

TEST_CASE("json: answers say nulls and empty lists") {
  auto out = to_json_value(transcode_task{});

  CHECK(out["RawParameter"].is_null());
  CHECK(out["WatermarkSet"] == json::array());
  CHECK(out["OutputObjectPath"] == "");
}

TEST_CASE("json: a step has its kind number beside its fields") {
  auto out = to_json_value(media_step{probe_step{}});

  CHECK(out == json{{"Kind", 1}, {"WithIndex", true}});
  check_refused<media_step>(R"({"Kind":99})", errc::invalid_argument, "Kind");
  check_refused<media_step>("{}", errc::missing_argument, "Kind");
}

TEST_CASE("json: what is not JSON is refused in plain words") {
  for (auto text :
       {"", "{", "{'a':1}", "nul", "{\"a\":\"\xff\"}", "[1,]", "1 2", "{\"a\":1e999}"}) {
    CAPTURE(text);
    auto r = parse_json(text);
    REQUIRE(!r.has_value());
    CHECK(r.error().code == errc::malformed);
    CHECK(r.error().message.size() < 300);
    CHECK(r.error().message.find_first_not_of(
              " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`"
              "abcdefghijklmnopqrstuvwxyz{|}~")
          == std::string::npos);
  }
}

TEST_CASE("json: a hundred thousand nested brackets do not end the process") {
  for (auto text :
       {std::string(100'000, '['), std::string(100'000, '[') + std::string(100'000, ']')})
    CHECK(parse_json(text).error().code == errc::too_large);
  CHECK(parse_json(std::string(64, '[') + std::string(64, ']')).has_value());
  CHECK(parse_json("\"" + std::string(100, '[') + "\\\"" + std::string(100, '[') + "\"")
            .has_value());
}

TEST_CASE("json: bytes that are not UTF-8 do not stop an answer") {
  CHECK(to_text(json{{"a", "x\xff"}}) == "{\"a\":\"x\xef\xbf\xbd\"}");
}
