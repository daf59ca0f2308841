#include "notify/egress.hpp"

#include <doctest/doctest.h>

using namespace framemill;

namespace {

using words = std::vector<std::string>;

egress_policy policy(const words& allow = {}, const words& deny = {}) {
  auto p = egress_policy::make(allow, deny);
  REQUIRE_MESSAGE(p, p.error().message);
  return *p;
}

ip_address ip(std::string_view text) {
  auto a = ip_address::parse(text);
  REQUIRE(a);
  return *a;
}

const std::vector<ip_address>& own() {
  static const std::vector<ip_address> all{ip("127.0.0.1"), ip("10.1.2.3"), ip("fd00::5"),
                                           ip("fe80::9")};
  return all;
}

bool allows(const egress_policy& p, std::string_view address) {
  return p.refusal(ip(address), own()).empty();
}

} // namespace

TEST_CASE("egress: by default the host's own services are out of reach, the rest is not") {
  auto p = policy();
  for (const auto* refused :
       {"127.0.0.1", "127.255.0.1", "0.0.0.0", "0.1.2.3", "169.254.169.254", "224.0.0.1",
        "239.1.1.1", "255.255.255.255", "::1", "::", "fe80::1", "febf::1", "ff02::1", "10.1.2.3",
        "fd00::5"}) {
    CAPTURE(refused);
    CHECK_FALSE(allows(p, refused));
  }
  for (const auto* allowed : {"10.1.2.4", "192.168.0.1", "8.8.8.8", "128.0.0.1", "126.255.255.255",
                              "fd00::6", "2001:db8::1", "fec0::1"}) {
    CAPTURE(allowed);
    CHECK(allows(p, allowed));
  }
}

TEST_CASE("egress: an IPv4 address is seen through its IPv6 clothes") {
  auto p = policy();
  CHECK(ip("::ffff:127.0.0.1") == ip("127.0.0.1"));
  CHECK_FALSE(allows(p, "::ffff:127.0.0.1"));
  CHECK_FALSE(allows(p, "::ffff:10.1.2.3"));
  CHECK_FALSE(allows(p, "64:ff9b::127.0.0.1"));
  CHECK_FALSE(allows(p, "64:ff9b::a9fe:a9fe"));
  CHECK_FALSE(allows(p, "2002:7f00:1::1"));
  CHECK(allows(p, "64:ff9b::8.8.8.8"));
  CHECK(allows(p, "::ffff:8.8.8.8"));
}

TEST_CASE("egress: the most specific rule decides, and of two alike the one that allows") {
  CHECK(allows(policy({"127.0.0.0/8"}), "127.0.0.1"));
  CHECK(allows(policy({"127.0.0.1"}), "127.0.0.1"));
  CHECK_FALSE(allows(policy({"127.0.0.1"}), "127.0.0.2"));
  CHECK_FALSE(allows(policy({"0.0.0.0/0"}), "127.0.0.1"));
  CHECK_FALSE(allows(policy({}, {"192.168.0.0/16"}), "192.168.3.4"));
  CHECK(allows(policy({"192.168.3.0/24"}, {"192.168.0.0/16"}), "192.168.3.4"));
  CHECK(allows(policy({"192.168.3.0/24"}, {"192.168.3.0/24"}), "192.168.3.4"));
  CHECK_FALSE(allows(policy({"192.168.3.0/24"}, {"192.168.3.4"}), "192.168.3.4"));
  auto only = policy({"203.0.113.0/24"}, {"0.0.0.0/0", "::/0"});
  CHECK(allows(only, "203.0.113.7"));
  CHECK_FALSE(allows(only, "8.8.8.8"));
  CHECK_FALSE(allows(only, "2001:db8::1"));
}

TEST_CASE("egress: the host's own address is meant by its own name only") {
  CHECK_FALSE(allows(policy({"10.0.0.0/8"}), "10.1.2.3"));
  CHECK(allows(policy({"10.1.2.3"}), "10.1.2.3"));
  CHECK(allows(policy({"fe80::/10"}), "fe80::9"));
}

TEST_CASE("egress: a refusal names the address and the setting") {
  auto why = policy().refusal(ip("127.0.0.1"), own());
  CHECK(why.find("127.0.0.1 is a loopback address") == 0);
  CHECK(why.find("[egress] allow") != std::string::npos);
  CHECK(why.find("--egress-allow 127.0.0.1/32") != std::string::npos);
  CHECK(policy({}, {"9.0.0.0/8"}).refusal(ip("9.9.9.9"), own()).find("9.0.0.0/8")
        != std::string::npos);
}

TEST_CASE("egress: what is no network is refused by name") {
  for (const auto* text : {"", "localhost", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "::/129",
                           "10.0.0/8", "10.0.0.0/8x"}) {
    CAPTURE(text);
    auto p = egress_policy::make(words{text}, words{});
    REQUIRE_FALSE(p);
    CHECK(p.error().message.find(std::string{text}.substr(0, 4)) != std::string::npos);
  }
}
