#include "tests/system/fixture.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

using namespace framemill;
using namespace framemill::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

/// Nothing settles any more, and nothing runs.
bool is_idle(const node_fixture& f) {
  auto books = f.audit();
  return books.value("Settling", 1) == 0 && books.value("RunsLive", 1) == 0
         && books.value("Balanced", false);
}

std::size_t runs_of(const node_fixture& f, const std::string& key) {
  std::size_t n = 0;
  for (const auto& run : f.runs())
    n += run["Key"] == key;
  return n;
}

/// A workflow that takes everything and publishes beside its source.
json beside(const std::string& name, json tasks) {
  auto out = workflow(name, std::move(tasks));
  out.erase("OutputDir");
  out["Trigger"]["CosFileUploadTrigger"]["Formats"] = {"*"};
  return out;
}

} // namespace

TEST_CASE("trigger: a file that is copied slowly is one run, of the whole file") {
  node_fixture f;
  (void)f.add_workflow(workflow("w", quick_mp4()));
  auto bytes = file_content(make_clip());

  {
    std::ofstream growing{f.media + "/in/slow.mp4", std::ios::binary};
    for (std::size_t piece = 0; piece < 8; ++piece) {
      auto from = bytes.size() * piece / 8, until = bytes.size() * (piece + 1) / 8;
      growing.write(bytes.data() + from, static_cast<std::streamsize>(until - from));
      growing.flush();
      // The ledger must go on saying that it settles: two scans between pieces.
      auto before = f.ask({"bucket", "list"})["Buckets"][0]["LastScan"];
      CHECK(eventually([&] {
        return f.ask({"bucket", "list"})["Buckets"][0]["LastScan"] != before;
      }));
    }
    CHECK(f.runs().empty());
  }
  auto run = f.finish("in/slow.mp4");

  CHECK(state_of(run) == "succeeded");
  CHECK(run["Run"]["Object"]["Generation"]["Size"] == bytes.size());
  check_one_success(f);
}

TEST_CASE("trigger: a file that is renamed in is one run") {
  node_fixture f;
  (void)f.add_workflow(workflow("w", quick_mp4()));
  f.drop(make_clip(), "in/upload.mp4.part");

  fs::rename(f.media + "/in/upload.mp4.part", f.media + "/in/upload.mp4");

  CHECK(state_of(f.finish("in/upload.mp4")) == "succeeded");
  check_one_success(f);
}

TEST_CASE("trigger: new sub-directories are looked into") {
  node_fixture f;
  (void)f.add_workflow(workflow("w", quick_mp4("{inputName}.{format}")));

  f.drop(make_clip(), "in/a/b/c/deep.mp4");
  fs::create_directories(f.dir / "elsewhere/d");
  fs::copy_file(make_clip(), f.dir / "elsewhere/d/moved.mp4");
  fs::rename(f.dir / "elsewhere/d", f.media + "/in/d");

  CHECK(state_of(f.finish("in/a/b/c/deep.mp4")) == "succeeded");
  CHECK(state_of(f.finish("in/d/moved.mp4")) == "succeeded");
  CHECK(f.runs().size() == 2);
  check_quiet(f);
}

TEST_CASE(
    "trigger: part files, hidden files, other types and other directories start nothing") {
  node_fixture f;
  (void)f.add_workflow(workflow("w", quick_mp4()));

  f.drop(make_clip(), "in/half.mp4.part");
  f.drop(make_clip(), "in/.hidden.mp4");
  f.drop(make_clip(), "in/.cache/x.mp4");
  f.drop(make_clip(), "in/notes.txt");
  f.drop(make_clip(), "beside/x.mp4");
  f.drop(make_clip(), "in/last.mp4");

  CHECK(state_of(f.finish("in/last.mp4")) == "succeeded");
  CHECK(eventually([&] { return is_idle(f); }));
  check_one_success(f);
  CHECK(f.object("in/notes.txt")["Reason"] == "no enabled workflow takes it");
  CHECK(f.object_is("beside/x.mp4", "ignored"));
  CHECK(f.object("in/half.mp4.part").is_null());
}

TEST_CASE("trigger: a file that arrived while the daemon was down is found") {
  node_fixture f;
  (void)f.add_workflow(workflow("w", quick_mp4()));
  f.node.stop();

  f.drop(make_clip(), "in/new/meanwhile.mp4");
  f.node.start();

  CHECK(state_of(f.finish("in/new/meanwhile.mp4")) == "succeeded");
  check_one_success(f);
}

TEST_CASE(
    "trigger: an overwritten object gets a run of its own, and the old one is cancelled") {
  node_fixture f;
  (void)f.add_workflow(workflow("w", slow_mp4()));
  f.drop(make_clip({.seconds = 20, .width = 640, .height = 360}), "in/a.mp4");
  CHECK(eventually([&] { return !f.node.children().empty(); }));

  f.drop(make_clip({.seconds = 2}), "in/new.part");
  fs::rename(f.media + "/in/new.part", f.media + "/in/a.mp4");
  REQUIRE(eventually([&] { return runs_of(f, "in/a.mp4") == 2; }));
  auto run = f.finish("in/a.mp4");

  CHECK(state_of(run) == "succeeded");
  auto runs = f.runs();
  CHECK(runs[0]["State"] == "succeeded");
  CHECK(runs[1]["State"] == "cancelled");
  CHECK(probe(f.media + "/out/a_transcode_0.mp4")["streams"][0]["nb_read_frames"] == "50");
  check_quiet(f);
}

TEST_CASE("trigger: outputs beside their source never start the workflow that made them") {
  node_fixture f;
  (void)f.add_workflow(beside("w", quick_everything()));

  f.drop(make_clip(), "in/a.mp4");
  CHECK(state_of(f.finish("in/a.mp4")) == "succeeded");
  CHECK(eventually([&] { return f.object_is("in/a_mp4.mp4", "ignored"); }));
  f.node.kill9();
  f.node.start();

  CHECK(eventually([&] { return is_idle(f); }));
  CHECK(f.audit()["MadeByUs"] == f.content("").size() - 1);
  check_one_success(f);
}

TEST_CASE("trigger: one workflow's outputs start the next one, once") {
  node_fixture f;
  (void)f.add_workflow(workflow("first", quick_mp4("/middle/{inputName}.{format}")));
  auto second = workflow("second", quick_mp4("/last/{inputName}.{format}"));
  second["Trigger"]["CosFileUploadTrigger"]["Dir"] = "/middle/";
  (void)f.add_workflow(second);

  f.drop(make_clip(), "in/a.mp4");

  CHECK(state_of(f.finish("in/a.mp4")) == "succeeded");
  CHECK(state_of(f.finish("middle/a.mp4")) == "succeeded");
  CHECK(eventually([&] { return is_idle(f); }));
  CHECK(f.runs().size() == 2);
  check_quiet(f);
}

TEST_CASE("trigger: two workflows that take each other's outputs come to an end") {
  node_fixture f;
  (void)f.add_workflow(beside("one", quick_mp4("{inputName}_1.{format}")));
  (void)f.add_workflow(beside("two", quick_mp4("{inputName}_2.{format}")));

  f.drop(make_clip({.seconds = 1}), "in/a.mp4");
  (void)f.finish("in/a.mp4");
  CHECK(eventually([&] { return f.runs().size() == 4 && is_idle(f); }));

  CHECK(f.content("in/").size() == 5);
  CHECK(f.content("in/").contains("in/a_1_2.mp4"));
  CHECK(f.content("in/").contains("in/a_2_1.mp4"));
  check_quiet(f);
}

TEST_CASE("trigger: a disabled workflow does nothing, and enabling it does not reach back") {
  node_fixture f;
  auto id = f.add_workflow(workflow("w", quick_mp4()));
  (void)f.ask({"workflow", "disable", std::to_string(id)});

  f.drop(make_clip(), "in/before.mp4");
  CHECK(eventually([&] { return f.object_is("in/before.mp4", "ignored"); }));
  (void)f.ask({"workflow", "enable", std::to_string(id)});
  f.drop(make_clip(), "in/after.mp4");

  CHECK(state_of(f.finish("in/after.mp4")) == "succeeded");
  check_one_success(f);
}

TEST_CASE(
    "trigger: ten thousand files at once are all booked, and those that are due all run") {
  constexpr int beside = 9'500, due = 500;
  node_fixture f;
  (void)f.add_workflow(workflow("w", quick_mp4()));
  fs::create_directories(f.media + "/beside");

  for (int i = 0; i < beside; ++i)
    std::ofstream{f.media + "/beside/" + std::to_string(i) + ".mp4"} << i;
  for (int i = 0; i < due; ++i)
    std::ofstream{f.media + "/in/" + std::to_string(i) + ".mp4"} << "not media " << i;

  CHECK(eventually(
      [&] {
        auto books = f.audit();
        return books.value("RunsFailed", 0) == due && is_idle(f);
      },
      180s, 1s));
  auto books = f.audit();
  CHECK(books["Seen"] == beside + due);
  CHECK(books["Settled"] == due);
  CHECK(books["Ignored"] == beside);
  CHECK(books["RunsFailed"] == due);
  CHECK(books["RunsSucceeded"] == 0);
  CHECK(books["Missing"].empty());
  CHECK(books["Duplicated"].empty());
  CHECK(f.node.scratch().empty());
  CHECK(f.node.orphans().empty());
}
