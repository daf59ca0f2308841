#include "tests/system/fixture.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace framemill::test;

namespace {

std::string code_of(const json& response) {
  return response.contains("Error") ? response["Error"].value("Code", "") : "";
}

std::string message_of(const json& response) {
  return response.contains("Error") ? response["Error"].value("Message", "") : "";
}

json process_media(const std::string& object) {
  return {{"InputInfo",
           {{"Type", "COS"},
            {"CosInputInfo", {{"Bucket", "media"}, {"Region", "local"}, {"Object", object}}}}},
          {"MediaProcessTask", quick_mp4()}};
}

} // namespace

TEST_CASE("bad call: names that lead out of the bucket are refused") {
  node_fixture f;
  write_file(f.dir / "outside.mp4", "not yours");

  for (const auto* object : {"/../outside.mp4", "in/../../outside.mp4", "/etc/../../passwd",
                             "in/./a.mp4", "in//../x.mp4", "in/a\nb.mp4"}) {
    CAPTURE(object);
    auto answer = f.mps()("ProcessMedia", process_media(object));
    CHECK_MESSAGE(code_of(answer).starts_with("InvalidParameter"), answer.dump());
  }
  auto submitted = f.command({"run", "submit", "media:../outside.mp4", "--workflow", "1"});
  CHECK(submitted.exit_code == 2);
  CHECK(f.runs().empty());
}

TEST_CASE(
    "bad call: unknown and mistyped parameters are refused by name, and nothing is made") {
  node_fixture f;
  auto good = workflow("w", quick_mp4());
  auto unknown = good, mistyped = good, climbing = good;
  unknown["Colour"] = "red";
  mistyped["TaskPriority"] = "high";
  climbing["OutputDir"] = "/../../etc/";

  auto a = f.mps()("CreateWorkflow", unknown);
  auto b = f.mps()("CreateWorkflow", mistyped);
  auto c = f.mps()("CreateWorkflow", climbing);

  CHECK(code_of(a) == "UnknownParameter");
  CHECK(message_of(a).find("Colour") != std::string::npos);
  CHECK(code_of(b).starts_with("InvalidParameter"));
  CHECK(message_of(b).find("TaskPriority") != std::string::npos);
  CHECK(code_of(c).starts_with("InvalidParameter"));
  CHECK(message_of(c).find("OutputDir") != std::string::npos);
  CHECK(f.ask({"workflow", "list"})["TotalCount"] == 0);
}

TEST_CASE("bad call: bodies that are too large, broken or too deep are refused") {
  node_fixture f;
  auto deep = std::string(100'000, '[');

  auto large = f.mps().send("CreateWorkflow", std::string(11u << 20, ' '));
  auto broken = f.mps().send("CreateWorkflow", "{\"WorkflowName\": ");
  auto nested = f.mps().send("CreateWorkflow", "{\"WorkflowName\": " + deep);

  CHECK_MESSAGE(large.body.find("RequestSizeLimitExceeded") != std::string::npos,
                large.status << large.body);
  CHECK_MESSAGE(broken.body.find("InvalidParameter") != std::string::npos, broken.body);
  CHECK_MESSAGE(nested.body.find("nested deeper") != std::string::npos, nested.body);
  CHECK(f.node.is_running());
}

TEST_CASE("bad call: wrong keys, stale times and no signature at all are refused") {
  node_fixture f;
  auto stale = f.mps();
  stale.skew_seconds = -3600;

  auto old = stale("DescribeWorkflows", json::object());
  auto wrong = f.command({"--secret-key", "nobody", "workflow", "list"});
  auto naked = http_exchange(f.node.endpoint(),
                             "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                             "X-TC-Action: DescribeWorkflows\r\nX-TC-Version: 2019-06-12\r\n"
                             "Connection: close\r\nContent-Length: 2\r\n\r\n{}");
  auto events = http_get(f.node.endpoint(), "/events");

  CHECK(code_of(old) == "AuthFailure.SignatureExpire");
  CHECK(wrong.exit_code == 4);
  CHECK(wrong.complaint.find("AuthFailure") != std::string::npos);
  CHECK_MESSAGE(naked.body.find("MissingParameter") != std::string::npos, naked.body);
  CHECK_MESSAGE(events.body.find("AuthFailure") != std::string::npos, events.body);
}

TEST_CASE("bad call: credentials are readable by their owner only") {
  node_fixture f;

  auto mode = run({"stat", "-c", "%a", f.node.data_dir() + "/credentials.json"}).output;

  CHECK(mode == "600\n");
}
