#include "notify/signature.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace framemill;

// Expected values: printf TEXT | openssl md5, openssl dgst -sha256 -hmac SECRET.

namespace {
constexpr timestamp now{1'795'293'456LL * 1'000'000 + 999'999};
const std::string body = R"({"EventType":"WorkflowTask"})";
} // namespace

TEST_CASE("signature: Sign is MD5 over the expiry and the key") {
  CHECK(mps_sign(1795294056, "key of the workflow") == "73ecd5b95e71af825251060e7754e136");
}

TEST_CASE("signature: a body gets when it expires, and its Sign") {
  CHECK(with_mps_sign(body, "key of the workflow", now)
        == R"({"EventType":"WorkflowTask","Timestamp":1795294056,)"
           R"("Sign":"73ecd5b95e71af825251060e7754e136"})");
}

TEST_CASE("signature: without a key the body stays as it is") {
  CHECK(with_mps_sign(body, "", now) == body);
}

TEST_CASE("signature: the header signs time and body under each live key") {
  const std::vector<std::string> secrets{"first secret", "second secret"};

  CHECK(signature_header(body, secrets, now)
        == "t=1795293456,"
           "v1=3c721ed803363bdda232d562ba9dbdec2d52db158631cb3663fec2a4ee328c6e,"
           "v1=87e3c1d175bf875842fd9d0de164f9e1261c4f6c60b9de0c37dae975cd01cbc1");
  CHECK(signature_header(body, {}, now).empty());
}
