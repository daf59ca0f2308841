#include "notify/amqp_driver.hpp"
#include "notify/nats_driver.hpp"
#include "tests/support/broker_consumer.hpp"
#include "tests/support/broker_process.hpp"
#include "tests/support/crash_scale.hpp"
#include "tests/support/http_receiver.hpp"
#include "tests/system/fixture.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <set>
#include <thread>

// Notifications through real brokers, read with the clients that their users have,
// while the brokers are killed and frozen.

using namespace framemill;
using namespace framemill::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

bool can_run(bool has_server) {
  if (has_server && has_broker_clients())
    return true;
  MESSAGE(
      "skipped: needs the server (tools/install-dependencies --brokers) and the clients (npm "
      "install in tests/sdk, or FRAMEMILL_SDK_DIR)");
  return false;
}

outgoing_message message(std::uint64_t event, std::uint64_t run, const std::string& body,
                         const std::string& tag = "WorkflowTask") {
  outgoing_message m;
  m.body = body;
  m.attributes["EventId"] = {"Number", std::to_string(event)};
  m.attributes["RunId"] = {"Number", std::to_string(run)};
  m.attributes["EventType"] = {"String", tag};
  m.tags = {tag};
  return m;
}

result<void> sent(queue_driver& d, const std::string& queue, outgoing_message m) {
  std::promise<result<void>> told;
  d.send(queue, std::move(m), [&](result<void> r) { told.set_value(std::move(r)); });
  return told.get_future().get();
}
result<void> published(queue_driver& d, const std::string& topic, outgoing_message m) {
  std::promise<result<void>> told;
  d.publish(topic, std::move(m), [&](result<void> r) { told.set_value(std::move(r)); });
  return told.get_future().get();
}
void check_success(const result<void>& r) { CHECK_MESSAGE(r, (r ? "" : r.error().message)); }

broker_options options(const std::string& address) {
  broker_options o;
  o.address = parse_broker_address(address, "queue").value();
  o.origin = "test";
  return o;
}

/// TLS trusts who is named, and nobody else.
template <class Make>
void check_tls(Make make, const std::string& address, const certificate& trusted) {
  auto o = options(address);
  auto refused = sent(*make(o), "q", message(1, 1, "{}"));
  REQUIRE(!refused);
  MESSAGE(refused.error().message);
  o.ca_file = trusted.file;
  check_success(sent(*make(o), "tls", message(1, 1, "{}")));
}

std::uint64_t number(const json& v) {
  return v.is_string() ? std::stoull(v.get<std::string>()) : v.get<std::uint64_t>();
}

/// Runs whose events are sent as the NOTIFIER does: one after the other within a run,
/// each again until it is confirmed.
class runs_in_parallel {
public:
  static constexpr std::uint64_t runs = 16;
  static inline const std::uint64_t events = crash_events() / runs; ///< of each

  explicit runs_in_parallel(queue_driver& driver) {
    for (std::uint64_t run = 1; run <= runs; ++run)
      threads_.emplace_back([this, &driver, run] { tell(driver, run); });
  }
  ~runs_in_parallel() { join(); }
  void join() {
    for (auto& t : threads_)
      t.join();
    threads_.clear();
  }
  std::atomic<std::size_t> confirmed = 0, failed = 0;

private:
  void tell(queue_driver& driver, std::uint64_t run) {
    for (std::uint64_t i = 0; i < events; ++i) {
      const auto event = i * runs + run;
      const auto text = std::to_string(event);
      while (!sent(driver, "q", message(event, run, "{\"Event\":" + text + "}"))) {
        ++failed;
        std::this_thread::sleep_for(20ms);
      }
      ++confirmed;
    }
  }
  std::vector<std::thread> threads_;
};

/// Every event at least once; repetitions are the same, and come before the next of
/// their run.
void check_complete(const std::vector<json>& got) {
  const auto all = runs_in_parallel::runs * runs_in_parallel::events;
  std::set<std::uint64_t> seen;
  std::map<std::uint64_t, std::uint64_t> last;
  std::size_t out_of_order = 0, wrong = 0;
  for (const auto& m : got) {
    const auto event = number(m["Attributes"]["EventId"]);
    const auto run = number(m["Attributes"]["RunId"]);
    seen.insert(event);
    out_of_order += event < last[run];
    last[run] = event;
    wrong += m["Body"] != "{\"Event\":" + std::to_string(event) + "}"
             || m["Id"] != "test-" + std::to_string(event)
             || event % runs_in_parallel::runs != run % runs_in_parallel::runs;
  }
  CHECK(seen.size() == all);
  CHECK(out_of_order == 0);
  CHECK(wrong == 0);
  MESSAGE("repetitions: " << got.size() - seen.size());
}

template <class Server>
void check_kill(queue_driver& driver, Server& server, const std::string& protocol,
                const std::string& address) {
  const auto all = runs_in_parallel::runs * runs_in_parallel::events;
  runs_in_parallel sending{driver};
  REQUIRE(eventually([&] { return sending.confirmed >= all / 4; }, 30s, 1ms));
  server.kill9();
  REQUIRE(sending.confirmed < all);
  server.start();
  sending.join();
  CHECK(sending.failed > 0);

  consumer c{protocol, address, "queue", "q"};
  check_complete(c.first(all));
}

/// Senders are answered while the broker does not move, and it goes on afterwards.
template <class Server, class Make>
void check_frozen(Make make, broker_options o, Server& server) {
  o.answer_limit = 1s;
  auto driver = make(o);
  check_success(sent(*driver, "frozen", message(1, 1, "{}")));
  server.freeze();
  CHECK(!sent(*make(o), "frozen", message(1, 1, "{}"))); // nor can one connect
  const auto begin = std::chrono::steady_clock::now();
  std::atomic<int> told = 0;
  for (std::uint64_t i = 2; i < 102; ++i)
    driver->send("frozen", message(i, i, std::string(50'000, 'x')),
                 [&](const result<void>& r) { told += !r; });
  const auto took = std::chrono::steady_clock::now() - begin;
  CHECK(took < 500ms); // nobody waits but the driver's thread
  CHECK(eventually([&] { return told == 100; }, 8s));
  server.thaw();
  CHECK(eventually([&] { return sent(*driver, "frozen", message(200, 1, "{}")).has_value(); },
                   20s));
}

/// A node that tells a broker: workflows for the queue `done` and the topic `changes`.
struct telling_node : node_fixture {
  explicit telling_node(const std::string& events)
      : node_fixture(
          {.config = "[events]\n" + events + "[egress]\nallow = [\"127.0.0.0/8\"]\n"}) {
    add({{"NotifyType", "TDMQ-CMQ"}, {"CmqModel", "Queue"}, {"QueueName", "done"}});
    add({{"NotifyType", "TDMQ-CMQ"},
         {"CmqModel", "Topic"},
         {"TopicName", "changes"},
         {"NotifyMode", "Change"}});
    add({{"NotifyType", "URL"}, {"NotifyUrl", web.url()}});
  }
  void add(const json& notify) {
    auto spec = workflow("w" + std::to_string(++workflows), quick_mp4());
    spec["TaskNotifyConfig"] = notify;
    (void)add_workflow(spec);
  }
  /// Every workflow has a run of it that fails at once: cheap, and an end as well.
  void run_rubbish(const std::string& name) const {
    write_file(media + "/in/" + name + ".mp4", "this is no media, " + name);
  }
  http_receiver web{http_receiver::always(200)};
  int workflows = 0;
};

/// `events`: the lines of its table in the node's configuration.
template <class Server>
void check_node(Server& server, queue_driver& helper, const std::string& protocol,
                const std::string& address, const std::string& events) {
  check_success(published(helper, "changes", message(1, 1, "{}"))); // there is one to listen to
  consumer changes{protocol, address, "topic", "changes", "WorkflowTask"};
  telling_node f{events};

  f.run_rubbish("a");
  consumer done{protocol, address, "queue", "done"};
  auto told = done.first(1);
  REQUIRE(told.size() == 1);
  auto body = parse_json(told[0]["Body"].get<std::string>()).value();
  CHECK(body["WorkflowTaskEvent"]["Status"] == "FINISH");
  CHECK(f.mps()("ParseNotification",
                {{"Content", told[0]["Body"]}})["WorkflowTaskEvent"]["TaskId"]
        == body["WorkflowTaskEvent"]["TaskId"]);
  const auto event = number(told[0]["Attributes"]["EventId"]);
  const auto id = told[0]["Id"].get<std::string>();
  CHECK(id.size() > 17);
  CHECK(id.substr(16) == "-" + std::to_string(event)); // behind the installation's
  CHECK(told[0]["Attributes"]["EventType"] == "WorkflowTask");
  std::uint64_t last = 0;
  REQUIRE(!changes.first(1).empty());
  for (const auto& m : changes.got()) {
    CHECK(number(m["Attributes"]["EventId"]) > last);
    last = number(m["Attributes"]["EventId"]);
  }

  REQUIRE(f.web.wait_for(1));
  server.freeze();
  f.run_rubbish("b");
  CHECK(f.web.wait_for(2)); // others are told meanwhile
  server.thaw();
  told = done.first(2);
  REQUIRE(told.size() >= 2);
  CHECK(number(told[1]["Attributes"]["RunId"]) > number(told[0]["Attributes"]["RunId"]));
  CHECK(f.node.log().find("s3cret") == std::string::npos);
}

void check_rabbitmq_messages(queue_driver& driver, const std::string& address) {
  check_success(sent(driver, "orders", message(7, 3, R"({"Text":"größer ✓"})")));
  check_success(published(driver, "news", message(8, 3, "nobody wants it")));
  consumer orders{"amqp", address, "queue", "orders"};
  consumer news{"amqp", address, "topic", "news", "WorkflowTask"};
  check_success(published(driver, "news", message(9, 3, "{}", "EditMediaTask")));
  check_success(published(driver, "news", message(10, 3, "{}")));
  auto got = orders.first(1);
  REQUIRE(got.size() == 1);
  CHECK(got[0]["Body"] == R"({"Text":"größer ✓"})");
  CHECK(got[0]["Id"] == "test-7");
  CHECK(got[0]["Type"] == "application/json");
  CHECK(got[0]["Mode"] == 2);
  CHECK(got[0]["Attributes"]["EventId"] == 7);
  CHECK(got[0]["Attributes"]["RunId"] == 3);
  CHECK(got[0]["Attributes"]["EventType"] == "WorkflowTask");
  auto told = news.first(1);
  REQUIRE(told.size() == 1);
  CHECK(told[0]["Key"] == "WorkflowTask");
  CHECK(told[0]["Attributes"]["EventId"] == 10);
}

void check_rabbitmq_refusals(const rabbitmq_server& server, const std::string& address) {
  auto o = options(address);
  o.create = false;
  auto fixed = make_amqp_driver(o);
  CHECK(sent(*fixed, "none", message(1, 1, "{}")).error().code == errc::not_found);
  CHECK(published(*fixed, "none", message(1, 1, "{}")).error().code == errc::not_found);
  check_success(sent(*fixed, "orders", message(12, 3, "{}"))); // the connection is whole
  auto stranger = make_amqp_driver(options("amqp://guest:wr0ng@" + server.host_and_port()));
  auto refused = sent(*stranger, "q", message(1, 1, "{}"));
  REQUIRE(!refused);
  CHECK(refused.error().message.find("wr0ng") == std::string::npos);
  MESSAGE(refused.error().message);
}

} // namespace

TEST_CASE(
    "a configuration that names no broker is refused by its field, without the password") {
  temp_dir dir;
  const auto open_file = dir.write("open", "framemill:s3cret\n");
  fs::permissions(open_file, fs::perms::others_read, fs::perm_options::add);
  int number = 0;
  const auto refused = [&](const std::string& events, const std::string& field) {
    const auto data = dir / ("data" + std::to_string(++number));
    daemon_process node{{.data_dir = data, .config = "[events]\n" + events}};
    CHECK(node.start_refused().exit_code > 0);
    CHECK_MESSAGE(node.log().find(field) != std::string::npos, node.log());
    CHECK_MESSAGE(node.log().find("s3cret") == std::string::npos, node.log());
  };

  refused("queue = \"kafka://framemill:s3cret@h\"", "queue must be");
  refused("queue = \"amqp://framemill:s3cret@h:x\"", "queue is no broker's address");
  refused("queue_create = false", "queue_create");
  refused("queue_credentials_file = \"x\"", "queue_credentials_file");
  const std::string file = "queue_credentials_file = \"" + open_file + "\"";
  refused("queue = \"nats://h\"\n" + file, "chmod");
  refused("queue = \"nats://h\"\nqueue_credentials_file = \"/none\"", "/none");
}

TEST_CASE("nats: queues and topics, as their own clients see them") {
  if (!can_run(has_nats_server()))
    return;
  temp_dir dir;
  nats_server server{dir / "nats", {"--user", "framemill", "--pass", "s3cret:word"}};
  server.start();
  const auto address = "nats://framemill:s3cret%3Aword@" + server.host_and_port();
  auto driver = make_nats_driver(options(address));

  check_success(sent(*driver, "orders", message(7, 3, R"({"Text":"größer ✓"})")));
  check_success(sent(*driver, "orders", message(7, 3, R"({"Text":"größer ✓"})"))); // told again
  check_success(published(*driver, "news", message(8, 3, "nobody wants it")));
  consumer orders{"nats", address, "queue", "orders"};
  consumer news{"nats", address, "topic", "news", "WorkflowTask"};
  check_success(published(*driver, "news", message(9, 3, "{}", "EditMediaTask")));
  check_success(published(*driver, "news", message(10, 3, "{}")));
  check_success(sent(*driver, "orders", message(11, 3, "last")));

  auto got = orders.first(2);
  REQUIRE(got.size() == 2); // the repetition was dropped
  CHECK(got[0]["Body"] == R"({"Text":"größer ✓"})");
  CHECK(got[0]["Id"] == "test-7");
  CHECK(got[0]["Type"] == "application/json");
  CHECK(got[0]["Attributes"]["EventId"] == "7");
  CHECK(got[0]["Attributes"]["RunId"] == "3");
  CHECK(got[0]["Attributes"]["EventType"] == "WorkflowTask");
  CHECK(orders.properties()["Retention"] == "workqueue");
  CHECK(orders.properties()["Storage"] == "file");
  auto told = news.first(1);
  REQUIRE(told.size() == 1);
  CHECK(told[0]["Key"] == "topic.news.WorkflowTask");
  CHECK(told[0]["Attributes"]["EventId"] == "10");
  CHECK(news.properties()["Retention"] == "interest");
}

TEST_CASE("nats: what is refused says why, without the password") {
  if (!can_run(has_nats_server()))
    return;
  temp_dir dir;
  nats_server server{dir / "nats", {"--user", "framemill", "--pass", "s3cret"}};
  server.start();

  auto o = options("nats://framemill:s3cret@" + server.host_and_port());
  o.create = false;
  auto fixed = make_nats_driver(o);
  CHECK(sent(*fixed, "none", message(1, 1, "{}")).error().code == errc::not_found);
  o.create = true;
  auto driver = make_nats_driver(o);
  auto large = sent(*driver, "q", message(1, 1, std::string(2 << 20, 'x')));
  CHECK(large.error().code == errc::too_large);
  auto stranger = make_nats_driver(options("nats://framemill:wr0ng@" + server.host_and_port()));
  auto refused = sent(*stranger, "q", message(1, 1, "{}"));
  REQUIRE(!refused);
  CHECK(refused.error().message.find("wr0ng") == std::string::npos);
  MESSAGE(refused.error().message);
}

TEST_CASE("nats: TLS") {
  if (!can_run(has_nats_server()))
    return;
  temp_dir dir;
  const certificate own{dir.path()};
  nats_server server{dir / "nats", {"--tls", "--tlscert", own.file, "--tlskey", own.key}};
  server.start();

  check_tls(make_nats_driver, "tls://localhost:" + std::to_string(server.port()), own);
}

TEST_CASE("nats: a node tells it; frozen, it holds up nobody") {
  if (!can_run(has_nats_server()))
    return;
  temp_dir dir;
  nats_server server{dir / "nats", {"--user", "framemill", "--pass", "s3cret"}};
  server.start();
  const auto address = "nats://framemill:s3cret@" + server.host_and_port();
  auto helper = make_nats_driver(options(address));
  const auto file = dir.write("credentials", "framemill:s3cret\n");
  fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);

  check_node(server, *helper, "nats", address,
             "queue = \"nats://" + server.host_and_port() + "\"\nqueue_credentials_file = \""
                 + file + "\"\n");
}

TEST_CASE("nats: killed among many messages, the broker has every one when it is back") {
  if (!can_run(has_nats_server()))
    return;
  temp_dir dir;
  nats_server server{dir / "nats"};
  server.start();
  const auto address = "nats://" + server.host_and_port();
  auto driver = make_nats_driver(options(address));

  check_kill(*driver, server, "nats", address);
  check_frozen(make_nats_driver, options(address), server);
}

TEST_CASE(
    "rabbitmq: queues and topics, refusals, TLS, a node; killed among many messages it has "
    "every one") {
  if (!can_run(has_rabbitmq_server()))
    return;
  temp_dir dir;
  const certificate own{dir.path()};
  rabbitmq_server server{dir / "rabbitmq", own};
  server.start(); // takes so long that all is done with one
  const auto address = "amqp://guest:guest@" + server.host_and_port();
  auto driver = make_amqp_driver(options(address));

  // Before the kill by far: RabbitMQ may forget a queue that is only seconds old.
  check_success(sent(*driver, "q", message(1, 1, "{\"Event\":1}")));
  check_rabbitmq_messages(*driver, address);
  check_rabbitmq_refusals(server, address);
  check_tls(make_amqp_driver, "amqps://" + server.tls_host_and_port(), own);
  server.control({"add_user", "framemill", "s3cret"});
  server.control({"set_permissions", "framemill", ".*", ".*", ".*"});
  check_node(server, *driver, "amqp", address,
             "queue = \"amqp://framemill:s3cret@" + server.host_and_port() + "\"\n");
  check_kill(*driver, server, "amqp", address);
  check_frozen(make_amqp_driver, options(address), server);
}
