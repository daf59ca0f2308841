#include "tools/framemill/function_request.hpp"
#include "tools/framemill/function_page.hpp"
#include "core/base64.hpp"
#include "tests/support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

using namespace framemill;
using namespace framemill::cli;
using framemill::test::temp_dir;
namespace fs = std::filesystem;

TEST_CASE("function_request: a directory is all of its files, with what may be run") {
  temp_dir dir;
  (void)dir.write("code/index.js", "one");
  fs::permissions(dir.write("code/bin/run", "two"), fs::perms{0755});
  function_flags f;
  f.name = "a";
  f.runtime = "nodejs";
  f.code = dir / "code";
  f.environment = {"A=1=2", "B="};
  f.grants = {"media:backup/", "all"};
  f.timeout = "1500ms";
  f.memory_mib = 64;

  auto request = create_function_request(f);

  REQUIRE(request);
  auto files = (*request)["Files"];
  REQUIRE(files.size() == 2);
  auto& run = files[0]["Name"] == "bin/run" ? files[0] : files[1];
  CHECK(run["Executable"] == true);
  CHECK(decode_base64(run["Content"].get<std::string>()) == "two");
  CHECK((*request)["Environment"] == json{{"A", "1=2"}, {"B", ""}});
  CHECK((*request)["Buckets"][0] == json{{"Bucket", "media"}, {"Dir", "backup/"}});
  CHECK((*request)["Buckets"][1]["Dir"] == "");
  CHECK((*request)["Timeout"] == 1.5);
  CHECK((*request)["MemoryBytes"] == 64 << 20);
  CHECK_FALSE(request->contains("Network"));

  fs::create_symlink("/etc/passwd", dir / "code/link");
  CHECK(create_function_request(f).error().message.find("link") != std::string::npos);
}

TEST_CASE("function_request: a secret that is only named comes from the environment") {
  ::setenv("FUNCTION_TEST_KEY", "hush", 1);
  ::unsetenv("FUNCTION_TEST_NONE");
  function_flags f;
  f.name = "a";
  f.secrets = {"FUNCTION_TEST_KEY", "OLD-", "OTHER=x"};
  auto request = update_function_request(f);
  REQUIRE(request);
  CHECK((*request)["Secrets"] == json{{"FUNCTION_TEST_KEY", "hush"}, {"OTHER", "x"}});
  CHECK((*request)["RemoveSecrets"] == json{"OLD"});
  f.secrets = {"FUNCTION_TEST_NONE"};
  CHECK_FALSE(update_function_request(f));
}

TEST_CASE(
    "function_request: code and template exclude each other, and an update changes something") {
  function_flags f;
  f.name = "a";
  CHECK_FALSE(create_function_request(f));
  CHECK_FALSE(update_function_request(f));
  f.from_template = "webhook";
  CHECK((*create_function_request(f))["Template"] == "webhook");
  f.environment = {"A-"};
  CHECK_FALSE(create_function_request(f));
  f.environment.clear();
  f.code = "x.js";
  CHECK_FALSE(create_function_request(f));
}

TEST_CASE("function_request: an update can take all grants away") {
  function_flags f;
  f.name = "a";
  f.no_grants = true;

  auto request = update_function_request(f);

  REQUIRE(request);
  CHECK(*request == json{{"Name", "a"}, {"Buckets", json::array()}});
}

TEST_CASE("function_page: a call is a line, and what it printed") {
  json call{{"RequestId", "abc"},
            {"Version", 2},
            {"Started", "2026-11-29T10:00:00.123456Z"},
            {"Duration", 0.0042},
            {"StartUp", 0},
            {"MemoryPeakBytes", 44'000'000},
            {"EventType", ""},
            {"Error", "Error: \x1b[31mno"},
            {"Output", "one\ntwo\x07\n"}};
  CHECK(invocation_text(call)
        == "2026-11-29 10:00:00.123  abc  v2  4.2 ms  44.0 MB  failed: Error: \\x1b[31mno\n"
           "    one\n    two\\x07\n");
}
