#include "tests/api/client.hpp"

#include <doctest/doctest.h>

#include <regex>
#include <thread>

using namespace framemill;
using namespace framemill::test;

namespace {

tc3::header_list without(tc3::header_list headers, std::string_view name) {
  std::erase_if(headers, [&](const auto& h) { return h.first == name; });
  return headers;
}

} // namespace

TEST_CASE("api: an answer is the envelope, with a RequestId and nothing but JSON") {
  api_fixture f;

  auto a = f.exchange(f.signed_bytes(f.request("DescribeWorkflows", "{}"),
                                     {{"X-TC-TraceId", "8071cc17-41ad"}}));

  CHECK(a.status == 200);
  CHECK(a.headers["content-type"] == "application/json");
  CHECK(a.headers["x-tc-traceid"] == "8071cc17-41ad");
  auto response = json::parse(a.body)["Response"];
  CHECK(response["TotalCount"] == 0);
  CHECK(response["WorkflowInfoSet"] == json::array());
  static const std::regex uuid_v4{
      "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"};
  CHECK(std::regex_match(response["RequestId"].get<std::string>(), uuid_v4));
}

TEST_CASE("api: each missing header is named") {
  api_fixture f;
  auto r = f.request("DescribeWorkflows", "{}");
  for (auto* name : {"X-TC-Action", "X-TC-Version", "X-TC-Timestamp", "Authorization"}) {
    auto a = f.exchange(bytes_of("POST /", without(tc3::sign(r, credential), name), r.body));
    CHECK(code_in(a) == "MissingParameter");
    std::string_view said{name};
    said = said.substr(said.starts_with("X-TC-") ? 5 : 0);
    CHECK(a.body.find(fmt::format("`{}`", said)) != std::string::npos);
  }
}

TEST_CASE("api: checks run in the order of the real service") {
  api_fixture f;
  auto bad_key = tc3::credential{credential.secret_id, "wrong"};
  auto send = [&](const tc3::client_request& r, const tc3::credential& c) {
    return code_in(f.exchange(bytes_of("POST /", tc3::sign(r, c), r.body)));
  };

  auto r = f.request("NoSuchAction", "no json", "2011-11-11");
  CHECK(send(r, bad_key) == "NoSuchVersion");
  r.version = "2019-06-12";
  CHECK(send(r, {"AKIDOTHER", "x"}) == "AuthFailure.SecretIdNotFound");
  r.timestamp -= 301;
  CHECK(send(r, bad_key) == "AuthFailure.SignatureExpire");
  r.timestamp += 301;
  CHECK(send(r, bad_key) == "AuthFailure.SignatureFailure");
  CHECK(send(r, credential) == "InvalidAction");
  r.action = "DescribeWorkflows";
  CHECK(send(r, credential) == "InvalidParameter");
}

TEST_CASE("api: the two versions have each their own actions") {
  api_fixture f;
  CHECK(code_of(f.call("DescribeNode", json::object())) == "InvalidAction");
  CHECK(code_of(f.cluster("DescribeWorkflows", json::object())) == "InvalidAction");
}

TEST_CASE("api: bodies that are no object of known fields are refused by kind") {
  api_fixture f;
  auto code = [&](const char* body) {
    return code_in(f.exchange(f.signed_bytes(f.request("DescribeWorkflows", body))));
  };
  CHECK(code("") == "");
  CHECK(code("{}") == "");
  CHECK(code("{\"Limit\":\"5\",\"Offset\":null}") == "");
  CHECK(code("[]") == "InvalidParameter");
  CHECK(code("{\"Limit\":5") == "InvalidParameter");
  CHECK(code("{\"Limit\":\"five\"}") == "InvalidParameter");
  CHECK(code("{\"Limit\":1.5}") == "InvalidParameter");
  CHECK(code("{\"Limit\":101}") == "InvalidParameterValue");
  CHECK(code("{\"Limit\":0}") == "InvalidParameterValue");
  CHECK(code("{\"Offset\":-1}") == "InvalidParameterValue");
  CHECK(code("{\"limit\":5}") == "UnknownParameter");
  CHECK(code("{\"WorkflowIds\":7}") == "InvalidParameter");
  CHECK(code("{\"Status\":\"\xff\"}") == "InvalidParameter");
  CHECK(code((std::string(200'000, '[') + std::string(200'000, ']')).c_str()) ==
        "LimitExceeded");
}

TEST_CASE("api: a body beyond 10 MiB is refused in the envelope") {
  api_fixture f;
  auto a = f.exchange(
      f.signed_bytes(f.request("DescribeWorkflows", std::string((10u << 20) + 1, ' '))));
  CHECK(a.status == 200);
  CHECK(code_in(a) == "RequestSizeLimitExceeded");
}

TEST_CASE("api: only GET and POST are calls") {
  api_fixture f;
  for (auto* method : {"PUT", "DELETE", "OPTIONS", "PATCH"}) {
    auto r = f.request("DescribeWorkflows", "{}");
    r.method = method;
    CHECK(code_in(f.exchange(f.signed_bytes(r))) == "UnsupportedProtocol");
  }
}

TEST_CASE("api: a GET carries flattened parameters") {
  api_fixture f;
  f.call("CreateWorkflow", workflow_parameters("first"));
  f.call("CreateWorkflow", workflow_parameters("second"));
  auto get = [&](std::string query) {
    auto r = f.request("DescribeWorkflows", "");
    r.method = "GET";
    r.query = std::move(query);
    r.content_type = "application/x-www-form-urlencoded";
    return f.exchange(f.signed_bytes(r));
  };

  auto one = json::parse(get("WorkflowIds.0=1&Limit=5&Status=Disabled").body)["Response"];
  CHECK(one["TotalCount"] == 1);
  CHECK(one["WorkflowInfoSet"][0]["WorkflowName"] == "first");

  CHECK(code_in(get("WorkflowIds.1=1")) == "InvalidParameter"); // a gap
  CHECK(code_in(get("Limit=1&Limit.0=1")) == "InvalidParameter");
  CHECK(code_in(get("Status=%zz")) == "InvalidParameter");
  CHECK(code_in(get("Status=" + std::string(33'000, 'x'))) == "RequestSizeLimitExceeded");
}

TEST_CASE("api: other paths are not calls") {
  api_fixture f;
  CHECK(f.exchange("GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n").status == 404);
  CHECK(f.exchange("POST /health HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n").status ==
        404);
}

TEST_CASE("api: health and metrics are open") {
  api_fixture f;

  auto health = f.exchange("GET /health HTTP/1.1\r\nHost: h\r\n\r\n");
  CHECK(health.status == 200);
  CHECK(json::parse(health.body) == json{{"Status", "ok"}});

  auto metrics = f.exchange("GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n");
  CHECK(metrics.headers["content-type"].starts_with("text/plain; version=0.0.4"));
  CHECK(metrics.body.find("# HELP framemill_runs_finished_total Runs that ended\n"
                          "# TYPE framemill_runs_finished_total counter\n"
                          "framemill_runs_finished_total{state=\"a\\\"b\\\\c\\nd\"} 3\n") !=
        std::string::npos);
}

TEST_CASE("api: calls of many clients at once are all answered") {
  api_fixture f;
  std::atomic<int> good{0};
  std::vector<std::thread> clients;
  for (int c = 0; c < 8; ++c)
    clients.emplace_back([&, c] {
      raw_client client{f.server->port()};
      for (int i = 0; i < 20; ++i) {
        auto body = workflow_parameters(fmt::format("w-{}-{}", c, i)).dump();
        client.send(f.signed_bytes(f.request("CreateWorkflow", body)));
        good += code_in(client.read()).empty();
      }
    });
  for (auto& t : clients)
    t.join();

  CHECK(good == 160);
  CHECK(f.call("DescribeWorkflows", json::object())["TotalCount"] == 160);
}

TEST_CASE("api: an action without an answer in time is answered in the envelope") {
  api_fixture f{http_server_options{.answer_timeout = std::chrono::milliseconds{50}}};
  f.system.hold();

  auto a = f.exchange(f.signed_bytes(f.request("EnableWorkflow", R"({"WorkflowId":1})"),
                                     {{"X-TC-TraceId", "8071cc17-41ad"}}));

  CHECK(a.status == 200);
  CHECK(a.headers["content-type"] == "application/json");
  CHECK(a.headers["x-tc-traceid"] == "8071cc17-41ad");
  CHECK(code_in(a) == "ServiceUnavailable");
  CHECK(a.body.find("EnableWorkflow has no answer within 0.05 s") != std::string::npos);
  f.system.release();
}

TEST_CASE("api: a reply that comes while the server stops harms nobody") {
  auto f = std::make_unique<api_fixture>(
      http_server_options{.stop_grace = std::chrono::milliseconds{10}});
  f->system.hold();
  raw_client client{f->server->port()};
  client.send(f->signed_bytes(f->request("EnableWorkflow", R"({"WorkflowId":1})")));
  CHECK(f->exchange("GET /health HTTP/1.1\r\nHost: h\r\n\r\n").status == 200);

  f->server->stop();
  f->system.release();

  CHECK(client.read().status != 200);
}
