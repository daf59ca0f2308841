#include "tools/framemill/connection.hpp"

#include "tests/support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <fstream>

using namespace framemill;
using namespace framemill::cli;
using framemill::test::temp_dir;

namespace {

void write(const std::string& path, const std::string& text) { std::ofstream{path} << text; }

connection_options options_for(const temp_dir& dir) {
  connection_options o;
  o.data_dir = dir.path();
  return o;
}

} // namespace

TEST_CASE("connection: a node's data directory is all that is needed") {
  temp_dir dir;
  write(dir / "credentials.json", R"({"SecretId":"id","SecretKey":"key"})");
  write(dir / "endpoint", "127.0.0.1:4242\n");

  auto to = resolve(options_for(dir));

  REQUIRE(to);
  CHECK(to->endpoint == "127.0.0.1:4242");
  CHECK(to->secret_id == "id");
  CHECK(to->secret_key == "key");
}

TEST_CASE("connection: what the user gives wins over the data directory") {
  temp_dir dir;
  write(dir / "credentials.json", R"({"SecretId":"id","SecretKey":"key"})");
  write(dir / "endpoint", "127.0.0.1:4242\n");
  auto o = options_for(dir);
  o.server = "mill.example:8700";
  o.secret_key = "mine";

  auto to = resolve(o);

  REQUIRE(to);
  CHECK(to->endpoint == "mill.example:8700");
  CHECK(to->secret_id == "id");
  CHECK(to->secret_key == "mine");
}

TEST_CASE("connection: without an endpoint file the default port is tried") {
  temp_dir dir;
  write(dir / "credentials.json", R"({"SecretId":"id","SecretKey":"key"})");

  CHECK(resolve(options_for(dir))->endpoint == "127.0.0.1:8700");
}

TEST_CASE("connection: without credentials the error says where they were looked for") {
  temp_dir dir;

  auto to = resolve(options_for(dir));

  REQUIRE_FALSE(to);
  CHECK(to.error().code == errc::unauthorized);
  CHECK(to.error().message.find("credentials.json") != std::string::npos);
}

TEST_CASE("connection: a damaged credential file is named") {
  temp_dir dir;
  for (const char* text : {"{", "[]", "{\"SecretId\":7}"}) {
    write(dir / "credentials.json", text);

    auto to = resolve(options_for(dir));

    REQUIRE_FALSE(to);
    CHECK(to.error().code == errc::malformed);
    CHECK(to.error().message.find("credentials.json") != std::string::npos);
  }
}
