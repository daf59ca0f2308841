#include "storage/artifact_store.hpp"
#include "storage/beneath.hpp"
#include "storage/bucket.hpp"
#include "storage/temporary_name.hpp"
#include "tests/support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <map>
#include <set>

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace framemill;
using framemill::test::temp_dir;
namespace fs = std::filesystem;

namespace {

struct listed {
  std::map<std::string, generation> entries;
  std::map<std::string, std::string> refused;
  [[nodiscard]] std::set<std::string> keys() const {
    std::set<std::string> out;
    for (const auto& [key, g] : entries)
      out.insert(key);
    return out;
  }
};

struct local {
  temp_dir dir;
  std::unique_ptr<bucket> in;

  local() {
    fs::create_directory(dir / "in");
    auto opened = open_local_bucket({.name = "in", .path = dir / "in"});
    REQUIRE_MESSAGE(opened, (opened ? "" : opened.error().message));
    in = std::move(*opened);
  }

  listed list(std::string_view prefix = "") const {
    listed l;
    const auto r = in->list(
        prefix,
        [&](const bucket_entry& e) { return l.entries.emplace(e.key, e.generation).second; },
        [&](const refused_entry& e) { l.refused.emplace(e.key, e.reason); });
    REQUIRE_MESSAGE(r, (r ? "" : r.error().message));
    return l;
  }
  object_ref current(const std::string& key) const {
    const auto g = in->stat(key);
    REQUIRE_MESSAGE(g, (g ? "" : g.error().message));
    return {"in", key, *g};
  }
  std::size_t temporaries() const {
    std::size_t n = 0;
    for (const auto& e : fs::recursive_directory_iterator{dir / "in"})
      n += e.path().filename().string().starts_with(temporary_prefix) ? 1 : 0;
    return n;
  }
};

std::string text_of(const framemill::file_handle& file) {
  std::string text(1000, '\0');
  const auto n = ::read(file.get(), text.data(), text.size());
  text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return text;
}

const std::string emoji = "\xf0\x9f\x8e\xac";

} // namespace

// ---- listing ---------------------------------------------------------------

TEST_CASE_FIXTURE(local,
                  "local_bucket: lists objects of all directories with their generation") {
  dir.write("in/a.mp4", "12345");
  dir.write("in/x/y/b.mp4", "1");
  fs::create_directory(dir / "in/empty");

  const auto l = list();

  CHECK(l.keys() == std::set<std::string>{"a.mp4", "x/y/b.mp4"});
  CHECK(l.refused.empty());
  CHECK(l.entries.at("a.mp4").size == 5);
  CHECK(l.entries.at("a.mp4") == in->stat("a.mp4").value());
}

TEST_CASE_FIXTURE(local, "local_bucket: a prefix is one of keys, not of directories") {
  for (const char* key : {"ab/1", "ab/2/3", "abc", "ac", "b/ab/1"})
    dir.write(std::string{"in/"} + key, "");

  CHECK(list("ab").keys() == std::set<std::string>{"ab/1", "ab/2/3", "abc"});
  CHECK(list("ab/").keys() == std::set<std::string>{"ab/1", "ab/2/3"});
  CHECK(list("ab/2").keys() == std::set<std::string>{"ab/2/3"});
  CHECK(list("none/").keys().empty());
  CHECK_FALSE(in->list(
      "../", [](auto&) { return true; }, [](auto&) {}));
}

TEST_CASE_FIXTURE(local, "local_bucket: dotfiles, parts and our own files are no objects") {
  for (const char* key : {".hidden", ".dir/x.mp4", "a.mp4.part", "d.part/x", "ok.mp4"})
    dir.write(std::string{"in/"} + key, "");
  dir.write("in/" + next_temporary_name(), "");

  const auto l = list();

  CHECK(l.keys() == std::set<std::string>{"ok.mp4"});
  CHECK(l.refused.empty());
}

TEST_CASE_FIXTURE(local, "local_bucket: hostile but valid names are objects like others") {
  const std::set<std::string> names{"a b.mp4",
                                    "it's \"quoted\".mp4",
                                    "$(rm -rf).mp4",
                                    "-rf",
                                    "a\\b",
                                    "100%.mp4",
                                    emoji + ".mp4",
                                    "\xe4\xb8\xad\xe6\x96\x87.mp4",
                                    std::string(255, 'n'),
                                    "..a",
                                    "a..b"};
  for (const auto& name : names)
    dir.write("in/" + name, name);

  auto expected = names;
  expected.erase("..a"); // a dotfile
  CHECK(list().keys() == expected);
  for (const auto& name : expected)
    CHECK(text_of(in->open(current(name)).value()) == name);
}

TEST_CASE_FIXTURE(local,
                  "local_bucket: names that are no keys are refused, escaped, not fatal") {
  dir.write("in/ok.mp4", "");
  dir.write("in/new\nline.mp4", "");
  dir.write("in/\xff\xfe.mp4", "");
  dir.write("in/bad\x01/x.mp4", "");

  const auto l = list();

  CHECK(l.keys() == std::set<std::string>{"ok.mp4"});
  REQUIRE(l.refused.size() == 3);
  CHECK(l.refused.contains("new\\x0aline.mp4"));
  CHECK(l.refused.contains("\\xff\\xfe.mp4"));
  CHECK(l.refused.contains("bad\\x01"));
}

TEST_CASE_FIXTURE(local, "local_bucket: a key longer than a key may be is refused") {
  std::string deep = "in";
  for (int i = 0; i < 5; ++i)
    deep += '/' + std::string(250, 'd');
  dir.write(deep + "/x.mp4", "");

  const auto l = list();

  CHECK(l.entries.empty());
  CHECK(l.refused.size() == 1);
}

TEST_CASE_FIXTURE(local,
                  "local_bucket: what is not a regular file is refused and never opened") {
  dir.write("outside/secret", "secret");
  fs::create_symlink(dir / "outside/secret", dir / "in/link");
  fs::create_directory_symlink(dir / "outside", dir / "in/linked");
  REQUIRE(::mkfifo((dir / "in/pipe").c_str(), 0666) == 0);
  const int s = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{AF_UNIX, {}};
  (dir / "in/socket").copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::bind(s, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);

  const auto l = list();

  CHECK(l.entries.empty());
  CHECK(l.refused.size() == 4);
  for (const auto& [key, reason] : l.refused) {
    CAPTURE(key);
    CHECK(in->stat(key).error().code == errc::input_refused);
    CHECK(in->open({"in", key, {}}).error().code == errc::input_refused);
    CHECK_FALSE(in->has_writer(key));
  }
  CHECK(in->stat("linked/secret").error().code == errc::input_refused);
  CHECK(in->open({"in", "linked/secret", {}}).error().code == errc::input_refused);
  CHECK(list("linked/").entries.empty());
  ::close(s);
}

TEST_CASE_FIXTURE(local, "local_bucket: keys that are no keys are refused at every door") {
  dir.write("outside", "secret");
  const auto source = dir.write("source", "abc");
  for (const std::string key :
       {"", "../outside", "a/../../outside", "/etc/passwd", "a//b", ".", "new\nline", "\xff",
        ".framemill-bucket", "a/.framemill-tmp-1"}) {
    CAPTURE(key);
    CHECK_FALSE(in->stat(key));
    CHECK_FALSE(in->open({"in", key, {}}));
    CHECK_FALSE(in->stage(key, source, sha256_of("abc")));
  }
  CHECK(dir.read("outside") == "secret");
}

TEST_CASE_FIXTURE(local, "local_bucket: listing ends when the receiver wants no more") {
  for (int i = 0; i < 10; ++i)
    dir.write("in/" + std::to_string(i), "");
  int seen = 0;

  REQUIRE(in->list(
      "", [&](auto&) { return ++seen < 3; }, [](auto&) {}));

  CHECK(seen == 3);
}

// ---- reading ---------------------------------------------------------------

TEST_CASE_FIXTURE(local, "local_bucket: another generation is not opened") {
  dir.write("in/a", "1");
  const auto before = current("a");
  dir.write("in/a", "22");

  CHECK(in->open(before).error().code == errc::input_changed);
  CHECK(text_of(in->open(current("a")).value()) == "22");
  CHECK(in->stat("b").error().code == errc::not_found);
  CHECK(in->stat("a/b").error().code == errc::not_found);
  fs::create_directory(dir / "in/d");
  CHECK(in->stat("d").error().code == errc::not_found);
}

TEST_CASE_FIXTURE(local, "local_bucket: knows whether somebody writes") {
  dir.write("in/a", "1");
  if (!in->has_writer("a")) {
    MESSAGE("skipped: no leases on this file system");
    return;
  }

  framemill::file_handle writer{::open((dir / "in/a").c_str(), O_WRONLY | O_CLOEXEC)};
  CHECK(in->has_writer("a") == std::optional{true});
  writer = framemill::file_handle{};

  CHECK(in->has_writer("a") == std::optional{false});
  CHECK_FALSE(in->has_writer("none"));
}

TEST_CASE_FIXTURE(local, "open_stepwise: keeps the same rules without openat2") {
  dir.write("in/x/y/a", "1");
  dir.write("outside/secret", "2");
  fs::create_directory_symlink(dir / "outside", dir / "in/linked");
  fs::create_symlink(dir / "outside/secret", dir / "in/link");
  const framemill::file_handle root{
      ::open((dir / "in").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  const auto code = [&](const std::string& key) {
    const auto r = open_stepwise(root.get(), key, O_RDONLY, key);
    return r ? std::optional<errc>{} : r.error().code;
  };

  CHECK_FALSE(code("x/y/a"));
  CHECK_FALSE(code("x/y/"));
  CHECK_FALSE(code("."));
  CHECK(code("link") == errc::input_refused);
  CHECK(code("linked/secret") == errc::input_refused);
  CHECK(code("../outside/secret") == errc::input_refused);
  CHECK(code("x/../../outside/secret") == errc::input_refused);
  CHECK(code("x/none/a") == errc::not_found);
}

// ---- publishing ------------------------------------------------------------

TEST_CASE_FIXTURE(local, "local_bucket: a staged object is invisible until published") {
  const auto source = dir.write("source", "abc");

  auto staged = in->stage("new/dir/out.mp4", source, sha256_of("abc"));
  REQUIRE_MESSAGE(staged, (staged ? "" : staged.error().message));
  CHECK(list().entries.empty());
  const auto object = (*staged)->object();
  REQUIRE((*staged)->publish());

  CHECK(current("new/dir/out.mp4") == object);
  CHECK(dir.read("in/new/dir/out.mp4") == "abc");
  CHECK((*staged)->publish().error().code == errc::conflict);
  staged->reset();
  CHECK(dir.read("in/new/dir/out.mp4") == "abc");
  CHECK(temporaries() == 0);
}

TEST_CASE_FIXTURE(local, "local_bucket: dropped unpublished, a staged object leaves nothing") {
  const auto source = dir.write("source", "abc");

  { auto staged = in->stage("out.mp4", source, sha256_of("abc")); }

  CHECK(temporaries() == 0);
  CHECK_FALSE(fs::exists(dir / "in/out.mp4"));
}

TEST_CASE_FIXTURE(local, "local_bucket: publishing replaces an older object at once") {
  dir.write("in/out", "old");
  auto staged = in->stage("out", dir.write("source", "new!"), sha256_of("new!"));
  REQUIRE(staged);
  CHECK(dir.read("in/out") == "old");

  REQUIRE((*staged)->publish());

  CHECK(dir.read("in/out") == "new!");
}

TEST_CASE_FIXTURE(local, "local_bucket: a 255-byte name can be published") {
  const std::string name = std::string(251, 'n') + ".mp4";
  auto staged = in->stage(name, dir.write("source", "abc"), sha256_of("abc"));
  REQUIRE(staged);

  CHECK((*staged)->publish());
  CHECK(list().keys() == std::set{name});
}

TEST_CASE_FIXTURE(local, "local_bucket: content that is not what was promised is not staged") {
  const auto r = in->stage("out", dir.write("source", "abd"), sha256_of("abc"));

  REQUIRE_FALSE(r);
  CHECK(r.error().code == errc::corrupt);
  CHECK(temporaries() == 0);
  CHECK(in->stage("out", dir / "none", sha256_of("abc")).error().code == errc::not_found);
  CHECK(temporaries() == 0);
}

TEST_CASE_FIXTURE(local,
                  "local_bucket: nothing is published through a link or over a directory") {
  const auto source = dir.write("source", "abc");
  fs::create_directory(dir / "outside");
  fs::create_directory_symlink(dir / "outside", dir / "in/linked");
  fs::create_symlink(dir / "outside/file", dir / "in/link");
  fs::create_directory(dir / "in/directory");
  dir.write("in/file", "");
  const auto code = [&](const std::string& key) {
    const auto r = in->stage(key, source, sha256_of("abc"));
    return r ? errc{} : r.error().code;
  };

  CHECK(code("linked/out") == errc::input_refused);
  CHECK(code("linked/new/out") == errc::input_refused);
  CHECK(code("link") == errc::already_exists);
  CHECK(code("directory") == errc::already_exists);
  CHECK(code("file/out") == errc::not_found);
  CHECK(fs::is_empty(dir / "outside"));
  CHECK(temporaries() == 0);
}

TEST_CASE_FIXTURE(local,
                  "local_bucket: a crash while staging leaves what the sweep takes away") {
  const auto source = dir.write("source", "abc");
  const pid_t child = ::fork();
  if (child == 0) {
    auto staged = in->stage("d/out", source, sha256_of("abc"));
    ::kill(::getpid(), staged ? SIGKILL : SIGTERM);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WTERMSIG(status) == SIGKILL);
  REQUIRE(temporaries() == 1);
  CHECK(list().entries.empty());

  auto living = in->stage("d/other", source, sha256_of("abc"));
  REQUIRE(living);
  dir.write("in/.framemill-tmp-1-00112233445566778899-1-1", "another host's");
  dir.write("in/.framemill-tmp-notes", "somebody's");
  dir.write("in/.hidden", "somebody's");

  CHECK(in->sweep().value() == 1);
  CHECK(temporaries() == 3);
  CHECK(fs::exists(dir / "in/.hidden"));
  CHECK((*living)->publish());
  CHECK(in->sweep().value() == 0);
}

TEST_CASE("is_abandoned_temporary: an older boot of this host is, others are not") {
  auto name = next_temporary_name();
  CHECK_FALSE(is_abandoned_temporary(name));
  CHECK_FALSE(is_abandoned_temporary("video.mp4"));
  CHECK_FALSE(is_abandoned_temporary(temporary_prefix));

  const auto place = name.find('-', temporary_prefix.size()) + 1;
  auto older_boot = name;
  older_boot.replace(place + 8, 8, "00000000");
  CHECK(is_abandoned_temporary(older_boot));
  auto other_host = older_boot;
  other_host.replace(place, 8, "00000000");
  CHECK_FALSE(is_abandoned_temporary(other_host));
  auto reused_pid = name;
  reused_pid.replace(place + 17, name.rfind('-') - place - 17, "1");
  CHECK(is_abandoned_temporary(reused_pid));
}

// ---- the root --------------------------------------------------------------

TEST_CASE_FIXTURE(local,
                  "local_bucket: a root that is gone or swapped is unavailable, not empty") {
  dir.write("in/a", "1");
  const auto id = local_bucket_sentinel(dir / "in").value();
  CHECK(id.size() == 32);
  const auto code = [&] {
    const auto r = in->list(
        "", [](auto&) { return true; }, [](auto&) {});
    return r ? std::optional<errc>{} : r.error().code;
  };

  fs::rename(dir / "in", dir / "away");
  CHECK(code() == errc::unavailable);
  fs::create_directory(dir / "in");
  CHECK(code() == errc::unavailable);
  dir.write("in/.framemill-bucket", "another id\n");
  CHECK(code() == errc::unavailable);
  CHECK(in->stat("a").error().code == errc::unavailable);
  CHECK(in->sweep().error().code == errc::unavailable);

  fs::remove_all(dir / "in");
  fs::rename(dir / "away", dir / "in");
  CHECK_FALSE(code());
  CHECK(local_bucket_sentinel(dir / "in").value() == id);
}

TEST_CASE("open_local_bucket: may wait for a mount that is expected, else needs a directory") {
  temp_dir dir;

  CHECK(open_local_bucket({"b", dir / "none", ""}).error().code == errc::unavailable);
  const auto expected = open_local_bucket({"b", dir / "none", "00ff"});
  REQUIRE(expected);
  CHECK((*expected)->stat("a").error().code == errc::unavailable);
}

TEST_CASE("local_bucket: a read-only or full file system is told before work is done for it") {
  temp_dir dir;
  fs::create_directory(dir / "disk");
  if (::mount("tmpfs", (dir / "disk").c_str(), "tmpfs", 0, "size=64k") != 0) {
    MESSAGE("skipped: this needs the right to mount a tmpfs");
    return;
  }
  struct unmounted {
    std::string path;
    ~unmounted() { ::umount2(path.c_str(), MNT_DETACH); }
  } cleanup{dir / "disk"};
  auto b = open_local_bucket({"b", dir / "disk", ""});
  REQUIRE(b);
  CHECK((*b)->check_writable());

  const auto big = dir.write("big", std::string(200'000, 'x'));
  CHECK((*b)->stage("out", big, sha256_of(std::string(200'000, 'x'))).error().code ==
        errc::no_space);
  dir.write("disk/ballast", std::string(100'000, 'x'));
  CHECK((*b)->check_writable().error().code == errc::no_space);
  CHECK(std::distance(fs::directory_iterator{dir / "disk"}, {}) == 2); // sentinel, ballast

  REQUIRE(::mount(nullptr, (dir / "disk").c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) ==
          0);
  const auto r = (*b)->check_writable();
  REQUIRE_FALSE(r);
  CHECK(r.error().code == errc::unauthorized);
  CHECK(r.error().message.find(dir / "disk") != std::string::npos);
}

TEST_CASE("is_ignored_name: dotfiles and parts") {
  CHECK(is_ignored_name(".x"));
  CHECK(is_ignored_name("x.part"));
  CHECK(is_ignored_name(next_temporary_name()));
  CHECK_FALSE(is_ignored_name("x.partial"));
  CHECK_FALSE(is_ignored_name("part"));
}
