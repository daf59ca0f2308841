#include "tools/framemill/duration.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace framemill::cli;
using namespace std::chrono_literals;

TEST_CASE("duration: a number with its unit") {
  CHECK(*parse_duration("500ms") == 500ms);
  CHECK(*parse_duration("10s") == 10s);
  CHECK(*parse_duration("15m") == 15min);
  CHECK(*parse_duration("2h") == 2h);
  CHECK(*parse_duration("1d") == 24h);
  CHECK(*parse_duration("90") == 90s);
  CHECK(*parse_duration("0s") == 0s);
}

TEST_CASE("duration: anything else is refused") {
  for (const auto* text : {"", "m", "-1s", "1.5h", "10 s", "1h30m", "366d",
                           "9223372036854775807h", "99999999999999999999"}) {
    CAPTURE(text);
    CHECK(parse_duration(text).error().code == errc::invalid_argument);
  }
}
