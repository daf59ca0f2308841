#include "core/base64.hpp"
#include "core/error.hpp"
#include "core/time.hpp"
#include "core/utf8.hpp"

#include <doctest/doctest.h>

#include <cerrno>

using namespace framemill;

TEST_CASE("errc: every code has a name of its own that leads back to it") {
  for (int n = 100; n < 600; ++n) {
    auto code = static_cast<errc>(n);
    auto name = to_string(code);
    if (name == "internal" && code != errc::internal)
      continue; // not a code
    CHECK(errc_of_name(name).value() == code);
  }
  CHECK(!errc_of_name("no_such").has_value());
}

TEST_CASE("errc: the retry class is that of the cause") {
  CHECK(retry_of(errc::worker_crashed) == retry_class::elsewhere);
  CHECK(retry_of(errc::busy) == retry_class::here);
  CHECK(retry_of(errc::input_damaged) == retry_class::never);
  CHECK(class_of(errc::no_space) == failure_class::resource);
  CHECK(class_of(static_cast<errc>(999)) == failure_class::bug);
  CHECK(to_string(retry_class::elsewhere) == "elsewhere");
  CHECK(to_string(failure_class::config) == "config");
}

TEST_CASE("errc: errno is said with what failed") {
  auto f = fail_errno(ENOSPC, "write a/b");
  CHECK(f.value().code == errc::no_space);
  CHECK(f.value().message == "write a/b: No space left on device");
  CHECK(errc_of_errno(ENOTTY) == errc::io_failed);
  CHECK(errc_of_errno(ENOTTY, errc::internal) == errc::internal);
}

TEST_CASE("timestamp: is written as MPS does, and read in all usual forms") {
  timestamp t{1'563'258'087'000'123};
  CHECK(to_iso8601(t) == "2019-07-16T06:21:27Z");
  CHECK(to_iso8601_us(t) == "2019-07-16T06:21:27.000123Z");
  CHECK(to_iso8601({}) == "");
  CHECK(from_iso8601("2019-07-16T06:21:27.000123Z").value() == t);
  CHECK(from_iso8601("2019-07-16T14:21:27.000123+08:00").value() == t);
  CHECK(from_iso8601("2019-07-16T06:21:27Z").value().us == 1'563'258'087'000'000);
  CHECK(from_iso8601("").value() == timestamp{});
}

TEST_CASE("timestamp: what is no time is malformed") {
  for (auto text : {"now", "2019-07-16", "2019-07-16T06:21:27Zx", "2019-07-16T06:21:27+",
                    "2019-07-16T06:21:27+08:00x", "2019-13-16T06:21:27Z"}) {
    CAPTURE(text);
    CHECK(!from_iso8601(text).has_value());
  }
}

TEST_CASE("utf8: counts code points") {
  CHECK(code_points("") == 0);
  CHECK(code_points("aé转\xf0\x9f\x8e\xac") == 4);
}

TEST_CASE("utf8: what is not well-formed is refused") {
  for (auto text : {"\x80", "\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80",
                    "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "a\xe8\xbd", "\xc3\x28"}) {
    CAPTURE(text);
    CHECK(!code_points(text).has_value());
  }
}

TEST_CASE("base64: the vectors of RFC 4648, both ways") {
  const std::pair<const char*, const char*> vectors[] = {
      {"", ""},         {"f", "Zg=="},         {"fo", "Zm8="},        {"foo", "Zm9v"},
      {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : vectors) {
    CHECK(encode_base64(bytes) == text);
    CHECK(decode_base64(text).value() == bytes);
  }
  CHECK(encode_base64(std::string{"\xff\x00\xfe", 3}) == "/wD+");
}
