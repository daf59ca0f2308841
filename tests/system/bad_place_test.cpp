#include "tests/system/fixture.hpp"

#include "storage/state_store.hpp"

#include <doctest/doctest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

// Places that are full, read-only, gone, taken or too new.

using namespace framemill;
using namespace framemill::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

constexpr int exit_usage = 2, exit_refused = 4;

/// A file system of the test's own; `made` is false where that is refused.
class small_disk {
public:
  small_disk(std::string path, const std::string& size) : path_(std::move(path)) {
    fs::create_directories(path_);
    made_ = ::mount("tmpfs", path_.c_str(), "tmpfs", 0, ("size=" + size).c_str()) == 0;
    if (!made_)
      MESSAGE("skipped: no file system can be mounted here");
  }
  small_disk(const small_disk&) = delete;
  small_disk& operator=(const small_disk&) = delete;
  ~small_disk() {
    if (made_)
      ::umount2(path_.c_str(), MNT_DETACH);
  }
  [[nodiscard]] bool made() const { return made_; }
  void make_read_only() const {
    REQUIRE(::mount("tmpfs", path_.c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, nullptr) == 0);
  }
  /// Writes until nothing goes in any more.
  void fill() const {
    std::ofstream file{filler(), std::ios::binary};
    const std::string block(4096, 'x');
    while (file.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
    }
  }
  void make_room() const { fs::remove(filler()); }

private:
  [[nodiscard]] std::string filler() const { return path_ + "/.filler"; }
  std::string path_;
  bool made_ = false;
};

/// A workflow that publishes into the bucket `results`.
json into_results() {
  auto w = workflow("w", quick_mp4());
  w["OutputStorage"] = {{"Type", "COS"},
                        {"CosOutputStorage", {{"Bucket", "results"}, {"Region", "local"}}}};
  return w;
}

bool has_log(const node_fixture& f, const std::string& text) {
  return f.node.log().find(text) != std::string::npos;
}

json bucket_named(const node_fixture& f, const std::string& name) {
  auto answer = f.ask({"bucket", "list"});
  for (const auto& b : answer["Buckets"])
    if (b["Name"] == name)
      return b;
  return {};
}

} // namespace

TEST_CASE("bad place: a read-only output bucket fails the run and names the place") {
  temp_dir place;
  small_disk disk{place / "results", "8m"};
  if (!disk.made())
    return;
  node_fixture f{{.buckets = {{"results", place / "results"}}}};
  (void)f.add_workflow(into_results());
  disk.make_read_only();

  f.drop(make_clip(), "in/a.mp4");
  auto run = f.finish("in/a.mp4");

  CHECK(state_of(run) == "failed");
  CHECK_MESSAGE(failure_message(run).find("results") != std::string::npos,
                failure_message(run));
  CHECK_MESSAGE(failure_message(run).find("Read-only") != std::string::npos,
                failure_message(run));
  check_quiet(f);
}

TEST_CASE("bad place: a full output bucket makes the run wait, and room lets it end") {
  temp_dir place;
  small_disk disk{place / "results", "8m"};
  if (!disk.made())
    return;
  node_fixture f{{.buckets = {{"results", place / "results"}}}};
  (void)f.add_workflow(into_results());
  disk.fill();

  f.drop(make_clip(), "in/a.mp4");
  CHECK(eventually([&] { return has_log(f, "No space left") || has_log(f, "no space"); }));
  CHECK_FALSE(fs::exists(place / "results/out/a_transcode_0.mp4"));
  disk.make_room();
  auto run = f.finish("in/a.mp4");

  CHECK_MESSAGE(state_of(run) == "succeeded", run["Run"]["Failure"].dump());
  CHECK(fs::exists(place / "results/out/a_transcode_0.mp4"));
  check_one_success(f);
}

TEST_CASE("bad place: a full data directory loses nothing, and room lets everything go on") {
  temp_dir place;
  small_disk disk{place / "data", "24m"}; // the log, beside it, has room
  if (!disk.made())
    return;
  daemon_process node{{.data_dir = place / "data", .buckets = {{"media", place / "media"}}}};
  node.start();
  cli command{node.data_dir()};
  auto created =
      command({"workflow", "create", "--file", "-"}, workflow("w", quick_mp4()).dump());
  REQUIRE_MESSAGE(created.exit_code == 0, created.complaint);
  auto id = std::to_string(created.last()["WorkflowId"].get<int>());
  REQUIRE(command({"workflow", "enable", id}).exit_code == 0);

  disk.fill();
  fs::create_directories(place / "media/in");
  fs::copy_file(make_long_clip(), place / "media/in/a.mp4");
  const auto says = [](const std::string& text, const char* what) {
    return text.find(what) != std::string::npos;
  };
  CHECK(eventually([&] { // a write is refused, or no shard fits where the log had room still
    return says(node.log(), "o space")
           || says(command({"run", "explain", "media:in/a.mp4"}).output, "too full");
  }));
  disk.make_room();
  auto watched = command({"run", "watch", "media:in/a.mp4"});

  CHECK_MESSAGE(watched.exit_code == 0, watched.complaint << watched.output);
  CHECK(fs::exists(place / "media/out/a_transcode_0.mp4"));
  CHECK(command({"audit", "media"}).exit_code == 0);
  node.stop();
}

TEST_CASE("bad place: a bucket whose mount is gone is frozen, not emptied") {
  temp_dir place;
  fs::create_directories(place / "real");
  fs::create_directories(place / "mounted");
  auto mounted = place / "mounted";
  if (::mount((place / "real").c_str(), mounted.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    MESSAGE("skipped: no directory can be mounted here");
    return;
  }
  node_fixture f{{.buckets = {{"media", mounted}}}};
  f.media = mounted;
  fs::create_directories(mounted + "/in");
  (void)f.add_workflow(workflow("w", quick_mp4()));
  f.drop(make_clip(), "in/a.mp4");
  CHECK(state_of(f.finish("in/a.mp4")) == "succeeded");

  REQUIRE(::umount2(mounted.c_str(), MNT_DETACH) == 0);
  CHECK(eventually([&] { return bucket_named(f, "media")["Available"] == false; }));
  CHECK_FALSE(bucket_named(f, "media")["Problem"].get<std::string>().empty());
  CHECK(f.object_is("in/a.mp4", "settled"));
  REQUIRE(::mount((place / "real").c_str(), mounted.c_str(), nullptr, MS_BIND, nullptr) == 0);
  CHECK(eventually([&] { return bucket_named(f, "media")["Available"] == true; }));
  f.drop(make_clip(), "in/b.mp4");

  CHECK(state_of(f.finish("in/b.mp4")) == "succeeded");
  CHECK(f.runs().size() == 2);
  check_quiet(f);
  f.node.stop();
  ::umount2(mounted.c_str(), MNT_DETACH);
}

TEST_CASE("bad place: a second daemon on one data directory is refused, the first goes on") {
  node_fixture f;
  daemon_process second{{.data_dir = f.node.data_dir(), .buckets = {{"media", f.media}}}};

  auto end = second.start_refused();

  CHECK(end.exit_code == exit_refused);
  CHECK_MESSAGE(second.log().find(f.node.data_dir()) != std::string::npos, second.log());
  CHECK(f.ask({"node", "show"})["Node"]["Name"] == "under-test");
}

TEST_CASE("bad place: a taken port is named") {
  node_fixture f;
  daemon_process other{{.data_dir = f.dir / "other", .buckets = {{"media", f.dir / "media2"}}}};

  auto end = other.start_refused({"--api-listen", f.node.endpoint()});

  CHECK(end.exit_code == exit_refused);
  CHECK_MESSAGE(other.log().find(f.node.endpoint()) != std::string::npos, other.log());
}

TEST_CASE("bad place: a taken port of the cluster's is named, and the daemon ends") {
  node_fixture f;
  daemon_process other{{.data_dir = f.dir / "other", .buckets = {{"media", f.dir / "media2"}}}};

  auto end = other.start_refused({"--cluster-listen", f.node.endpoint()});

  CHECK(end.signal == 0);
  CHECK(end.exit_code == exit_refused);
  CHECK_MESSAGE(other.log().find(f.node.endpoint()) != std::string::npos, other.log());
}

TEST_CASE("bad place: a data directory of a newer version is refused untouched") {
  node_fixture f;
  f.node.stop();
  {
    auto store = open_rocks_state_store({f.node.data_dir() + "/state", false});
    REQUIRE(store.has_value());
    write_batch batch;
    batch.put(family::meta, "schema", std::to_string(schema_version + 1));
    REQUIRE((*store)->commit_and_wait(std::move(batch)).has_value());
  }

  auto end = f.node.start_refused();

  CHECK(end.exit_code == exit_refused);
  CHECK_MESSAGE(f.node.log().find("newer") != std::string::npos, f.node.log());
}

TEST_CASE("bad place: a configuration that is wrong is refused by file, line and key") {
  temp_dir dir;
  daemon_process node{{.data_dir = dir / "data", .config = "nonsense = 1"}};

  auto end = node.start_refused();

  CHECK(end.exit_code == exit_usage);
  CHECK_MESSAGE(node.log().find("data.toml:") != std::string::npos, node.log());
  CHECK_MESSAGE(node.log().find("nonsense") != std::string::npos, node.log());
}

TEST_CASE("bad place: a bucket that is no directory is refused by name") {
  temp_dir dir;
  dir.write("file", "");
  daemon_process node{{.data_dir = dir / "data"}};

  auto end = node.start_refused({"--bucket", "media=" + (dir / "file")});

  CHECK(end.exit_code != 0);
  CHECK_MESSAGE(node.log().find(dir / "file") != std::string::npos, node.log());
}

TEST_CASE("bad place: without inotify watches the bucket is scanned, and says so") {
  // The limit is that of a user namespace, so that nobody else feels it.
  std::vector<std::string> few_watches{
      "unshare", "--user", "--map-root-user",
      "sh",      "-c",     "echo 1 > /proc/sys/user/max_inotify_watches && exec \"$@\"",
      "sh"};
  auto probe_words = few_watches;
  probe_words.push_back("true");
  if (run(probe_words).end.exit_code != 0) {
    MESSAGE("skipped: no user namespace with a limit of its own");
    return;
  }
  node_fixture f{{.wrapper = few_watches}};
  (void)f.add_workflow(workflow("w", quick_mp4()));

  f.drop(make_clip(), "in/deep/er/a.mp4");
  auto run = f.finish("in/deep/er/a.mp4");

  CHECK(state_of(run) == "succeeded");
  auto mode = bucket_named(f, "media")["WatchMode"].get<std::string>();
  CHECK_MESSAGE(mode.find("scan") != std::string::npos, mode);
  CHECK_MESSAGE(mode.find("max_user_watches") != std::string::npos, mode);
  check_one_success(f);
}
