#include "tools/framemill/format.hpp"

#include <doctest/doctest.h>

#include <limits>

using namespace framemill::cli;

TEST_CASE("format_size: decimal units, one digit after the point") {
  CHECK(format_size(0) == "0 B");
  CHECK(format_size(999) == "999 B");
  CHECK(format_size(1000) == "1.0 kB");
  CHECK(format_size(22'718'509) == "22.7 MB");
  CHECK(format_size(999'999) == "1.0 MB");
  CHECK(format_size(5'000'000'000'000) == "5.0 TB");
}

TEST_CASE("format_duration: finer where it is short") {
  CHECK(format_duration(0) == "0 s");
  CHECK(format_duration(0.31) == "0.3 s");
  CHECK(format_duration(9.96) == "10 s");
  CHECK(format_duration(59.4) == "59 s");
  CHECK(format_duration(59.6) == "1 min 00 s");
  CHECK(format_duration(185) == "3 min 05 s");
  CHECK(format_duration(3725) == "1 h 02 min");
}

TEST_CASE("format_duration: what is no duration is zero") {
  CHECK(format_duration(-3) == "0 s");
  CHECK(format_duration(std::numeric_limits<double>::quiet_NaN()) == "0 s");
}

TEST_CASE("format_interval: unknown until there is something to say") {
  CHECK(format_interval(0, 0) == "unknown");
  CHECK(format_interval(8, 12) == "8–12 s");
  CHECK(format_interval(8, 8) == "8 s");
  CHECK(format_interval(0.1, 0.4) == "< 1 s");
  CHECK(format_interval(30, 90) == "30 s – 1 min 30 s");
}

TEST_CASE("format_time: date and time of day, a dash for not yet") {
  CHECK(format_time("2026-11-21T23:59:49.000123Z") == "2026-11-21 23:59:49");
  CHECK(format_time("2026-11-21T23:59:49Z") == "2026-11-21 23:59:49");
  CHECK(format_time("") == "-");
  CHECK(format_time_ms("2026-11-21T23:59:49.000123Z") == "2026-11-21 23:59:49.000");
  CHECK(format_time_ms("2026-11-21T23:59:49Z") == "2026-11-21 23:59:49");
}
