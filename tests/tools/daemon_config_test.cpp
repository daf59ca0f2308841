#include "tests/support/temp_dir.hpp"
#include "tools/framemilld/daemon_config.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace std::chrono_literals;

namespace {

daemon_config read(const std::string& text) {
  test::temp_dir dir;
  dir.write("node.toml", text);
  daemon_config c;
  auto r = read_config_file(dir / "node.toml", c);
  REQUIRE_MESSAGE(r.has_value(), r.error().message);
  return c;
}

/// The field that one of the two checks refuses; "" = none.
std::string refused(const std::string& text) {
  auto c = read(text);
  auto r = validate(c);
  if (r)
    r = validate(c.node);
  return r ? "" : r.error().field;
}

} // namespace

TEST_CASE("daemon_config: a drain may last no time, a part of a second, or a day") {
  CHECK(read("").drain_patience == 120s);
  CHECK(read("drain_seconds = 0.5").drain_patience == 500ms);
  for (const auto* seconds : {"0", "0.5", "120", "86400"})
    CHECK(refused(std::string{"drain_seconds = "} + seconds).empty());
  for (const auto* seconds : {"-1", "-0.5", "86401"})
    CHECK(refused(std::string{"drain_seconds = "} + seconds) == "drain_seconds");
}

TEST_CASE("daemon_config: a log level is one that is documented") {
  CHECK(read("").log_level == "info");
  for (const auto* level : {"trace", "debug", "info", "warn", "error"})
    CHECK(refused(std::string{"log_level = '"} + level + "'").empty());
  for (const auto* level : {"loud", "off", "Info", ""})
    CHECK(refused(std::string{"log_level = '"} + level + "'") == "log_level");
}

TEST_CASE("daemon_config: numbers that do not fit are refused, not cut") {
  for (const auto* number : {"-3", "4294967297", "-4294967295"}) {
    CHECK(refused(std::string{"slots = "} + number) == "slots");
    CHECK(refused(std::string{"cores = "} + number) == "cores");
  }
}

TEST_CASE("daemon_config: a coordinator without slots can be joined, on loopback") {
  auto listens = [](const std::string& text) {
    auto c = read(text);
    add_default_cluster(c.node);
    return c.node.cluster.listen;
  };
  CHECK(listens("").empty());
  CHECK(listens(R"(role = ["worker"])").empty());
  CHECK(listens(R"(role = ["coordinator", "gateway"])") == "127.0.0.1:8710");
  CHECK(listens("role = [\"coordinator\", \"gateway\"]\ncluster_listen = \"10.0.0.1:1\"")
        == "10.0.0.1:1");
}
