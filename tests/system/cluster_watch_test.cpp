#include "tests/support/cluster_process.hpp"
#include "tests/system/fixture.hpp"

#include <doctest/doctest.h>

#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

// A bucket is watched by whichever node is chosen; it dies, freezes, is cut off
// or drained. Whatever lands is found, once.

using namespace framemill;
using namespace framemill::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

std::string small_clip() { return make_clip({.seconds = 1, .width = 160, .height = 90}); }

std::string mount_of(const std::string& bucket, const std::string& path) {
  return "[[bucket]]\nname = \"" + bucket + "\"\npath = \"" + path + "\"\n";
}

/// A coordinator, and workers that have its bucket mounted.
struct watch_fixture : node_fixture {
  cluster_process cluster;

  explicit watch_fixture(int workers = 2, const std::string& where = "any")
      : node_fixture({}, node_fixture::begin::stopped),
        cluster(node, {.directory = dir / "workers",
                       .config = "scan_interval_seconds = 1\n" + mount_of("media", media)}),
        watch_("media=" + where) {
    cluster.start_coordinator({"--watch", watch_}); // gives the bucket its sentinel
    (void)add_workflow(workflow("w", quick_mp4()));
    cluster.grow_to(workers);
  }

  void start_with_bucket(const std::string& name, const std::string& mount) {
    auto& w = cluster.add(name);
    auto words = cluster.join_arguments(w, cluster.join_token());
    words.insert(words.end(), {"--bucket", mount});
    w.daemon.start(words);
    cluster.await_up(name);
  }
  void restart_coordinator() { cluster.start_coordinator({"--watch", watch_}); }

  [[nodiscard]] json bucket(const std::string& name = "media") const {
    for (auto& b : cluster.call("DescribeBuckets").value("Buckets", json::array()))
      if (b.value("Name", "") == name)
        return b;
    return json::object();
  }
  [[nodiscard]] std::string watcher() const { return bucket().value("WatchedBy", ""); }
  [[nodiscard]] std::uint64_t epoch() const { return bucket().value("Epoch", std::uint64_t{}); }
  /// A worker that has it, and has looked at it.
  std::string await_worker() const {
    std::string host;
    CHECK_MESSAGE(eventually([&] {
                    auto b = bucket();
                    host = b.value("WatchedBy", "");
                    return !host.empty() && host != "under-test"
                           && !b.value("LastScan", "").empty();
                  }),
                  bucket().dump(1));
    return host;
  }
  void await_watcher_but(const std::string& former) const {
    CHECK_MESSAGE(eventually([&] {
                    auto now = watcher();
                    return !now.empty() && now != former;
                  }),
                  bucket().dump(1));
  }

  void land(int from, int until) const {
    for (int i = from; i < until; ++i)
      drop(small_clip(), "in/" + std::to_string(i) + ".mp4");
  }
  /// Each has one run, which succeeded; nothing else ran.
  void check_all_once(int files) {
    for (int i = 0; i < files; ++i)
      CHECK(state_of(finish("in/" + std::to_string(i) + ".mp4")) == "succeeded");
    std::set<std::string> keys;
    auto all = runs();
    for (const auto& run : all)
      keys.insert(run["Key"]);
    CHECK(all.size() == static_cast<std::size_t>(files));
    CHECK(keys.size() == all.size());
    check_quiet(*this);
  }
  [[nodiscard]] std::vector<json> placements() const {
    auto all = ask({"event", "list", "--limit", "1000"})["Events"].get<std::vector<json>>();
    std::erase_if(all, [](const auto& e) { return e["Type"] != "service.placed"; });
    return all;
  }

private:
  std::string watch_;
};

} // namespace

TEST_CASE("cluster watch: a worker watches the bucket, and all can see it") {
  watch_fixture f{2};
  auto host = f.await_worker();

  f.land(0, 3);
  f.check_all_once(3);

  auto shown = f.ask({"bucket", "show", "media"})["Bucket"];
  CHECK(shown["WatchedBy"] == host);
  CHECK(shown["WatchedAt"] == f.media);
  CHECK(shown["Watch"] == "any");
  CHECK(shown["Nodes"].size() == 3);
  CHECK(f.ask({"node", "show", host})["Node"]["Services"][0]["Service"]["Name"] == "media");
  CHECK(f.ask({"node", "show"})["Node"]["Services"].empty());
  CHECK(f.placements().back()["Node"] == host);
  CHECK(f.object("in/0.mp4")["Evidence"].size() >= 1);
}

TEST_CASE("cluster watch: what settles on a worker is settling for an audit too") {
  watch_fixture f{1};
  (void)f.await_worker();
  f.drop(small_clip(), "beside/x.mp4");
  f.drop(small_clip(), "in/.hidden.mp4");

  fs::create_symlink("/etc/passwd", f.media + "/in/link.mp4");
  std::ofstream growing{f.media + "/in/growing.mp4", std::ios::binary};
  growing << "half" << std::flush;
  CHECK(eventually([&] { return f.bucket().value("Settling", 0) == 1; }));
  CHECK(eventually([&] { return f.object_is("in/link.mp4", "ignored"); }));
  CHECK(eventually([&] { return f.object_is("beside/x.mp4", "ignored"); }));
  auto books = f.audit();
  growing.close();

  CHECK(books["Balanced"] == true);
  CHECK(books["Settling"] == 1);
  CHECK(books["Ignored"] == 2);
  CHECK(state_of(f.finish("in/growing.mp4")) == "failed");
  CHECK(eventually([&] { return f.bucket().value("Settling", 1) == 0; }));
  check_quiet(f);
}

TEST_CASE("cluster watch: files that land while the watcher's node is killed run once each") {
  watch_fixture f{3};
  auto host = f.await_worker();
  auto epoch = f.epoch();

  f.land(0, 4);
  f.cluster.worker(host).kill9();
  f.land(4, 10);
  f.await_watcher_but(host);

  f.check_all_once(10);
  CHECK(f.epoch() > epoch);
  auto moved = f.placements().back();
  CHECK(moved["Node"] == f.watcher());
  CHECK(moved["Message"].get<std::string>().find("node " + host + " is gone")
        != std::string::npos);
}

TEST_CASE("cluster watch: a frozen watcher is replaced, and is not heard when it thaws") {
  watch_fixture f{3};
  auto host = f.await_worker();
  auto epoch = f.epoch();

  f.land(0, 2);
  f.cluster.worker(host).freeze();
  f.land(2, 6);
  f.await_watcher_but(host);
  f.cluster.await_away(host);
  f.land(6, 8);
  f.cluster.worker(host).thaw();
  f.cluster.await_up(host);
  f.land(8, 10);

  f.check_all_once(10);
  CHECK(f.watcher() != host);
  CHECK(f.epoch() > epoch);
  CHECK(eventually([&] { return f.cluster.node(host)["Services"].empty(); }));
  CHECK(eventually([&] {
    return f.cluster.worker(host).daemon.log().find("media ends here") != std::string::npos;
  }));
}

TEST_CASE("cluster watch: a watcher that is cut off is replaced, and both sides heal") {
  watch_fixture f{2};
  auto host = f.await_worker();

  f.land(0, 2);
  f.cluster.part(host);
  f.land(2, 5);
  f.await_watcher_but(host);
  f.cluster.heal();
  f.cluster.await_up(host);
  f.land(5, 7);

  f.check_all_once(7);
  CHECK(f.watcher() != host);
}

TEST_CASE("cluster watch: a watcher outlives the coordinator, and tells it what it found") {
  watch_fixture f{2};
  auto host = f.await_worker();
  auto epoch = f.epoch();
  f.land(0, 2);

  f.node.kill9();
  f.land(2, 5);
  f.restart_coordinator();
  f.cluster.await_up(host);
  f.land(5, 7);

  f.check_all_once(7);
  CHECK(f.watcher() == host);
  CHECK(f.epoch() == epoch);
  auto log = f.cluster.worker(host).daemon.log();
  CHECK(log.find("media ends here") == std::string::npos);
}

TEST_CASE("cluster watch: coordinator and watcher die at once, and nothing is lost") {
  watch_fixture f{2};
  auto host = f.await_worker();
  f.land(0, 2);

  f.cluster.worker(host).signal(SIGKILL);
  f.node.kill9();
  f.land(2, 5);
  f.restart_coordinator();
  f.await_watcher_but(host);

  f.check_all_once(5);
}

TEST_CASE("cluster watch: a drained node gives its watcher up, a stopped one too") {
  watch_fixture f{3};
  auto first = f.await_worker();

  (void)f.ask({"node", "drain", first});
  f.await_watcher_but(first);
  auto second = f.await_worker();
  f.land(0, 2);
  f.cluster.worker(second).daemon.stop();
  f.await_watcher_but(second);
  f.land(2, 4);

  f.check_all_once(4);
  CHECK(f.cluster.node(first)["Services"].empty());
}

TEST_CASE("cluster watch: a bucket that is wanted on a node goes back there") {
  watch_fixture f{2, "w2"};
  CHECK(eventually([&] { return f.watcher() == "w2"; }));

  (void)f.ask({"node", "cordon", "w2"});
  CHECK(eventually([&] { return f.watcher() == "w1"; }));
  (void)f.ask({"node", "uncordon", "w2"});
  CHECK(eventually([&] { return f.watcher() == "w2"; }));

  CHECK(f.bucket().value("Reason", "") == "it is wanted on w2");
  f.land(0, 2);
  f.check_all_once(2);
}

TEST_CASE("cluster watch: a watcher whose mount goes away is relieved by one that has it") {
  watch_fixture f{0};
  for (std::string name : {"w1", "w2"}) {
    fs::create_directory_symlink(f.media, f.dir / name);
    f.start_with_bucket(name, "media=" + (f.dir / name));
  }
  auto host = f.await_worker();
  f.land(0, 1);

  fs::remove(f.dir / host);
  CHECK(eventually(
      [&] { return f.watcher() == host && f.bucket().value("Available", true) == false; }));
  f.land(1, 3);
  f.await_watcher_but(host);

  CHECK(f.bucket().value("Reason", "").starts_with("node " + host + ": "));
  f.check_all_once(3);
  fs::create_directory_symlink(f.media, f.dir / host);
}

TEST_CASE("cluster watch: another directory under the bucket's name is not the bucket") {
  watch_fixture f{0};
  auto stranger = f.dir / "stranger";
  fs::create_directories(stranger);
  std::ofstream{stranger + "/.framemill-bucket"} << "00000000000000000000000000000000\n";

  f.start_with_bucket("odd", "media=" + stranger);
  f.land(0, 1);
  f.check_all_once(1);

  CHECK(f.watcher() == "under-test");
  CHECK(f.bucket()["Nodes"][0]["Node"] == "odd");
  CHECK(f.bucket()["Nodes"][0]["WhyNot"]
        == "the directory of bucket media is not mounted there");
}

TEST_CASE("cluster watch: a bucket that only a worker has is shown, and refused with the "
          "reason") {
  watch_fixture f{0, "coordinator"};
  fs::create_directories(f.dir / "theirs");
  std::ofstream{(f.dir / "theirs") + "/.framemill-bucket"}
      << "11111111111111111111111111111111\n";

  f.start_with_bucket("odd", "other=" + (f.dir / "theirs"));

  CHECK(eventually([&] {
    return f.bucket("other").value("Problem", "").find("not on the coordinator")
           != std::string::npos;
  }));
  auto spec = workflow("x", quick_mp4());
  spec["Trigger"]["CosFileUploadTrigger"]["Bucket"] = "other";
  auto refused = f.command({"workflow", "create", "--file", "-"}, spec.dump());
  CHECK(refused.exit_code != 0);
  CHECK_MESSAGE(refused.complaint.find("not on the coordinator") != std::string::npos,
                refused.complaint);
}

TEST_CASE("cluster watch: what cannot be is refused with its name") {
  node_fixture f{{}, node_fixture::begin::stopped};
  for (const auto& [words, said] :
       std::initializer_list<std::pair<std::vector<std::string>, std::string>>{
           {{"--watch", "nope=any"}, "no bucket `nope`"},
           {{"--watch", "media"}, "is not BUCKET="},
           {{"--watch", "media=w1"}, "this node is alone"},
           {{"--watch", "media=a b"}, "a node's name"},
           {{"--role", "worker", "--watch", "media=any"}, "not to a worker"}}) {
    CAPTURE(said);
    auto end = f.node.start_refused(words);
    CHECK(end.exit_code == 2);
    CHECK(f.node.log().find(said) != std::string::npos);
  }
}
