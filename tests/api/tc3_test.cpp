#include "api/authenticate.hpp"
#include "api/tc3.hpp"

#include <doctest/doctest.h>

using namespace framemill;

namespace {

struct vector_row {
  const char* secret_id;
  const char* secret_key;
  std::int64_t timestamp;
  const char* service;
  const char* host;
  const char* content_type;
  const char* body;
  const char* body_sha256;
  const char* canonical_sha256; ///< "" when not published
  const char* signature;
};

const char* const node_body = R"({"WorkflowId":4242})";
const char* const node_sha = "2e2d02933ab910057de22e2992bcf42f64db17c65c85c309ac281e15d54748c0";

const vector_row vectors[] = {
    {"AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE", "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE", 1551113065,
     "cvm", "cvm.tencentcloudapi.com", "application/json; charset=utf-8",
     R"({"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]})",
     "35e9c5b0e3ae67532d3c9f17ead6c90222632e5b1ff7f6e89887f1398934f064",
     "5ffe6a04c0664d6b969fab9a13bdab201d63ee709638e2749d62a09ca18d7031",
     "72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168"},
    {"AKIDEXAMPLE", "SKEXAMPLE", 1795293456, "127", "127.0.0.1", "application/json", node_body,
     node_sha, "249774b7fae8454836b06d5a5b36379ee28323b58c66ebb5e7e1726b4dd0ce84",
     "b37cd79ca2be2b19f6269db46dd283e183da2c8f97b63737c0980e48647de486"},
    {"AKIDEXAMPLE", "SKEXAMPLE", 1795293456, "mps", "127.0.0.1:18080", "application/json",
     node_body, node_sha, "55e6903808bf80618a9cbbad3de6611987660171cc6e0be9f874e4511b6dd942",
     "d860f9e5137e1f9a47ff336a6ea64dc5f86b01f4960338ffc7e936b484918b67"},
    {"AKIDEXAMPLE", "SKEXAMPLE", 1795293456, "127", "127.0.0.1:18080", "application/json",
     node_body, node_sha, "",
     "f62193fb25ccd7ec1377153933f973cce48aaefc14cb733e947d2285c995cd95"},
};

tc3::message message_of(const vector_row& v) {
  return {"POST",
          "/",
          "",
          {{"content-type", v.content_type}, {"host", v.host}},
          tc3::sha256_hex(v.body),
          v.timestamp,
          v.service};
}

http_request request_of(const vector_row& v, std::string host_header) {
  http_request r;
  r.method = "POST";
  r.path = "/";
  r.body = v.body;
  r.headers = {{"Host", std::move(host_header)},
               {"Content-Type", v.content_type},
               {"X-TC-Timestamp", std::to_string(v.timestamp)},
               {"Authorization",
                std::string{"TC3-HMAC-SHA256 Credential="} + v.secret_id + "/" +
                    tc3::utc_date(v.timestamp) + "/" + v.service +
                    "/tc3_request, SignedHeaders=content-type;host, Signature=" + v.signature}};
  return r;
}

const credential_map credentials{{"AKIDEXAMPLE", "SKEXAMPLE"}};
constexpr timestamp then{1795293456LL * 1'000'000};

std::string verdict(const http_request& r, timestamp now = then) {
  auto who = authenticate(r, credentials, now);
  return who ? "ok " + *who : who.error().code;
}

http_request node_request() { return request_of(vectors[1], "127.0.0.1:18080"); }

void replace(http_request& r, std::string_view name, std::string_view from,
             std::string_view to) {
  for (auto& [key, value] : r.headers)
    if (equal_names(key, name))
      if (auto at = value.find(from); at != std::string::npos)
        value.replace(at, from.size(), to);
}

} // namespace

TEST_CASE("tc3: the published vectors come out to the byte") {
  for (const auto& v : vectors) {
    CAPTURE(v.signature);
    auto m = message_of(v);

    CHECK(m.payload_sha256 == v.body_sha256);
    if (*v.canonical_sha256)
      CHECK(tc3::sha256_hex(tc3::canonical_request(m)) == v.canonical_sha256);
    CHECK(tc3::signature(m, v.secret_key) == v.signature);
  }
}

TEST_CASE("tc3: dates are UTC") {
  CHECK(tc3::utc_date(1551113065) == "2019-02-25");
  CHECK(tc3::utc_date(0) == "1970-01-01");
}

TEST_CASE("authenticate: the host is taken with its port, and without") {
  CHECK(verdict(node_request()) == "ok AKIDEXAMPLE"); // Node signs without
  CHECK(verdict(request_of(vectors[2], "127.0.0.1:18080")) == "ok AKIDEXAMPLE"); // Go with
}

TEST_CASE("authenticate: header values are taken as they are, and in lower case") {
  tc3::message m{
      "POST",
      "/",
      "",
      {{"content-type", "application/json"}, {"host", "h"}, {"x-tc-action", "enableworkflow"}},
      tc3::sha256_hex("{}"),
      1795293456,
      "mps"};
  http_request r;
  r.method = "POST";
  r.path = "/";
  r.body = "{}";
  r.headers = {
      {"Host", "h"},
      {"Content-Type", "Application/JSON"},
      {"X-TC-Action", "EnableWorkflow"},
      {"X-TC-Timestamp", "1795293456"},
      {"Authorization", "TC3-HMAC-SHA256 Credential=AKIDEXAMPLE/2026-11-21/mps/tc3_request,"
                        "SignedHeaders=content-type;host;x-tc-action,Signature=" +
                            tc3::signature(m, "SKEXAMPLE")}};

  CHECK(verdict(r) == "ok AKIDEXAMPLE");
}

TEST_CASE("authenticate: a service may hold a colon and more") {
  auto v = vectors[1];
  v.service = "localhost:18080/x";
  v.host = "localhost";
  auto signature = tc3::signature(message_of(v), "SKEXAMPLE");
  v.signature = signature.c_str();

  CHECK(verdict(request_of(v, "localhost:18080")) == "ok AKIDEXAMPLE");
}

TEST_CASE("authenticate: a stale or early timestamp is refused after 300 seconds") {
  using namespace std::chrono_literals;

  CHECK(verdict(node_request(), then + 300s) == "ok AKIDEXAMPLE");
  CHECK(verdict(node_request(), then + 301s) == "AuthFailure.SignatureExpire");
  CHECK(verdict(node_request(), then + -300s) == "ok AKIDEXAMPLE");
  CHECK(verdict(node_request(), then + -301s) == "AuthFailure.SignatureExpire");
}

TEST_CASE("authenticate: every part that was changed is noticed") {
  auto expect = [](const char* code, auto change) {
    auto r = node_request();
    change(r);
    CHECK(verdict(r) == code);
  };
  expect("AuthFailure.SignatureFailure", [](auto& r) { r.body += " "; });
  expect("AuthFailure.SignatureFailure", [](auto& r) { r.query = "a=1"; });
  expect("AuthFailure.SignatureFailure", [](auto& r) { r.method = "GET"; });
  expect("AuthFailure.SignatureFailure", [](auto& r) { replace(r, "Host", "127", "128"); });
  expect("AuthFailure.SignatureFailure",
         [](auto& r) { replace(r, "Authorization", "b37cd7", "b37cd8"); });
  expect("AuthFailure.SignatureFailure",
         [](auto& r) { replace(r, "Authorization", "/127/", "/mps/"); });
  expect("AuthFailure.SignatureExpire",
         [](auto& r) { replace(r, "Authorization", "2026-11-21", "2026-11-20"); });
  expect("AuthFailure.SecretIdNotFound",
         [](auto& r) { replace(r, "Authorization", "AKIDEXAMPLE", "AKIDOTHER"); });
  expect("InvalidParameterValue",
         [](auto& r) { replace(r, "X-TC-Timestamp", "1795293456", "soon"); });
}

TEST_CASE("authenticate: what is not a TC3 authorization is refused") {
  for (const char* text :
       {"", "SKIP", "Basic dXNlcg==", "TC3-HMAC-SHA256", "TC3-HMAC-SHA256 Credential=a/b/c",
        "TC3-HMAC-SHA256 Credential=AKIDEXAMPLE/2026-11-21/mps/tc3_request, "
        "SignedHeaders=host, "
        "Signature=00",
        "TC3-HMAC-SHA256 Credential=AKIDEXAMPLE/2026-11-21/mps/tc3_request, "
        "SignedHeaders=content-type;host"}) {
    auto r = node_request();
    for (auto& [name, value] : r.headers)
      if (name == "Authorization")
        value = text;
    CHECK_MESSAGE(verdict(r) == "AuthFailure.InvalidAuthorization", text);
  }
}

TEST_CASE("tc3: the comparison knows unequal lengths") {
  CHECK(tc3::equal_in_constant_time("abc", "abc"));
  CHECK_FALSE(tc3::equal_in_constant_time("abc", "abd"));
  CHECK_FALSE(tc3::equal_in_constant_time("abc", "ab"));
}
