#include "tests/api/client.hpp"

#include <doctest/doctest.h>

#include <thread>

using namespace framemill;
using namespace framemill::test;

namespace {

tc3::client_request get_events(const api_fixture& f, std::string query, std::string path) {
  auto r = f.request("", "", "");
  r.method = "GET";
  r.path = std::move(path);
  r.query = std::move(query);
  r.content_type = "application/x-www-form-urlencoded";
  return r;
}

event_record event(std::uint64_t id, std::uint64_t run = 1) {
  event_record e;
  e.id = {id};
  e.run = {run};
  e.type = "run.state";
  return e;
}

/// The ids of the next `n` events.
std::vector<std::uint64_t> ids(raw_client& client, int n) {
  std::vector<std::uint64_t> out;
  for (int i = 0; i < n; ++i) {
    auto text = client.read_until("\n\n");
    auto at = text.find("data: ");
    if (at == std::string::npos)
      break;
    out.push_back(json::parse(text.substr(at + 6))["Id"]);
  }
  return out;
}

void wait_for_followers(const api_fixture& f, std::size_t n) {
  while (f.system.followers() != n)
    std::this_thread::yield();
}

} // namespace

TEST_CASE("/events: past events come first, then those that happen") {
  api_fixture f;
  for (std::uint64_t i = 1; i <= 3; ++i)
    f.system.publish(event(i));
  raw_client client{f.server->port()};

  client.send(f.signed_bytes(get_events(f, "after=1", "/events")));
  CHECK(client.read_until("\r\n\r\n").find("Content-Type: text/event-stream") !=
        std::string::npos);
  CHECK(ids(client, 2) == std::vector<std::uint64_t>{2, 3});
  wait_for_followers(f, 1);
  f.system.publish(event(4));
  f.system.publish(event(5));

  CHECK(ids(client, 2) == std::vector<std::uint64_t>{4, 5});
}

TEST_CASE("/events: a past longer than the backlog comes whole") {
  http_server_options options;
  options.backlog_items_max = 600;
  api_fixture f{options};
  for (std::uint64_t i = 1; i <= 2500; ++i)
    f.system.publish(event(i));
  raw_client client{f.server->port()};

  client.send(f.signed_bytes(get_events(f, "", "/events")));
  client.read_until("\r\n\r\n");
  auto got = ids(client, 2500);

  REQUIRE(got.size() == 2500);
  CHECK(got.front() == 1);
  CHECK(got.back() == 2500);
}

TEST_CASE("/events: one run's only, and from where the client was") {
  api_fixture f;
  for (std::uint64_t i = 1; i <= 6; ++i)
    f.system.publish(event(i, i % 2));
  raw_client client{f.server->port()};

  client.send(f.signed_bytes(get_events(f, "run=1", "/events"), {{"Last-Event-ID", "2"}}));
  client.read_until("\r\n\r\n");

  CHECK(ids(client, 2) == std::vector<std::uint64_t>{3, 5});
}

TEST_CASE("/events: the feed ends with its client") {
  api_fixture f;
  {
    raw_client client{f.server->port()};
    client.send(f.signed_bytes(get_events(f, "", "/events")));
    wait_for_followers(f, 1);
  }
  wait_for_followers(f, 0);
  CHECK(f.system.followers() == 0);
}

TEST_CASE("/events: needs a signature, over `/events` or over `/`") {
  api_fixture f;
  auto r = get_events(f, "after=0", "/events");

  auto unsigned_answer = f.exchange("GET /events HTTP/1.1\r\nHost: h\r\n\r\n");
  CHECK(unsigned_answer.status == 401);
  CHECK(code_in(unsigned_answer) == "AuthFailure.InvalidAuthorization");
  auto other = tc3::sign(r, {credential.secret_id, "wrong"});
  CHECK(f.exchange(bytes_of("GET /events?after=0", other, "")).status == 401);

  r.path = "/"; // as a client that knows only the API's one path signs
  raw_client client{f.server->port()};
  client.send(bytes_of("GET /events?after=0", tc3::sign(r, credential), ""));
  CHECK(client.read_until("\r\n\r\n").starts_with("HTTP/1.1 200"));
}

TEST_CASE("/events: a parameter that is no number is refused") {
  api_fixture f;
  CHECK(f.exchange(f.signed_bytes(get_events(f, "after=x", "/events"))).status == 400);
}

TEST_CASE("/events: streams end when the server stops") {
  api_fixture f;
  raw_client client{f.server->port()};
  client.send(f.signed_bytes(get_events(f, "", "/events")));
  client.read_until("\r\n\r\n");
  wait_for_followers(f, 1);

  f.server->stop();

  CHECK(client.is_closed());
  CHECK(f.system.followers() == 0);
}
