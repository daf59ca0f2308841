#include "core/function_request.hpp"
#include "notify/function_log.hpp"

#include <doctest/doctest.h>

using namespace framemill;

TEST_CASE("log_sweep: keeps the newest calls of each function, up to count and age") {
  log_sweep sweep{{microseconds{100}, 2}, timestamp{1000}};
  CHECK(sweep.keeps("b", {990}));
  CHECK(sweep.keeps("b", {980}));
  CHECK_FALSE(sweep.keeps("b", {970}));
  CHECK(sweep.keeps("a", {900}));
  CHECK_FALSE(sweep.keeps("a", {899}));
}

TEST_CASE("output_tail: all of a short output, the end of a long one, from a line on") {
  output_tail shorter{100};
  shorter.add("one\n");
  shorter.add("two\n");
  CHECK(shorter.text() == "one\ntwo\n");
  CHECK(shorter.bytes() == 8);

  output_tail longer{20};
  for (int i = 0; i < 100; ++i)
    longer.add("line " + std::to_string(i) + "\n");
  CHECK(longer.bytes() == 790);
  CHECK(longer.text() == "[774 bytes before this are not kept]\nline 98\nline 99\n");

  output_tail one_line{10};
  one_line.add(std::string(1000, 'x') + "end");
  CHECK(one_line.text() == "[993 bytes before this are not kept]\nxxxxxxxend");
}

TEST_CASE("log_query: asks for time, words and failure") {
  invocation_record r;
  r.started = {100};
  r.output = "sent to 3 people\n";
  r.request_id = "abc";
  CHECK(matches(r, {}));
  CHECK(matches(r, {{100}, {101}, "people", false}));
  CHECK(matches(r, {{}, {}, "abc", false}));
  CHECK_FALSE(matches(r, {{101}, {}, "", false}));
  CHECK_FALSE(matches(r, {{}, {100}, "", false}));
  CHECK_FALSE(matches(r, {{}, {}, "nobody", false}));
  CHECK_FALSE(matches(r, {{}, {}, "", true}));
  r.error = "timed out";
  CHECK(matches(r, {{}, {}, "timed", true}));
}
