#include "actors/fail_points.hpp"
#include "actors/queue_broker.hpp"
#include "core/json.hpp"
#include "notify/queue_sink.hpp"
#include "tests/support/actor_fixture.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace framemill::test;
using namespace std::chrono_literals;

namespace {

/// The answer to one call; none yet.
template <class T>
using answer_of = std::shared_ptr<std::optional<result<T>>>;

struct broker_fixture {
  explicit broker_fixture(durability d = durability::when_told) : services(d) { start(); }

  ~broker_fixture() { actors.kill(broker); } // its ticks would keep the system from ending
  void start() {
    broker = actors.system.spawn(queue_broker, &services.shared);
    queues = make_queue_service(broker);
    actors.drain();
  }
  /// The process dies with what was not written.
  void crash() {
    services.store->crash();
    actors.kill(broker);
    start();
  }
  void sync(std::size_t n = static_cast<std::size_t>(-1)) {
    services.store->sync(n);
    actors.drain();
  }

  template <class T, class Call>
  answer_of<T> ask(Call call) {
    auto out = begin<T>(std::move(call));
    actors.drain();
    return out;
  }
  /// The call is on its way, and nobody has looked at it yet.
  template <class T, class Call>
  answer_of<T> begin(Call call) {
    auto out = std::make_shared<std::optional<result<T>>>();
    call([out](result<T> r) {
      REQUIRE_MESSAGE(!out->has_value(), "answered twice");
      *out = std::move(r);
    });
    return out;
  }
  answer_of<void> create(const std::string& name, queue_settings s = {}) {
    return ask<void>([&](auto done) { queues->create_queue(name, s, done); });
  }
  using sent = answer_of<queue_service::each<message_id>>;
  sent send(const std::string& queue, const std::string& body) {
    auto out = begin_send(queue, body);
    actors.drain();
    return out;
  }
  sent begin_send(const std::string& queue, const std::string& body) {
    return begin<queue_service::each<message_id>>([&](auto done) {
      queues->send(queue, {{body, {}, {}, {}}}, "me", done);
    });
  }
  auto receive(const std::string& queue, std::int64_t wait = 0) {
    return ask<std::vector<received_message>>([&](auto done) {
      queues->receive(queue, {16, {}, wait}, done);
    });
  }
  auto erase(const std::string& queue, const std::string& receipt) {
    return ask<queue_service::each<void>>(
        [&](auto done) { queues->erase(queue, {receipt}, done); });
  }
  [[nodiscard]] std::uint64_t visible(const std::string& queue) {
    return ask<queue_view>([&](auto done) { queues->queue(queue, done); })
        ->value()
        .value()
        .visible;
  }
  void made(const std::string& name) {
    auto created = create(name);
    sync();
    REQUIRE(created->value().has_value());
  }

  virtual_actors actors;
  test_services services;
  caf::actor broker;
  std::unique_ptr<queue_service> queues;
};

notification notice(const std::string& body, const std::string& name = "q") {
  notification n;
  n.config.queue_name = n.config.topic_name = name;
  n.event = event_id{7};
  n.run = run_id{3};
  n.event_type = "WorkflowTask";
  n.body = body;
  return n;
}

/// Keeps what it is to deliver until a test answers.
class hand_sink final : public sink {
public:
  void deliver(notification n, done_fn done) override {
    waiting.emplace_back(std::move(n), std::move(done));
  }
  /// Answers the oldest.
  notification answer(delivery_answer::verdict v) {
    auto [n, done] = std::move(waiting.front());
    waiting.pop_front();
    done({v, "so the test says", {}});
    return n;
  }

  std::deque<std::pair<notification, done_fn>> waiting;
};

const error full{errc::no_space, "the disk is full", {}};
/// Fills a page of the broker's: what is sent with it is in another commit.
const std::string large(300'000, 'l');

/// A node that posts, over a store that is durable at once.
struct push_fixture : broker_fixture {
  push_fixture() : broker_fixture(durability::at_once) {
    auto owned = std::make_unique<hand_sink>();
    web = owned.get();
    services.shared.notices.sinks[sink_kind::http] = std::move(owned);
    REQUIRE(ask<void>([&](auto done) { queues->create_topic("t", done); })->value());
  }
  void subscribe(const std::string& url, const std::string& dead_letters = "") {
    subscription_record s;
    s.topic = "t";
    s.name = "s";
    s.endpoint = url;
    auto done = ask<void>([&](auto answer) { queues->subscribe(s, dead_letters, answer); });
    REQUIRE(done->value().has_value());
  }
  void fail(delivery_answer::verdict v = delivery_answer::verdict::again) {
    web->answer(v);
    actors.drain();
  }
  std::vector<subscription_trouble> troubles() {
    return ask<topic_view>([&](auto done) { queues->topic("t", done); })->value()->troubles;
  }
  void set_dead_letters(const std::string& name) {
    queue_settings s;
    s.dead_letter_queue = name;
    s.receives_max = name.empty() ? 0 : 176;
    auto done = ask<void>([&](auto answer) { queues->reset_queue("t/s", s, answer); });
    REQUIRE(done->value().has_value());
  }
  void publish(const std::string& body) {
    auto done = ask<std::vector<message_id>>(
        [&](auto answer) { queues->publish("t", {body, {}, {}, {}}, "", answer); });
    REQUIRE(done->value().has_value());
  }
  /// Visible and hidden messages of the subscription.
  std::pair<std::uint64_t, std::uint64_t> holds() {
    auto v = ask<queue_view>([&](auto done) { queues->queue("t/s", done); })->value().value();
    return {v.visible, v.in_flight};
  }

  hand_sink* web = nullptr;
};

/// It is a day later than it was.
struct day_later {
  day_later() { arm({"clock.now", 1, ~std::uint64_t{0}, fault_action::skew, 24h}); }
  ~day_later() { disarm_all(); }
};

} // namespace

TEST_CASE("queue_broker: nothing is answered before it is durable") {
  broker_fixture f;

  auto created = f.create("q");
  CHECK_FALSE(created->has_value());
  f.sync();
  CHECK(created->value().has_value());
  auto sent = f.send("q", "a");
  auto received = f.receive("q");
  CHECK_FALSE(sent->has_value());
  CHECK_FALSE(received->has_value());
  f.sync(1);
  CHECK(sent->has_value());
  CHECK_FALSE(received->has_value());
  f.sync();
  REQUIRE(received->value().value().size() == 1);

  const auto& m = received->value().value()[0];
  CHECK(m.message.body == "a");
  CHECK(m.message.sender == "me");
  auto erased = f.erase("q", m.receipt);
  auto again = f.erase("q", m.receipt);
  CHECK_FALSE(erased->has_value());
  CHECK_FALSE(again->has_value()); // though there is nothing more to write for it
  f.sync();
  CHECK(again->has_value());
}

TEST_CASE("queue_broker: sends do not wait for each other's commits") {
  broker_fixture f;
  f.made("q");

  auto first = f.send("q", "a");
  auto second = f.send("q", "b");

  CHECK(f.services.store->waiting() == 2);
  f.sync();
  CHECK(first->has_value());
  CHECK(second->has_value());
}

TEST_CASE("queue_broker: a crash loses what was not answered, and nothing else") {
  broker_fixture f;
  f.made("q");
  auto kept = f.send("q", "kept");
  f.sync();
  auto lost = f.send("q", "lost");

  f.crash();

  CHECK(kept->has_value());
  CHECK_FALSE(lost->has_value());
  auto received = f.receive("q");
  f.sync();
  REQUIRE(received->value().value().size() == 1);
  CHECK(received->value().value()[0].message.body == "kept");
}

TEST_CASE("queue_broker: a restart keeps deadlines and receive counts") {
  broker_fixture f;
  f.made("q");
  f.send("q", "a");
  auto received = f.receive("q");
  f.sync();

  f.crash();

  CHECK(f.visible("q") == 0);
  auto erased = f.erase("q", received->value().value()[0].receipt);
  f.sync();
  CHECK(erased->value().value()[0].has_value());
  CHECK_FALSE(f.services.find<message_record>(family::messages, keys::message_body({1})));
}

TEST_CASE("queue_broker: when the store refuses, all behind is refused, and the books are read") {
  broker_fixture f;
  f.made("q");
  f.send("q", "before");
  f.sync();
  auto waiting = f.receive("q", 20); // "before"; and one more that waits
  f.sync();
  auto parked = f.receive("q", 20);

  f.services.store->fail_next(1, full);
  auto refused = f.begin_send("q", large);
  auto behind = f.send("q", "behind"); // written, but nobody is told so

  CHECK(refused->value().error().code == errc::no_space);
  f.sync();
  CHECK(behind->value().error().code == errc::no_space);
  CHECK(parked->value().error().code == errc::no_space);
  CHECK(waiting->value().value().size() == 1);
  auto after = f.send("q", "after");
  f.sync();
  CHECK(after->value().has_value());
  auto received = f.receive("q");
  f.sync();
  std::vector<std::string> bodies;
  for (const auto& m : received->value().value())
    bodies.push_back(m.message.body);
  CHECK(bodies == std::vector<std::string>{"behind", "after"});
}

TEST_CASE("queue_broker: while a refused commit is sorted out, calls are told to come again") {
  broker_fixture f;
  f.made("q");
  f.services.store->fail_next(1, full);
  f.begin_send("q", large); // refused
  f.send("q", "behind"); // keeps a commit under way

  auto meanwhile = f.send("q", "meanwhile");

  CHECK(meanwhile->value().error().code == errc::unavailable);
  f.sync();
  auto after = f.send("q", "after");
  f.sync();
  CHECK(after->value().has_value());
}

TEST_CASE("queue_broker: a state whose body was refused is no message") {
  broker_fixture f;
  f.made("q");
  message_state orphan;
  orphan.id.value = orphan.place = 5;
  orphan.queue.value = 1;
  orphan.arrived = f.services.shared.clock.now();
  changes c;
  c.message_states.push_back(orphan);
  f.services.keep(std::move(c));
  f.crash();

  auto received = f.receive("q");
  f.sync();

  CHECK(received->value().value().empty());
  f.sync();
  CHECK_FALSE(f.services.find<message_state>(family::message_states, keys::of(message_id{5})));
}

TEST_CASE("queue_broker: time passes by ticks, and only while there is something to wait for") {
  broker_fixture f{durability::at_once};
  f.made("q");
  auto none = f.receive("q", 0);
  CHECK(none->value().value().empty());
  auto parked = f.receive("q", 20);

  f.actors.advance(100ms); // the clock stands still: nothing is due
  CHECK_FALSE(parked->has_value());
  f.send("q", "a");

  CHECK(parked->value().value().size() == 1);
}

TEST_CASE("queue_broker: a topic's copies are durable together") {
  broker_fixture f;
  f.made("a");
  f.made("b");
  f.ask<void>([&](auto done) { f.queues->create_topic("t", done); });
  for (const auto* queue : {"a", "b"}) {
    subscription_record s;
    s.topic = "t";
    s.name = queue;
    s.endpoint = std::string{"queue/"} + queue;
    f.ask<void>([&](auto done) { f.queues->subscribe(s, "", done); });
  }
  f.sync();

  auto published = f.ask<std::vector<message_id>>([&](auto done) {
    f.queues->publish("t", {"x", {}, {}, {}}, "me", done);
  });

  CHECK_FALSE(published->has_value());
  CHECK(f.services.store->waiting() == 1);
  f.sync();
  CHECK(published->value().value().size() == 2);
  CHECK(f.visible("a") == 1);
  CHECK(f.visible("b") == 1);
}

TEST_CASE("queue_sink: a notification is a message, delivered when it is durable") {
  broker_fixture f;
  f.made("q");
  auto driver = make_embedded_queue(*f.queues);
  auto to = make_queue_sink(*driver, queue_model::queue);
  std::optional<delivery_answer> told;

  to->deliver(notice("{}"), [&](delivery_answer a) { told = std::move(a); });
  f.actors.drain();

  CHECK_FALSE(told);
  f.sync();
  CHECK(told->what == delivery_answer::verdict::delivered);
  auto received = f.receive("q");
  f.sync();
  const auto& m = received->value().value().at(0).message;
  CHECK(m.body == "{}");
  CHECK(m.attributes.at("EventId").value == "7");
  CHECK(m.attributes.at("RunId").value == "3");
}

TEST_CASE("queue_sink: what may pass is tried again, what cannot is parked") {
  broker_fixture f;
  f.made("q");
  auto driver = make_embedded_queue(*f.queues);
  auto deliver = [&](queue_model model, const std::string& name, const std::string& body) {
    auto to = make_queue_sink(*driver, model);
    std::optional<delivery_answer> told;
    to->deliver(notice(body, name), [&](delivery_answer a) { told = std::move(a); });
    f.actors.drain();
    f.sync();
    REQUIRE(told);
    return told->what;
  };
  using enum delivery_answer::verdict;

  CHECK(deliver(queue_model::queue, "none", "{}") == again);
  CHECK(deliver(queue_model::topic, "none", "{}") == again);
  CHECK(deliver(queue_model::queue, "q", std::string(2 << 20, 'x')) == parked);
  f.services.store->fail_next(1, full);
  CHECK(deliver(queue_model::queue, "q", "{}") == again);
}

TEST_CASE("queue_sink: what is under way when it goes is to be tried again") {
  broker_fixture f;
  f.made("q");
  auto driver = make_embedded_queue(*f.queues);
  auto to = make_queue_sink(*driver, queue_model::queue);
  int answers = 0;
  to->deliver(notice("{}"), [&](const delivery_answer& a) {
    ++answers;
    CHECK(a.what == delivery_answer::verdict::again);
  });

  to.reset();
  f.sync();

  CHECK(answers == 1);
}

TEST_CASE("subscription_pusher: a published message is posted, and gone when it is delivered") {
  push_fixture f;
  f.subscribe("http://example.com/hook");
  f.publish("hello");

  REQUIRE(f.web->waiting.size() == 1);
  auto n = f.web->answer(delivery_answer::verdict::delivered);
  f.actors.drain();

  CHECK(n.config.notify_url == "http://example.com/hook");
  auto body = parse_json(n.body).value();
  CHECK(body["msgBody"] == "hello");
  CHECK(body["topicName"] == "t");
  CHECK(body["subscriptionName"] == "s");
  CHECK(f.holds() == std::pair<std::uint64_t, std::uint64_t>{0, 0});
}

TEST_CASE("subscription_pusher: what fails is hidden for a while, and goes on being tried") {
  push_fixture f;
  f.subscribe("http://example.com/hook");
  f.publish("first");
  f.publish("second");

  f.web->answer(delivery_answer::verdict::again);
  f.actors.drain();

  CHECK(f.holds() == std::pair<std::uint64_t, std::uint64_t>{0, 2}); // both are out
  REQUIRE(f.web->waiting.size() == 1); // the other does not wait for it
  f.web->answer(delivery_answer::verdict::delivered);
  f.actors.drain();
  CHECK(f.holds() == std::pair<std::uint64_t, std::uint64_t>{0, 1});
}

TEST_CASE("subscription_pusher: it goes with its subscription") {
  push_fixture f;
  f.subscribe("http://example.com/hook");
  f.publish("x");
  auto ended = f.ask<void>([&](auto done) { f.queues->unsubscribe("t", "s", done); });
  CHECK(ended->value().has_value());

  f.web->answer(delivery_answer::verdict::delivered); // nobody cares any more
  f.actors.drain();
  f.subscribe("http://example.com/other");
  f.publish("y");

  REQUIRE(f.web->waiting.size() == 1);
  CHECK(f.web->answer(delivery_answer::verdict::delivered).config.notify_url
        == "http://example.com/other");
}

TEST_CASE("subscription_pusher: after a restart it goes on by itself") {
  push_fixture f;
  f.subscribe("http://example.com/hook");
  f.web->waiting.clear();
  f.actors.kill(f.broker);
  f.start();

  f.publish("x");

  CHECK(f.web->waiting.size() == 1);
}

TEST_CASE("subscription_pusher: a message is given up after a day, however few its tries") {
  push_fixture f;
  f.made("dead");
  f.subscribe("http://example.com/hook", "dead");
  f.publish("x");

  {
    day_later then;
    f.fail();
  }

  CHECK(f.visible("dead") == 1);
  CHECK(f.holds() == std::pair<std::uint64_t, std::uint64_t>{0, 0});
}

TEST_CASE("subscription_pusher: what is given up without dead letters is gone") {
  push_fixture f;
  f.subscribe("http://example.com/hook");
  f.publish("x");

  {
    day_later then;
    f.fail();
  }

  CHECK(f.holds() == std::pair<std::uint64_t, std::uint64_t>{0, 0});
  CHECK(f.web->waiting.empty());
}

TEST_CASE("subscription_pusher: a dead-letter queue that came later is heeded") {
  push_fixture f;
  f.made("dead");
  f.subscribe("http://example.com/hook");
  f.publish("x");
  f.set_dead_letters("dead");

  {
    day_later then;
    f.fail();
  }

  CHECK(f.visible("dead") == 1);
}

TEST_CASE("subscription_pusher: when its dead letters are removed it drops, and does not spin") {
  push_fixture f;
  f.made("dead");
  f.subscribe("http://example.com/hook", "dead");
  f.publish("x");
  f.set_dead_letters("");

  {
    day_later then;
    f.fail();
  }

  CHECK(f.web->waiting.empty());
  CHECK(f.holds() == std::pair<std::uint64_t, std::uint64_t>{0, 0});
  CHECK(f.visible("dead") == 0);
}

TEST_CASE("subscription_pusher: a hopeless answer is tried again, and seen at the topic") {
  push_fixture f;
  f.subscribe("http://example.com/hook");
  f.publish("first");

  f.fail(delivery_answer::verdict::parked);

  CHECK(f.holds() == std::pair<std::uint64_t, std::uint64_t>{0, 1});
  REQUIRE(f.troubles().size() == 1);
  CHECK(f.troubles()[0].name == "s");
  CHECK(f.troubles()[0].last_error == "so the test says");
  CHECK(f.troubles()[0].since);
  auto all = f.ask<std::vector<topic_view>>([&](auto done) { f.queues->topics(done); });
  CHECK(all->value()->at(0).troubles == f.troubles());
  f.publish("second");
  f.fail(delivery_answer::verdict::delivered);
  CHECK(f.troubles().empty());
}

TEST_CASE("subscription_pusher: the troubles of a subscription end with it") {
  push_fixture f;
  f.subscribe("http://example.com/hook");
  f.publish("x");
  f.fail();
  REQUIRE(f.troubles().size() == 1);

  f.ask<void>([&](auto done) { f.queues->unsubscribe("t", "s", done); });

  CHECK(f.troubles().empty());
}

TEST_CASE("queue_broker: what a full subscriber misses is counted at the topic") {
  push_fixture f;
  queue_settings small;
  small.messages_max = 1;
  f.create("small", small);
  subscription_record s;
  s.topic = "t";
  s.name = "small";
  s.endpoint = "queue/small";
  f.ask<void>([&](auto done) { f.queues->subscribe(s, "", done); });
  f.subscribe("http://example.com/hook");
  for (int i = 0; i < 3; ++i)
    f.publish("x");

  REQUIRE(f.troubles().size() == 1);
  CHECK(f.troubles()[0].name == "small");
  CHECK(f.troubles()[0].missed == 2);
  CHECK(f.troubles()[0].missed_why.find("full") != std::string::npos);
  CHECK_FALSE(f.troubles()[0].since);
}
