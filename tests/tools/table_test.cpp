#include "tools/framemill/table.hpp"

#include "tools/framemill/text.hpp"

#include <doctest/doctest.h>

#include <sstream>

using namespace framemill::cli;

TEST_CASE("table: columns line up under their titles") {
  table t{{{"ID", align::right}, {"NAME"}, {"SIZE", align::right}}};
  t.row({"7", "clip.mp4", "1.0 MB"});
  t.row({"12", "a", "12 B"});

  CHECK(t.render() == "ID  NAME        SIZE\n"
                      " 7  clip.mp4  1.0 MB\n"
                      "12  a           12 B\n");
}

TEST_CASE("table: wide characters count as two columns") {
  table t{{{"NAME"}, {"STATE"}}};
  t.row({"视频", "ok"});
  t.row({"abcd", "ok"});

  CHECK(t.render() == "NAME  STATE\n视频  ok\nabcd  ok\n");
}

TEST_CASE("table: a line carries no spaces at its end") {
  table t{{{"A"}, {"B"}}};
  t.row({"x", ""});

  CHECK(t.render() == "A  B\nx\n");
}

TEST_CASE("table: a newline in a cell does not break the row") {
  table t{{{"KEY"}}};
  t.row({"a\nb"});

  CHECK(t.render() == "KEY\na\\nb\n");
}

TEST_CASE("table: the widest column gives way to fit the terminal") {
  table t{{{"ID"}, {"KEY"}}};
  t.row({"1", std::string(100, 'k')});

  std::istringstream lines{t.render(40)};

  for (std::string line; std::getline(lines, line);)
    CHECK(display_width(line) <= 40);
}

TEST_CASE("table: a row with too few cells is filled up") {
  table t{{{"A"}, {"B"}}};
  t.row({"1"});

  CHECK(t.render() == "A  B\n1\n");
}

TEST_CASE("render_facts: values line up and empty ones are left out") {
  CHECK(render_facts({{"id", "3"}, {"priority", ""}, {"name", "x"}}) ==
        "  id    3\n  name  x\n");
}
