#include "notify/broker_address.hpp"

#include <doctest/doctest.h>

using namespace framemill;

namespace {

broker_address parsed(std::string_view text) {
  auto a = parse_broker_address(text, "queue");
  REQUIRE_MESSAGE(a.has_value(), (a ? "" : a.error().message));
  return *a;
}

error refused(std::string_view text) {
  auto a = parse_broker_address(text, "queue");
  REQUIRE(!a);
  CHECK(a.error().field == "queue");
  return a.error();
}

} // namespace

TEST_CASE("broker_address: protocol, TLS, host and port") {
  CHECK(parsed("nats://h") == broker_address{broker_protocol::nats, false, "h", 4222});
  CHECK(parsed("nats://10.0.0.1:4333").port == 4333);
  CHECK(parsed("tls://nats.example.com").tls);
  auto a = parsed("amqp://h");
  CHECK(a == broker_address{broker_protocol::amqp, false, "h", 5672, "", "", "", "/"});
  CHECK(parsed("amqps://h").port == 5671);
  CHECK(parsed("amqp://[::1]:77").host == "::1");
  CHECK(host_and_port(parsed("amqp://[::1]:77")) == "[::1]:77");
}

TEST_CASE("broker_address: who we are, percent-encoded") {
  auto n = parsed("nats://u%40corp:p%3Aw@h");
  CHECK(n.user == "u@corp");
  CHECK(n.password == "p:w");
  CHECK(parsed("nats://s3cret@h").token == "s3cret");
  auto a = parsed("amqp://u:p%2F@h:1/a%2Fb");
  CHECK(a.password == "p/");
  CHECK(a.vhost == "a/b");
  CHECK(parsed("amqp://u:p@h/").vhost == "/");
  CHECK(parsed("amqp://u@h").user == "u");
}

TEST_CASE("broker_address: what is none is refused, without repeating a secret") {
  CHECK(refused("http://h").code == errc::unsupported);
  CHECK(refused("").code == errc::unsupported);
  for (auto text : {"nats://", "nats://:4222", "nats://h:0", "nats://h:65536", "nats://h:x",
                    "nats://h/x", "nats://h?x", "nats://a,b", "amqp://h/a/b", "amqp://h/%2",
                    "amqp://%zz:p@h", "amqp://:p@h", "amqp://[::1", "amqp://u:p@h h"})
    CHECK_MESSAGE(refused(text).code == errc::malformed, text);
  CHECK(refused("amqp://u:s3cret@h:x").message.find("s3cret") == std::string::npos);
}

TEST_CASE("broker_address: shown is without who we are") {
  CHECK(shown(parsed("amqps://u:s3cret@h/v")) == "amqps://h:5671/v");
  CHECK(shown(parsed("nats://s3cret@h")) == "nats://h:4222");
  CHECK(shown(parsed("tls://u:s3cret@[::1]")) == "tls://[::1]:4222");
}

TEST_CASE("broker_address: a file holds who we are, in one line") {
  auto a = parsed("amqp://h");
  CHECK(add_credentials(a, "u:p:w%2F\n", "file").has_value());
  CHECK(a.user == "u");
  CHECK(a.password == "p:w%2F");
  auto n = parsed("nats://h");
  CHECK(add_credentials(n, "t0ken\r\n", "file").has_value());
  CHECK(n.token == "t0ken");
  CHECK(add_credentials(n, "u:p", "file").error().field == "file"); // it has one already
  for (auto text : {"", "\n", "u", "u:p\nx", ":p"}) {
    auto fresh = parsed("amqp://h");
    CHECK_MESSAGE(!add_credentials(fresh, text, "file"), text);
  }
}
