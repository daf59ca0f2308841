#include "notify/broker_driver.hpp"

#include "notify/nats_driver.hpp"

#include <doctest/doctest.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <future>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

using namespace framemill;
using namespace std::chrono_literals;

namespace {

/// A broker that does as the test says. Outlives its links.
struct fake_broker {
  std::mutex mutex;
  std::condition_variable changed;
  bool is_up = true;
  bool is_silent = false;
  int written = 0;
  std::set<std::string> queues{"q"};
  std::vector<std::string> stored; ///< bodies
  std::optional<error> create_fails;
};

class fake_link final : public broker_link {
public:
  fake_link(fake_broker& b, const wake_signal& w) : broker_(b), wake_(w) {}

  bool is_ready() override { return true; }
  result<void> write(const broker_message& m, const answer_fn& answer) override {
    std::unique_lock lock{broker_.mutex};
    if (!broker_.is_up)
      return fail(errc::unavailable, "it is down");
    ++broker_.written;
    broker_.changed.notify_all();
    if (broker_.is_silent)
      return {};
    const bool is_there = broker_.queues.contains(m.name);
    if (is_there)
      broker_.stored.push_back(m.body);
    lock.unlock();
    answer(m.ticket, is_there ? result<void>{} : fail(errc::not_found, "no queue {}", m.name));
    return {};
  }
  result<void> collect(std::chrono::milliseconds wait, const answer_fn&) override {
    wake_.wait(std::min<std::chrono::milliseconds>(wait, 5ms));
    std::lock_guard lock{broker_.mutex};
    if (!broker_.is_up)
      return fail(errc::unavailable, "it went down");
    return {};
  }
  result<void> create(const broker_message& m) override {
    std::lock_guard lock{broker_.mutex};
    if (broker_.create_fails)
      return failure{*broker_.create_fails};
    broker_.queues.insert(m.name);
    return {};
  }

private:
  fake_broker& broker_;
  const wake_signal& wake_;
};

/// A driver on it, and all that its senders were told.
struct bench {
  explicit bench(broker_options o = {}) {
    o.reconnect_min = 1ms;
    o.reconnect_max = 5ms;
    o.origin = "here";
    driver = make_broker_driver(
        [this](const wake_signal& w) -> result<std::unique_ptr<broker_link>> {
          std::lock_guard lock{broker.mutex};
          if (!broker.is_up)
            return fail(errc::unavailable, "nobody listens");
          return std::make_unique<fake_link>(broker, w);
        },
        o);
  }

  void send(const std::string& body, const std::string& queue = "q") {
    driver->send(queue, {body, {}, {}, {}}, [this](result<void> r) {
      std::lock_guard lock{mutex};
      told.push_back(std::move(r));
      changed.notify_all();
    });
  }
  result<void> answer(std::size_t number = 1) {
    std::unique_lock lock{mutex};
    REQUIRE(changed.wait_for(lock, 10s, [&] { return told.size() >= number; }));
    return told[number - 1];
  }
  void wait_until_written(int count) {
    std::unique_lock lock{broker.mutex};
    REQUIRE(broker.changed.wait_for(lock, 10s, [&] { return broker.written >= count; }));
  }
  void set(bool fake_broker::*what, bool to) {
    std::lock_guard lock{broker.mutex};
    broker.*what = to;
  }

  fake_broker broker;
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<result<void>> told;
  std::unique_ptr<queue_driver> driver;
};

outgoing_message event_message() {
  outgoing_message m;
  m.body = "{}";
  m.attributes["EventId"] = {"Number", "7"};
  m.tags = {"WorkflowTask"};
  return m;
}

} // namespace

TEST_CASE("broker_driver: a message is answered when the broker has it") {
  bench b;

  b.send("one");

  CHECK(b.answer().has_value());
  CHECK(b.broker.stored == std::vector<std::string>{"one"});
}

TEST_CASE("broker_driver: a queue that is missing is made, once asked for") {
  bench b;
  b.send("one", "new");
  CHECK(b.answer().has_value());

  bench fixed{{.create = false}};
  fixed.send("one", "new");
  CHECK(fixed.answer().error().code == errc::not_found);

  bench forbidden;
  forbidden.broker.create_fails = error{errc::unauthorized, "not allowed", {}};
  forbidden.send("one", "new");
  CHECK(forbidden.answer().error().code == errc::unauthorized);
}

TEST_CASE("broker_driver: nobody there is told at once, and it connects when somebody is") {
  bench b;
  b.set(&fake_broker::is_up, false);

  b.send("one");
  CHECK(b.answer().error().code == errc::unavailable);
  CHECK(b.answer().error().message.find("nats://") == 0);
  b.set(&fake_broker::is_up, true);
  auto last = b.answer();
  for (std::size_t i = 2; !last && i < 10'000; ++i) {
    b.send("again");
    last = b.answer(i);
  }

  CHECK(b.broker.stored == std::vector<std::string>{"again"});
}

TEST_CASE("broker_driver: what was written when the connection breaks is told so") {
  bench b;
  b.set(&fake_broker::is_silent, true);

  b.send("one");
  b.wait_until_written(1);
  b.set(&fake_broker::is_up, false);

  CHECK(b.answer().error().code == errc::unavailable);
}

TEST_CASE("broker_driver: silence ends with its limit") {
  bench b{{.answer_limit = 30ms}};
  b.set(&fake_broker::is_silent, true);

  b.send("one");

  CHECK(b.answer().error().code == errc::timed_out);
  b.set(&fake_broker::is_silent, false);
  b.send("two");
  CHECK(b.answer(2).has_value());
}

TEST_CASE("broker_driver: what is too much is busy, and the end answers everything once") {
  bench b{{.unanswered_max = 2, .waiting_max = 4}};
  b.set(&fake_broker::is_silent, true);
  for (int i = 0; i < 6; ++i)
    b.send("x");

  b.driver.reset();

  REQUIRE(b.told.size() == 6);
  std::map<errc, int> codes;
  for (const auto& r : b.told)
    ++codes[r.error().code];
  CHECK(codes[errc::busy] == 2);
  CHECK(codes[errc::unavailable] == 4);
}

TEST_CASE("broker_message: its id is the event's within this installation") {
  auto m = broker_message_of(queue_model::topic, "t", event_message(), "3f");
  REQUIRE(m.has_value());
  CHECK(m->id == "3f-7");
  CHECK(m->key == "WorkflowTask");
  CHECK(nats_subject(*m) == "topic.t.WorkflowTask");
  auto q = broker_message_of(queue_model::queue, "q", event_message(), "3f");
  CHECK(nats_subject(*q) == "queue.q");
  CHECK(broker_message_of(queue_model::queue, "q", {"x", {}, {}, {}}, "3f")->id.empty());
}

TEST_CASE("broker_message: what no broker takes is refused by the part at fault") {
  auto refused = [](std::string name, const outgoing_message& m) {
    auto r = broker_message_of(queue_model::topic, std::move(name), m, "");
    REQUIRE(!r);
    CHECK(r.error().code == errc::malformed);
    return r.error().field;
  };
  auto m = event_message();
  CHECK(refused("a.b", m) == "TopicName");
  CHECK(refused("", m) == "TopicName");
  for (auto tag : {"", "a.b", "*", ">", "#", "a b", "a\n"}) {
    m.tags = {tag};
    CHECK(refused("t", m) == "Tags");
  }
  m = event_message();
  m.delay_seconds = 1;
  CHECK(refused("t", m) == "DelaySeconds");
  m = event_message();
  m.attributes["Note"] = {"String", "two\r\nlines"};
  CHECK(refused("t", m) == "Attributes");
  m.attributes["Note"] = {"Binary", "\r\n"};
  CHECK(broker_message_of(queue_model::topic, "t", m, "").has_value());
}

TEST_CASE("nats: an answer is an acknowledgement, or says what is wrong") {
  CHECK(judge_nats_answer(R"({"stream":"queue-q","seq":4})").has_value());
  CHECK(judge_nats_answer(R"({"stream":"queue-q","seq":4,"duplicate":true})").has_value());
  auto of = [](std::string_view text) { return judge_nats_answer(text).error(); };
  CHECK(
      of(R"({"error":{"code":400,"err_code":10054,"description":"size"},"stream":"s","seq":0})")
          .code
      == errc::too_large);
  CHECK(
      of(R"({"error":{"code":503,"err_code":10077,"description":"maximum messages exceeded"}})")
          .message.find("maximum messages")
      != std::string::npos);
  for (auto text : {"", "+OK", "[]", "{}", R"({"stream":"s"})", R"({"stream":"s","seq":"4"})",
                    R"({"error":{}})", R"({"error":{"err_code":"x","description":3}})"})
    CHECK_MESSAGE(of(text).code == errc::unavailable, text);
}

TEST_CASE("nats: a server that falls silent in the midst of connecting is given up") {
  const int listening = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  REQUIRE(::bind(listening, reinterpret_cast<sockaddr*>(&at), size) == 0);
  REQUIRE(::listen(listening, 8) == 0);
  REQUIRE(::getsockname(listening, reinterpret_cast<sockaddr*>(&at), &size) == 0);
  std::jthread silent{[listening] {
    const std::string_view info =
        "INFO {\"server_id\":\"x\",\"proto\":1,\"headers\":true,\"max_payload\":1000}\r\n";
    for (int fd; (fd = ::accept(listening, nullptr, nullptr)) >= 0;)
      (void)!::write(fd, info.data(), info.size());
  }};
  broker_options o;
  o.address = {.host = "127.0.0.1", .port = ntohs(at.sin_port)};
  o.connect_limit = 200ms;
  std::promise<result<void>> told;
  {
    auto driver = make_nats_driver(o);
    driver->send("q", {"{}", {}, {}, {}},
                 [&](result<void> r) { told.set_value(std::move(r)); });
    auto answer = told.get_future();
    REQUIRE(answer.wait_for(10s) == std::future_status::ready);
    CHECK(answer.get().error().code == errc::unavailable);
  }
  ::shutdown(listening, SHUT_RDWR);
}
