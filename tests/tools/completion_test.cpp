#include "tools/framemill/completion.hpp"

#include <CLI/CLI.hpp>
#include <doctest/doctest.h>

using namespace framemill;
using namespace framemill::cli;

namespace {

bool holds(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

struct small_app {
  std::string server, prefix;
  CLI::App app{"", "framemill"};
  small_app() {
    app.add_option("--server", server, "Where the node's gateway is");
    auto* run = app.add_subcommand("run", "Runs");
    run->add_subcommand("list", "List runs")->add_option("--prefix", prefix, "Only these");
  }
};

} // namespace

TEST_CASE("completion: bash knows the words of each command") {
  small_app a;

  auto script = completion_script(a.app, "bash");

  REQUIRE(script);
  CHECK(holds(*script, "'') words='run --help --server'"));
  CHECK(holds(*script, "'run list') words='--help --prefix"));
  CHECK(holds(*script, "complete -o default -F _framemill framemill"));
}

TEST_CASE("completion: zsh takes bash's") {
  small_app a;

  CHECK(completion_script(a.app, "zsh")->starts_with("#compdef framemill\n"));
}

TEST_CASE("completion: fish gets a line per word, with its help quoted") {
  small_app a;

  auto script = completion_script(a.app, "fish");

  REQUIRE(script);
  CHECK(holds(*script, "-f -a list -d 'List runs'"));
  CHECK(holds(*script, "-l server -d 'Where the node\\'s gateway is'"));
}

TEST_CASE("completion: an unknown shell is refused") {
  small_app a;

  CHECK(completion_script(a.app, "cmd").error().code == errc::invalid_argument);
}
