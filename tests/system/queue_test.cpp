#include "tests/system/fixture.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <mutex>
#include <set>
#include <thread>

// The embedded queue of a real daemon: as people use it, and while it is killed.

using namespace framemill;
using namespace framemill::test;
using namespace std::chrono_literals;

namespace {

constexpr int messages_max = 10'000;
constexpr int batch = 16;
constexpr int kills = 6;

/// What clients were told, by all of them.
struct told {
  std::mutex mutex;
  std::set<std::string> acknowledged;   ///< bodies
  std::set<std::string> received;       ///< bodies
  std::set<std::uint64_t> deleted;      ///< ids whose deletion was acknowledged
  std::vector<std::uint64_t> came_back; ///< ids received after that

  [[nodiscard]] std::size_t acknowledged_count() {
    std::lock_guard lock{mutex};
    return acknowledged.size();
  }
  [[nodiscard]] bool is_complete() {
    std::lock_guard lock{mutex};
    return received.size() == messages_max && acknowledged.size() == messages_max;
  }
};

/// Senders and receivers that go on through every death of the daemon.
class clients {
public:
  explicit clients(const daemon_process& node) : node_(node) {
    for (int i = 0; i < 2; ++i) {
      threads_.emplace_back([this] { send(); });
      threads_.emplace_back([this] { receive(); });
    }
  }
  ~clients() { stop(); }

  void stop() {
    stopping_ = true;
    for (auto& t : threads_)
      t.join();
    threads_.clear();
  }
  told all;

private:
  /// Null when the daemon is dead, dies, or does not want to.
  json call(const std::string& action, const json& body) const {
    try {
      auto answer = mps_caller{node_.data_dir(), node_.endpoint(), 0, "2026-11-01"}(action, body);
      return answer.contains("Error") ? json{} : answer;
    } catch (const std::exception&) {
      std::this_thread::sleep_for(5ms); // nobody listens
      return {};
    }
  }

  /// Each batch again until it is acknowledged: then all of it is durable.
  void send() {
    for (int first = next_ += batch; first < messages_max + batch && !stopping_;
         first = next_ += batch) {
      json wanted = json::array();
      std::vector<std::string> bodies;
      for (int i = first - batch; i < std::min(first, messages_max); ++i) {
        bodies.push_back("message " + std::to_string(i));
        wanted.push_back({{"Body", bodies.back()}});
      }
      while (!stopping_ && call("SendMessages", {{"Queue", "q"}, {"Messages", wanted}}).is_null()) {
      }
      std::lock_guard lock{all.mutex};
      if (!stopping_)
        all.acknowledged.insert(bodies.begin(), bodies.end());
    }
  }

  void receive() {
    while (!stopping_) {
      auto answer = call("ReceiveMessages", {{"Queue", "q"}, {"Count", batch}, {"WaitSeconds", 1}});
      if (answer.is_null() || answer["Messages"].empty())
        continue;
      json receipts = json::array();
      for (const auto& m : answer["Messages"])
        receipts.push_back(note(m));
      auto deleted = call("DeleteMessages", {{"Queue", "q"}, {"Receipts", receipts}});
      std::lock_guard lock{all.mutex};
      for (std::size_t i = 0; !deleted.is_null() && i < receipts.size(); ++i)
        if (deleted["Results"][i]["Failure"].is_null())
          all.deleted.insert(answer["Messages"][i]["Id"].get<std::uint64_t>());
    }
  }

  json note(const json& m) {
    std::lock_guard lock{all.mutex};
    all.received.insert(m["Body"].get<std::string>());
    if (auto id = m["Id"].get<std::uint64_t>(); all.deleted.contains(id))
      all.came_back.push_back(id);
    return m["Receipt"];
  }

  const daemon_process& node_;
  std::atomic<int> next_{0};
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> threads_;
};

std::uint64_t held(const node_fixture& f) {
  auto q = f.ask({"queue", "show", "q"});
  return q["Visible"].get<std::uint64_t>() + q["InFlight"].get<std::uint64_t>();
}

} // namespace

TEST_CASE("queue: through six SIGKILLs no acknowledged message of 10,000 is lost, and no deleted "
          "one comes back") {
  node_fixture f;
  (void)f.ask({"queue", "create", "q", "--visibility", "3s"});
  clients c{f.node};

  for (int i = 1; i <= kills; ++i) {
    const auto at = static_cast<std::size_t>(messages_max * i / (kills + 1));
    REQUIRE(eventually([&] { return c.all.acknowledged_count() >= at; }, 180s));
    f.node.kill9();
    f.node.start();
  }
  CHECK(eventually([&] { return c.all.is_complete(); }, 180s));
  // What was received by a call that died is visible again after a while.
  CHECK(eventually([&] { return held(f) == 0; }, 60s, 200ms));
  c.stop();

  CHECK(c.all.acknowledged.size() == messages_max);
  CHECK(c.all.received.size() == messages_max);
  CHECK(c.all.came_back.empty());
  f.node.kill9();
  f.node.start();
  CHECK(held(f) == 0);
}

TEST_CASE("queue: a person makes one, sends, receives, deletes, and removes it") {
  node_fixture f;
  (void)f.ask({"queue", "create", "dead"});
  (void)f.ask({"queue", "create", "q", "--visibility", "10m", "--dead-letter", "dead",
               "--receives", "3"});
  auto sent = f.ask({"queue", "send", "q", "hello", "--attribute", "Colour=red", "--attribute",
                     "Size=2"});
  (void)f.ask({"queue", "send", "q", "--file", "-"}, "from a pipe");

  auto received = f.ask({"queue", "receive", "q", "--count", "16"})["Messages"];

  REQUIRE(received.size() == 2);
  CHECK(received[0]["Id"] == sent["Results"][0]["Id"]);
  CHECK(received[0]["Attributes"]["Colour"]["Value"] == "red");
  CHECK(received[0]["Attributes"]["Size"]["Value"] == "2");
  CHECK(received[1]["Body"] == "from a pipe");
  CHECK(f.command.plain({"queue", "list"}).output.find("dead") != std::string::npos);
  CHECK(f.command.plain({"queue", "show", "q"}).output.find("to dead after 3 receives")
        != std::string::npos);
  CHECK(f.command({"queue", "delete", "q", received[0]["Receipt"].get<std::string>()}).exit_code
        == 0);
  CHECK(f.command({"queue", "delete", "q", "nonsense"}).exit_code == 2);
  CHECK(f.command({"queue", "remove", "dead"}).exit_code == 4); // q's dead letters go there
  (void)f.ask({"queue", "set", "q", "--visibility", "1s"});
  CHECK(f.ask({"queue", "show", "q"})["Queue"]["Settings"]["VisibilitySeconds"] == 1);
  (void)f.ask({"queue", "purge", "q"});
  CHECK(f.ask({"queue", "receive", "q", "--wait", "0s"})["Messages"].empty());
  (void)f.ask({"queue", "remove", "q"});
  CHECK(f.command({"queue", "show", "q"}).exit_code == 3);
}

TEST_CASE("queue: receive --delete leaves nothing behind") {
  node_fixture f;
  (void)f.ask({"queue", "create", "q"});
  (void)f.ask({"queue", "send", "q", "once"});

  auto shown = f.command.plain({"queue", "receive", "q", "--delete"});

  CHECK(shown.output.find("once") != std::string::npos);
  CHECK(held(f) == 0);
}

TEST_CASE("topic: a person makes one, subscribes a queue, and publishes") {
  node_fixture f;
  (void)f.ask({"queue", "create", "q"});
  (void)f.ask({"topic", "create", "t"});
  (void)f.ask({"topic", "subscribe", "t", "mine", "queue/q", "--tag", "red", "--tag", "blue"});

  CHECK(f.ask({"topic", "publish", "t", "1", "--tag", "blue"})["Ids"].size() == 1);
  CHECK(f.ask({"topic", "publish", "t", "2", "--tag", "green"})["Ids"].empty());

  CHECK(f.ask({"queue", "receive", "q"})["Messages"][0]["Tags"] == json::array({"blue"}));
  CHECK(f.command.plain({"topic", "list"}).output.find("queue/q") != std::string::npos);
  (void)f.ask({"topic", "unsubscribe", "t", "mine"});
  (void)f.ask({"topic", "remove", "t"});
  CHECK(f.command({"topic", "publish", "t", "3"}).exit_code == 3);
}
