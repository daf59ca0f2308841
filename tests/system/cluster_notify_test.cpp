#include "notify/signature.hpp"
#include "tests/support/cluster_process.hpp"
#include "tests/support/told_requests.hpp"
#include "tests/support/untold_events.hpp"
#include "tests/system/fixture.hpp"

#include <doctest/doctest.h>

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <random>
#include <set>

// A sink is told by whichever node is chosen; it dies, freezes, is cut off or drained,
// with deliveries on their way. Each event arrives, those of a run in order; what comes
// twice has the same id.

using namespace framemill;
using namespace framemill::test;
using namespace std::chrono_literals;

namespace {

const std::string own_loopback = "[egress]\nallow = [\"127.0.0.0/8\"]\n";
constexpr std::uint64_t shares = 8;

json telling(json spec, const std::string& url, const std::string& mode = "Change") {
  spec["TaskNotifyConfig"] = {{"NotifyType", "URL"}, {"NotifyMode", mode}, {"NotifyUrl", url}};
  return spec;
}

/// Takes its time with each request, and refuses as many as the test says.
struct slow_receiver : http_receiver {
  explicit slow_receiver(std::chrono::milliseconds time = 0ms)
      : slow_receiver(time, std::make_shared<std::atomic<int>>(0)) {}
  void refuse(int count) { *refusals = count; }

  std::shared_ptr<std::atomic<int>> refusals;

private:
  slow_receiver(std::chrono::milliseconds time, std::shared_ptr<std::atomic<int>> left)
      : http_receiver([=, no = always(503, "Retry-After: 1"),
                       yes = always(200)](const received_request& r, http_peer& peer) {
          if (peer.pause(time))
            left->fetch_sub(1) > 0 ? no(r, peer) : yes(r, peer);
        }),
        refusals(left) {}
};

/// A coordinator, and workers that tell its sinks.
struct told_fixture : node_fixture {
  cluster_process cluster;

  explicit told_fixture(int workers = 2, const std::string& where = "any",
                        const std::string& worker_config = own_loopback)
      : node_fixture({}, node_fixture::begin::stopped),
        cluster(node, {.directory = dir / "workers",
                       .config = worker_config,
                       .links = cluster_links::proxies}),
        where_(where) {
    start_coordinator();
    cluster.grow_to(workers);
    if (workers > 0)
      CHECK(eventually([&] { return crews_elsewhere() == shares; }));
  }
  void start_coordinator() {
    cluster.start_coordinator({"--notifiers", where_, "--egress-allow", "127.0.0.0/8"});
  }

  /// Shares that a worker tells; "" = any.
  [[nodiscard]] std::size_t crews_on(const std::string& name) const {
    std::size_t n = 0;
    for (const auto& node : cluster.nodes())
      for (const auto& s : node.value("Services", json::array()))
        if ((name.empty() || node["Name"] == name) && s["Service"]["Kind"] == "notifier")
          ++n;
    return n;
  }
  [[nodiscard]] std::size_t crews_elsewhere() const { return crews_on(""); }
  [[nodiscard]] json sink(const http_receiver& r) const {
    auto name = "http://127.0.0.1:" + std::to_string(r.port());
    for (const auto& s : cluster.call("DescribeSinks").value("Sinks", json::array()))
      if (s["Sink"] == name)
        return s;
    return json::object();
  }
  [[nodiscard]] std::string teller(const http_receiver& r) const {
    return sink(r).value("Node", "");
  }
  void await_teller_but(const http_receiver& r, const std::string& former) const {
    CHECK_MESSAGE(eventually(
                      [&] {
                        auto now = teller(r);
                        return !now.empty() && now != former;
                      },
                      15s),
                  sink(r).dump(1));
  }

  /// Each in a run of its own, of three events; they begin at once.
  void land(int from, int until) const {
    for (int i = from; i < until; ++i)
      drop(make_clip({.seconds = 1, .width = 160, .height = 90}),
           "in/" + std::to_string(i) + ".mp4");
  }
  /// Runs that are wanted to be told of, from the log.
  [[nodiscard]] std::set<std::uint64_t> told() const {
    std::set<std::uint64_t> out;
    for (const auto& run : runs())
      for (const auto& e : events(run["Id"])) {
        auto type = e.value("Type", ""), state = e.value("State", "");
        const bool over = state == "succeeded" || state == "failed" || state == "cancelled";
        if ((type == "run.state" && over)
            || (type == "job.state" && (over || state == "processing")))
          out.insert(e["Id"].get<std::uint64_t>());
      }
    return out;
  }
  /// Everything has arrived, in order, and no more than `repeated` twice.
  void check_all_told(const http_receiver& r, int files, std::size_t repeated) {
    for (int i = 0; i < files; ++i)
      CHECK(state_of(finish("in/" + std::to_string(i) + ".mp4")) == "succeeded");
    // Nothing is pending, too, before the OUTBOX has read what happened.
    CHECK_MESSAGE(eventually(
                      [&] {
                        return sink(r).value("Pending", 1) == 0
                               && distinct(r.requests()) == told();
                      },
                      60s),
                  sink(r).dump(1));
    const auto all = r.requests();
    CHECK(distinct(all) == told());
    CHECK(all.size() >= std::size_t(3 * files));
    CHECK(all.size() <= distinct(all).size() + repeated);
    check_order(all);
    CHECK(ask({"event", "dead", "list"})["DeadLetters"].empty());
    check_quiet(*this);
  }
  [[nodiscard]] std::vector<json> placements() const {
    auto all = ask({"event", "list", "--limit", "1000"})["Events"].get<std::vector<json>>();
    std::erase_if(all, [](const auto& e) { return e["Type"] != "service.placed"; });
    return all;
  }

private:
  std::string where_;
};

} // namespace

TEST_CASE("cluster notify: a worker tells a sink, signed, in order, and all can see it") {
  told_fixture f{2};
  slow_receiver receiver;
  (void)f.add_workflow(telling(workflow("w", quick_mp4()), receiver.url()));

  f.land(0, 2);
  f.check_all_told(receiver, 2, 0);

  auto shown = f.ask({"event", "sinks"})["Sinks"];
  REQUIRE(shown.size() == 1);
  const std::string node = shown[0]["Node"];
  CHECK((node == "w1" || node == "w2"));
  CHECK(shown[0]["Delivered"] == 6);
  CHECK(shown[0]["FailedTries"] == 0);
  auto secret = f.ask({"event", "key", "list", "--secrets"})["SigningKeys"][0]["Secret"];
  for (const auto& r : receiver.requests()) {
    const auto& said = r.headers.at("framemill-signature");
    timestamp at{std::stoll(said.substr(2)) * 1'000'000}; // t=UNIX,
    std::vector<std::string> secrets{secret};
    CHECK(said == signature_header(r.body, secrets, at));
  }
  auto placed = f.placements().back();
  CHECK(placed["Message"].get<std::string>().find("hosts notifier ") != std::string::npos);
  CHECK(f.node.log().find(secret.get<std::string>()) == std::string::npos);
  CHECK(f.cluster.worker(node).daemon.log().find(secret.get<std::string>())
        == std::string::npos);

  (void)f.ask({"event", "key", "rotate"});
  (void)f.ask({"event", "replay", "--from", "1", "--to", shown[0]["Sink"]});
  REQUIRE(receiver.wait_for(12));
  const auto signature = receiver.requests().back().headers.at("framemill-signature");
  CHECK(std::ranges::count(signature, ',') == 2); // both live keys
}

TEST_CASE("cluster notify: at whatever step of a delivery its node dies, each event arrives") {
  told_fixture f{3};
  slow_receiver receiver;
  (void)f.add_workflow(telling(workflow("w", quick_mp4()), receiver.url()));
  f.land(0, 1);
  f.check_all_told(receiver, 1, 0);

  int files = 1;
  for (std::string point : {"delivery.before", "delivery.before:3", "delivery.answered",
                            "delivery.answered:2", "delivery.delivered.written",
                            "delivery.delivered.written:2", "delivery.retry.written"}) {
    CAPTURE(point);
    const auto node = f.teller(receiver);
    if (point.starts_with("delivery.retry"))
      receiver.refuse(1);
    (void)f.ask({"fault", "arm", node, point});

    f.land(files, files + 1);
    ++files;
    CHECK(f.cluster.worker(node).daemon.wait_for_end().signal == SIGKILL);
    f.await_teller_but(receiver, node);

    f.check_all_told(receiver, files,
                     std::size_t(files + 1)); // one for each death, and the refused
    f.cluster.start(f.cluster.worker(node));
    f.cluster.await_up(node);
  }
}

TEST_CASE("cluster notify: the teller's node is killed while receivers take their time") {
  told_fixture f{3};
  slow_receiver receiver{700ms};
  (void)f.add_workflow(telling(workflow("w", quick_mp4()), receiver.url()));
  f.land(0, 4);
  REQUIRE(receiver.wait_for(3));
  const auto node = f.teller(receiver);

  f.cluster.worker(node).kill9();
  const auto killed = std::chrono::steady_clock::now();
  const auto before = receiver.requests().size();
  f.await_teller_but(receiver, node);
  CHECK(receiver.wait_for(before + 1));
  auto took = std::chrono::steady_clock::now() - killed;
  MESSAGE("told by another node after "
          << std::chrono::duration_cast<std::chrono::milliseconds>(took).count() << " ms");
  CHECK(took < 10s);

  f.check_all_told(receiver, 4, 8);
  CHECK(f.crews_on(f.teller(receiver)) >= 1);
}

TEST_CASE("cluster notify: a frozen teller is replaced, and settles nothing when it thaws") {
  told_fixture f{3};
  slow_receiver receiver{700ms};
  (void)f.add_workflow(telling(workflow("w", quick_mp4()), receiver.url()));
  f.land(0, 4);
  REQUIRE(receiver.wait_for(3));
  const auto node = f.teller(receiver);

  f.cluster.worker(node).freeze();
  f.await_teller_but(receiver, node);
  f.cluster.await_away(node);
  f.land(4, 6);
  f.cluster.worker(node).thaw();
  f.cluster.await_up(node);

  f.check_all_told(receiver, 6, 8);
  CHECK(f.teller(receiver) != node);
  CHECK(f.sink(receiver)["Delivered"] == f.told().size());
  CHECK(eventually([&] {
    return f.cluster.worker(node).daemon.log().find("ends here, epoch") != std::string::npos;
  }));
}

TEST_CASE("cluster notify: a teller that is cut off is replaced, and both sides heal") {
  told_fixture f{2};
  slow_receiver receiver{300ms};
  (void)f.add_workflow(telling(workflow("w", quick_mp4()), receiver.url()));
  f.land(0, 3);
  REQUIRE(receiver.wait_for(2));
  const auto node = f.teller(receiver);

  f.cluster.part(node);
  f.await_teller_but(receiver, node);
  f.cluster.heal();
  f.cluster.await_up(node);
  f.land(3, 4);

  f.check_all_told(receiver, 4, 8);
  CHECK(f.sink(receiver)["Delivered"] == f.told().size());
}

TEST_CASE("cluster notify: tellers outlive the coordinator, which forgets nothing") {
  told_fixture f{2};
  slow_receiver receiver{700ms};
  (void)f.add_workflow(telling(workflow("w", quick_mp4()), receiver.url()));
  f.land(0, 4);
  REQUIRE(receiver.wait_for(3));
  const auto node = f.teller(receiver);
  const auto moves = f.placements().size();

  for (int life = 0; life < 2; ++life) {
    f.node.kill9();
    f.start_coordinator();
    f.cluster.await_up(node);
    f.land(4 + life, 5 + life);
    const auto before = receiver.requests().size();
    CHECK(receiver.wait_for(before + 1));
  }

  f.check_all_told(receiver, 6, 0); // what was answered meanwhile is settled, not repeated
  CHECK(f.teller(receiver) == node);
  CHECK(f.placements().size() == moves);
}

TEST_CASE("cluster notify: coordinator and teller die at once, and nothing is lost") {
  told_fixture f{2};
  slow_receiver receiver{700ms};
  (void)f.add_workflow(telling(workflow("w", quick_mp4()), receiver.url()));
  f.land(0, 3);
  REQUIRE(receiver.wait_for(3));
  const auto node = f.teller(receiver);

  f.cluster.worker(node).signal(SIGKILL);
  f.node.kill9();
  f.start_coordinator();
  f.await_teller_but(receiver, node);

  f.check_all_told(receiver, 3, 8);
}

TEST_CASE("cluster notify: at each durable step the coordinator dies, the tellers go on") {
  told_fixture f{2};
  slow_receiver receiver;
  (void)f.add_workflow(telling(workflow("w", quick_mp4()), receiver.url()));
  f.land(0, 1);
  f.check_all_told(receiver, 1, 0);

  int files = 1;
  for (std::string point : {"outbox.before", "outbox.written:2", "delivery.delivered.written",
                            "delivery.delivered.written:2", "delivery.retry.written"}) {
    CAPTURE(point);
    if (point.starts_with("delivery.retry"))
      receiver.refuse(1);
    (void)f.ask({"fault", "arm", "under-test", point});

    f.land(files, files + 1);
    ++files;
    CHECK(f.node.wait_for_end().signal == SIGKILL);
    f.start_coordinator();

    f.check_all_told(receiver, files, 1); // the refused one
  }
}

TEST_CASE("cluster notify: a drained node gives its sinks up, a removed one too") {
  told_fixture f{3};
  slow_receiver receiver{300ms};
  (void)f.add_workflow(telling(workflow("w", quick_mp4()), receiver.url()));
  f.land(0, 2);
  REQUIRE(receiver.wait_for(1));
  const auto first = f.teller(receiver);

  (void)f.ask({"node", "drain", first});
  f.await_teller_but(receiver, first);
  CHECK(f.crews_on(first) == 0);
  const auto second = f.teller(receiver);
  f.land(2, 4);
  (void)f.ask({"node", "remove", second});
  CHECK(eventually([&] {
    auto now = f.teller(receiver);
    return !now.empty() && now != first && now != second;
  }));

  f.check_all_told(receiver, 4, 8);
}

TEST_CASE("cluster notify: the node that is wished tells, another one while it is away") {
  told_fixture f{2, "w2"};
  CHECK(eventually([&] { return f.crews_on("w2") == shares; }));
  slow_receiver receiver;
  (void)f.add_workflow(telling(workflow("w", quick_mp4()), receiver.url()));
  f.land(0, 1);
  f.check_all_told(receiver, 1, 0);
  CHECK(f.teller(receiver) == "w2");

  f.cluster.worker("w2").kill9();
  f.await_teller_but(receiver, "w2");
  CHECK(f.teller(receiver) == "w1");
  f.land(1, 2);
  f.check_all_told(receiver, 2, 0);
  f.cluster.start(f.cluster.worker("w2"));

  CHECK(eventually([&] { return f.teller(receiver) == "w2"; }));
}

TEST_CASE("cluster notify: what the coordinator alone has, it tells itself; and all while it "
          "is alone") {
  told_fixture f{1};
  (void)f.ask({"queue", "create", "finished"});
  auto spec = workflow("q", quick_mp4());
  spec["TaskNotifyConfig"] = {{"NotifyType", "TDMQ-CMQ"},
                              {"NotifyMode", "Finish"},
                              {"CmqModel", "Queue"},
                              {"QueueName", "finished"}};
  (void)f.add_workflow(spec);
  slow_receiver receiver;
  (void)f.add_workflow(
      telling(workflow("w", quick_mp4("{inputName}_b.{format}")), receiver.url(), "Finish"));

  f.land(0, 1);
  REQUIRE(receiver.wait_for(1));
  CHECK(eventually([&] { return f.ask({"queue", "show", "finished"})["Visible"] == 1; }));
  const auto answer = f.ask({"event", "sinks"});
  for (const auto& s : answer["Sinks"])
    CHECK(s["Node"] == (s["Sink"] == "queue/finished" ? "under-test" : "w1"));

  f.cluster.worker("w1").kill9();
  f.await_teller_but(receiver, "w1");
  CHECK(f.teller(receiver) == "under-test");
  auto sink = f.sink(receiver)["Sink"];
  (void)f.ask({"event", "replay", "--from", "1", "--to", sink});
  CHECK(receiver.wait_for(2));
}

TEST_CASE("cluster notify: a teller keeps to its own node's egress policy") {
  told_fixture f{1, "any", ""}; // the worker's operator allows nothing special
  slow_receiver receiver;
  (void)f.add_workflow(telling(workflow("w", quick_mp4()), receiver.url(), "Finish"));
  f.land(0, 1);

  json dead;
  REQUIRE(eventually([&] {
    dead = f.ask({"event", "dead", "list"})["DeadLetters"];
    return dead.size() == 1;
  }));
  CHECK(dead[0]["LastError"].get<std::string>().find("[egress] allow") != std::string::npos);
  CHECK(receiver.connections() == 0);
}

TEST_CASE(
    "cluster notify: of many events none is lost, whoever dies or freezes, again and again") {
  constexpr unsigned seed = 20261130;
  std::mt19937 random{seed};
  MESSAGE("seed " << seed);
  slow_receiver receiver{20ms};
  told_fixture f{3};
  f.node.stop();
  const untold_events untold;
  untold.write(f.node.data_dir(), notify_config{"URL", "Change", receiver.url()});
  f.start_coordinator();

  const auto most = static_cast<std::size_t>(untold.count()) / 7;
  std::uniform_int_distribution<std::size_t> portion{most / 4, most};
  for (int i = 0; i < 6; ++i) {
    REQUIRE(receiver.wait_for(receiver.requests().size() + portion(random), 60s));
    const auto node = f.teller(receiver);
    if (i % 3 == 2) {
      f.node.kill9();
      f.start_coordinator();
      continue;
    }
    if (i % 3 == 0)
      f.cluster.worker(node).kill9();
    else
      f.cluster.worker(node).freeze();
    f.await_teller_but(receiver, node);
    if (i % 3 == 0)
      f.cluster.start(f.cluster.worker(node));
    else
      f.cluster.worker(node).thaw();
    f.cluster.await_up(node);
  }
  const auto count = untold.count();
  CHECK(eventually([&] { return distinct(receiver.requests()).size() == count; }, 240s, 200ms));
  CHECK(eventually([&] { return f.sink(receiver).value("Pending", 1) == 0; }));

  const auto all = receiver.requests();
  CHECK(all.size() <= count + 6 * 32);
  check_order(all);
}

TEST_CASE("cluster notify: what cannot be is refused with its name") {
  node_fixture f{{}, node_fixture::begin::stopped};
  for (const auto& [words, said] :
       std::initializer_list<std::pair<std::vector<std::string>, std::string>>{
           {{"--notifiers", "w1"}, "this node is alone"},
           {{"--notifiers", "a b"}, "a node's name"},
           {{"--role", "worker", "--notifiers", "any"}, "not to a worker"}}) {
    CAPTURE(said);
    auto end = f.node.start_refused(words);
    CHECK(end.exit_code == 2);
    CHECK(f.node.log().find(said) != std::string::npos);
  }
}
