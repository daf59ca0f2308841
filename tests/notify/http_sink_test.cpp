#include "notify/http_sink.hpp"
#include "tests/support/http_receiver.hpp"

#include <doctest/doctest.h>

#include <future>

using namespace framemill;
using namespace framemill::test;
using namespace std::chrono_literals;

namespace {

using verdict = delivery_answer::verdict;
using words = std::vector<std::string>;

constexpr timestamp now{1'795'293'456LL * 1'000'000};

http_door_options reaching_loopback() {
  http_door_options o{*egress_policy::make(words{"127.0.0.0/8"}, words{}), ""};
  o.connect_limit = 1000ms;
  o.whole_limit = 1500ms;
  return o;
}

notification to(const std::string& url) {
  notification n;
  n.event = {17};
  n.run = {3};
  n.attempt = 2;
  n.body = R"({"EventType":"WorkflowTask"})";
  n.config.notify_type = "URL";
  n.config.notify_url = url;
  return n;
}

struct reached {
  explicit reached(http_door_options o = reaching_loopback())
      : door(make_http_sink(std::make_shared<http_door>(std::move(o)),
                            {[] { return words{"first secret", "second secret"}; },
                             [] { return now; }})) {}

  std::future<delivery_answer> send(notification n) {
    auto answered = std::make_shared<std::promise<delivery_answer>>();
    door->deliver(std::move(n), [answered](delivery_answer a) { answered->set_value(a); });
    return answered->get_future();
  }
  delivery_answer post(const std::string& url) { return send(to(url)).get(); }

  std::unique_ptr<sink> door;
};

delivery_answer answer_to(http_receiver::handler h) {
  http_receiver receiver{std::move(h)};
  return reached{}.post(receiver.url());
}

} // namespace

TEST_CASE("http_sink: a notification is a signed POST with its ids") {
  http_receiver receiver{http_receiver::always(204)};
  reached r;

  auto n = to(receiver.url("/hook?x=1"));
  n.config.notify_key = "key of the workflow";
  auto answer = r.send(n).get();

  CHECK(answer.what == verdict::delivered);
  REQUIRE(receiver.requests().size() == 1);
  auto got = receiver.requests()[0];
  CHECK(got.method == "POST");
  CHECK(got.path == "/hook?x=1");
  CHECK(got.headers["content-type"] == "application/json");
  CHECK(got.headers["framemill-event-id"] == "17");
  CHECK(got.headers["framemill-run-id"] == "3");
  CHECK(got.headers["framemill-attempt"] == "2");
  CHECK(got.headers["framemill-signature"].starts_with("t=1795293456,v1="));
  CHECK(got.body.find(R"("Sign":"73ecd5b95e71af825251060e7754e136")") != std::string::npos);
  CHECK_FALSE(got.headers.contains("expect"));
}

TEST_CASE("http_sink: what is signed is what is sent") {
  http_receiver receiver{http_receiver::always(200)};

  CHECK(reached{}.post(receiver.url()).what == verdict::delivered);

  auto got = receiver.requests().at(0);
  CHECK(got.body == R"({"EventType":"WorkflowTask"})");
  CHECK(got.headers["framemill-signature"]
        == "t=1795293456,"
           "v1=3c721ed803363bdda232d562ba9dbdec2d52db158631cb3663fec2a4ee328c6e,"
           "v1=87e3c1d175bf875842fd9d0de164f9e1261c4f6c60b9de0c37dae975cd01cbc1");
}

TEST_CASE("http_sink: the status decides") {
  auto answer = [](int status, std::string body = {}) {
    http_answer a;
    a.status = status;
    a.body = std::move(body);
    return judge(a);
  };
  auto of = [&](int status) { return answer(status).what; };
  for (int status : {200, 201, 202, 204, 299})
    CHECK(of(status) == verdict::delivered);
  for (int status : {408, 425, 429, 500, 502, 503, 504, 599})
    CHECK(of(status) == verdict::again);
  for (int status : {300, 301, 302, 307, 308, 400, 401, 403, 404, 405, 410, 413, 422, 451})
    CHECK(of(status) == verdict::parked);
  CHECK(answer(400, "bad\nthing").why == "HTTP 400: bad thing");
  CHECK(answer(302, "x").why.find("not followed") != std::string::npos);
}

TEST_CASE("http_sink: an answer with trailers has arrived") {
  auto answer = answer_to([](const received_request&, http_peer& peer) {
    peer.send("HTTP/1.1 100 Continue\r\n\r\n"
              "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n"
              "2\r\nok\r\n0\r\nX-T: 1\r\n\r\n");
  });
  CHECK(answer.what == verdict::delivered);
}

TEST_CASE("http_sink: Retry-After is told, in seconds or as a date") {
  auto seconds = answer_to(http_receiver::always(503, "Retry-After: 120"));
  CHECK(seconds.what == verdict::again);
  CHECK(seconds.not_before == 120s);
  CHECK_FALSE(answer_to(http_receiver::always(503)).not_before);
  CHECK_FALSE(answer_to(http_receiver::always(503, "Retry-After: soon")).not_before);

  char date[64];
  auto in_an_hour = std::time(nullptr) + 3600;
  std::strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", std::gmtime(&in_an_hour));
  auto at = answer_to(http_receiver::always(429, std::string{"Retry-After: "} + date));
  REQUIRE(at.not_before);
  CHECK(*at.not_before > 3590s);
  CHECK(*at.not_before <= 3600s);
}

TEST_CASE("http_sink: connections are used again") {
  http_receiver receiver{http_receiver::always(200, "", "thanks")};
  reached r;
  for (int i = 0; i < 5; ++i)
    CHECK(r.post(receiver.url()).what == verdict::delivered);
  CHECK(receiver.connections() == 1);
}

TEST_CASE("http_sink: a redirect is not followed") {
  http_receiver inner{http_receiver::always(200)};
  http_receiver outer{http_receiver::always(307, "Location: " + inner.url())};

  CHECK(reached{}.post(outer.url()).what == verdict::parked);
  CHECK(inner.requests().empty());
}

TEST_CASE("http_sink: nobody listens: again") {
  std::uint16_t port = http_receiver{http_receiver::always(200)}.port();
  auto answer = reached{}.post("http://127.0.0.1:" + std::to_string(port) + "/");
  CHECK(answer.what == verdict::again);
  CHECK_FALSE(answer.why.empty());
}

TEST_CASE("http_sink: an address that may not be connected to is parked, whatever its name") {
  http_receiver receiver{http_receiver::always(200)};
  auto o = reaching_loopback();
  o.egress = *egress_policy::make(words{}, words{});
  reached r{std::move(o)};
  auto port = std::to_string(receiver.port());
  for (const auto* host : {"127.0.0.1", "localhost", "127.1", "0x7f000001", "2130706433", "[::1]",
                           "[::ffff:127.0.0.1]", "0.0.0.0"}) {
    CAPTURE(host);
    auto answer = r.post(std::string{"http://"} + host + ":" + port + "/");
    CHECK(answer.what == verdict::parked);
    CHECK(answer.why.find("[egress] allow") != std::string::npos);
  }
  CHECK(receiver.connections() == 0);
}

TEST_CASE("http_sink: a proxy of the environment is not asked") {
  http_receiver proxy{http_receiver::always(200)}, receiver{http_receiver::always(200)};
  ::setenv("http_proxy", proxy.url().c_str(), 1);

  CHECK(reached{}.post(receiver.url()).what == verdict::delivered);

  ::unsetenv("http_proxy");
  CHECK(proxy.requests().empty());
}

TEST_CASE("http_sink: no answer, or one that does not get past its header, is cut off: again") {
  auto silent = answer_to([](const auto&, http_peer& peer) {
    while (peer.pause(100ms)) {
    }
  });
  auto slow = answer_to([](const auto&, http_peer& peer) {
    for (char c : std::string{"HTTP/1.1 200 OK\r\nX-Slow: "} + std::string(1000, 'x'))
      if (!peer.send({&c, 1}) || !peer.pause(20ms))
        return;
  });
  CHECK(silent.what == verdict::again);
  CHECK(slow.what == verdict::again);
}

TEST_CASE("http_sink: a body that trickles or never ends does not undo its status") {
  auto trickle = answer_to([](const auto&, http_peer& peer) {
    (void)peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    while (peer.send("x") && peer.pause(20ms)) {
    }
  });
  std::atomic<std::size_t> sent = 0;
  auto endless = answer_to([&](const auto&, http_peer& peer) {
    (void)peer.send("HTTP/1.1 503 X\r\nRetry-After: 7\r\n\r\n");
    for (std::string piece(65536, 'x'); peer.send(piece); sent += piece.size()) {
    }
  });
  CHECK(trickle.what == verdict::delivered);
  CHECK(endless.what == verdict::again);
  CHECK(endless.not_before == 7s);
  CHECK(sent < 32u << 20);
}

TEST_CASE("http_sink: a header without end is cut off") {
  auto answer = answer_to([](const auto&, http_peer& peer) {
    (void)peer.send("HTTP/1.1 200 OK\r\n");
    for (int i = 0; peer.send("X-" + std::to_string(i) + ": y\r\n"); ++i) {
    }
  });
  CHECK(answer.what == verdict::again);
}

TEST_CASE("http_sink: what is not HTTP is again") {
  auto answer = answer_to([](const auto&, http_peer& peer) {
    (void)peer.send("SSH-2.0-x\r\n");
    (void)peer.pause(100ms);
  });
  CHECK(answer.what == verdict::again);
}

TEST_CASE("http_sink: one that hangs does not hold up another") {
  http_receiver hanging{[](const auto&, http_peer& peer) {
    while (peer.pause(100ms)) {
    }
  }};
  http_receiver good{http_receiver::always(200)};
  reached r;
  std::vector<std::future<delivery_answer>> stuck;
  for (int i = 0; i < 20; ++i)
    stuck.push_back(r.send(to(hanging.url())));
  REQUIRE(hanging.wait_for(20));

  CHECK(r.post(good.url()).what == verdict::delivered);
  CHECK(stuck[0].wait_for(0s) == std::future_status::timeout);
  for (auto& s : stuck)
    CHECK(s.get().what == verdict::again);
}

TEST_CASE("http_sink: what is under way when it ends is answered again") {
  http_receiver hanging{[](const auto&, http_peer& peer) {
    while (peer.pause(100ms)) {
    }
  }};
  auto o = reaching_loopback();
  o.whole_limit = 60s;
  o.transfers_max = 1;
  std::vector<std::future<delivery_answer>> answers;
  {
    reached r{std::move(o)};
    for (int i = 0; i < 3; ++i)
      answers.push_back(r.send(to(hanging.url())));
    REQUIRE(hanging.wait_for(1));
  }
  for (auto& a : answers) {
    REQUIRE(a.wait_for(0s) == std::future_status::ready);
    CHECK(a.get().what == verdict::again);
  }
}

TEST_CASE("http_sink: more than fit at once wait for their turn") {
  http_receiver receiver{http_receiver::always(200)};
  auto o = reaching_loopback();
  o.transfers_max = 3;
  reached r{std::move(o)};
  std::vector<std::future<delivery_answer>> answers;
  for (int i = 0; i < 200; ++i)
    answers.push_back(r.send(to(receiver.url())));
  for (auto& a : answers)
    CHECK(a.get().what == verdict::delivered);
  CHECK(receiver.connections() <= 3);
}

TEST_CASE("http_sink: a try that waited too long for its turn is not made") {
  http_receiver receiver{http_receiver::always(200)};
  auto n = to(receiver.url());
  n.may_begin = [] { return false; };

  auto late = reached{}.send(std::move(n)).get();

  CHECK(late.what == verdict::again);
  CHECK(late.why == "it waited too long for its turn");
  CHECK(receiver.connections() == 0);
}

TEST_CASE("http_sink: an address that is none is parked") {
  reached r;
  CHECK(r.post("http://").what == verdict::parked);
  CHECK(r.post("file:///etc/passwd").what == verdict::parked);
}
