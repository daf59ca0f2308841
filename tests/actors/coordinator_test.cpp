#include "actors/coordinator.hpp"
#include "actors/actor_gateway.hpp"
#include "core/limits.hpp"
#include "tests/cluster/run_plans.hpp"
#include "tests/support/actor_fixture.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace framemill::test;
using namespace std::chrono_literals;

namespace {

/// A COORDINATOR with real WORKFLOWs between inboxes, and its gateway. Commits
/// are durable at once, so that only messages and time matter.
struct coordinating : test_services, virtual_actors {
  coordinating() : test_services(durability::at_once) {}
  ~coordinating() { kill(coordinator_handle); }

  void start() {
    coordinator_handle = system.spawn(coordinator, &shared, scheduler.handle, publisher.handle,
                                      caf::actor{});
    drain();
    // After the start: no watcher's thread is wanted here.
    shared.buckets["in"] = std::move(*open_local_bucket({"in", dir / "", ""}));
    api = make_actor_gateway(system, shared, {coordinator_handle, scheduler.handle, {}, {}});
  }
  void keep_waiting_runs(std::uint64_t first, std::uint64_t count, int priority = 0) {
    changes c;
    for (auto id = first; id < first + count; ++id) {
      c.runs.push_back(waiting_run());
      c.runs.back().id = {id};
      c.runs.back().priority = priority;
    }
    c.counters.emplace_back("last_run", first + count - 1);
    keep(std::move(c));
  }
  /// Runs that were offered work since the last look, with their actors.
  std::map<std::uint64_t, caf::actor> offered() {
    drain();
    std::map<std::uint64_t, caf::actor> out;
    for (const auto& o : scheduler.take<offer_work>())
      out[o.offer.id.run.value] = o.reply_to;
    return out;
  }
  /// The answer to one call, which must have come.
  template <class T, class Call>
  result<T> ask(Call call) {
    std::optional<result<T>> answer;
    call([&](result<T> r) { answer = std::move(r); });
    drain();
    REQUIRE(answer);
    return std::move(*answer);
  }
  result<void> cancel(std::uint64_t run) {
    return ask<void>([&](auto done) { api->cancel({run}, done); });
  }
  result<run_id> submit(std::string session = {}) {
    run_request r;
    r.bucket = "in";
    r.key = "a.mp4";
    r.spec = spec("called");
    r.session_id = std::move(session);
    return ask<run_id>([&](auto done) { api->submit(r, done); });
  }
  static workflow_spec spec(std::string name) {
    workflow_spec s;
    s.name = std::move(name);
    s.trigger.bucket = "in";
    s.output_dir = "/out/";
    activity a;
    a.transcode.emplace().definition = 100020;
    s.activities.push_back(std::move(a));
    return s;
  }
  result<workflow_id> create(const std::string& name) {
    return ask<workflow_id>([&](auto done) { api->create_workflow(spec(name), done); });
  }
  /// Tells of one settled object; true when it was booked.
  bool book(const std::string& key, std::uint64_t size) {
    settled_batch b;
    b.batch = ++last_batch;
    b.reply_to = watcher.handle;
    b.reports.emplace_back();
    b.reports.back().object = {"in", key, {}};
    b.reports.back().object.generation.size = size;
    tell(coordinator_handle, std::move(b));
    auto answer = watcher.only<batch_booked>();
    CHECK(answer.batch == last_batch);
    return answer.ok;
  }

  inbox scheduler{system}, publisher{system}, watcher{system};
  caf::actor coordinator_handle;
  std::unique_ptr<gateway> api;
  std::uint64_t last_batch = 0;
};

struct with_workflow : coordinating {
  with_workflow() {
    start();
    auto id = create("w");
    REQUIRE(id);
    REQUIRE(ask<void>([&](auto done) { api->set_enabled({*id}, true, done); }));
  }
};

} // namespace

TEST_CASE_FIXTURE(coordinating, "coordinator: live runs go on at start") {
  keep_waiting_runs(5, 2);
  start();
  CHECK(offered().size() == 2);
}

TEST_CASE_FIXTURE(coordinating,
                  "coordinator: a dead WORKFLOW is started again, later each time") {
  keep_waiting_runs(5, 1);
  start();
  for (auto delay : {100ms, 200ms, 400ms}) {
    auto before = offered();
    REQUIRE(before.size() == 1);
    kill(before.at(5));
    advance(delay - 1ms);
    CHECK(offered().empty());
    advance(1ms);
  }
  CHECK(offered().size() == 1);
}

TEST_CASE_FIXTURE(coordinating, "coordinator: a WORKFLOW that always dies fails its run") {
  keep_waiting_runs(5, 1);
  start();
  for (int i = 0; i < 40 && !is_terminal(run({5}).state); ++i) {
    for (auto& [id, actor] : offered())
      kill(actor);
    advance(31s);
  }
  CHECK(run({5}).state == run_state::failed);
  CHECK(run({5}).failure->code == errc::internal);
  CHECK(shared.counters.runs_failed == 1);
  CHECK(cancel(5).error().code == errc::conflict);
}

TEST_CASE_FIXTURE(coordinating, "coordinator: a store that refuses fails no run") {
  keep_waiting_runs(5, 1);
  start();
  for (int i = 0; i < 40; ++i) {
    auto live = offered();
    REQUIRE(live.size() == 1);
    store->fail_next(1, {errc::no_space, "disk full", {}});
    tell(live.at(5), worker_granted{0, 1, "node", "", watcher.handle, 1});
    advance(31s);
  }
  CHECK_FALSE(is_terminal(run({5}).state));
  CHECK(offered().size() == 1);
}

TEST_CASE_FIXTURE(coordinating,
                  "coordinator: only so many runs are live, the first come first") {
  keep_waiting_runs(100, limits::live_runs_max);
  keep_waiting_runs(200, 1);
  keep_waiting_runs(300, 1, 5);
  start();
  auto live = offered();
  CHECK(live.size() == limits::live_runs_max);
  CHECK(live.contains(300)); // of higher priority
  CHECK_FALSE(live.contains(200));
  CHECK_FALSE(live.contains(100 + limits::live_runs_max - 1));

  REQUIRE(cancel(100));
  CHECK(offered().contains(100 + limits::live_runs_max - 1));
}

TEST_CASE_FIXTURE(coordinating, "coordinator: a waiting run is cancelled as well") {
  keep_waiting_runs(100, limits::live_runs_max + 1);
  start();
  auto last = 100 + limits::live_runs_max;
  REQUIRE_FALSE(offered().contains(last));
  REQUIRE(cancel(last));
  CHECK(run({last}).state == run_state::cancelled);
  CHECK(cancel(last).error().code == errc::conflict);
  CHECK(cancel(9999).error().code == errc::not_found);
}

TEST_CASE_FIXTURE(coordinating, "coordinator: a run cancelled between two lives stays ended") {
  keep_waiting_runs(5, 1);
  start();
  kill(offered().at(5));
  REQUIRE(cancel(5));
  (void)offered();
  advance(1s); // its revival is due
  CHECK(offered().empty());
  CHECK(shared.counters.runs_cancelled == 1);
}

TEST_CASE_FIXTURE(with_workflow, "coordinator: an object that is told twice runs once") {
  CHECK(book("a.mp4", 10));
  CHECK(book("a.mp4", 10));
  CHECK(offered().size() == 1);
  CHECK(find<object_record>(family::objects, keys::object("in", "a.mp4"))->runs.size() == 1);
}

TEST_CASE_FIXTURE(with_workflow, "coordinator: a batch that is not booked made no runs") {
  store->fail_next(1, {errc::no_space, "disk full", {}});
  CHECK_FALSE(book("a.mp4", 10));
  CHECK(offered().empty());
  CHECK(book("a.mp4", 10)); // the scan tells it again
  CHECK(offered().size() == 1);
}

TEST_CASE_FIXTURE(with_workflow,
                  "coordinator: a new generation replaces the run of the old one") {
  REQUIRE(book("a.mp4", 10));
  auto first = offered();
  REQUIRE(first.size() == 1);
  REQUIRE(book("a.mp4", 11));
  auto second = offered();
  REQUIRE(second.size() == 1);
  CHECK(run({first.begin()->first}).state == run_state::cancelled);
  CHECK(run({second.begin()->first}).state == run_state::probing);
}

TEST_CASE_FIXTURE(coordinating, "coordinator: a SessionId is good for one run") {
  start();
  dir.write("a.mp4", "x");
  auto first = submit("s1");
  REQUIRE(first);
  CHECK(run(*first).session_id == "s1");
  CHECK(submit("s1").error().code == errc::conflict);
  CHECK(submit("s2"));
  CHECK(submit());
  CHECK(submit());
}

TEST_CASE_FIXTURE(coordinating, "coordinator: a SessionId whose run was not written is free") {
  start();
  dir.write("a.mp4", "x");
  store->fail_next(1, {errc::no_space, "disk full", {}});
  CHECK(submit("s1").error().code == errc::no_space);
  CHECK(submit("s1"));
}

TEST_CASE_FIXTURE(coordinating, "coordinator: a definition that was not written is not there") {
  start();
  store->fail_next(1, {errc::no_space, "disk full", {}});
  CHECK(create("w").error().code == errc::no_space);
  CHECK(create("w")); // the name is free
  CHECK(create("w").error().code == errc::already_exists);
}

TEST_CASE_FIXTURE(with_workflow, "coordinator: an ended run can be tried again") {
  dir.write("a.mp4", "x");
  REQUIRE(book("a.mp4", 10));
  auto first = offered().begin()->first;
  auto again = [&] { return ask<run_id>([&](auto done) { api->retry({first}, done); }); };
  CHECK(again().error().code == errc::conflict);
  REQUIRE(cancel(first));
  auto second = again();
  REQUIRE(second);
  CHECK(run(*second).cause == run_cause::retry);
  CHECK(run(*second).workflow == run({first}).workflow);
}

namespace {

late_outcome late(std::uint64_t run, attempt_outcome outcome, int& noted) {
  return {{{run}, 0}, std::move(outcome), [&noted] { ++noted; }};
}

} // namespace

TEST_CASE_FIXTURE(coordinating, "coordinator: a late outcome waits for its run to be there again") {
  keep_waiting_runs(5, 1);
  start();
  tell(offered().at(5), worker_granted{0, 1, "node", "", watcher.handle, 1});
  auto dead = watcher.only<assignment>();
  kill(caf::actor_cast<caf::actor>(dead.reply_to));
  int noted = 0;

  for (int told = 0; told < 3; ++told) // again and again, until it is noted
    tell(coordinator_handle, late(5, failure_of(1, errc::worker_crashed), noted));
  CHECK(noted == 0);
  advance(1s);

  CHECK(noted == 1);
  auto shard = *find<shard_record>(family::shards, keys::of(shard_id{{5}, 0}));
  CHECK(shard.attempts.back().exit == "exit 1"); // it is in the books
}

TEST_CASE_FIXTURE(coordinating, "coordinator: a late result is kept while its run may want it") {
  keep_waiting_runs(5, 1);
  start();
  (void)offered();
  auto sha = *shared.artifacts->put("made twice");
  int noted = 0;

  tell(coordinator_handle, late(5, success(9, sha), noted));
  CHECK(noted == 1);
  CHECK(shared.artifacts->contains(sha)); // an equal one may be on its way
  REQUIRE(cancel(5));
  CHECK_FALSE(shared.artifacts->contains(sha));
}

TEST_CASE_FIXTURE(coordinating, "coordinator: what comes after a run has ended is let go") {
  keep_waiting_runs(5, 1);
  start();
  (void)offered();
  REQUIRE(cancel(5));
  auto sha = *shared.artifacts->put("too late");
  int noted = 0;

  tell(coordinator_handle, late(5, success(1, sha), noted));
  CHECK(noted == 1);
  CHECK_FALSE(shared.artifacts->contains(sha));
}
