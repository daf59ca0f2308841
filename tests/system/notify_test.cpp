#include "tests/support/told_requests.hpp"
#include "tests/support/untold_events.hpp"
#include "tests/system/fixture.hpp"

#include <doctest/doctest.h>

#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <sstream>

// What happened is told: to receivers that check, that are down, that are hostile,
// and from a daemon that dies at any step of it.

using namespace framemill;
using namespace framemill::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

const std::vector<std::string> loopback{"--egress-allow", "127.0.0.0/8"};

std::vector<std::string> with(std::vector<std::string> words) {
  words.insert(words.begin(), loopback.begin(), loopback.end());
  return words;
}

json telling(json spec, const std::string& url, const std::string& mode,
             const std::string& key = {}) {
  spec["TaskNotifyConfig"] = {{"NotifyType", "URL"}, {"NotifyMode", mode}, {"NotifyUrl", url}};
  if (!key.empty())
    spec["TaskNotifyConfig"]["NotifyKey"] = key;
  return spec;
}

/// A node that may call receivers on loopback.
struct telling_node : node_fixture {
  explicit telling_node(begin b = begin::started, daemon_options o = {})
      : node_fixture(std::move(o), begin::stopped) {
    if (b == begin::started)
      node.start(loopback);
  }

  void add(const std::string& url, const std::string& mode, const std::string& key = {}) const {
    (void)add_workflow(telling(workflow("w", quick_mp4()), url, mode, key));
  }
  void run_clip(const std::string& name = "a") const {
    drop(make_clip({.seconds = 1}), "in/" + name + ".mp4");
  }
  /// A run that fails at once: cheap, and it ends as well.
  void run_rubbish(const std::string& name) const {
    write_file(media + "/in/" + name + ".mp4", "this is no media, " + name);
  }
  /// Ids of a run's events that are told in Change mode, from the log.
  [[nodiscard]] std::vector<std::uint64_t> told(std::uint64_t run) const {
    std::vector<std::uint64_t> out;
    for (const auto& e : events(run)) {
      auto type = e.value("Type", ""), state = e.value("State", "");
      const bool over = state == "succeeded" || state == "failed" || state == "cancelled";
      if ((type == "run.state" && over)
          || (type == "job.state" && (over || state == "processing")))
        out.push_back(e["Id"]);
    }
    return out;
  }
  [[nodiscard]] std::vector<json> sinks() const { return ask({"event", "sinks"})["Sinks"]; }
  [[nodiscard]] json sink(const std::string& name) const {
    for (const auto& s : sinks())
      if (s["Sink"] == name)
        return s;
    return json::object();
  }
  [[nodiscard]] std::vector<json> dead() const {
    return ask({"event", "dead", "list"})["DeadLetters"];
  }
  [[nodiscard]] bool has_nothing_pending() const {
    for (const auto& s : sinks())
      if (s["Pending"] != 0)
        return false;
    return true;
  }
};

std::string sink_name(const http_receiver& r) {
  return "http://127.0.0.1:" + std::to_string(r.port());
}

/// Answers the first as the test says, the others with 200.
http_receiver::handler first_then_well(int status, const std::string& header = {}) {
  return [count = std::make_shared<std::atomic<int>>(0),
          first = http_receiver::always(status, header),
          well = http_receiver::always(200)](const auto& r, auto& peer) {
    ++*count == 1 ? first(r, peer) : well(r, peer);
  };
}

/// The receiver that tests/system/notify_receiver.js is.
struct verifying_receiver {
  /// Port 0: any free one.
  verifying_receiver(const std::string& key, const std::string& secret,
                     const std::vector<std::string>& tls = {}, int at_port = 0)
      : node([&] {
          process_options o;
          o.words = {"env", "PORT=" + std::to_string(at_port), "node",
                     std::string{FRAMEMILL_SOURCE_DIR} + "/tests/system/notify_receiver.js", key,
                     secret};
          o.words.insert(o.words.end(), tls.begin(), tls.end());
          return o;
        }()) {
    REQUIRE(eventually([&] { return !documents_of(node.output()).empty(); }));
    port = documents_of(node.output())[0]["Port"];
  }
  [[nodiscard]] std::vector<json> got() const {
    auto all = documents_of(node.output());
    all.erase(all.begin());
    return all;
  }
  process node;
  int port = 0;
};

std::string secret_of(const telling_node& f) {
  return f.ask({"event", "key", "list", "--secrets"})["SigningKeys"][0]["Secret"];
}

} // namespace

TEST_CASE("notify: each change and the end are told in order, and both signatures hold") {
  telling_node f;
  verifying_receiver receiver{"key of the workflow", secret_of(f)};
  f.add("http://127.0.0.1:" + std::to_string(receiver.port) + "/hook", "Change",
        "key of the workflow");

  f.run_clip();
  auto run = f.finish("in/a.mp4");
  REQUIRE(state_of(run) == "succeeded");
  REQUIRE(eventually([&] { return receiver.got().size() >= 3; }));
  CHECK(eventually([&] { return f.has_nothing_pending(); }));

  auto got = receiver.got();
  std::vector<std::uint64_t> ids;
  for (const auto& g : got) {
    CHECK(g["HeaderHolds"] == true);
    CHECK(g["SignHolds"] == true);
    CHECK(g["Type"] == "WorkflowTask");
    CHECK(g["Attempt"] == 1);
    CHECK(g["Status"] == (&g == &got.back() ? "FINISH" : "PROCESSING"));
    ids.push_back(g["Event"]);
  }
  CHECK(ids == f.told(run["Run"]["Id"]));
  auto task = parse_json(got.back()["Body"].get<std::string>());
  REQUIRE(task);
  auto detail = f.mps()("DescribeTaskDetail", {{"TaskId", run["TaskId"]}});
  CHECK((*task)["WorkflowTaskEvent"]["MediaProcessResultSet"]
        == detail["WorkflowTask"]["MediaProcessResultSet"]);
  auto parsed = f.mps()("ParseNotification", {{"Content", got.back()["Body"]}});
  CHECK(parsed["WorkflowTaskEvent"]["TaskId"] == run["TaskId"]);
}

TEST_CASE("notify: Finish is told once, whatever becomes of the run") {
  telling_node f;
  http_receiver receiver{http_receiver::always(200)};
  f.add(receiver.url(), "Finish");

  f.run_rubbish("a");
  auto run = f.finish("in/a.mp4");
  REQUIRE(receiver.wait_for(1));
  CHECK(eventually([&] { return f.has_nothing_pending(); }));

  auto body = parse_json(receiver.requests()[0].body);
  REQUIRE(body);
  CHECK((*body)["WorkflowTaskEvent"]["Status"] == "FINISH");
  CHECK((*body)["WorkflowTaskEvent"]["ErrCode"] != 0);
  CHECK((*body)["Sign"].is_null());
  CHECK(receiver.requests().size() == 1);
  CHECK(f.sink(sink_name(receiver))["Delivered"] == 1);
  CHECK(http_get(f.node.endpoint(), "/metrics").body.find(
            "framemill_notifications_delivered_total{sink=\"http\"} 1")
        != std::string::npos);
}

TEST_CASE("notify: after a rotation either key is good, and the next retires the first") {
  telling_node f;
  auto old = secret_of(f);
  auto fresh = f.ask({"event", "key", "rotate"})["SigningKey"]["Secret"].get<std::string>();
  CHECK(fresh != old);
  for (const auto& secret : {old, fresh}) {
    verifying_receiver receiver{"", secret};
    (void)f.add_workflow(telling(workflow("w" + secret.substr(0, 8), quick_mp4()),
                                 "http://127.0.0.1:" + std::to_string(receiver.port), "Finish"));
    f.run_rubbish(secret.substr(0, 8));
    REQUIRE(eventually([&] { return !receiver.got().empty(); }));
    CHECK(receiver.got()[0]["HeaderHolds"] == true);
    CHECK(receiver.got()[0]["Macs"] == 2);
  }

  f.node.restart(loopback);
  (void)f.ask({"event", "key", "rotate"});

  auto keys = f.ask({"event", "key", "list", "--secrets"})["SigningKeys"];
  REQUIRE(keys.size() == 2);
  CHECK(keys[1]["Secret"] == fresh);
  CHECK(f.ask({"event", "key", "list"})["SigningKeys"][0]["Secret"] == "");
}

TEST_CASE("notify: a receiver that was down is told when it is back") {
  telling_node f;
  auto down = std::make_unique<http_receiver>(http_receiver::always(200));
  auto port = down->port();
  f.add(down->url(), "Change");
  down.reset();

  f.run_clip();
  auto run = f.finish("in/a.mp4");
  CHECK(state_of(run) == "succeeded");
  auto name = "http://127.0.0.1:" + std::to_string(port);
  REQUIRE(eventually([&] { return f.sink(name).value("FailedTries", 0) >= 2; }));
  http_receiver up{http_receiver::always(200), port};

  REQUIRE(up.wait_for(3, 60s));
  CHECK(eventually([&] { return f.has_nothing_pending(); }));
  check_order(up.requests());
  auto told = f.told(run["Run"]["Id"]);
  CHECK(distinct(up.requests()) == std::set<std::uint64_t>(told.begin(), told.end()));
  CHECK(up.requests()[0].headers.at("framemill-attempt") != "1");
}

TEST_CASE("notify: Retry-After is waited for") {
  telling_node f;
  http_receiver receiver{first_then_well(503, "Retry-After: 3")};
  f.add(receiver.url(), "Finish");

  f.run_rubbish("a");

  REQUIRE(receiver.wait_for(2));
  auto got = receiver.requests();
  CHECK(got[1].at - got[0].at >= 3s);
  CHECK(event_of(got[1]) == event_of(got[0]));
  CHECK(got[1].headers["framemill-attempt"] == "2");
}

TEST_CASE("notify: what a receiver refuses is a dead letter, listed, shown and redriven") {
  telling_node f;
  http_receiver receiver{first_then_well(400)};
  f.add(receiver.url(), "Finish", "secret");
  f.run_rubbish("a");

  REQUIRE(eventually([&] { return f.dead().size() == 1; }));
  auto letter = f.dead()[0];
  CHECK(letter["Sink"] == sink_name(receiver));
  CHECK(letter["LastError"] == "HTTP 400");
  CHECK(letter["Body"] == "");
  auto event = std::to_string(letter["Event"].get<std::uint64_t>());
  auto shown = f.ask({"event", "dead", "show", event, sink_name(receiver)})["DeadLetter"];
  CHECK(shown["Body"].get<std::string>().find("FINISH") != std::string::npos);
  CHECK(shown["TaskNotifyConfig"]["NotifyKey"] == "");
  CHECK(f.command({"event", "dead", "redrive", "--sink", sink_name(receiver), "--event", "99999"})
            .exit_code == 3);
  auto log = f.events(letter["Run"]);
  CHECK(std::any_of(log.begin(), log.end(),
                    [](const json& e) { return e["Type"] == "delivery.dead"; }));

  CHECK(f.ask({"event", "dead", "redrive", "--all"})["Count"] == 1);

  REQUIRE(receiver.wait_for(2));
  CHECK(event_of(receiver.requests()[1]) == letter["Event"]);
  CHECK(eventually([&] { return f.has_nothing_pending(); }));
  CHECK(f.dead().empty());
}

TEST_CASE("notify: a sink is told again of what is past") {
  telling_node f;
  http_receiver receiver{http_receiver::always(200)};
  f.add(receiver.url(), "Change");
  f.run_clip();
  auto told = f.told(f.finish("in/a.mp4")["Run"]["Id"]);
  REQUIRE(receiver.wait_for(told.size()));
  REQUIRE(eventually([&] { return f.has_nothing_pending(); }));

  CHECK(f.ask({"event", "replay", "--from", std::to_string(told[1]), "--to",
               sink_name(receiver)})["Count"]
        == told.size() - 1);

  REQUIRE(receiver.wait_for(2 * told.size() - 1));
  auto all = receiver.requests();
  std::vector<std::uint64_t> again;
  for (std::size_t i = told.size(); i < all.size(); ++i)
    again.push_back(event_of(all[i]));
  CHECK(again == std::vector(told.begin() + 1, told.end()));
  CHECK(f.ask({"event", "replay", "--from", "1", "--to", "http://nobody:80"})["Count"] == 0);
  CHECK(f.command({"event", "replay", "--from", "1", "--to", "mail/x"}).exit_code == 3);
}

TEST_CASE("notify: a NotifyUrl does not reach the host's own services") {
  node_fixture f; // no --egress-allow
  http_receiver receiver{http_receiver::always(200)};
  (void)f.add_workflow(telling(workflow("w", quick_mp4()), receiver.url(), "Finish"));
  write_file(f.media + "/in/a.mp4", "this is no media");

  json dead;
  REQUIRE(eventually([&] {
    dead = f.ask({"event", "dead", "list"})["DeadLetters"];
    return dead.size() == 1;
  }));

  CHECK(dead[0]["LastError"].get<std::string>().find("[egress] allow") != std::string::npos);
  CHECK(receiver.connections() == 0);
}

TEST_CASE("notify: hostile receivers hold up neither a good one nor the runs") {
  telling_node f;
  http_receiver inner{http_receiver::always(200)};
  http_receiver good{http_receiver::always(200)};
  http_receiver silent{[](const auto&, http_peer& peer) {
    while (peer.pause(100ms)) {
    }
  }};
  http_receiver slow{[](const auto&, http_peer& peer) { // 1 KB/s
    (void)peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n");
    while (peer.send("X-Filler: " + std::string(88, 'x') + "\r\n") && peer.pause(100ms)) {
    }
  }};
  http_receiver endless{[](const auto&, http_peer& peer) {
    (void)peer.send("HTTP/1.1 500 X\r\n\r\n");
    while (peer.send(std::string(65536, 'x'))) {
    }
  }};
  http_receiver redirecting{http_receiver::always(302, "Location: " + inner.url())};
  int n = 0;
  for (auto* r : {&silent, &slow, &endless, &redirecting, &good}) {
    const auto number = std::to_string(++n);
    (void)f.add_workflow(
        telling(workflow("w" + number, quick_mp4("{inputName}_" + number + ".{format}")),
                r->url(), "Finish"));
  }

  for (int i = 0; i < 4; ++i)
    f.run_rubbish(std::to_string(i));

  CHECK(good.wait_for(4, 15s)); // less than one hostile try may take
  CHECK(eventually([&] { return f.dead().size() == 4; }));
  for (const auto& letter : f.dead())
    CHECK(letter["Sink"] == sink_name(redirecting));
  CHECK(inner.requests().empty());
  CHECK(eventually([&] { return f.sink(sink_name(endless)).value("FailedTries", 0) > 1; }));
  CHECK(silent.connections() <= 8);
  check_quiet(f);
}

TEST_CASE("notify: a certificate that nobody vouches for is not trusted, until it is named") {
  telling_node f;
  auto key = f.dir / "key.pem", cert = f.dir / "cert.pem";
  REQUIRE(run({"openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out",
               cert, "-days", "2", "-subj", "/CN=localhost", "-addext",
               "subjectAltName=DNS:localhost"})
              .end.exit_code
          == 0);
  verifying_receiver receiver{"", secret_of(f), {key, cert}};
  auto url = "https://localhost:" + std::to_string(receiver.port);
  f.add(url, "Finish");
  f.run_rubbish("a");

  REQUIRE(eventually([&] { return f.sink(url).value("FailedTries", 0) >= 1; }));
  CHECK(f.sink(url)["LastError"].get<std::string>().find("certificate") != std::string::npos);
  CHECK(receiver.got().empty());
  f.node.stop();
  std::ofstream{f.node.data_dir() + ".toml", std::ios::app}
      << "[events]\nca_file = \"" << cert << "\"\n[egress]\nallow = [\"127.0.0.0/8\"]\n";
  f.node.start();

  CHECK(eventually([&] { return receiver.got().size() == 1; }));
  CHECK(receiver.got().at(0)["HeaderHolds"] == true);
}

// ---- To queues, topics and functions --------------------------------------------------

namespace {

json told_to_queue(json spec, const std::string& model, const std::string& name,
                   const std::string& mode = "Finish") {
  spec["TaskNotifyConfig"] = {{"NotifyType", "TDMQ-CMQ"},
                              {"NotifyMode", mode},
                              {"CmqModel", model},
                              {model == "Topic" ? "TopicName" : "QueueName", name}};
  return spec;
}

std::vector<json> received(const telling_node& f, const std::string& queue) {
  return f.ask({"queue", "receive", queue, "--count", "16", "--wait", "10s", "--delete"})["Messages"];
}

json body_of(const json& message) {
  auto body = parse_json(message["Body"].get<std::string>());
  REQUIRE(body);
  return *body;
}

} // namespace

TEST_CASE("notify: a queue gets each change and the end in order, and is waited for") {
  telling_node f;
  (void)f.add_workflow(told_to_queue(workflow("w", quick_mp4()), "Queue", "finished", "Change"));
  f.run_clip();
  auto told = f.told(f.finish("in/a.mp4")["Run"]["Id"]);
  REQUIRE(eventually([&] { return f.sink("queue/finished").value("FailedTries", 0) > 0; }));
  CHECK(f.dead().empty());

  (void)f.ask({"queue", "create", "finished"}); // now there is one

  REQUIRE(eventually([&] { return f.has_nothing_pending(); }));
  std::vector<std::uint64_t> got;
  json last;
  for (const auto& m : received(f, "finished")) {
    got.push_back(std::stoull(m["Attributes"]["EventId"]["Value"].get<std::string>()));
    CHECK(m["Attributes"]["EventType"]["Value"] == "WorkflowTask");
    last = body_of(m);
  }
  CHECK(got == told);
  CHECK(last["WorkflowTaskEvent"]["Status"] == "FINISH");
}

TEST_CASE("notify: a topic's subscribers get what they want") {
  telling_node f;
  for (const auto* queue : {"tasks", "edits"})
    (void)f.ask({"queue", "create", queue});
  (void)f.ask({"topic", "create", "events"});
  (void)f.ask({"topic", "subscribe", "events", "a", "queue/tasks", "--tag", "WorkflowTask"});
  (void)f.ask({"topic", "subscribe", "events", "b", "queue/edits", "--tag", "EditMediaTask"});
  (void)f.add_workflow(told_to_queue(workflow("w", quick_mp4()), "Topic", "events"));

  f.run_rubbish("a");

  REQUIRE(eventually([&] { return f.ask({"queue", "show", "tasks"})["Visible"] == 1; }));
  CHECK(f.ask({"queue", "show", "edits"})["Visible"] == 0);
  CHECK(body_of(received(f, "tasks")[0])["EventType"] == "WorkflowTask");
}

TEST_CASE("notify: the function that is bound is told of the end of every run, until it is not") {
  telling_node f;
  auto code = f.dir.write("code/index.js",
                          "exports.main_handler = async (event, context) => {"
                          " if (context.attempt < 2) throw new Error('not yet');"
                          " console.log('told of', context.event_id, event.EventType); };");
  (void)f.ask({"function", "create", "hook", "--runtime", "nodejs", "--code", code});
  (void)f.ask({"function", "bind", "hook", "WorkflowTask"});
  (void)f.add_workflow(workflow("w", quick_mp4())); // which names no place itself
  f.run_rubbish("a");
  auto end = f.told(f.finish("in/a.mp4")["Run"]["Id"]).back();

  REQUIRE(eventually([&] { return f.sink("function/WorkflowTask").value("Delivered", 0) == 1; }));
  auto calls = f.ask({"function", "logs", "hook"})["Invocations"];
  REQUIRE(calls.size() == 2); // newest first
  CHECK(calls[1]["Error"].get<std::string>().find("not yet") != std::string::npos);
  CHECK(calls[0]["Output"] == "told of " + std::to_string(end) + " WorkflowTask\n");

  (void)f.ask({"function", "unbind", "WorkflowTask"});
  f.run_rubbish("b");
  (void)f.finish("in/b.mp4");
  f.run_rubbish("c");
  (void)f.finish("in/c.mp4");
  CHECK(f.has_nothing_pending());
  CHECK(f.ask({"function", "logs", "hook"})["Invocations"].size() == 2);
}

TEST_CASE("notify: a scheme's runs are told as ScheduleTask, where it or the call says") {
  telling_node f;
  verifying_receiver changes{"key of the scheme", secret_of(f)}, end{"key of the call", secret_of(f)};
  auto url = [](const verifying_receiver& r) {
    return "http://127.0.0.1:" + std::to_string(r.port) + "/hook";
  };
  auto told_at = [&](const verifying_receiver& r, const char* mode, const char* key) -> json {
    return {{"NotifyType", "URL"}, {"NotifyMode", mode}, {"NotifyUrl", url(r)}, {"NotifyKey", key}};
  };
  auto of_workflow = workflow("w", quick_mp4());
  json action{{"ActivityType", "action-trans"},
              {"ReardriveIndex", {2}},
              {"ActivityPara", {{"TranscodeTask",
                                 of_workflow["MediaProcessTask"]["TranscodeTaskSet"][0]}}}};
  auto scheme = f.mps()("CreateSchedule",
                        {{"ScheduleName", "s"},
                         {"Trigger", of_workflow["Trigger"]},
                         {"Activities",
                          {{{"ActivityType", "input"}, {"ReardriveIndex", {1}}},
                           action,
                           {{"ActivityType", "output"}}}},
                         {"OutputDir", "/out/"},
                         {"TaskNotifyConfig", told_at(changes, "Change", "key of the scheme")}});
  f.mps()("EnableSchedule", {{"ScheduleId", scheme["ScheduleId"]}});
  auto code = f.dir.write("code/index.js",
                          "exports.main_handler = async (event) => {"
                          " console.log(event.EventType, event.ScheduleTaskEvent.Status); };");
  (void)f.ask({"function", "create", "hook", "--runtime", "nodejs", "--code", code});
  (void)f.ask({"function", "bind", "hook", "ScheduleTask"});

  f.run_clip();
  auto run = f.finish("in/a.mp4");
  REQUIRE(state_of(run) == "succeeded");
  REQUIRE(eventually([&] { return changes.got().size() >= 3; }));
  auto manual = f.mps()("ProcessMedia",
                        {{"InputInfo",
                          {{"Type", "COS"},
                           {"CosInputInfo",
                            {{"Bucket", "media"}, {"Region", "r"}, {"Object", "/in/a.mp4"}}}}},
                         {"ScheduleId", scheme["ScheduleId"]},
                         {"OutputDir", "/again/"},
                         {"SessionContext", "by hand"},
                         {"TaskNotifyConfig", told_at(end, "Finish", "key of the call")}});
  REQUIRE(eventually([&] { return end.got().size() == 1; }));
  REQUIRE(
      eventually([&] { return f.sink("function/ScheduleTask").value("Delivered", 0) == 2; }));
  CHECK(f.has_nothing_pending());

  std::vector<std::uint64_t> ids;
  for (const auto& g : changes.got()) {
    CHECK(g["Type"] == "ScheduleTask");
    CHECK(g["HeaderHolds"] == true);
    CHECK(g["SignHolds"] == true);
    ids.push_back(g["Event"]);
  }
  CHECK(ids == f.told(run["Run"]["Id"])); // and nothing of the call's run
  auto by_hand = end.got()[0];
  CHECK(by_hand["SignHolds"] == true);
  CHECK(by_hand["Status"] == "FINISH");
  auto body = f.mps()("ParseNotification", {{"Content", by_hand["Body"]}});
  CHECK(body["SessionContext"] == "by hand");
  CHECK(body["WorkflowTaskEvent"].is_null());
  CHECK(body["ScheduleTaskEvent"]["TaskId"] == manual["TaskId"]);
  auto detail = f.mps()("DescribeTaskDetail", {{"TaskId", manual["TaskId"]}});
  CHECK(body["ScheduleTaskEvent"]["ActivityResultSet"]
        == detail["ScheduleTask"]["ActivityResultSet"]);
  CHECK(fs::exists(f.media + "/again/a_transcode_0.mp4"));
  for (const auto& call : f.ask({"function", "logs", "hook"})["Invocations"])
    CHECK(call["Output"] == "ScheduleTask FINISH\n");
}

TEST_CASE("notify: a daemon that is killed while a function runs calls it again") {
  telling_node f;
  auto code = f.dir.write("code/index.js",
                          "exports.main_handler = async (event, context) => {"
                          " console.log(context.event_id);"
                          " await new Promise(r => setTimeout(r, 1500)); };");
  (void)f.ask({"function", "create", "slow", "--runtime", "nodejs", "--code", code});
  (void)f.ask({"function", "bind", "slow", "WorkflowTask"});
  (void)f.add_workflow(workflow("w", quick_mp4()));
  f.run_rubbish("a");
  auto end = f.told(f.finish("in/a.mp4")["Run"]["Id"]).back();
  f.node.kill9();
  f.node.start(loopback);

  REQUIRE(eventually([&] { return f.sink("function/WorkflowTask").value("Delivered", 0) == 1; }));
  auto calls = f.ask({"function", "logs", "slow"})["Invocations"];
  REQUIRE(calls.size() == 1); // the call that the daemon did not survive left no line
  CHECK(calls[0]["Output"] == std::to_string(end) + "\n");
}

TEST_CASE("notify: a server of SQS's protocol is sent to, and the key is shown nowhere") {
  telling_node f;
  const auto own = f.node.endpoint(); // it is one itself
  f.node.stop();
  std::ofstream{f.node.data_dir() + ".toml", std::ios::app}
      << "[events]\nsqs_endpoint = \"http://" << own << "\"\n";
  f.node.start(with({"--api-listen", own}));
  std::ifstream file{f.node.data_dir() + "/credentials.json"};
  auto keys = json::parse(file);
  (void)f.ask({"queue", "create", "far"});
  auto spec = workflow("w", quick_mp4());
  spec["TaskNotifyConfig"] = {{"NotifyType", "AWS-SQS"},
                              {"AwsSQS",
                               {{"SQSRegion", "eu-west-1"},
                                {"SQSQueueName", "far"},
                                {"S3SecretId", keys["SecretId"]},
                                {"S3SecretKey", keys["SecretKey"]}}}};
  auto id = f.add_workflow(spec);
  f.run_rubbish("a");
  auto end = f.told(f.finish("in/a.mp4")["Run"]["Id"]).back();

  REQUIRE(eventually([&] { return f.sink("sqs/eu-west-1/far").value("Delivered", 0) == 1; }));
  auto got = received(f, "far");
  REQUIRE(got.size() == 1);
  CHECK(got[0]["Attributes"]["EventId"]["Value"] == std::to_string(end));
  CHECK(body_of(got[0])["WorkflowTaskEvent"]["Status"] == "FINISH");
  auto shown = f.ask({"workflow", "show", std::to_string(id)});
  CHECK(shown.dump().find(keys["SecretKey"].get<std::string>()) == std::string::npos);
}

// ---- Dying --------------------------------------------------------------------------

namespace {

std::vector<std::string> points() {
  std::istringstream names{
      run({program("framemilld"), "--list-fail-points"}).output};
  std::vector<std::string> out;
  for (std::string name; std::getline(names, name);)
    if (name.starts_with("outbox.") || name.starts_with("delivery."))
      out.push_back(name);
  REQUIRE(out.size() >= 8);
  for (const auto* later : {"outbox.written:2", "delivery.before:3", "delivery.answered:2",
                            "delivery.delivered.written:2"})
    out.emplace_back(later);
  return out;
}

void expect_death(telling_node& f) { CHECK(f.node.wait_for_end().signal == SIGKILL); }

/// Redrives the one dead letter, and again should the daemon die of it.
void redrive(telling_node& f, const std::string& point) {
  REQUIRE(eventually([&] { return f.dead().size() == 1; }));
  (void)f.command({"event", "dead", "redrive", "--all"});
  if (point.starts_with("delivery.redriven")) {
    expect_death(f);
    f.node.start(loopback);
    (void)f.command({"event", "dead", "redrive", "--all"});
  }
}

} // namespace

TEST_CASE("notify: at whatever step of a delivery the daemon dies, each event arrives in order") {
  for (const auto& point : points())
    SUBCASE(point.c_str()) {
      const bool refuses = point.starts_with("delivery.dead") || point.starts_with("delivery.redriven");
      http_receiver receiver{refuses ? first_then_well(400)
                                     : first_then_well(503, "Retry-After: 1")};
      telling_node f{node_fixture::begin::stopped};
      f.node.start(with({"--allow-faults", "--fail-point", point}));
      f.add(receiver.url(), "Change");
      f.run_clip();
      if (!point.starts_with("delivery.redriven")) {
        expect_death(f);
        f.node.start(loopback);
      }

      auto run = f.finish("in/a.mp4");
      CHECK(state_of(run) == "succeeded");
      if (refuses)
        redrive(f, point);
      auto told = f.told(run["Run"]["Id"]);
      auto all = std::set<std::uint64_t>(told.begin(), told.end());
      CHECK(eventually([&] { return distinct(receiver.requests()) == all; }));
      CHECK(eventually([&] { return f.has_nothing_pending(); }));
      CHECK(f.dead().empty());
      if (!refuses) // what is redriven comes when it is asked for
        check_order(receiver.requests());
      check_one_success(f);
    }
}

TEST_CASE("notify: of many events none is lost to a daemon that is killed again and again") {
  constexpr unsigned seed = 20261129;
  std::mt19937 random{seed};
  MESSAGE("seed " << seed);
  http_receiver receiver{http_receiver::always(200)};
  telling_node f{node_fixture::begin::stopped};
  const untold_events untold;
  untold.write(f.node.data_dir(), notify_config{"URL", "Change", receiver.url()});

  const auto most = static_cast<std::size_t>(untold.count()) / 9;
  std::uniform_int_distribution<std::size_t> portion{most / 6, most};
  for (int i = 0; i < 8; ++i) {
    f.node.start(loopback);
    auto count = receiver.requests().size() + portion(random);
    REQUIRE(receiver.wait_for(count, 60s));
    f.node.kill9();
  }
  f.node.start(loopback);
  REQUIRE(receiver.wait_for(untold.count(), 240s));
  REQUIRE(eventually([&] { return f.has_nothing_pending(); }, 60s, 200ms));

  auto all = receiver.requests();
  CHECK(distinct(all).size() == untold.count());
  CHECK(all.size() <= untold.count() + 9 * 32);
  check_order(all);
}

TEST_CASE("notify: of many events none is lost to a receiver that is killed again and again") {
  telling_node f;
  const auto secret = secret_of(f);
  f.node.stop();
  auto receiver = std::make_unique<verifying_receiver>("", secret);
  const auto port = receiver->port;
  const untold_events untold;
  untold.write(f.node.data_dir(),
               notify_config{"URL", "Change", "http://127.0.0.1:" + std::to_string(port) + "/"});
  f.node.start(loopback);

  std::vector<received_request> all;
  std::size_t unsigned_ones = 0;
  const auto collect = [&] {
    for (const auto& m : receiver->got()) {
      all.push_back({.headers = {{"framemill-event-id", m["Event"].dump()},
                                 {"framemill-run-id", m["Run"].dump()}}});
      unsigned_ones += m["HeaderHolds"] != true;
    }
  };
  for (std::size_t i = 0; i < 5; ++i) {
    // Looked at often, and early: it must not be told all before it has died five times.
    REQUIRE(eventually([&] { return receiver->got().size() >= untold.count() / 20; }, 120s, 5ms));
    receiver->node.signal(SIGKILL);
    REQUIRE(receiver->node.wait(5s));
    collect();
    receiver = std::make_unique<verifying_receiver>("", secret, std::vector<std::string>{}, port);
  }
  REQUIRE(eventually([&] { return f.has_nothing_pending(); }, 240s, 200ms));
  collect();

  CHECK(distinct(all).size() == untold.count());
  check_order(all);
  CHECK(unsigned_ones == 0);
  CHECK(f.dead().empty());
  MESSAGE(all.size() << " requests told " << untold.count() << " events");
}

TEST_CASE("notify: of many events none is lost to a function that dies, nor to its daemon") {
  http_receiver receiver{http_receiver::always(200)};
  telling_node f;
  // Now and then it dies, before it has told its event or after.
  auto code = f.dir.write("code/index.js", R"(
const die = () => { if (Math.random() < 0.002) process.kill(process.pid, "SIGKILL"); };
exports.main_handler = async (event, context) => {
  die();
  await fetch(process.env.RECEIVER, {method: "POST", headers: {
    "framemill-event-id": String(context.event_id), "framemill-run-id": String(context.run_id)}});
  die();
};
)");
  (void)f.ask({"function", "create", "mortal", "--runtime", "nodejs", "--code", code, "--env",
               "RECEIVER=" + receiver.url(), "--network", "--concurrency", "8"});
  (void)f.ask({"function", "bind", "mortal", "WorkflowTask"});
  f.node.stop();
  const untold_events untold;
  untold.write(f.node.data_dir(), notify_config{"SCF", "Change"});

  for (std::uint64_t i = 1; i <= 4; ++i) {
    f.node.start(loopback);
    REQUIRE(receiver.wait_for(untold.count() * i / 5, 120s));
    f.node.kill9();
  }
  f.node.start(loopback);
  REQUIRE(eventually([&] { return distinct(receiver.requests()).size() == untold.count(); }, 240s,
                     200ms));
  REQUIRE(eventually([&] { return f.has_nothing_pending(); }, 60s, 200ms));

  CHECK(f.dead().empty());
  check_order(receiver.requests());
  auto deaths = f.ask({"function", "logs", "mortal", "--failed"})["Invocations"].size();
  MESSAGE("the function died " << deaths << " times, " << receiver.requests().size()
                               << " calls told " << untold.count() << " events");
}
