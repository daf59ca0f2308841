#include "tests/support/chaos_proxy.hpp"

#include "storage/file_handle.hpp"
#include "tests/support/eventually.hpp"

#include <doctest/doctest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <thread>

using namespace framemill;
using namespace framemill::test;
using namespace std::chrono_literals;

namespace {

using steady = std::chrono::steady_clock;

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(port);
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return a;
}

/// A plain server and a client of it, with a proxy between them.
struct line {
  file_handle listener{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  std::unique_ptr<chaos_proxy> proxy;
  file_handle client, server;

  line() {
    auto any = loopback(0);
    socklen_t size = sizeof any;
    auto* a = reinterpret_cast<sockaddr*>(&any);
    REQUIRE(::bind(listener.get(), a, size) == 0);
    REQUIRE(::listen(listener.get(), 8) == 0);
    REQUIRE(::getsockname(listener.get(), a, &size) == 0);
    proxy = std::make_unique<chaos_proxy>("127.0.0.1:" + std::to_string(ntohs(any.sin_port)));
  }
  void dial() {
    client = file_handle{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    auto to = loopback(proxy->port());
    REQUIRE(::connect(client.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
  }
  void connect() {
    dial();
    server = file_handle{::accept(listener.get(), nullptr, nullptr)};
    REQUIRE(server);
  }
};

void say(const file_handle& s, const std::string& text) {
  REQUIRE(::send(s.get(), text.data(), text.size(), MSG_NOSIGNAL)
          == static_cast<ssize_t>(text.size()));
}

bool has_something(const file_handle& s, std::chrono::milliseconds limit) {
  pollfd p{s.get(), POLLIN, 0};
  return ::poll(&p, 1, static_cast<int>(limit.count())) > 0;
}

/// What comes, up to `size` bytes, or until the end; "reset" when that is how it ends.
std::string hear(const file_handle& s, std::size_t size) {
  std::string out;
  char buffer[65536];
  while (out.size() < size && has_something(s, 10s)) {
    auto n = ::recv(s.get(), buffer, std::min(sizeof buffer, size - out.size()), 0);
    if (n < 0)
      return errno == ECONNRESET ? "reset" : "error";
    if (n == 0)
      return out;
    out.append(buffer, static_cast<std::size_t>(n));
  }
  return out;
}

std::string noise(std::size_t size) {
  std::string out(size, '\0');
  for (std::size_t i = 0; i < size; ++i)
    out[i] = static_cast<char>(i * 2654435761u >> 13);
  return out;
}

} // namespace

TEST_CASE("chaos_proxy: without a rule bytes and ends pass in both directions") {
  line l;
  l.connect();
  auto much = noise(1 << 20);

  say(l.client, "ping");
  CHECK(hear(l.server, 4) == "ping");
  say(l.server, "pong");
  CHECK(hear(l.client, 4) == "pong");
  std::thread talking{[&] { say(l.client, much); }};
  CHECK(hear(l.server, much.size()) == much);
  talking.join();
  ::shutdown(l.client.get(), SHUT_WR);
  CHECK(hear(l.server, 1) == "");
  say(l.server, "bye");
  CHECK(hear(l.client, 3) == "bye");
  l.server = {};

  CHECK(hear(l.client, 1) == "");
  CHECK(l.proxy->bytes(flow::forward) == 4 + much.size());
  CHECK(l.proxy->bytes(flow::backward) == 7);
  CHECK(eventually([&] { return l.proxy->connections() == 0; }));
  CHECK(l.proxy->accepted() == 1);
}

TEST_CASE("chaos_proxy: a delay holds its direction back and keeps the order") {
  line l;
  l.connect();
  l.proxy->delay(300ms, 100ms, flow::forward);
  auto begin = steady::now();

  std::string all;
  for (int i = 0; i < 20; ++i) {
    say(l.client, std::to_string(i) + " ");
    all += std::to_string(i) + " ";
  }
  say(l.server, "at once");

  CHECK(hear(l.client, 7) == "at once");
  CHECK_FALSE(has_something(l.server, 0ms));
  CHECK(hear(l.server, all.size()) == all);
  CHECK(steady::now() - begin >= 200ms);
}

TEST_CASE("chaos_proxy: a throttle bounds the rate of its direction") {
  line l;
  l.connect();
  l.proxy->throttle(200'000, flow::backward);
  auto much = noise(60'000);
  auto begin = steady::now();

  say(l.server, much);

  CHECK(hear(l.client, much.size()) == much);
  CHECK(steady::now() - begin > 250ms);
}

TEST_CASE("chaos_proxy: a blackhole of one direction holds bytes and ends until it is healed") {
  line l;
  l.connect();
  l.proxy->blackhole(flow::forward);

  say(l.client, "held");
  ::shutdown(l.client.get(), SHUT_WR);
  say(l.server, "heard");

  CHECK(hear(l.client, 5) == "heard");
  CHECK_FALSE(has_something(l.server, 50ms));
  l.proxy->heal();
  CHECK(hear(l.server, 100) == "held");
}

TEST_CASE("chaos_proxy: nobody is dialled through a blackhole") {
  line l;
  l.proxy->blackhole();

  l.dial();
  say(l.client, "hello");

  CHECK_FALSE(has_something(l.listener, 50ms));
  l.proxy->heal();
  l.server = file_handle{::accept(l.listener.get(), nullptr, nullptr)};
  CHECK(hear(l.server, 5) == "hello");
}

TEST_CASE("chaos_proxy: the death of one side is not heard through a blackhole") {
  line l;
  l.connect();
  l.proxy->blackhole();
  linger at_once{1, 0};
  ::setsockopt(l.client.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);

  l.client = {};

  CHECK_FALSE(has_something(l.server, 50ms));
  l.proxy->heal();
  CHECK(hear(l.server, 1) == "reset");
}

TEST_CASE("chaos_proxy: a cut resets both sides, and the next connection passes") {
  line l;
  l.connect();

  l.proxy->cut();

  CHECK(hear(l.client, 1) == "reset");
  CHECK(hear(l.server, 1) == "reset");
  l.connect();
  say(l.client, "again");
  CHECK(hear(l.server, 5) == "again");
}

TEST_CASE("chaos_proxy: refusing resets new connections and leaves the old ones") {
  line l;
  l.connect();
  l.proxy->refuse();
  auto old = std::move(l.client);

  l.dial();

  CHECK(hear(l.client, 1) == "reset");
  say(old, "still here");
  CHECK(hear(l.server, 10) == "still here");
}

TEST_CASE("chaos_proxy: exactly one bit is damaged, where it was asked for") {
  line l;
  l.connect();
  say(l.client, "before");
  CHECK(hear(l.server, 6) == "before");
  l.proxy->flip_byte(70'000, flow::forward);
  auto much = noise(100'000);

  std::thread talking{[&] { say(l.client, much); }};
  auto heard = hear(l.server, much.size());
  talking.join();

  much[70'000] ^= 0x10;
  CHECK((heard == much));
  CHECK(l.proxy->flipped() == 1);
}

TEST_CASE("chaos_proxy: a target that is not there resets who dials") {
  line l;
  l.listener = {};

  l.dial();

  CHECK(hear(l.client, 1) == "reset");
}
