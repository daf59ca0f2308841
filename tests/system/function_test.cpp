#include "tests/system/fixture.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>

using namespace framemill::test;
using namespace std::chrono_literals;
using framemill::json;
namespace fs = std::filesystem;

namespace {

const std::string receivers =
    std::string{FRAMEMILL_SOURCE_DIR} + "/tests/system/function_receivers.js";

/// One of function_receivers.js.
struct receiver {
  explicit receiver(std::vector<std::string> arguments)
      : program{command(std::move(arguments))} {
    REQUIRE(eventually([&] { return !documents_of(program.output()).empty(); }));
    port = documents_of(program.output())[0]["port"].get<int>();
  }
  [[nodiscard]] std::vector<json> received() const {
    auto all = documents_of(program.output());
    all.erase(all.begin());
    return all;
  }
  [[nodiscard]] json only() const {
    auto all = received();
    REQUIRE(all.size() == 1);
    return all[0];
  }
  process program;
  int port = 0;

private:
  static process_options command(std::vector<std::string> arguments) {
    process_options o;
    o.words = {"node", receivers};
    o.words.insert(o.words.end(), arguments.begin(), arguments.end());
    return o;
  }
};

json finished(bool failed = false) {
  return {{"EventType", "WorkflowTask"},
          {"WorkflowTaskEvent",
           {{"TaskId", "1-WorkflowTask-7"},
            {"Status", "FINISH"},
            {"ErrCode", failed ? 70000 : 0},
            {"Message", failed ? "the source has no video" : "SUCCESS"},
            {"InputInfo",
             {{"Type", "COS"},
              {"CosInputInfo", {{"Bucket", "media"}, {"Object", "/in/Grüße.mp4"}}}}},
            {"MediaProcessResultSet",
             {{{"Type", "Transcode"},
               {"TranscodeTask",
                {{"Status", "SUCCESS"}, {"Output", {{"Path", "/out/Grüße.mp4"}}}}}}}}}},
          {"EditMediaTaskEvent", nullptr},
          {"ScheduleTaskEvent", nullptr}};
}

/// The same of a scheme, and of EditMedia.
json finished_scheme() {
  auto event = finished();
  auto task = event["WorkflowTaskEvent"];
  auto item = task["MediaProcessResultSet"][0];
  task.erase("MediaProcessResultSet");
  task["ActivityResultSet"] = {{{"ActivityType", "Transcode"}, {"ActivityResItem", item}}};
  event.update({{"EventType", "ScheduleTask"},
                {"WorkflowTaskEvent", nullptr},
                {"ScheduleTaskEvent", task}});
  return event;
}
json finished_edit() {
  auto event = finished();
  auto& whole = event["WorkflowTaskEvent"];
  const json file{{"InputInfo", whole["InputInfo"]}};
  const json task{{"TaskId", whole["TaskId"]},
                  {"Status", "FINISH"},
                  {"ErrCode", 0},
                  {"Message", "SUCCESS"},
                  {"Input", {{"FileInfoSet", {file, file}}}},
                  {"Output", {{"Path", "/out/Grüße.mp4"}}}};
  event.update({{"EventType", "EditMediaTask"},
                {"WorkflowTaskEvent", nullptr},
                {"EditMediaTaskEvent", task}});
  return event;
}

struct function_fixture : node_fixture {
  using node_fixture::node_fixture;

  [[nodiscard]] std::string code(const std::string& name, const std::string& text) const {
    auto path = dir.write("code/" + name, text);
    fs::permissions(path, fs::perms{0755});
    return path;
  }
  void create_node(const std::string& name, const std::string& body,
                   std::vector<std::string> more = {}) const {
    auto path = code(name + "/index.js",
                     "exports.main_handler = async (event, context) => {" + body + "};\n");
    create(name, "nodejs", path, std::move(more));
  }
  void create(const std::string& name, const std::string& runtime, const std::string& path,
              std::vector<std::string> more = {}) const {
    std::vector<std::string> words{"function", "create", name, "--runtime",
                                   runtime,    "--code", path};
    words.insert(words.end(), more.begin(), more.end());
    (void)ask(words);
  }
  /// The answer of InvokeFunction.
  json invoke(const std::string& name, const json& event = json::object(),
              int exit_code = 0) const {
    auto a = command({"function", "invoke", name}, event.dump());
    CHECK_MESSAGE(a.exit_code == exit_code, a.output << a.complaint);
    REQUIRE(a.last().is_object());
    return a.last();
  }
  [[nodiscard]] std::string failure(const std::string& name,
                                    const json& event = json::object()) const {
    return invoke(name, event, 1)["Invocation"]["Error"];
  }
  [[nodiscard]] json logs(const std::string& name, std::vector<std::string> more = {}) const {
    std::vector<std::string> words{"function", "logs", name};
    words.insert(words.end(), more.begin(), more.end());
    return ask(words)["Invocations"];
  }
};

} // namespace

TEST_CASE("functions: code is created, called, changed, looked for and deleted") {
  function_fixture f;
  f.create_node("hello",
                "console.log('hello', event.name); return {greeting: process.env.WORD + ' ' + "
                "event.name}",
                {"--env", "WORD=hello", "--secret", "KEY=hush-hush"});
  auto first = f.invoke("hello", {{"name", "Ada"}});
  CHECK(first["Answer"]["greeting"] == "hello Ada");
  CHECK(first["Invocation"]["Output"] == "hello Ada\n");
  CHECK(first["Invocation"]["StartUp"].get<double>() > 0);
  CHECK(f.invoke("hello", {{"name", "Bob"}})["Invocation"]["StartUp"] == 0); // warm

  (void)f.ask({"function", "env", "set", "hello", "WORD=good day"});
  CHECK(f.invoke("hello", {{"name", "Eve"}})["Answer"]["greeting"] == "good day Eve");
  auto shown = f.ask({"function", "show", "hello"});
  CHECK(shown["Function"]["Versions"].size() == 2);
  CHECK(shown["Function"]["Secrets"] == json{"KEY"});
  (void)f.ask({"function", "update", "hello", "--from-version", "1"});
  CHECK(f.invoke("hello", {{"name", "Kim"}})["Answer"]["greeting"] == "hello Kim");

  CHECK(f.logs("hello").size() == 4);
  auto about_eve = f.logs("hello", {"--grep", "Eve", "--since", "1h"});
  REQUIRE(about_eve.size() == 1);
  CHECK(about_eve[0]["Version"] == 2);
  CHECK(f.logs("hello", {"--failed"}).empty());
  CHECK(f.command.plain({"function", "logs", "hello"}).output.find("hello Ada")
        != std::string::npos);

  (void)f.ask({"function", "delete", "hello"});
  CHECK(f.command({"function", "invoke", "hello"}, "{}").exit_code == 3);
  CHECK(f.logs("hello").size() == 4);
  CHECK(eventually([&] { return fs::is_empty(f.node.data_dir() + "/functions"); }));
}

TEST_CASE("functions: a secret is shown nowhere, and is a function's own") {
  function_fixture f;
  f.create_node("keeper", "return process.env.KEY.length", {"--secret", "KEY=hush-hush"});
  CHECK(f.invoke("keeper")["Answer"] == 9);
  auto said =
      f.command.plain({"function", "show", "keeper"}).output
      + f.command.plain({"function", "list"}).output
      + f.ask({"function", "show", "keeper"}).dump() + f.ask({"function", "list"}).dump()
      + f.node.log()
      + f.command.plain({"function", "secret", "set", "keeper", "KEY=hush-hush2"}).output;
  CHECK(said.find("KEY") != std::string::npos);
  CHECK(said.find("hush") == std::string::npos);
  CHECK(f.node.log().find("hush") == std::string::npos);
  CHECK(f.invoke("keeper")["Answer"] == 10);
  f.node.restart();
  CHECK(f.invoke("keeper")["Answer"] == 10);
  auto is_ours_alone = [](const std::string& path) {
    return (fs::status(path).permissions() & fs::perms{0077}) == fs::perms{0};
  };
  const bool is_protected =
      is_ours_alone(f.node.data_dir() + "/state") || is_ours_alone(f.node.data_dir());
  CHECK(is_protected);
}

TEST_CASE("functions: one is bound to an event type, and the second is told its name") {
  function_fixture f;
  f.create_node("first", "return 1");
  f.create_node("second", "return 2");
  (void)f.ask({"function", "bind", "first", "WorkflowTask"});
  auto refused = f.command({"function", "bind", "second", "WorkflowTask"});
  CHECK(refused.exit_code != 0);
  CHECK(refused.complaint.find("bound to function first") != std::string::npos);
  CHECK(f.command({"function", "delete", "first"}).exit_code == 4);
  (void)f.ask({"function", "disable", "first", "--trigger", "WorkflowTask"});
  CHECK(f.ask({"function", "show", "first"})["Triggers"][0]["Enabled"] == false);
  (void)f.ask({"function", "unbind", "WorkflowTask"});
  (void)f.ask({"function", "bind", "second", "WorkflowTask"});
  (void)f.ask({"function", "disable", "second"});
  CHECK(f.failure("second") == "function second is disabled");
}

TEST_CASE("functions: what code does wrong fails its call, and no more") {
  function_fixture f;
  f.create_node("wild", R"(
    const fs = require('fs'); const net = require('net');
    switch (event.do) {
      case 'throw': throw new RangeError('too far');
      case 'crash': process.kill(process.pid, 'SIGSEGV'); await new Promise(() => {});
      case 'exit': process.exit(9);
      case 'hang': await new Promise(() => {});
      case 'spin': for (;;) {}
      case 'eat': { const all = []; for (;;) all.push(Buffer.alloc(1 << 24, 1)); }
      case 'print': for (;;) console.log('x'.repeat(999));
      case 'fork': { const { spawn } = require('child_process');
        for (let i = 0; i < 500; ++i) spawn('sleep', ['300']).on('error', () => {});
        await new Promise((r) => setTimeout(r, 200)); return 'forked'; }
      case 'passwd': return fs.readFileSync('/etc/passwd', 'utf8');
      case 'daemon': return fs.readdirSync(event.dir);
      case 'net': return new Promise((done) => { const s = net.connect(event.port, '127.0.0.1');
        s.on('connect', () => done('connected')); s.on('error', (e) => done(e.code)); });
      default: return 'well';
    })",
                {"--timeout", "4s", "--memory-mib", "128", "--output-kib", "64"});
  CHECK(f.failure("wild", {{"do", "throw"}}) == "RangeError: too far");
  CHECK(f.failure("wild", {{"do", "crash"}}).find("Segmentation") != std::string::npos);
  CHECK(f.failure("wild", {{"do", "exit"}}) == "it ended with exit 9");
  CHECK(f.failure("wild", {{"do", "hang"}}) == "no answer within 4 s");
  CHECK(f.failure("wild", {{"do", "spin"}}) == "no answer within 4 s");
  CHECK(f.failure("wild", {{"do", "eat"}}) == "it needs more than 128 MiB of memory");
  CHECK(f.failure("wild", {{"do", "print"}}) == "it printed more than 65536 bytes");
  CHECK(f.failure("wild", {{"do", "passwd"}}).find("ENOENT") != std::string::npos);
  CHECK(f.failure("wild", {{"do", "daemon"}, {"dir", f.node.data_dir()}}).find("ENOENT")
        != std::string::npos);
  auto endpoint = f.node.endpoint();
  auto port = std::stoi(endpoint.substr(endpoint.rfind(':') + 1));
  CHECK(f.invoke("wild", {{"do", "net"}, {"port", port}})["Answer"] != "connected");
  (void)f.command({"function", "invoke", "wild"},
                  json{{"do", "fork"}}.dump()); // however it ends
  CHECK(descendants(f.node.pid(), "sleep").size() < 100);
  CHECK(f.invoke("wild")["Answer"] == "well");
  CHECK(f.logs("wild", {"--failed"}).size() >= 9);
  CHECK(f.logs("wild", {"--grep", "RangeError"}).size() == 1);
}

TEST_CASE("functions: an executable is any program, called with its event on standard input") {
  function_fixture f;
  auto path = f.code(
      "count.py",
      "#!/usr/bin/env python3\nimport json, os, sys\n"
      "event = json.load(sys.stdin)\nprint('counting', os.environ['FRAMEMILL_FUNCTION'])\n"
      "os.write(3, json.dumps({'items': len(event['list'])}).encode())\n");
  f.create("count", "executable", path);
  auto a = f.invoke("count", {{"list", {1, 2, 3}}});
  CHECK(a["Answer"]["items"] == 3);
  CHECK(a["Invocation"]["Output"] == "counting count\n");
  CHECK(a["Invocation"]["Exit"] == "exit 0");
  CHECK(f.failure("count", {{"other", 1}}) == "it ended with exit 1");
  CHECK(f.logs("count", {"--grep", "KeyError"}).size() == 1);
}

TEST_CASE("functions: the webhook template tells a WeCom robot, and believes only errcode 0") {
  receiver robot{{"webhook"}};
  function_fixture f;
  auto url = "http://127.0.0.1:" + std::to_string(robot.port);
  auto missing = f.command({"function", "create", "hook", "--template", "webhook"});
  CHECK(missing.complaint.find("WEBHOOK_URL") != std::string::npos);
  (void)f.ask({"function", "create", "hook", "--template", "webhook", "--secret",
               "WEBHOOK_URL=" + url + "/robot", "--env", "MENTION=ada,bob"});
  (void)f.invoke("hook", finished());
  auto told = robot.only();
  CHECK(told["type"] == "markdown");
  CHECK(told["content_type"] == "application/json");
  auto text = told["text"].get<std::string>();
  for (auto word : {"succeeded", "1-WorkflowTask-7", "media/in/Grüße.mp4", "/out/Grüße.mp4"})
    CHECK_MESSAGE(text.find(word) != std::string::npos, text);
  CHECK(text.find("@ada") == std::string::npos);

  (void)f.ask({"function", "env", "set", "hook", "WEBHOOK_FORMAT=text"});
  (void)f.invoke("hook", finished(true));
  auto failed = robot.received().back();
  CHECK(failed["type"] == "text");
  CHECK(failed["mentioned"] == json{"ada", "bob"});
  CHECK(failed["text"].get<std::string>().find("the source has no video") != std::string::npos);
  for (const auto& event : {finished_scheme(), finished_edit()}) {
    (void)f.invoke("hook", event);
    auto told_of = robot.received().back()["text"].get<std::string>();
    for (auto word : {"succeeded", "media/in/Grüße.mp4", "/out/Grüße.mp4"})
      CHECK_MESSAGE(told_of.find(word) != std::string::npos, told_of);
  }

  auto point_at = [&](const std::string& to) {
    (void)f.ask({"function", "secret", "set", "hook", "WEBHOOK_URL=" + to});
  };
  point_at(url + "/full");
  CHECK(f.failure("hook", finished())
        == "Error: the webhook refused: errcode 45009 api freq out of limit");
  point_at(url + "/broken");
  CHECK(f.failure("hook", finished()) == "Error: the webhook answered 500: out of order");
  point_at(url + "/moved");
  CHECK(f.failure("hook", finished())
        == "Error: the webhook cannot be reached: unexpected redirect");
  point_at("http://127.0.0.1:18/"); // where nothing listens
  CHECK(f.failure("hook", finished()).find("ECONNREFUSED") != std::string::npos);
  CHECK(robot.received().size() == 4);
}

TEST_CASE("functions: the email template speaks SMTP, with TLS and a login where there are") {
  function_fixture f;
  auto create = [&](const std::string& name, int port, std::vector<std::string> more) {
    std::vector<std::string> words{"function",
                                   "create",
                                   name,
                                   "--template",
                                   "email",
                                   "--env",
                                   "SMTP_URL=smtp://127.0.0.1:" + std::to_string(port),
                                   "--env",
                                   "MAIL_FROM=mill@example.org"};
    words.insert(words.end(), more.begin(), more.end());
    (void)f.ask(words);
  };
  receiver plain{{"smtp", "plain"}};
  create("mail", plain.port, {"--env", "MAIL_TO=ada@example.org, bob@example.org"});
  (void)f.invoke("mail", finished());
  auto mail = plain.only();
  CHECK(mail["from"] == "<mill@example.org>");
  CHECK(mail["to"] == json{"<ada@example.org>", "<bob@example.org>"});
  auto text = mail["data"].get<std::string>();
  for (auto word : {"Subject: =?UTF-8?B?", "From: <mill@example.org>", "multipart/mixed",
                    "filename=\"1-WorkflowTask-7.json\""})
    CHECK_MESSAGE(text.find(word) != std::string::npos, text);
  for (const auto& event : {finished_scheme(), finished_edit()})
    CHECK(f.invoke("mail", event)["Answer"]["sent"] == true);
  (void)f.ask(
      {"function", "env", "set", "mail", "MAIL_ONLY=failed", "MAIL_TO=nobody@example.org"});
  CHECK(f.invoke("mail", finished())["Answer"]["sent"] == false);
  CHECK(f.failure("mail", finished(true)).find("550 no such mailbox") != std::string::npos);

  receiver login{{"smtp", "login"}};
  create("clear", login.port,
         {"--env", "MAIL_TO=ada@example.org", "--env", "SMTP_USER=mill", "--secret",
          "SMTP_PASSWORD=right"});
  CHECK(f.failure("clear", finished()).find("offers no TLS") != std::string::npos);
  CHECK(login.received().empty());
  (void)f.ask({"function", "env", "set", "clear", "SMTP_INSECURE=yes"});
  (void)f.invoke("clear", finished());
  CHECK(login.only()["login"] == json{"mill", "right"});

  auto made =
      run({"openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=mail.test",
           "-keyout", f.dir / "key.pem", "-out", f.dir / "cert.pem", "-days", "1"});
  REQUIRE(made.end.exit_code == 0);
  receiver secure{{"smtp", "tls", f.dir / "cert.pem", f.dir / "key.pem"}};
  create("safe", secure.port,
         {"--env", "MAIL_TO=ada@example.org", "--env", "SMTP_USER=mill", "--secret",
          "SMTP_PASSWORD=wrong"});
  CHECK(f.failure("safe", finished()).find("self-signed")
        != std::string::npos); // nobody vouches for it
  (void)f.ask({"function", "env", "set", "safe", "SMTP_INSECURE=yes"});
  CHECK(f.failure("safe", finished()).find("535") != std::string::npos);
  (void)f.ask({"function", "secret", "set", "safe", "SMTP_PASSWORD=right"});
  (void)f.invoke("safe", finished());
  CHECK(secure.only()["secure"] == true);
  CHECK(f.logs("safe", {"--grep", "wrong"}).empty());
}

TEST_CASE("functions: the backup template's files are written where a grant allows it") {
  function_fixture f;
  auto without = f.command(
      {"function", "create", "keep", "--template", "backup", "--env", "BACKUP_BUCKET=media"});
  CHECK(without.complaint.find("grant it a bucket") != std::string::npos);
  (void)f.ask({"function", "create", "keep", "--template", "backup", "--env",
               "BACKUP_BUCKET=media", "--grant", "media:backup/"});
  (void)f.invoke("keep", finished());
  auto kept = json::parse(file_content(f.media + "/backup/1-WorkflowTask-7.json"));
  CHECK(kept == finished());
  CHECK(eventually([&] { return f.object_is("backup/1-WorkflowTask-7.json", "ignored"); }));
  CHECK(f.object("backup/1-WorkflowTask-7.json")["Reason"].get<std::string>().find("ours")
        != std::string::npos);
  (void)f.invoke("keep", finished(true)); // the same name again
  CHECK(json::parse(file_content(f.media + "/backup/1-WorkflowTask-7.json")) == finished(true));

  (void)f.ask({"function", "env", "set", "keep", "BACKUP_DIR=in/"});
  CHECK(f.failure("keep", finished()).find("no grant covers") != std::string::npos);
  (void)f.ask({"function", "env", "set", "keep", "BACKUP_DIR=backup/../in/"});
  CHECK(f.failure("keep", finished()) != "");
  CHECK(f.content("in").empty());
  CHECK(f.command({"function", "update", "keep", "--grant", "elsewhere"}).exit_code == 3);
}

TEST_CASE("functions: a daemon that is killed during a call leaves nothing of it") {
  function_fixture f;
  f.create("sleeper", "executable", f.code("run.sh", "#!/bin/sh\necho asleep >&2\nsleep 300\n"),
           {"--timeout", "15m"});
  auto body = f.dir.write("event.json", "{}");
  process caller{f.command.command({"function", "invoke", "sleeper", "--event", body})};
  REQUIRE(eventually([&] { return !descendants(f.node.pid(), "sleep").empty(); }));
  REQUIRE_FALSE(users_of(f.node.data_dir() + "/functions").empty());
  f.node.kill9();
  CHECK(eventually([&] { return users_of(f.node.data_dir() + "/functions").empty(); }, 10s));
  f.node.start();
  CHECK(eventually([&] { // made anew while the node starts
    std::error_code missing;
    return fs::is_empty(f.node.data_dir() + "/functions", missing) && !missing;
  }));
  (void)f.ask(
      {"function", "update", "sleeper", "--code", f.code("run.sh", "#!/bin/sh\necho awake\n")});
  CHECK(f.invoke("sleeper")["Invocation"]["Output"] == "awake\n");
}

TEST_CASE("functions: calls beyond the concurrency wait their turn") {
  function_fixture f;
  f.create_node("slow", "await new Promise((r) => setTimeout(r, 300)); return Date.now()",
                {"--concurrency", "1"});
  auto body = f.dir.write("event.json", "{}");
  std::vector<std::unique_ptr<process>> callers;
  for (int i = 0; i < 3; ++i)
    callers.push_back(std::make_unique<process>(
        f.command.command({"function", "invoke", "slow", "--event", body})));
  std::vector<std::int64_t> times;
  for (auto& c : callers) {
    auto end = c->wait(60s);
    REQUIRE(end);
    CHECK(end->exit_code == 0);
    times.push_back(documents_of(c->output()).back()["Answer"].get<std::int64_t>());
  }
  std::ranges::sort(times);
  CHECK(times[1] - times[0] >= 295);
  CHECK(times[2] - times[1] >= 295);
}

TEST_CASE("functions: a log has bounds") {
  function_fixture f{
      {.data_dir = {}, .buckets = {}, .config = "function_log_count = 20\n", .wrapper = {}}};
  f.create("noise", "executable",
           f.code("run.sh", "#!/bin/sh\nhead -c 300000 /dev/zero | tr '\\0' x\n"),
           {"--output-kib", "1024"});
  auto call = f.mps();
  call.version = "2026-11-01";
  for (int i = 0; i < 40; ++i)
    (void)call("InvokeFunction", {{"Name", "noise"}, {"Event", json::object()}});
  auto one = f.logs("noise", {"--limit", "1"})[0];
  CHECK(one["OutputBytes"] == 300000);
  CHECK(one["Output"].get<std::string>().size() < 70000);
  f.node.restart();
  CHECK(eventually([&] { return f.logs("noise", {"--limit", "1000"}).size() == 20; }));
}
