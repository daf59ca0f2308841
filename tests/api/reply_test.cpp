#include "api/query.hpp"
#include "api/reply.hpp"

#include <doctest/doctest.h>

using namespace framemill;

TEST_CASE("reply: a rule that names the field goes before the common code") {
  static constexpr code_rule rules[] = {
      {errc::not_found, "Bucket", "ResourceNotFound.CosBucketNotExist"},
      {errc::not_found, "", "ResourceNotFound.TemplateNotExist"}};

  CHECK(to_api_error({errc::not_found, "m", "Trigger.Bucket"}, rules).code ==
        "ResourceNotFound.CosBucketNotExist");
  CHECK(to_api_error({errc::not_found, "m", ""}, rules).code ==
        "ResourceNotFound.TemplateNotExist");
  CHECK(to_api_error({errc::malformed, "m", "Dir"}, rules).code == "InvalidParameter");
}

TEST_CASE("reply: the field is named once") {
  CHECK(to_api_error({errc::malformed, "is bad", "A.B"}).message == "`A.B`: is bad");
  CHECK(to_api_error({errc::malformed, "`A.B` is bad", "A.B"}).message == "`A.B` is bad");
}

TEST_CASE("reply: bytes that are not UTF-8 do not break an answer") {
  auto r = envelope(json{{"Key", "\xff\xfe"}}, "id");

  CHECK(json::accept(r.body));
}

TEST_CASE("query: parameters are decoded, and unflattened by their paths") {
  auto q = parse_query("A.B.0=x%20y&A.B.1=%E8%BD%AC&C=&=ignored&D=1+2");
  REQUIRE(q.has_value());

  auto j = unflatten(*q);

  REQUIRE(j.has_value());
  CHECK(*j == json{{"A", {{"B", {"x y", "转"}}}}, {"C", ""}, {"D", "1 2"}});
}

TEST_CASE("query: hostile paths are refused") {
  auto fails = [](std::string_view text) {
    auto q = parse_query(text);
    return !q || !unflatten(*q);
  };
  CHECK(fails("A.999999=x"));
  CHECK(fails("A=1&A.B=2"));
  CHECK(fails("A=%g1"));
  CHECK(fails("A=%4"));
  std::string deep = "A";
  for (int i = 0; i < 5000; ++i)
    deep += ".A";
  CHECK(fails(deep + "=1"));
}
