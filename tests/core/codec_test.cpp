#include "tests/core/sample.hpp"
#include "tests/support/golden.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>

using namespace framemill;
using namespace framemill::testing;

namespace {

std::string golden_path() {
  return std::string{FRAMEMILL_SOURCE_DIR} + "/tests/core/golden.txt";
}

} // namespace

TEST_CASE("codec: every record comes back as it was") {
  for_each_record([]<class T>(const char* name) {
    CAPTURE(name);
    auto value = sample<T>();

    auto back = decode<T>(encode(value));

    REQUIRE_MESSAGE(back.has_value(), back.error().message);
    CHECK(*back == value);
  });
}

TEST_CASE("codec: a default record comes back as it was") {
  for_each_record([]<class T>(const char* name) {
    CAPTURE(name);
    auto back = decode<T>(encode(T{}));

    REQUIRE(back.has_value());
    CHECK(*back == T{});
  });
}

TEST_CASE("codec: no prefix of a record decodes, and none crashes") {
  for_each_record([]<class T>(const char* name) {
    CAPTURE(name);
    auto bytes = encode(sample<T>());
    auto step = 1 + bytes.size() / 2000;
    bool all_fail = true;
    for (std::size_t n = 0; n < bytes.size(); n += step)
      all_fail = all_fail && !decode<T>(std::string_view{bytes}.substr(0, n)).has_value();

    CHECK(all_fail);
  });
}

TEST_CASE("codec: bytes after a record are refused") {
  for_each_record([]<class T>(const char* name) {
    CAPTURE(name);
    CHECK(!decode<T>(encode(sample<T>()) + '\0').has_value());
  });
}

// Fields may be added; none may be renamed, dropped or change its encoding.
// FRAMEMILL_WRITE_GOLDEN=1 writes the file anew, after a deliberate change.
TEST_CASE("codec: records are encoded as they always were") {
  if (std::getenv("FRAMEMILL_WRITE_GOLDEN") != nullptr) {
    std::ofstream out(golden_path());
    for_each_record([&]<class T>(const char* name) {
      out << name << ' ' << to_hex(encode(sample<T>())) << '\n';
    });
  }
  auto old = read_goldens(golden_path());
  for_each_record([&]<class T>(const char* name) {
    CAPTURE(name);
    REQUIRE(old.contains(name));
    auto now = encode(sample<T>());

    CHECK(is_kept(json::from_msgpack(old[name]), json::from_msgpack(now)));
    CHECK(decode<T>(old[name]).has_value());
  });
}

TEST_CASE("codec: a request is these bytes") {
  // The worked example of docs/protocol.md.
  media_request request;
  request.source_name = "in/a.mp4";
  request.source_bytes = 1000;
  request.steps = {probe_step{}};
  request.keep = {"index"};

  CHECK(to_hex(encode(request))
        == "85"
           "aa536f757263654e616d65"
           "a8696e2f612e6d7034"
           "ab536f757263654279746573"
           "cd03e8"
           "a55374657073"
           "91"
           "92"
           "01"
           "81"
           "a957697468496e646578"
           "c3"
           "a44b656570"
           "91"
           "a5696e646578"
           "ae4d656d6f727942797465734d6178"
           "00");
}

TEST_CASE("codec: a field that is absent keeps its default") {
  auto bytes = from_hex("81"
                            "a34e756d"
                            "07"); // {"Num": 7}

  auto r = decode<rational>(bytes);

  REQUIRE(r.has_value());
  CHECK(*r == rational{7, 1});
}

TEST_CASE("codec: a field that is not known is skipped") {
  auto bytes = from_hex("82"
                            "a34e756d"
                            "07"
                            "a34e6577"
                            "9101");

  CHECK(decode<rational>(bytes).value() == rational{7, 1});
}

TEST_CASE("codec: a number that does not fit is refused, not cut") {
  auto bytes = from_hex("81"
                            "a5496e646578"
                            "cf0000000100000000"); // 2^32
  auto index = decode<shard_id>(bytes);
  REQUIRE(!index.has_value());
  CHECK(index.error().code == errc::malformed);
  CHECK(index.error().field == "Index");

  auto negative = from_hex("81"
                               "a5496e646578"
                               "ff"); // -1
  CHECK(!decode<shard_id>(negative).has_value());
}

TEST_CASE("codec: an unknown message kind is refused") {
  auto r = decode<child_message>(from_hex("92"
                                              "7f"
                                              "80"));

  REQUIRE(!r.has_value());
  CHECK(r.error().message == "unknown message kind 127");
}

TEST_CASE("codec: an unknown enum name is refused and its field named") {
  auto s = encode(sample<stream_info>());
  auto at = s.find(to_string(sample<stream_info>().kind), s.find("Kind") + 4);
  s[at] = '?';

  auto r = decode<stream_info>(s);

  REQUIRE(!r.has_value());
  CHECK(r.error().field == "Kind");
}

TEST_CASE("codec: a few bytes that announce millions of items are refused") {
  // Thirty arrays within each other, each claiming a million items.
  std::string bytes;
  for (int i = 0; i < 30; ++i)
    bytes += from_hex("dd000fffff");

  CHECK(!msgpack_document::parse(bytes).has_value());
}

TEST_CASE("codec: nesting deeper than the limit is refused") {
  std::string deep(100, '\x91');
  deep += '\x01';

  CHECK(!msgpack_document::parse(deep).has_value());
  CHECK(msgpack_document::parse(std::string(20, '\x91') + '\x01').has_value());
}
