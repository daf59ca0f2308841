#include "actors/audit.hpp"
#include "core/change.hpp"
#include "storage/memory_state_store.hpp"
#include "storage/records.hpp"
#include "tests/cluster/run_plans.hpp"
#include "tests/support/temp_dir.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace framemill::test;

namespace {

/// A bucket `in` and books to compare it with.
struct books {
  books() { in = std::move(*open_local_bucket({"in", dir.path(), ""})); }

  object_record line(const std::string& key, object_state state) {
    dir.write(key, "content of " + key);
    object_record l;
    l.object = {"in", key, *in->stat(key)};
    l.state = state;
    return l;
  }
  void keep(const object_record& l) {
    write_batch b;
    put_record(b, family::objects, keys::object("in", l.object.key), l);
    REQUIRE(store.commit_and_wait(std::move(b)));
  }
  void keep_run(std::uint64_t id, run_state state, std::uint64_t workflow = 1) {
    auto run = waiting_run();
    run.id = {id};
    run.workflow = {workflow};
    run.state = state;
    write_batch b;
    put_record(b, family::runs, keys::of(run.id), run);
    REQUIRE(store.commit_and_wait(std::move(b)));
  }
  audit_report audit(const std::string& prefix = "", std::set<std::string> settling = {}) {
    auto r = audit_bucket(store, *in, prefix, settling);
    REQUIRE(r);
    return *r;
  }

  temp_dir dir;
  std::unique_ptr<bucket> in;
  memory_state_store store;
};

} // namespace

TEST_CASE_FIXTURE(books, "audit: an object with its run balances") {
  auto l = line("a.mp4", object_state::settled);
  l.runs = {{1}};
  keep(l);
  keep_run(1, run_state::succeeded);
  auto r = audit();
  CHECK(r.balanced);
  CHECK(r.seen == 1);
  CHECK(r.settled == 1);
  CHECK(r.runs_succeeded == 1);
}

TEST_CASE_FIXTURE(books, "audit: an object that is not in the books is missing") {
  dir.write("new.mp4", "x");
  CHECK_FALSE(audit().balanced);
  CHECK(audit().missing.size() == 1);
  auto waits = audit("", {"new.mp4"});
  CHECK(waits.balanced);
  CHECK(waits.settling == 1);
}

TEST_CASE_FIXTURE(books, "audit: an object that changed after it was booked is missing") {
  auto l = line("a.mp4", object_state::ignored);
  keep(l);
  CHECK(audit().balanced);
  dir.write("a.mp4", "another, longer content");
  CHECK(audit().missing.size() == 1);
}

TEST_CASE_FIXTURE(books, "audit: settled without a run, or with a run unknown, is missing") {
  auto l = line("a.mp4", object_state::settled);
  keep(l);
  CHECK(audit().missing.size() == 1);
  l.runs = {{99}};
  keep(l);
  CHECK(audit().missing.size() == 1);
}

TEST_CASE_FIXTURE(books, "audit: two runs of one workflow revision are too many") {
  auto l = line("a.mp4", object_state::settled);
  l.runs = {{1}, {2}};
  keep(l);
  keep_run(1, run_state::succeeded);
  SUBCASE("of one workflow") {
    keep_run(2, run_state::succeeded);
    CHECK(audit().duplicated == std::vector<std::string>{"a.mp4"});
    CHECK_FALSE(audit().balanced);
  }
  SUBCASE("of two workflows") {
    keep_run(2, run_state::failed, 2);
    CHECK(audit().balanced);
    CHECK(audit().failed == std::vector<std::string>{"a.mp4"});
  }
}

TEST_CASE_FIXTURE(books, "audit: what is gone from the bucket still counts its runs") {
  auto l = line("a.mp4", object_state::settled);
  l.runs = {{1}};
  keep(l);
  keep_run(1, run_state::cancelled);
  std::filesystem::remove(dir / "a.mp4");
  auto r = audit();
  CHECK(r.vanished == 1);
  CHECK(r.runs_cancelled == 1);
  CHECK(r.balanced);
}

TEST_CASE_FIXTURE(books, "audit: only what is below the prefix counts") {
  dir.write("here/a.mp4", "x");
  dir.write("there/b.mp4", "x");
  CHECK(audit("here/").seen == 1);
  CHECK(audit("nowhere/").seen == 0);
}
