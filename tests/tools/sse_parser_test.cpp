#include "tools/framemill/sse_parser.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace framemill::cli;

namespace {

std::vector<sse_message> parse(std::string_view text, std::size_t piece) {
  std::vector<sse_message> out;
  sse_parser parser{[&](const sse_message& m) { out.push_back(m); }};
  for (std::size_t i = 0; i < text.size(); i += piece)
    REQUIRE(parser.feed(text.substr(i, piece)));
  return out;
}

} // namespace

TEST_CASE("sse_parser: messages come out whole, whatever the pieces") {
  constexpr std::string_view stream = ": hello\n\nevent: event\nid: 7\ndata: {\"a\":1}\n\n"
                                      "event: progress\r\ndata: {}\r\n\r\n";
  for (std::size_t piece : {1, 2, 3, 7, 100}) {
    auto messages = parse(stream, piece);

    REQUIRE(messages.size() == 2);
    CHECK(messages[0].event == "event");
    CHECK(messages[0].id == "7");
    CHECK(messages[0].data == "{\"a\":1}");
    CHECK(messages[1].event == "progress");
    CHECK(messages[1].id.empty());
  }
}

TEST_CASE("sse_parser: several data lines are one text") {
  auto messages = parse("data: a\ndata: b\n\n", 100);

  REQUIRE(messages.size() == 1);
  CHECK(messages[0].data == "a\nb");
  CHECK(messages[0].event == "message");
}

TEST_CASE("sse_parser: a message that the stream's end cut off is not given out") {
  CHECK(parse("data: half", 100).empty());
  CHECK(parse("data: half\n", 100).empty());
}

TEST_CASE("sse_parser: a line without end is refused before it fills the memory") {
  sse_parser parser{[](const sse_message&) {}};
  std::string piece(1 << 20, 'x');

  bool accepted = true;
  for (int i = 0; i < 8; ++i)
    accepted = accepted && parser.feed(piece);

  CHECK_FALSE(accepted);
}
