#include "tools/framemill/text.hpp"

#include <doctest/doctest.h>

using namespace framemill::cli;

TEST_CASE("printable: text that a terminal shows as it is stays as it is") {
  CHECK(printable("plain 视频 🎬.mp4") == "plain 视频 🎬.mp4");
}

TEST_CASE("printable: nothing in a name reaches the terminal as a command") {
  CHECK(printable("a\nb\tc\r") == "a\\nb\\tc\\r");
  CHECK(printable("\x1b[2J") == "\\x1b[2J");
  CHECK(printable("\xc2\x9b"
                  "2J") == "\\x9b2J");
  CHECK(printable("gpj.\xe2\x80\xae"
                  "exe") == "gpj.\\u202eexe");
}

TEST_CASE("printable: bytes that are not UTF-8 are shown by number") {
  CHECK(printable("a\xff\xfe") == "a\\xff\\xfe");
  CHECK(printable("cut \xe8\xa7") == "cut \\xe8\\xa7");
}

TEST_CASE("display_width: wide characters take two columns, combining ones none") {
  CHECK(display_width("abc") == 3);
  CHECK(display_width("视频") == 4);
  CHECK(display_width("e\xcc\x81") == 1);
  CHECK(display_width("🎬") == 2);
}

TEST_CASE("shorten: the result fits, and says that something is gone") {
  CHECK(shorten("short", 10) == "short");
  CHECK(shorten("exactly", 7) == "exactly");
  CHECK(shorten("too long", 5) == "too …");
  CHECK(shorten("anything", 0).empty());
}

TEST_CASE("shorten: a wide character is not cut in half") {
  auto text = shorten("视频文件", 4);

  CHECK(text == "视…");
  CHECK(display_width(text) <= 4);
}
