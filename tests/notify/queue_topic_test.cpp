#include "core/limits.hpp"
#include "notify/push.hpp"
#include "tests/notify/queue_desk.hpp"

using namespace framemill;
using namespace framemill::test;
using namespace std::chrono_literals;

namespace {

using texts = std::vector<std::string>;

subscription_record subscription(std::string name, std::string endpoint, texts tags = {}) {
  subscription_record s;
  s.topic = "t";
  s.name = std::move(name);
  s.endpoint = std::move(endpoint);
  s.tags = std::move(tags);
  return s;
}

struct topic_desk : queue_desk {
  topic_desk() { REQUIRE(write(machine.create_topic(now, "t"))); }

  result<void> subscribe(subscription_record s, const std::string& dead_letters = "") {
    return write(machine.subscribe(now, std::move(s), dead_letters));
  }
  result<std::size_t> publish(const std::string& body, texts tags = {}) {
    auto made = machine.publish(now, "t", {body, {}, std::move(tags), {}}, "me");
    FM_CHECK(made);
    write(std::move(made->made));
    return made->each.size();
  }
};

} // namespace

TEST_CASE("topic: every subscribed queue has a copy of its own") {
  topic_desk d;
  d.create("a");
  d.create("b");
  REQUIRE(d.subscribe(subscription("to-a", "queue/a")));
  REQUIRE(d.subscribe(subscription("to-b", "queue/b")));

  CHECK(d.publish("x") == 2);

  CHECK(d.erase("a", receipt_of(d.receive("a").at(0))));
  CHECK(d.bodies("b") == texts{"x"});
}

TEST_CASE("topic: a filter passes messages with one of its tags, none passes all") {
  topic_desk d;
  for (const auto* name : {"all", "red", "warm"})
    d.create(name);
  REQUIRE(d.subscribe(subscription("1", "queue/all")));
  REQUIRE(d.subscribe(subscription("2", "queue/red", {"red"})));
  REQUIRE(d.subscribe(subscription("3", "queue/warm", {"red", "yellow"})));

  CHECK(d.publish("r", {"red", "big"}) == 3);
  CHECK(d.publish("y", {"yellow"}) == 2);
  CHECK(d.publish("b", {"blue"}) == 1);
  CHECK(d.publish("untagged") == 1);

  CHECK(d.bodies("all") == texts{"r", "y", "b", "untagged"});
  CHECK(d.bodies("red") == texts{"r"});
  CHECK(d.bodies("warm") == texts{"r", "y"});
}

TEST_CASE("topic: publishing wakes who waits at a subscribed queue") {
  topic_desk d;
  d.create("q");
  REQUIRE(d.subscribe(subscription("s", "queue/q")));
  auto waiting = d.ask("q", 30);

  REQUIRE(d.publish("x"));

  CHECK(d.served.at(waiting).value().size() == 1);
}

TEST_CASE("topic: an HTTP subscription has a queue of its own, that goes with it") {
  topic_desk d;
  d.create("dead");
  REQUIRE(d.subscribe(subscription("web", "http://example.com/hook"), "dead"));
  REQUIRE(d.publish("x"));

  CHECK(d.view("t/web").visible == 1);
  CHECK(d.view("t/web").record.settings.receives_max == 176);
  CHECK(d.machine.remove(d.now, "t/web").error().code == errc::in_use);
  d.restart();
  CHECK(d.bodies("t/web") == texts{"x"});
  REQUIRE(d.write(d.machine.unsubscribe("t", "web")));
  CHECK(d.machine.view("t/web").error().code == errc::not_found);
  d.pass(100ms);
  CHECK(d.books.messages.empty());
  CHECK(d.publish("y") == 0);
}

TEST_CASE("topic: a copy that no subscriber could be given goes to the dead-letter queue") {
  topic_desk d;
  d.create("dead");
  auto web = subscription("web", "http://example.com/hook");
  web.retry = push_retry::backoff;
  REQUIRE(d.subscribe(web, "dead"));
  REQUIRE(d.publish("x"));

  for (int i = 0; i < 3; ++i) {
    REQUIRE(d.receive("t/web", 1, 10).size() == 1);
    d.pass(10s);
  }

  CHECK(d.view("t/web").visible == 0);
  CHECK(d.bodies("dead") == texts{"x"});
}

TEST_CASE("topic: a queue with a subscription stays until it is unsubscribed") {
  topic_desk d;
  d.create("q");
  REQUIRE(d.subscribe(subscription("s", "queue/q")));

  CHECK(d.machine.remove(d.now, "q").error().code == errc::in_use);
  REQUIRE(d.write(d.machine.remove_topic("t")));
  CHECK(d.write(d.machine.remove(d.now, "q")));
  CHECK(d.books.subscriptions.empty());
  CHECK(d.machine.publish(d.now, "t", {"x", {}, {}, {}}, "").error().code == errc::not_found);
}

TEST_CASE("topic: subscriptions that cannot be are refused, with the field") {
  topic_desk d;
  d.create("q");
  auto refused = [&](const subscription_record& s, const std::string& dead = "") {
    auto r = d.subscribe(s, dead);
    REQUIRE_FALSE(r.has_value());
    return r.error().field;
  };

  CHECK(refused(subscription("s", "queue/none")) == "Queue");
  CHECK(refused(subscription("s", "queue/")) == "Endpoint");
  CHECK(refused(subscription("s", "ftp://x/")) == "Endpoint");
  CHECK(refused(subscription("s", "http://")) == "Endpoint");
  CHECK(refused(subscription("a b", "queue/q")) == "Name");
  CHECK(refused(subscription("s", "queue/q", {"1", "2", "3", "4", "5", "6"})) == "Tags");
  CHECK(refused(subscription("s", "queue/q", {std::string(17, 'x')})) == "Tags");
  CHECK(refused(subscription("s", "queue/q"), "q") == "DeadLetterQueue");
  CHECK(refused(subscription("s", "http://h/"), "none") == "DeadLetterQueue");
  auto elsewhere = subscription("s", "queue/q");
  elsewhere.topic = "none";
  CHECK(refused(elsewhere) == "Topic");
  REQUIRE(d.subscribe(subscription("s", "queue/q")));
  CHECK(refused(subscription("s", "queue/q")) == "Name");
  CHECK(d.machine.unsubscribe("t", "other").error().field == "Name");
}

TEST_CASE("topic: topics and subscriptions are listed, and survive") {
  topic_desk d;
  d.create("q");
  REQUIRE(d.write(d.machine.create_topic(d.now, "another")));
  REQUIRE(d.subscribe(subscription("s", "queue/q", {"a"})));
  CHECK(d.machine.create_topic(d.now, "t").error().code == errc::already_exists);

  d.restart();

  REQUIRE(d.machine.topics().size() == 2);
  auto t = d.machine.topic("t").value();
  REQUIRE(t.subscriptions.size() == 1);
  CHECK(t.subscriptions[0].tags == texts{"a"});
  CHECK(d.publish("x", {"a"}) == 1);
}

TEST_CASE("push: tries come ever later, or within twenty seconds") {
  using enum push_retry;

  CHECK(push_delay_seconds(exponential_decay, 1, 0) == 1);
  CHECK(push_delay_seconds(exponential_decay, 4, 0) == 8);
  CHECK(push_delay_seconds(exponential_decay, 10, 0) == 512);
  CHECK(push_delay_seconds(exponential_decay, 175, 0) == 512);
  CHECK(push_delay_seconds(backoff, 1, 0) == 10);
  CHECK(push_delay_seconds(backoff, 2, 0.999) == 20);
  std::int64_t all = 0;
  for (std::uint32_t i = 1; i < push_tries_max(exponential_decay); ++i)
    all += push_delay_seconds(exponential_decay, i, 0);
  CHECK(all > 23 * 3600);
  CHECK(all < 24 * 3600);
}

TEST_CASE("push: the raw format is the body alone") {
  auto s = subscription("web", "http://example.com/hook");
  received_message m;
  m.message.id = {7};
  m.message.body = "hello";
  m.receives = 3;
  s.format = push_format::raw;

  auto n = push_of(s, m);

  CHECK(n.body == "hello");
  CHECK(n.attempt == 3);
  CHECK(n.event.value == 7);
}
