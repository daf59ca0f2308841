#include "tools/framemill/run_lookup.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace framemill::cli;

TEST_CASE("parse_object_name: a bucket and a key, parted by a colon or a slash") {
  CHECK(parse_object_name("media:in/a.mp4")->bucket == "media");
  CHECK(parse_object_name("media:in/a.mp4")->key == "in/a.mp4");
  CHECK(parse_object_name("media/in/a.mp4")->key == "in/a.mp4");
  CHECK(parse_object_name("media:/in/a.mp4")->key == "in/a.mp4");
  CHECK(parse_object_name("media:a:b.mp4")->key == "a:b.mp4");
}

TEST_CASE("parse_object_name: half a name is refused") {
  for (const char* text : {"", "media", "media:", "media/", ":a.mp4", "/a.mp4"})
    CHECK_FALSE(parse_object_name(text));
}
