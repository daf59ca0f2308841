#include "tools/framemill/restore.hpp"

#include "storage/records.hpp"
#include "storage/timeline.hpp"
#include "tests/support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

using namespace framemill;
using namespace framemill::cli;
namespace fs = std::filesystem;

namespace {

/// A backup with one record and a secret.
struct backup_fixture {
  test::temp_dir dir;
  std::string backup = (fs::path{dir.path()} / "backup").string();
  std::string data = (fs::path{dir.path()} / "data").string();

  backup_fixture() {
    fs::create_directories(backup + "/state");
    write_batch batch;
    put_record(batch, family::events, "e", event_record{});
    auto store = open_rocks_state_store({.directory = backup + "/state"});
    REQUIRE(store);
    REQUIRE((*store)->commit_and_wait(std::move(batch)));
    std::ofstream{backup + "/credentials.json"} << "{}";
    fs::permissions(backup + "/credentials.json", fs::perms::owner_read);
  }
};

} // namespace

TEST_CASE("restore: a backup becomes a data directory that opens, modes and all") {
  backup_fixture f;

  auto restored = restore_backup(f.backup, f.data);

  REQUIRE_MESSAGE(restored, restored.error().message);
  CHECK(fs::status(f.data + "/credentials.json").permissions() == fs::perms::owner_read);
  CHECK_FALSE(fs::exists(f.data + "/state.restoring"));
  auto store = open_rocks_state_store({.directory = f.data + "/state"});
  REQUIRE_MESSAGE(store, store.error().message);
  auto record = find_record<event_record>(**store, family::events, "e");
  REQUIRE(record);
  CHECK(record->has_value());
}

TEST_CASE("restore: no number is given twice, and each restore is a timeline of its own") {
  backup_fixture f;
  auto timeline = [](const std::string& data) {
    auto store = open_rocks_state_store({.directory = data + "/state", .read_only = true});
    REQUIRE(store);
    auto last = last_event_number(**store);
    REQUIRE(last);
    CHECK(*last >= 1'000'000);
    return timeline_of(**store).value();
  };

  REQUIRE(restore_backup(f.backup, f.data));
  REQUIRE(restore_backup(f.backup, f.data + "-2"));

  auto first = timeline(f.data), second = timeline(f.data + "-2");
  CHECK_FALSE(first.empty());
  CHECK(first != second);
  auto backup = open_rocks_state_store({.directory = f.backup + "/state", .read_only = true});
  REQUIRE(backup);
  CHECK(timeline_of(**backup).value() == "");
}

TEST_CASE("restore: an empty directory is taken, one that is not empty is left alone") {
  backup_fixture f;
  fs::create_directory(f.data);

  CHECK(restore_backup(f.backup, f.data));
  auto again = restore_backup(f.backup, f.data);

  REQUIRE_FALSE(again);
  CHECK(again.error().code == errc::in_use);
  CHECK(again.error().message.find("the data directory of a node") != std::string::npos);
}

TEST_CASE("restore: what is no backup is refused before anything is made") {
  backup_fixture f;

  CHECK(restore_backup(f.dir.path() + "/none", f.data).error().code == errc::not_found);
  fs::remove_all(f.backup + "/state");
  CHECK(restore_backup(f.backup, f.data).error().code == errc::not_found);
  CHECK_FALSE(fs::exists(f.data));
}

TEST_CASE("restore: a link in a backup is not followed, and the result is no data directory") {
  backup_fixture f;
  fs::create_symlink("/etc/hostname", f.backup + "/state/link");

  auto restored = restore_backup(f.backup, f.data);

  REQUIRE_FALSE(restored);
  CHECK(restored.error().message.find("link") != std::string::npos);
  CHECK_FALSE(fs::exists(f.data + "/state"));
}
