#include "api/http_server.hpp"
#include "tests/api/client.hpp"

#include <doctest/doctest.h>

#include <future>
#include <thread>

using namespace framemill;
using namespace framemill::test;
using namespace std::chrono_literals;

namespace {

struct echo_fixture {
  std::unique_ptr<http_server> server;

  explicit echo_fixture(http_server_options options = {}, http_server::handler handler = {}) {
    if (!handler)
      handler = [](http_request r, std::shared_ptr<http_exchange> e) {
        e->respond({200, "text/plain", {}, r.too_large ? "too large" : r.path + " " + r.body});
      };
    auto started = http_server::start(options, handler);
    REQUIRE(started.has_value());
    server = std::move(*started);
  }
};

http_call::late_fn says(unsigned status, std::string body) {
  return [=] { return http_response{status, "text/plain", {}, body}; };
}

std::string get(std::string path) { return "GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n"; }

} // namespace

TEST_CASE("http_server: a connection serves one request after the other") {
  echo_fixture f;
  raw_client client{f.server->port()};

  client.send(get("/a"));
  CHECK(client.read().body == "/a ");
  client.send(bytes_of("POST /b", {{"Host", "h"}}, "text"));
  CHECK(client.read().body == "/b text");
}

TEST_CASE("http_server: pipelined requests are answered in order") {
  echo_fixture f;
  raw_client client{f.server->port()};

  client.send(get("/1") + bytes_of("POST /2", {{"Host", "h"}}, "two") + get("/3"));

  CHECK(client.read().body == "/1 ");
  CHECK(client.read().body == "/2 two");
  CHECK(client.read().body == "/3 ");
}

TEST_CASE("http_server: HTTP/1.0 and Connection: close end the connection") {
  echo_fixture f;
  for (auto* head :
       {"GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"}) {
    raw_client client{f.server->port()};
    client.send(head);
    CHECK(client.read().status == 200);
    CHECK(client.is_closed());
  }
}

TEST_CASE("http_server: what is not HTTP gets 400 and is cut off") {
  echo_fixture f;
  for (auto* text :
       {"hello there\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\x16\x03\x01\x02\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: many\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"}) {
    raw_client client{f.server->port()};
    client.send(text);
    CHECK_MESSAGE(client.read().status == 400, text);
    CHECK(client.is_closed());
  }
}

TEST_CASE("http_server: a header beyond the limit gets 431") {
  http_server_options options;
  options.header_bytes_max = 1024;
  echo_fixture f{options};
  raw_client client{f.server->port()};

  client.send("GET / HTTP/1.1\r\nX-Long: " + std::string(2000, 'x') + "\r\n\r\n");

  CHECK(client.read().status == 431);
}

TEST_CASE("http_server: a body beyond the limit reaches the handler as its head alone") {
  http_server_options options;
  options.body_bytes_max = 1000;
  echo_fixture f{options};

  SUBCASE("announced") {
    raw_client client{f.server->port()};
    client.send(bytes_of("POST /", {{"Host", "h"}}, std::string(5000, 'x')));
    CHECK(client.read().body == "too large");
  }
  SUBCASE("in chunks") {
    raw_client client{f.server->port()};
    client.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 10; ++i)
      client.send("c8\r\n" + std::string(200, 'x') + "\r\n");
    CHECK(client.read().body == "too large");
  }
  SUBCASE("exactly the limit is fine") {
    raw_client client{f.server->port()};
    client.send(bytes_of("POST /", {{"Host", "h"}}, std::string(1000, 'x')));
    CHECK(client.read().body.size() == 1002);
  }
}

TEST_CASE("http_server: a client that expects 100 Continue gets it") {
  echo_fixture f;
  raw_client client{f.server->port()};

  client.send(
      "POST /p HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  CHECK(client.read().status == 100);
  client.send("ab");

  CHECK(client.read().body == "/p ab");
}

TEST_CASE("http_server: a client that dribbles its header is cut off") {
  http_server_options options;
  options.header_timeout = 100ms;
  echo_fixture f{options};
  raw_client client{f.server->port()};

  client.send("GET / HT");

  CHECK(client.is_closed());
}

TEST_CASE("http_server: an idle connection is closed") {
  http_server_options options;
  options.idle_timeout = 100ms;
  echo_fixture f{options};
  raw_client client{f.server->port()};

  CHECK(client.is_closed());
}

TEST_CASE("http_server: a handler that never answers costs a 503") {
  http_server_options options;
  options.answer_timeout = 50ms;
  std::shared_ptr<http_exchange> kept;
  echo_fixture f{options, [&](http_request, std::shared_ptr<http_exchange> e) { kept = e; }};
  raw_client client{f.server->port()};

  client.send(get("/"));
  CHECK(client.read().status == 503);

  kept->respond({200, "text/plain", {}, "late"}); // is for nobody
  client.send(get("/"));
  CHECK(client.read().status == 503);
}

TEST_CASE("http_server: a handler may ask for more time than others have") {
  http_server_options options;
  options.answer_timeout = 50ms;
  std::promise<std::shared_ptr<http_call>> taken;
  std::shared_ptr<http_call> other;
  echo_fixture f{options, [&](http_request r, std::shared_ptr<http_call> e) {
                   if (r.path != "/slow")
                     return std::swap(other, e);
                   e->answer_within(60s, says(503, "too slow"));
                   taken.set_value(e);
                 }};
  raw_client slow{f.server->port()}, usual{f.server->port()};

  slow.send(get("/slow"));
  auto exchange = taken.get_future().get();
  usual.send(get("/"));
  CHECK(usual.read().status == 503); // its time is over, and so would be the other's
  exchange->respond({200, "text/plain", {}, "done"});

  CHECK(slow.read().body == "done");
}

TEST_CASE("http_server: a handler may have less time, and a word of its own at its end") {
  std::shared_ptr<http_call> kept;
  echo_fixture f{{}, [&](http_request r, std::shared_ptr<http_call> e) {
                   if (r.path != "/slow")
                     return e->respond({200, "text/plain", {}, "quick"});
                   e->answer_within(20ms, says(200, "too slow"));
                   kept = e;
                 }};
  raw_client client{f.server->port()};

  client.send(get("/slow"));
  CHECK(client.read().body == "too slow");

  kept->answer_within(1ms, says(200, "late")); // is for nobody
  client.send(get("/"));
  CHECK(client.read().body == "quick");
}

TEST_CASE("http_server: a request dropped without an answer gets 500") {
  echo_fixture f{{}, [](http_request, std::shared_ptr<http_exchange>) {}};
  raw_client client{f.server->port()};

  client.send(get("/"));

  CHECK(client.read().status == 500);
}

TEST_CASE("http_server: a port in use is named") {
  echo_fixture f;
  http_server_options options;
  options.listen = fmt::format("127.0.0.1:{}", f.server->port());

  auto second =
      http_server::start(options, [](http_request, std::shared_ptr<http_exchange>) {});

  REQUIRE_FALSE(second.has_value());
  CHECK(second.error().code == errc::in_use);
  CHECK(second.error().message.find(options.listen) != std::string::npos);
}

TEST_CASE("http_server: a bad address is refused") {
  for (auto* listen : {"", "7400", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000",
                       "example.org:80", "127.0.0.1:80x"}) {
    http_server_options options;
    options.listen = listen;
    auto server =
        http_server::start(options, [](http_request, std::shared_ptr<http_exchange>) {});
    REQUIRE_FALSE_MESSAGE(server.has_value(), listen);
    CHECK(server.error().code == errc::invalid_argument);
  }
}

TEST_CASE("http_server: stopping ends idle connections and lets requests finish") {
  std::promise<std::shared_ptr<http_exchange>> taken;
  echo_fixture f{{},
                 [&](http_request, std::shared_ptr<http_exchange> e) { taken.set_value(e); }};
  raw_client idle{f.server->port()};
  raw_client busy{f.server->port()};
  busy.send(get("/"));
  auto exchange = taken.get_future().get();

  std::thread stopper{[&] { f.server->stop(); }};
  CHECK(idle.is_closed());
  exchange->respond({200, "text/plain", {}, "done"});

  CHECK(busy.read().body == "done");
  stopper.join();
}

TEST_CASE("http_server: an answer that comes after the server went is dropped") {
  std::promise<std::shared_ptr<http_exchange>> taken;
  http_server_options options;
  options.stop_grace = 10ms;
  auto f = std::make_unique<echo_fixture>(
      options, [&](http_request, std::shared_ptr<http_exchange> e) { taken.set_value(e); });
  raw_client client{f->server->port()};
  client.send(get("/"));
  auto exchange = taken.get_future().get();

  f.reset();
  exchange->respond({200, "text/plain", {}, "late"});

  CHECK(client.read().status != 200);
}

TEST_CASE("http_server: a stream's slow reader is cut off at the bound") {
  http_server_options options;
  options.backlog_items_max = 10;
  std::promise<std::shared_ptr<http_stream>> opened;
  echo_fixture f{options, [&](http_request, std::shared_ptr<http_exchange> e) {
                   opened.set_value(e->stream({200, "text/event-stream", {}, ""}));
                 }};
  raw_client client{f.server->port()};
  client.send(get("/"));
  auto stream = opened.get_future().get();

  int written = 0;
  while (written < 1000 && stream->write(std::string(1u << 20, 'x')))
    ++written;

  CHECK(written < 1000);
  CHECK_FALSE(stream->write("more"));
}

TEST_CASE("http_server: a stream drops what it holds when the client goes") {
  std::promise<void> dropped;
  echo_fixture f{{}, [&](http_request, std::shared_ptr<http_exchange> e) {
                   auto stream = e->stream({200, "text/event-stream", {}, ""});
                   stream->hold({nullptr, [&](void*) { dropped.set_value(); }});
                   stream->write("data: 1\n\n");
                 }};
  {
    raw_client client{f.server->port()};
    client.send(get("/"));
    CHECK(client.read_until("data: 1\n\n") != "");
  }

  CHECK(dropped.get_future().wait_for(10s) == std::future_status::ready);
}

TEST_CASE("http_server: a quiet stream is kept alive by comments") {
  http_server_options options;
  options.heartbeat = 20ms;
  echo_fixture f{options, [](http_request, std::shared_ptr<http_exchange> e) {
                   e->stream({200, "text/event-stream", {}, ""});
                 }};
  raw_client client{f.server->port()};

  client.send(get("/"));

  CHECK(client.read_until(": still here\n\n: still here\n\n") != "");
}
