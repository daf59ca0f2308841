#include "cluster/transport.hpp"

#include "cluster/protocol.hpp"
#include "tests/support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

using namespace framemill;
using namespace std::chrono_literals;
using framemill::test::temp_dir;

namespace {

constexpr auto long_enough = 20s; // for what must happen; nothing waits it out

template <class T>
T must(result<T> r) {
  if (!r)
    FAIL(r.error().message);
  return std::move(*r);
}

/// Something that other threads tell and the test waits for.
class log_book {
public:
  void add(std::string line) {
    std::lock_guard lock{mutex_};
    lines_.push_back(std::move(line));
    moved_.notify_all();
  }
  [[nodiscard]] std::vector<std::string> lines() const {
    std::lock_guard lock{mutex_};
    return lines_;
  }
  [[nodiscard]] bool has(const std::string& line) const {
    return count(line) > 0;
  }
  [[nodiscard]] std::ptrdiff_t count(const std::string& line) const {
    const auto all = lines();
    return std::count(all.begin(), all.end(), line);
  }
  /// Until `count` lines are `line`.
  [[nodiscard]] bool wait_for(const std::string& line, std::ptrdiff_t count = 1,
                              std::chrono::milliseconds limit = long_enough) const {
    std::unique_lock lock{mutex_};
    return moved_.wait_for(lock, limit, [&] {
      return std::count(lines_.begin(), lines_.end(), line) >= count;
    });
  }
  [[nodiscard]] bool wait_for_size(std::size_t size) const {
    std::unique_lock lock{mutex_};
    return moved_.wait_for(lock, long_enough, [&] { return lines_.size() >= size; });
  }

private:
  mutable std::mutex mutex_;
  mutable std::condition_variable moved_;
  std::vector<std::string> lines_;
};

/// A hub that admits whom the test says, and what it heard. `came` and `frames`
/// tell connections apart by the order in which they were first heard: #1, #2.
class test_hub {
public:
  using verdict = hub::options::verdict;

  explicit test_hub(std::size_t queue_frames_max = 4096) {
    hub::options o{.keys = keys};
    o.queue_frames_max = queue_frames_max;
    o.admit = [this](std::string_view key) { return judge(std::string{key}); };
    door_ = must(hub::open(std::move(o), {.on_frame = [this](auto c, auto key, auto frame) {
                                            hear(c, key, std::move(frame));
                                          },
                                          .on_gone = [this](auto c) { lose(c); }}));
  }
  void admit(const std::string& key, verdict v) {
    std::lock_guard lock{mutex_};
    verdicts_[key] = v;
  }
  [[nodiscard]] link::options address(key_pair node) const {
    return {.host = "127.0.0.1", .port = door_->port(), .server_key = keys.public_key,
            .keys = std::move(node)};
  }
  [[nodiscard]] hub& door() { return *door_; }
  [[nodiscard]] connection_key connection(int number) const {
    std::lock_guard lock{mutex_};
    for (const auto& [c, n] : numbers_)
      if (n == number)
        return c;
    return 0;
  }
  void close() { door_.reset(); }

  const key_pair keys = make_key_pair();
  log_book book;               ///< "#1 frame", "#1 gone", "knock"
  std::atomic<bool> echoes{false};

private:
  verdict judge(const std::string& key) {
    std::lock_guard lock{mutex_};
    auto it = verdicts_.find(key);
    const auto v = it == verdicts_.end() ? verdict::no : it->second;
    book.add("knock");
    return v;
  }
  int number_of(connection_key c) {
    std::lock_guard lock{mutex_};
    return numbers_.emplace(c, static_cast<int>(numbers_.size()) + 1).first->second;
  }
  void hear(connection_key c, const std::string& key, std::string frame) {
    {
      std::lock_guard lock{mutex_};
      if (!verdicts_.count(key))
        book.add("heard a stranger");
    }
    const auto n = number_of(c);
    if (echoes)
      door_->send(c, frame);
    book.add(fmt::format("#{} {}", n, frame.substr(0, 40)));
  }
  void lose(connection_key c) { book.add(fmt::format("#{} gone", number_of(c))); }

  mutable std::mutex mutex_;
  std::map<std::string, verdict> verdicts_;
  std::map<connection_key, int> numbers_;
  std::unique_ptr<hub> door_;
};

/// A link that says "hello" on each connection.
class test_link {
public:
  explicit test_link(link::options o, bool greets = true) {
    auto opened = link::open(std::move(o), {.on_up = [this] { book.add("up"); },
                                            .on_frame = [this](auto f) { book.add(f); },
                                            .on_down = [this](auto why) {
                                              reasons.add(why);
                                              book.add("down");
                                            }});
    line = must(std::move(opened));
    if (greets)
      greet(1);
  }
  void greet(int connection) {
    REQUIRE(book.wait_for("up", connection));
    REQUIRE(line->send("hello"));
  }
  log_book book, reasons;
  std::unique_ptr<framemill::link> line;
};

/// A node in a process of its own, to be killed and frozen: connects where it is
/// told to and says hello. Made before the test has threads (fork).
class child_node {
public:
  child_node() {
    REQUIRE(::pipe(pipe_.data()) == 0);
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0)
      live();
    ::close(pipe_[0]);
  }
  child_node(const child_node&) = delete;
  child_node& operator=(const child_node&) = delete;
  ~child_node() {
    ::close(pipe_[1]);
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  void connect(const link::options& o) {
    const auto text = fmt::format("{} {} {} {}\n", o.port, o.server_key, o.keys.public_key,
                                  o.keys.secret_key);
    REQUIRE(::write(pipe_[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  void signal(int number) const { REQUIRE(::kill(pid_, number) == 0); }
  /// Until the kernel says it stands still.
  void freeze() const {
    signal(SIGSTOP);
    REQUIRE(::waitpid(pid_, nullptr, WUNTRACED) == pid_);
  }

private:
  [[noreturn]] void live() {
    ::close(pipe_[1]);
    link::options o{.host = "127.0.0.1"};
    unsigned port = 0;
    std::array<char, 41> server{}, open{}, secret{};
    FILE* in = ::fdopen(pipe_[0], "r");
    if (::fscanf(in, "%u %40s %40s %40s", &port, server.data(), open.data(),
                 secret.data()) != 4)
      ::_exit(1);
    o.port = static_cast<std::uint16_t>(port);
    o.server_key = server.data();
    o.keys = {open.data(), secret.data()};
    log_book book;
    auto line = link::open(o, {.on_up = [&] { book.add("up"); },
                               .on_frame = [](auto) {},
                               .on_down = [](auto) {}});
    if (!line || !book.wait_for("up") || !(*line)->send("hello"))
      ::_exit(1);
    while (::fgetc(in) != EOF) // until the test is over
      ;
    ::_exit(0);
  }
  std::array<int, 2> pipe_{};
  pid_t pid_ = -1;
};

/// A TCP connection of somebody who does not speak ZMTP.
class stranger {
public:
  explicit stranger(std::uint16_t port, std::string_view says = {}) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
    REQUIRE(::send(socket_, says.data(), says.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(says.size()));
  }
  stranger(const stranger&) = delete;
  stranger& operator=(const stranger&) = delete;
  ~stranger() { ::close(socket_); }
  /// Until the other side hangs up; what it said besides is not of interest.
  [[nodiscard]] bool is_shown_out() const {
    std::array<char, 256> ignored{};
    for (;;) {
      pollfd p{socket_, POLLIN, 0};
      if (::poll(&p, 1, 20'000) != 1)
        return false;
      if (::recv(socket_, ignored.data(), ignored.size(), 0) <= 0)
        return true;
    }
  }

private:
  int socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
};

std::int64_t milliseconds_since(std::chrono::steady_clock::time_point t) {
  return (std::chrono::steady_clock::now() - t) / 1ms;
}

using verdict = hub::options::verdict;

} // namespace

TEST_CASE("transport: a killed node is gone within milliseconds") {
  child_node child;
  const auto node = make_key_pair();
  test_hub h;
  h.admit(node.public_key, verdict::yes);
  child.connect(h.address(node));
  REQUIRE(h.book.wait_for("#1 hello"));

  const auto killed = std::chrono::steady_clock::now();
  child.signal(SIGKILL);

  CHECK(h.book.wait_for("#1 gone", 1, 1s));
  MESSAGE("gone after " << milliseconds_since(killed) << " ms");
}

TEST_CASE("transport: a frozen node whose queue is full is dropped, others go on") {
  child_node child;
  const auto frozen = make_key_pair(), awake = make_key_pair();
  test_hub h{512};
  h.admit(frozen.public_key, verdict::yes);
  h.admit(awake.public_key, verdict::yes);
  child.connect(h.address(frozen));
  REQUIRE(h.book.wait_for("#1 hello"));
  test_link other{h.address(awake)};
  REQUIRE(h.book.wait_for("#2 hello"));
  h.echoes = true;

  child.freeze();
  std::int64_t slowest = 0;
  int sent = 0;
  while (!h.book.has("#1 gone") && sent < 20'000) {
    h.door().send(h.connection(1), std::string(64 << 10, 'x'));
    if (++sent % 100 == 0) {
      const auto asked = std::chrono::steady_clock::now();
      REQUIRE(other.line->send(fmt::format("echo {}", sent)));
      REQUIRE(other.book.wait_for(fmt::format("echo {}", sent)));
      slowest = std::max(slowest, milliseconds_since(asked));
    }
  }

  CHECK(h.book.wait_for("#1 gone", 1, 1s));
  CHECK_FALSE(h.book.has("#2 gone"));
  MESSAGE("dropped after " << sent << " frames of 64 KiB; slowest echo of the other "
                           << slowest << " ms");
}

TEST_CASE("transport: frames arrive in order, both ways") {
  const auto node = make_key_pair();
  test_hub h;
  h.admit(node.public_key, verdict::yes);
  h.echoes = true;
  test_link l{h.address(node)};
  REQUIRE(l.book.wait_for("hello"));

  std::vector<std::string> sent{"up", "hello"};
  for (int i = 0; i < 3000; ++i) {
    sent.push_back(fmt::format("frame {}", i));
    REQUIRE(l.line->send(sent.back()));
  }

  REQUIRE(l.book.wait_for_size(sent.size()));
  CHECK(l.book.lines() == sent);
}

TEST_CASE("transport: a frame may be 16 MiB, and no larger") {
  const auto node = make_key_pair();
  test_hub h;
  h.admit(node.public_key, verdict::yes);
  h.echoes = true;
  test_link l{h.address(node)};
  REQUIRE(l.book.wait_for("hello"));

  REQUIRE(l.line->send(std::string(control_frame_bytes_max, 'a')));
  CHECK_FALSE(l.line->send(std::string(control_frame_bytes_max + 1, 'a')));

  REQUIRE(l.book.wait_for_size(3));
  CHECK(l.book.lines().back().size() == control_frame_bytes_max);
}

TEST_CASE("transport: a stranger's key is refused and never heard") {
  test_hub h;

  test_link stranger{h.address(make_key_pair()), false};

  REQUIRE(h.book.wait_for("knock", 2)); // it comes again, as a refused link may
  CHECK(h.book.lines() == std::vector<std::string>(h.book.lines().size(), "knock"));
  CHECK_FALSE(stranger.line->send("let me in"));
  CHECK_FALSE(stranger.book.has("up"));
  REQUIRE(stranger.reasons.wait_for_size(1));
  CHECK(stranger.reasons.lines()[0].find("refuses this node's key") != std::string::npos);
}

TEST_CASE("transport: a hub with another key than expected is not spoken to") {
  const auto node = make_key_pair();
  test_hub h;
  h.admit(node.public_key, verdict::yes);
  auto o = h.address(node);
  o.server_key = make_key_pair().public_key;

  test_link l{o, false};

  REQUIRE(l.book.wait_for("down"));
  CHECK_FALSE(l.book.has("up"));
  CHECK_FALSE(h.book.has("knock"));
}

TEST_CASE("transport: not yet becomes yes without a new link") {
  const auto node = make_key_pair();
  test_hub h;
  h.admit(node.public_key, verdict::not_yet);
  test_link l{h.address(node), false};
  REQUIRE(h.book.wait_for("knock"));

  h.admit(node.public_key, verdict::yes);

  l.greet(1);
  CHECK(h.book.wait_for("#1 hello"));
}

TEST_CASE("transport: a revoked node is cut off at once and stays out") {
  const auto node = make_key_pair();
  test_hub h;
  h.admit(node.public_key, verdict::yes);
  test_link l{h.address(node)};
  REQUIRE(h.book.wait_for("#1 hello"));

  h.admit(node.public_key, verdict::no);
  const auto knocks = h.book.count("knock");
  h.door().send(h.connection(1), "you are removed");
  h.door().drop(h.connection(1));

  CHECK(h.book.wait_for("#1 gone", 1, 1s));
  CHECK(l.book.wait_for("you are removed")); // said before the cut
  REQUIRE(l.book.wait_for("down", 1, 2s));
  CHECK(h.book.wait_for("knock", knocks + 1));
  REQUIRE(l.book.wait_for("down", 2));
  CHECK(l.book.lines() == std::vector<std::string>{"up", "you are removed", "down", "down"});
}

TEST_CASE("transport: a key revoked before its first frame is not heard") {
  const auto node = make_key_pair();
  test_hub h;
  h.admit(node.public_key, verdict::yes);
  test_link l{h.address(node), false};
  REQUIRE(l.book.wait_for("up"));

  h.admit(node.public_key, verdict::no);
  REQUIRE(l.line->send("hello"));

  CHECK(l.book.wait_for("down"));
  CHECK_FALSE(h.book.has("#1 hello"));
}

TEST_CASE("transport: what a dropped connection still says is not heard") {
  const auto node = make_key_pair();
  test_hub h;
  h.admit(node.public_key, verdict::yes);
  test_link l{h.address(node)};
  REQUIRE(h.book.wait_for("#1 hello"));

  h.door().drop(h.connection(1));
  REQUIRE(h.book.wait_for("#1 gone"));
  (void)l.line->send("I am still here");

  l.greet(2);
  REQUIRE(h.book.wait_for("#2 hello"));
  CHECK_FALSE(h.book.has("#1 I am still here"));
}

TEST_CASE("transport: a reconnect is a new connection, and the old one is gone") {
  const auto node = make_key_pair();
  test_hub h;
  h.admit(node.public_key, verdict::yes);
  test_link l{h.address(node)};
  REQUIRE(h.book.wait_for("#1 hello"));

  for (int n = 2; n < 12; ++n) { // descriptors are used again
    l.line->reconnect();
    l.greet(n);
    REQUIRE(h.book.wait_for(fmt::format("#{} hello", n)));
    CHECK(h.book.wait_for(fmt::format("#{} gone", n - 1)));
    CHECK_FALSE(h.book.has(fmt::format("#{} gone", n)));
  }
}

TEST_CASE("transport: a link finds a hub that comes back") {
  const auto node = make_key_pair();
  auto first = std::make_unique<test_hub>();
  first->admit(node.public_key, verdict::yes);
  test_link l{first->address(node)};
  REQUIRE(first->book.wait_for("#1 hello"));
  hub::options again{.port = first->door().port(), .keys = first->keys};
  again.admit = [](auto) { return verdict::yes; };

  first->close();
  REQUIRE(l.book.wait_for("down"));
  CHECK_FALSE(l.line->send("nobody there"));
  log_book heard;
  auto second = must(hub::open(again, {.on_frame = [&](auto, auto, auto f) { heard.add(f); },
                                       .on_gone = [](auto) {}}));

  l.greet(2);
  REQUIRE(heard.wait_for("hello"));
  CHECK(heard.lines() == std::vector<std::string>{"hello"});
}

TEST_CASE("transport: what a link was given last leaves before it goes") {
  const auto node = make_key_pair();
  test_hub h;
  h.admit(node.public_key, verdict::yes);
  test_link l{h.address(node)};

  REQUIRE(l.line->send("leaving"));
  l.line.reset();

  REQUIRE(h.book.wait_for("#1 gone"));
  CHECK(h.book.has("#1 leaving"));
}

TEST_CASE("transport: many nodes come and go, each connection gone once") {
  test_hub h;
  h.echoes = true;
  std::vector<key_pair> keys(12);
  for (auto& k : keys) {
    k = make_key_pair();
    h.admit(k.public_key, verdict::yes);
  }

  std::vector<std::thread> threads;
  std::atomic<int> hellos{0};
  for (auto& k : keys)
    threads.emplace_back([&] {
      for (int life = 0; life < 4; ++life) {
        log_book book;
        auto line = link::open(h.address(k), {.on_up = [&] { book.add("up"); },
                                              .on_frame = [&](auto f) { book.add(f); },
                                              .on_down = [](auto) {}});
        if (line && book.wait_for("up") && (*line)->send("hello") && book.wait_for("hello"))
          ++hellos;
      }
    });
  for (auto& t : threads)
    t.join();

  REQUIRE(hellos == 48);
  for (int n = 1; n <= 48; ++n)
    REQUIRE(h.book.wait_for(fmt::format("#{} gone", n)));
  const auto lines = h.book.lines();
  const std::set<std::string> distinct{lines.begin(), lines.end()};
  CHECK(distinct.size() == 48 * 2 + 1);
  CHECK(h.book.count("knock") == 48 * 2); // a handshake, a first frame
}

TEST_CASE("transport: noise and silence on the port are shown out, nodes do not notice") {
  const auto node = make_key_pair();
  test_hub h;
  h.admit(node.public_key, verdict::yes);
  h.echoes = true;
  test_link l{h.address(node)};
  REQUIRE(l.book.wait_for("hello"));

  const stranger silent{h.door().port()};
  const stranger web{h.door().port(), "GET / HTTP/1.1\r\n\r\n" + std::string(64, ' ')};
  const stranger noise{h.door().port(), std::string(4096, '\xff')};
  // A greeting of ZMTP 3.0 that wants the NULL mechanism: no keys.
  const stranger keyless{h.door().port(), "\xff" + std::string(8, '\0') + "\x7f\x03" +
                                              std::string(1, '\0') + "NULL" +
                                              std::string(48, '\0')};

  CHECK(web.is_shown_out());
  CHECK(noise.is_shown_out());
  CHECK(keyless.is_shown_out());
  CHECK(silent.is_shown_out());
  REQUIRE(l.line->send("still here"));
  CHECK(l.book.wait_for("still here"));
  CHECK_FALSE(l.book.has("down"));
  CHECK_FALSE(h.book.has("#2 gone"));
}

TEST_CASE("transport: a port in use is said by name") {
  test_hub h;
  const auto port = h.door().port();

  hub::options o{.port = port, .keys = make_key_pair()};
  o.admit = [](auto) { return verdict::no; };
  const auto second = hub::open(o, {[](auto, auto, auto) {}, [](auto) {}});

  REQUIRE_FALSE(second);
  CHECK(second.error().code == errc::in_use);
  CHECK(second.error().message.find(fmt::format("127.0.0.1:{}", port)) != std::string::npos);
}

TEST_CASE("transport: an address that is not ours, or no key, is refused with a sentence") {
  hub::options o{.host = "192.0.2.1", .keys = make_key_pair(),
                 .admit = [](auto) { return verdict::no; }};
  const hub::listener deaf{[](auto, auto, auto) {}, [](auto) {}};
  CHECK(hub::open(o, deaf).error().code == errc::invalid_argument);
  o.host = "no such host";
  CHECK(hub::open(o, deaf).error().code == errc::invalid_argument);
  o.host = "127.0.0.1";
  o.keys.secret_key = "short";
  CHECK(hub::open(o, deaf).error().code == errc::invalid_argument);

  link::options l{.host = "127.0.0.1", .port = 1, .server_key = "short",
                  .keys = make_key_pair()};
  const link::listener nobody{[] {}, [](auto) {}, [](auto) {}};
  CHECK(link::open(l, nobody).error().code == errc::invalid_argument);
  l.server_key = make_key_pair().public_key;
  l.port = 0;
  CHECK(link::open(l, nobody).error().code == errc::invalid_argument);
}

TEST_CASE("transport: IPv6 literals are addresses too") {
  const auto node = make_key_pair(), server = make_key_pair();
  log_book heard;
  hub::options o{.host = "::1", .keys = server, .admit = [](auto) { return verdict::yes; }};
  auto h = hub::open(o, {[&](auto, auto, auto f) { heard.add(f); }, [](auto) {}});
  if (!h) {
    MESSAGE("no IPv6 here: " << h.error().message);
    return;
  }

  test_link l{{.host = "::1", .port = (*h)->port(), .server_key = server.public_key,
               .keys = node}};

  CHECK(heard.wait_for("hello"));
}

TEST_CASE("enrolment_desk: a stranger asks and is answered") {
  const auto desk_keys = make_key_pair(), node = make_key_pair();
  std::thread later;
  auto desk = must(enrolment_desk::open(
      {.keys = desk_keys}, [&](std::string key, std::string frame, auto answer) {
        later = std::thread{[=] { // from another thread, and once
          answer(key == node.public_key ? "welcome, " + frame : "who?");
          answer("again");
        }};
      }));

  const auto reply = ask_enrolment_desk({.host = "127.0.0.1", .port = desk->port(),
                                         .server_key = desk_keys.public_key, .keys = node},
                                        "n1", long_enough);

  later.join();
  REQUIRE(reply);
  CHECK(*reply == "welcome, n1");
}

TEST_CASE("enrolment_desk: an answer that comes after the desk went is nothing") {
  const auto desk_keys = make_key_pair(), node = make_key_pair();
  std::mutex mutex;
  std::condition_variable asked;
  enrolment_desk::answer kept;
  auto desk = must(enrolment_desk::open({.keys = desk_keys}, [&](auto, auto, auto answer) {
    std::lock_guard lock{mutex};
    kept = answer;
    asked.notify_all();
  }));
  test_link l{{.host = "127.0.0.1", .port = desk->port(), .server_key = desk_keys.public_key,
               .keys = node}};
  std::unique_lock lock{mutex};
  REQUIRE(asked.wait_for(lock, long_enough, [&] { return kept != nullptr; }));

  desk.reset();

  kept("too late");
  CHECK(l.book.wait_for("down"));
  CHECK_FALSE(l.book.has("too late"));
}

TEST_CASE("enrolment_desk: whoever speaks twice, or too much, is shown out") {
  const auto desk_keys = make_key_pair();
  log_book heard;
  auto desk = must(enrolment_desk::open({.keys = desk_keys},
                                        [&](auto, auto frame, auto) { heard.add(frame); }));
  const auto address = [&] {
    return link::options{.host = "127.0.0.1", .port = desk->port(),
                         .server_key = desk_keys.public_key, .keys = make_key_pair()};
  };

  test_link twice{address()};
  REQUIRE(heard.wait_for("hello"));
  REQUIRE(twice.line->send("and again"));
  CHECK(twice.book.wait_for("down"));
  test_link lavish{address(), false};
  REQUIRE(lavish.book.wait_for("up"));
  REQUIRE(lavish.line->send(std::string(100 << 10, 'x')));
  CHECK(lavish.book.wait_for("down"));

  CHECK(heard.lines() == std::vector<std::string>{"hello"});
}

TEST_CASE("enrolment_desk: silent connections keep nobody out") {
  const auto desk_keys = make_key_pair();
  auto desk = must(enrolment_desk::open({.keys = desk_keys},
                                        [](auto, auto, auto answer) { answer("welcome"); }));
  std::vector<std::unique_ptr<stranger>> silent;
  for (int i = 0; i < 300; ++i)
    silent.push_back(std::make_unique<stranger>(desk->port()));

  const auto reply = ask_enrolment_desk({.host = "127.0.0.1", .port = desk->port(),
                                         .server_key = desk_keys.public_key,
                                         .keys = make_key_pair()},
                                        "n1", long_enough);

  REQUIRE(reply);
  CHECK(*reply == "welcome");
  CHECK(silent.front()->is_shown_out());
}

TEST_CASE("enrolment_desk: the wrong server key is nobody's answer") {
  bool is_asked = false;
  auto desk = must(enrolment_desk::open({.keys = make_key_pair()},
                                        [&](auto, auto, auto) { is_asked = true; }));

  const auto reply = ask_enrolment_desk({.host = "127.0.0.1", .port = desk->port(),
                                         .server_key = make_key_pair().public_key,
                                         .keys = make_key_pair()},
                                        "n1", 500ms);

  desk.reset();
  REQUIRE_FALSE(reply);
  CHECK(reply.error().code == errc::unavailable);
  CHECK_FALSE(is_asked);
}

TEST_CASE("join_token: goes to text and back") {
  const join_token t{"k3", "s_-~9Zq", make_key_pair().public_key};

  const auto text = to_text(t);

  CHECK(std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
  }));
  const auto back = must(parse_join_token(text));
  CHECK(back.id == t.id);
  CHECK(back.secret == t.secret);
  CHECK(back.server_key == t.server_key);
}

TEST_CASE("join_token: damaged text is refused, without quoting it") {
  const auto good = to_text({"id", "the-secret", make_key_pair().public_key});
  std::vector<std::string> damaged{"", ".", "...", "fmj1", "fmj1...", "fmj2" + good.substr(4),
                                   good + " ", good + "a", " " + good, good + ".x",
                                   "fmj1.i d." + good.substr(8), "fmj1..the-secret.00",
                                   "fmj1.id.the-secret." + std::string(64, 'g'),
                                   "fmj1.id.the-secret." + std::string(64, 'A'),
                                   "fmj1." + std::string(1000, 'a') + good.substr(7)};
  for (std::size_t cut = 0; cut < good.size(); ++cut)
    damaged.push_back(good.substr(0, cut));

  for (const auto& text : damaged) {
    const auto t = parse_join_token(text);
    CAPTURE(text);
    REQUIRE_FALSE(t);
    CHECK(t.error().code == errc::malformed);
    CHECK(t.error().message.find("the-secret") == std::string::npos);
  }
}

TEST_CASE("keys: are made once, for their owner's eyes") {
  temp_dir dir;
  const auto path = dir / "node.key";

  const auto made = must(load_or_make_keys(path));
  const auto again = must(load_or_make_keys(path));

  CHECK(made.public_key.size() == 40);
  CHECK(made.public_key == again.public_key);
  CHECK(made.secret_key == again.secret_key);
  struct stat s {};
  REQUIRE(::stat(path.c_str(), &s) == 0);
  CHECK((s.st_mode & 07777) == 0600);
  CHECK(std::distance(std::filesystem::directory_iterator{dir.path()}, {}) == 1);
}

TEST_CASE("keys: a file that others can open, or a link to one, is refused") {
  temp_dir dir;
  const auto path = dir / "node.key";
  REQUIRE(load_or_make_keys(path));

  for (mode_t mode : {0644, 0640, 0602, 0601}) {
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    const auto keys = load_or_make_keys(path);
    REQUIRE_FALSE(keys);
    CHECK(keys.error().code == errc::unauthorized);
    CHECK(keys.error().message.find(path) != std::string::npos);
  }
  REQUIRE(::chmod(path.c_str(), 0600) == 0);
  REQUIRE(::symlink(path.c_str(), (dir / "linked").c_str()) == 0);
  CHECK_FALSE(load_or_make_keys(dir / "linked"));
}

TEST_CASE("keys: a damaged file is told, not replaced") {
  temp_dir dir;
  const auto path = dir / "node.key";
  REQUIRE(load_or_make_keys(path));
  const auto good = dir.read("node.key");
  auto swapped = good;
  swapped[20] = swapped[20] == 'a' ? 'b' : 'a';

  for (const auto& content : {std::string{}, good.substr(0, good.size() - 1), good + "\n",
                              swapped, std::string(good.size(), ' ')}) {
    dir.write("node.key", content);
    const auto keys = load_or_make_keys(path);
    REQUIRE_FALSE(keys);
    CHECK(keys.error().code == errc::corrupt);
    CHECK(dir.read("node.key") == content);
  }
}

TEST_CASE("keys: a directory that is not there is an error that names it") {
  temp_dir dir;

  const auto keys = load_or_make_keys(dir / "missing/node.key");

  REQUIRE_FALSE(keys);
  CHECK(keys.error().message.find("missing/node.key") != std::string::npos);
}
