#include "tests/api/client.hpp"

#include "core/base64.hpp"
#include "storage/records.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace framemill::test;

namespace {

invocation_record call_of(int i) {
  invocation_record r;
  r.function = "hook";
  r.request_id = "r" + std::to_string(i);
  r.started = {1'000'000LL * i};
  r.output = "call " + std::to_string(i) + "\n";
  r.error = i % 3 == 0 ? "it fell" : "";
  return r;
}

std::vector<std::string> ids_of(const json& answer) {
  std::vector<std::string> out;
  for (const auto& i : answer["Invocations"])
    out.push_back(i["RequestId"]);
  return out;
}

} // namespace

TEST_CASE("DescribeFunctionLogs: newest first, page by page, of one function") {
  api_fixture f;
  for (int i = 1; i <= 5; ++i)
    f.system.put(family::function_logs, keys::invocation(call_of(i)), call_of(i));
  auto other = call_of(9);
  other.function = "hooks";
  f.system.put(family::function_logs, keys::invocation(other), other);
  using ids = std::vector<std::string>;
  auto ask = [&](json more) {
    more["Name"] = "hook";
    return f.cluster("DescribeFunctionLogs", more);
  };

  auto first = ask({{"Limit", 2}});
  CHECK(ids_of(first) == ids{"r5", "r4"});
  CHECK(first["Next"] == "r4");
  auto last = ask({{"Limit", 3}, {"Before", "r4"}});
  CHECK(ids_of(last) == ids{"r3", "r2", "r1"});
  CHECK(last["Next"] == "");
  CHECK(ids_of(ask({{"Failed", true}})) == ids{"r3"});
  CHECK(ids_of(ask({{"Grep", "call 2"}})) == ids{"r2"});
  CHECK(ids_of(ask({{"Since", "1970-01-01T00:00:04Z"}})) == ids{"r5", "r4"});
  CHECK(ids_of(ask({{"Until", "1970-01-01T00:00:02Z"}})) == ids{"r1"});
  CHECK(code_of(ask({{"Before", "nonsense"}})) == "ResourceNotFound");
  CHECK(code_of(ask({{"Limit", 1001}})) == "InvalidParameterValue");
}

TEST_CASE("InvokeFunction: a call has more time than other actions") {
  api_fixture f{http_server_options{.answer_timeout = std::chrono::milliseconds{50}}};
  function_record hook;
  hook.name = "hook";
  f.system.put(family::functions, keys::function("hook"), hook);
  f.system.hold();
  raw_client caller{f.server->port()};

  caller.send(f.signed_bytes(f.request("InvokeFunction", R"({"Name":"hook"})", "2026-11-01")));
  auto other = f.call("EnableWorkflow", {{"WorkflowId", 1}}); // sent later
  CHECK(code_of(other) == "ServiceUnavailable");
  f.system.release();

  auto answer = json::parse(caller.read().body)["Response"];
  CHECK(answer["Answer"] == "done");
}

TEST_CASE("functions: what is asked wrongly is refused by its name") {
  api_fixture f;
  auto code = [&](const char* action, json p) { return code_of(f.cluster(action, p)); };
  CHECK(code("DescribeFunction", {{"Name", "nobody"}}) == "ResourceNotFound");
  CHECK(code("InvokeFunction", {{"Name", "nobody"}}) == "ResourceNotFound");
  CHECK(code("CreateFunction", json::object()) == "MissingParameter");
  CHECK(code("CreateFunction", {{"Name", "a"}, {"Runtime", "cobol"}})
        == "InvalidParameterValue");
  const json file{{"Name", "a.js"}, {"Content", "?"}};
  CHECK(code("CreateFunction", {{"Name", "a"}, {"Files", json::array({file})}})
        == "InvalidParameterValue");
  CHECK(code("CreateFunction", {{"Name", "a"}, {"FromVersion", 1}}) == "UnknownParameter");
  CHECK(code("UpdateFunction", {{"Name", "a"}, {"Template", "webhook"}}) == "UnknownParameter");
  CHECK(code("DescribeFunctions", json::object())
        == "UnsupportedOperation"); // this gateway has none
}
