#include "tools/framemill/json_path.hpp"

#include <doctest/doctest.h>

using framemill::json;
using namespace framemill::cli;

TEST_CASE("json_path: a dotted path leads to its value") {
  json j{{"Object", {{"Key", "a.mp4"}, {"Size", 12}}}, {"Done", true}};

  CHECK(text_at(j, "Object.Key") == "a.mp4");
  CHECK(text_at(j, "Object.Size") == "12");
  CHECK(text_at(j, "Done") == "true");
  CHECK(integer_at(j, "Object.Size") == 12);
}

TEST_CASE("json_path: what is absent or of another type reads as empty") {
  json j{{"List", {1, "b"}}, {"Null", nullptr}, {"Big", 1e300}};

  CHECK(text_at(j, "No.Such.Path").empty());
  CHECK(text_at(j, "List.0").empty());
  CHECK(text_at(j, "Null").empty());
  CHECK(integer_at(j, "Big") == 0);
  CHECK(list_at(j, "Null").empty());
  CHECK(list_at(json(3), "x").empty());
  CHECK(joined(list_at(j, "List")) == "1, b");
}

TEST_CASE("json_path: bytes that are not UTF-8 do not stop the printing") {
  CHECK(dump(json("a\xff"), -1) == "\"a\xef\xbf\xbd\"");
}
