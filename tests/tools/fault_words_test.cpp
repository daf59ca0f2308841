#include "tools/framemill/fault_words.hpp"

#include <doctest/doctest.h>

using namespace framemill::cli;

TEST_CASE("fault words: actions are as docs/faults.md has them") {
  for (const auto* good : {"kill", "hang", "error", "duplicate", "reorder", "delay=1",
                           "delay=600000", "skew=1", "skew=-86400000"})
    CHECK_MESSAGE(check_fault_action(good), good);
  for (const auto* bad :
       {"", "explode", "delay", "delay=", "delay=0", "delay=600001", "delay=-1", "delay=5s",
        "skew", "skew=", "skew=-", "skew=0", "skew=86400001"})
    CHECK_MESSAGE(!check_fault_action(bad), bad);
}

TEST_CASE("fault words: passes are one, a range, or all from one on") {
  for (const auto* good : {"a.b", "a.b:1", "a.b:2-2", "a.b:1-3", "a.b:7-"})
    CHECK_MESSAGE(check_fault_place(good), good);
  for (const auto* bad : {"a.b:", "a.b:0", "a.b:-3", "a.b:3-2", "a.b:x", "a.b:1-x", "a.b:1:2"})
    CHECK_MESSAGE(!check_fault_place(bad), bad);
}

TEST_CASE("fault words: what is no list of points is not taken for one") {
  CHECK(read_fault_points("w1", R"({"Points": []})"));
  for (const auto* bad : {"", "store.commit  door", "[]", R"({"Points": 3})"})
    CHECK_FALSE(read_fault_points("w1", bad));
}
