#include "tools/framemill/label_edit.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace framemill::cli;

TEST_CASE("label_edit: KEY=VALUE sets, KEY- removes") {
  auto edit = parse_labels({"rack=a", "empty=", "math=1+1=2", "old-", "two-words-"});

  REQUIRE(edit);
  CHECK(edit->set
        == std::map<std::string, std::string>{{"rack", "a"}, {"empty", ""}, {"math", "1+1=2"}});
  CHECK(edit->remove == std::vector<std::string>{"old", "two-words"});
}

TEST_CASE("label_edit: what is neither, and a key named twice, are refused") {
  for (const auto& words : std::vector<std::vector<std::string>>{
           {""}, {"rack"}, {"=a"}, {"-"}, {"rack=a", "rack-"}, {"rack=a", "rack=b"}}) {
    CAPTURE(words.front());
    CHECK_FALSE(parse_labels(words));
  }
}
