#include "core/media_message.hpp"

#include <doctest/doctest.h>

#include <limits>

using namespace framemill;

namespace {

packet_index example() {
  packet_index i;
  i.stream = 1;
  i.time_base = {1, 90000};
  i.pts = {-3000, 0, 3000, 6000, 9003};
  i.last_duration = 3000;
  i.access_points = {{-3000, 48}, {6000, 9000}};
  i.reason = "";
  return i;
}

std::string changed(std::string bytes, std::size_t at) {
  bytes[at] = static_cast<char>(bytes[at] ^ 0x41);
  return bytes;
}

} // namespace

TEST_CASE("packet_index: comes back as it was") {
  auto index = example();

  CHECK(decode_index(encode_index(index)).value() == index);
  CHECK(decode_index(encode_index(packet_index{})).value() == packet_index{});
}

TEST_CASE("packet_index: the extremes of time come back") {
  auto index = example();
  index.pts = {std::numeric_limits<std::int64_t>::min(), -1,
               std::numeric_limits<std::int64_t>::max()};
  index.access_points = {{std::numeric_limits<std::int64_t>::min(), -1}};

  CHECK(decode_index(encode_index(index)).value() == index);
}

TEST_CASE("packet_index: is these bytes") {
  packet_index index;
  index.time_base = {1, 25};
  index.pts = {0, 1, 2};
  index.last_duration = 1;
  index.access_points = {{0, 100}};

  auto bytes = encode_index(index);

  // version, exact, stream, 1/25, duration, reason, 3 times, 1 access point
  auto body = std::string{"\x01\x01\x00\x02\x32\x02\x00\x03\x00\x02\x02\x01\x00\xc8\x01", 15};
  CHECK(bytes.substr(0, bytes.size() - 8) == body);
}

TEST_CASE("packet_index: an ordinary one takes about two bytes per frame") {
  packet_index index;
  index.time_base = {1, 90000};
  for (int i = 0; i < 10'000; ++i)
    index.pts.push_back(i * 3003);

  CHECK(encode_index(index).size() < 21'000);
}

TEST_CASE("packet_index: every prefix is refused") {
  auto bytes = encode_index(example());
  for (std::size_t n = 0; n < bytes.size(); ++n)
    CHECK(!decode_index(std::string_view{bytes}.substr(0, n)).has_value());
}

TEST_CASE("packet_index: any changed byte is found") {
  auto bytes = encode_index(example());
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    auto r = decode_index(changed(bytes, n));
    REQUIRE(!r.has_value());
    CHECK(r.error().code == errc::corrupt);
  }
}

TEST_CASE("packet_index: times that do not ascend are refused") {
  auto index = example();
  index.pts = {0, 2, 1};
  CHECK(!decode_index(encode_index(index)).has_value());

  index.pts = {0, 1, 1};
  CHECK(!decode_index(encode_index(index)).has_value());
  index.exact = false; // frames as they come may share a time
  CHECK(decode_index(encode_index(index)).has_value());

  index.access_points = {{5, 0}, {4, 0}};
  CHECK(!decode_index(encode_index(index)).has_value());
}

TEST_CASE("packet_index: a time base that is not positive is refused") {
  auto index = example();
  index.time_base = {1, 0};

  CHECK(!decode_index(encode_index(index)).has_value());
}

TEST_CASE("media_info: video skips cover art, audio is the first") {
  media_info info;
  CHECK(info.video() == nullptr);
  CHECK(info.audio() == nullptr);
  info.streams.resize(4);
  info.streams[0].kind = stream_kind::video;
  info.streams[0].attached_picture = true;
  info.streams[1].kind = stream_kind::audio;
  info.streams[2].kind = stream_kind::video;
  info.streams[3].kind = stream_kind::audio;

  CHECK(info.video() == &info.streams[2]);
  CHECK(info.audio() == &info.streams[1]);
}
