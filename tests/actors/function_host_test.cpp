#include "actors/function_host.hpp"
#include "core/limits.hpp"
#include "tests/support/process.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <condition_variable>
#include <csignal>
#include <filesystem>
#include <mutex>

using namespace framemill;
using namespace framemill::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

/// All that was told of one process.
class heard {
public:
  function_listener listener() {
    return {[this](call_outcome o) { note([&] { calls.push_back(std::move(o)); }); },
            [this](function_end e) { note([&] { ends.push_back(std::move(e)); }); }};
  }
  call_outcome wait_for_call() {
    std::unique_lock lock{mutex_};
    REQUIRE(changed_.wait_for(lock, 60s, [&] { return calls.size() > taken_; }));
    return calls[taken_++];
  }
  function_end wait_for_end() {
    std::unique_lock lock{mutex_};
    REQUIRE(changed_.wait_for(lock, 60s, [&] { return !ends.empty(); }));
    return ends.front();
  }
  std::vector<call_outcome> calls;
  std::vector<function_end> ends;

private:
  template <class F>
  void note(F change) {
    std::lock_guard lock{mutex_};
    change();
    changed_.notify_all();
  }
  std::size_t taken_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
};

const std::string bootstraps = std::string{FRAMEMILL_SOURCE_DIR} + "/notify/functions";

struct hosting {
  temp_dir code;
  function_host host{{bootstraps}};

  [[nodiscard]] bool is_possible() const {
    if (!host.sandbox().is_available)
      MESSAGE("skipped: " << host.sandbox().summary);
    return host.sandbox().is_available;
  }
  function_process script(const std::string& text) {
    auto path = code.write("run", "#!/bin/sh\n" + text);
    fs::permissions(path, fs::perms{0755});
    function_process p;
    p.code = code.path();
    p.command = {"/fn/code/run"};
    p.environment = {{"PATH", "/usr/bin"}, {"KEY", "hush-hush"}};
    p.memory_bytes_max = 64 << 20;
    return p;
  }
  function_process node(const std::string& text) {
    code.write("index.js", text);
    function_process p;
    p.code = code.path();
    p.command = {"/usr/bin/node", "--max-old-space-size=48", "/fn/runtime/bootstrap.js",
                 "index.main_handler"};
    p.environment = {{"PATH", "/usr/bin"}};
    p.memory_bytes_max = 128 << 20;
    p.is_warm = true;
    return p;
  }
  call_outcome run(const std::string& text, const std::string& input = "{}",
                   std::chrono::milliseconds limit = 20s) {
    heard by;
    (void)host.start(script(text), {input, limit, 1 << 20}, by.listener());
    auto o = by.wait_for_call();
    REQUIRE(o.end);
    (void)by.wait_for_end();
    return o;
  }
};

} // namespace

TEST_CASE(
    "function_host: an executable gets its call, and is heard on all of its descriptors") {
  hosting h;
  if (!h.is_possible())
    return;
  auto o = h.run("cat; echo trouble >&2; echo '{\"a\": 1}' >&3", "{\"x\": 2}\n");
  CHECK(o.end->text() == "exit 0");
  CHECK(o.output == "{\"x\": 2}\ntrouble\n");
  CHECK(o.answer == "{\"a\": 1}\n");
  CHECK(o.output_bytes == 17);
  CHECK(o.duration > 0us);
  CHECK(h.run("exit 7").end->text() == "exit 7");
  CHECK(h.run("kill -SEGV $$").end->signal == SIGSEGV);
}

TEST_CASE("function_host: of the machine only programs can be seen, and nothing changed") {
  hosting h;
  if (!h.is_possible())
    return;
  const auto secret = fs::canonical("/proc/self/exe").string(); // some file of this machine
  auto o = h.run(
      "cat /etc/passwd\nls " + secret
      + "\necho x >/fn/code/x\necho x >/x\necho x >/dev/shm/x\n"
        "echo x >/proc/sys/kernel/core_pattern\nid -u\n"
        "echo kept >/tmp/w && cat /fn/work/w\nunshare -U true\nls /proc | grep -c '^[0-9]'");
  CAPTURE(o.output);
  auto says = [&](const char* text) { return o.output.find(text) != std::string::npos; };
  CHECK(says("/etc/passwd: No such file"));
  CHECK(says(("'" + secret + "': No such file").c_str()));
  CHECK(says("/fn/code/x: Read-only"));
  CHECK(says("/x: Read-only"));
  CHECK(says("/dev/shm/x: Read-only"));
  CHECK(says("core_pattern: Read-only"));
  CHECK(says("65534\n"));
  CHECK(says("kept\n"));
  CHECK(says("unshare failed"));
  CHECK(says("\n4\n")); // bubblewrap's, the shell, ls and grep: no others
}

TEST_CASE(
    "function_host: without leave there is no network, not even this machine's loopback") {
  hosting h;
  if (!h.is_possible())
    return;
  const std::string look = "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '";
  CHECK(h.run(look).output == "lo\n");
  heard by;
  auto p = h.script("readlink /proc/self/ns/net");
  p.network = true;
  (void)h.host.start(p, {"", 20s, 1000}, by.listener());
  (void)by.wait_for_end();
  CHECK(by.wait_for_call().output == fs::read_symlink("/proc/self/ns/net").string() + "\n");
}

TEST_CASE("function_host: no list of processes shows what is in the environment") {
  hosting h;
  if (!h.is_possible())
    return;
  heard by;
  auto key = h.host.start(h.script("echo $KEY; echo ready >&3; sleep 100"), {"", 60s, 1000},
                          by.listener());
  std::vector<pid_t> found;
  REQUIRE(eventually([&] { return !(found = descendants(::getpid(), "sleep")).empty(); }));
  CHECK_FALSE(users_of(h.code.path()).empty());
  CHECK(users_of("hush-hush").empty());
  h.host.stop(key);
  auto o = by.wait_for_call();
  (void)by.wait_for_end();
  CHECK(o.output == "hush-hush\n");
  CHECK(o.end->text() == "killed: stopped");
}

TEST_CASE("function_host: a call that takes too long is killed with all that it started") {
  hosting h;
  if (!h.is_possible())
    return;
  auto o = h.run("trap '' TERM INT HUP\n(setsid sleep 300 &)\nsleep 300", "", 500ms);
  CHECK(o.end->text() == "killed: no answer within 0.5 s");
  CHECK(o.duration >= 500ms);
  CHECK(eventually([&] { return users_of(h.code.path()).empty(); }, 10s));
}

TEST_CASE("function_host: a flood of output ends its call, and is not kept") {
  hosting h;
  if (!h.is_possible())
    return;
  auto o = h.run("yes");
  CHECK(o.end->text() == "killed: it printed more than 1048576 bytes");
  CHECK(o.output.size() < limits::function_output_kept_bytes + 100);
}

TEST_CASE("function_host: an answer without end is refused") {
  hosting h;
  if (!h.is_possible())
    return;
  auto o = h.run("yes >&3");
  CHECK(o.end->killed_for.find("its answer has more than") == 0);
}

TEST_CASE("function_host: whoever needs too much memory is killed") {
  hosting h;
  if (!h.is_possible())
    return;
  auto o = h.run("head -c 200M /dev/zero | tail | sleep 1"); // tail keeps it all
  CHECK(o.end->text() == "killed: it needs more than 64 MiB of memory");
}

TEST_CASE("function_host: a fork bomb finds its end") {
  hosting h;
  if (!h.is_possible())
    return;
  // As python, because a shell forks too slowly to be a bomb.
  auto o = h.run(
      "exec 2>&1\npython3 - <<'E'\nimport os, time\nmade = 0\ntry:\n  while made < 2000:\n"
      "    if os.fork() == 0:\n      time.sleep(300)\n    made += 1\n"
      "except OSError:\n  pass\nprint('made', made)\nE\n");
  CAPTURE(o.output);
  CAPTURE(o.end->text());
  auto at = o.output.find("made ");
  CHECK((!o.end->killed_for.empty()
         || (at != std::string::npos && std::stoi(o.output.substr(at + 5)) < 100)));
  CHECK(eventually([&] { return users_of(h.code.path()).empty(); }, 10s));
}

TEST_CASE("function_host: its own files are bounded") {
  hosting h;
  if (!h.is_possible())
    return;
  auto o = h.run("head -c 100M /dev/zero >/fn/work/big; wc -c </fn/work/big");
  CHECK((o.output.find("No space") != std::string::npos || o.end->killed_for != ""
         || o.output.find("File size limit") != std::string::npos || o.end->signal == SIGXFSZ));
}

TEST_CASE("function_host: a warm process answers call after call, and prints for each") {
  hosting h;
  if (!h.is_possible() || !find_node())
    return;
  heard by;
  auto key = h.host.start(h.node("let n = 0; exports.main_handler = async (e) => { "
                                 "console.log('call', ++n); return e.x; }"),
                          {R"({"Event":{"x":7},"Context":{}})", 20s, 1000}, by.listener());
  auto first = by.wait_for_call();
  CHECK(first.answer == R"({"Ok":true,"Answer":7})");
  CHECK(first.output == "call 1\n");
  CHECK(first.start_up > 0us);
  CHECK_FALSE(first.end);
  CHECK(first.memory_peak_bytes > 1 << 20);

  h.host.call(key, {R"({"Event":{"x":[8]},"Context":{}})", 20s, 1000});
  auto second = by.wait_for_call();
  CHECK(second.answer == R"({"Ok":true,"Answer":[8]})");
  CHECK(second.output == "call 2\n");
  CHECK(second.start_up == 0us);
  h.host.close();
  CHECK(by.wait_for_end().text() == "killed: the daemon stops");
  CHECK(by.calls.size() == 2);
}

TEST_CASE("function_host: code of node's that misbehaves is told apart") {
  hosting h;
  if (!h.is_possible() || !find_node())
    return;
  auto run = [&](const std::string& body, const char* prelude = "") {
    heard by;
    auto key = h.host.start(
        h.node(std::string{prelude} + "exports.main_handler = async (event) => {" + body + "}"),
        {R"({"Event":{},"Context":{}})", 10s, 100'000}, by.listener());
    auto o = by.wait_for_call();
    h.host.stop(key);
    (void)by.wait_for_end();
    return o;
  };
  CHECK(run("throw new TypeError('bad')").answer == R"({"Ok":false,"Error":"TypeError: bad"})");
  CHECK(run("throw 'words'").answer == R"({"Ok":false,"Error":"words"})");
  CHECK(run("", "syntax error here;").answer.find("the code cannot be loaded: SyntaxError")
        != std::string::npos);
  CHECK(run("const a = {}; a.a = a; return a").answer.find("its answer cannot be sent")
        != std::string::npos);
  CHECK(run("process.exit(3)").end->text() == "exit 3");
  CHECK(run("setTimeout(() => { throw new Error('later') }); await new Promise(() => {})")
            .end->text()
        == "exit 1");
  auto talker = run("for (;;) console.log('x'.repeat(1000))").end->killed_for;
  CHECK_MESSAGE(talker.find("it printed more") == 0, talker);
  auto heap = run("const all = []; for (;;) all.push(new Array(10000).fill(all.length))");
  CHECK(heap.output.find("JavaScript heap out of memory") != std::string::npos);
  auto buffers = run("const all = []; for (;;) all.push(Buffer.alloc(1 << 24, 1))");
  CHECK(buffers.end->killed_for == "it needs more than 128 MiB of memory");
  auto twice = run("require('fs').writeSync(3, '{\"Ok\":true}\\n{\"Ok\":true}\\n'); for (;;);");
  CHECK(twice.answer == "{\"Ok\":true}"); // and then it is killed for the second
}

TEST_CASE("function_host: a process that works on after its answer is ended") {
  hosting h;
  if (!h.is_possible() || !find_node())
    return;
  heard by;
  (void)h.host.start(
      h.node("exports.main_handler = async () => { setInterval(() => { const t = "
             "Date.now(); while (Date.now() < t + 90); }, 1); return 1; }"),
      {R"({"Event":{},"Context":{}})", 10s, 1000}, by.listener());
  CHECK(by.wait_for_call().answer == R"({"Ok":true,"Answer":1})");
  CHECK(by.wait_for_end().text() == "killed: it worked on after its answer");
}

TEST_CASE("function_host: no function outlives a daemon that is killed") {
  hosting h;
  if (!h.is_possible())
    return;
  (void)h.script("sleep 300");
  process daemon{{{FAKE_DAEMON, "function", h.code.path(), bootstraps}, {}, {}}};
  REQUIRE(eventually([&] { return !descendants(daemon.pid(), "sleep").empty(); }));
  daemon.signal(SIGKILL);
  CHECK(eventually([&] { return users_of(h.code.path()).empty(); }, 10s));
}
