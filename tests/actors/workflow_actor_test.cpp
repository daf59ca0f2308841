#include "actors/workflow_actor.hpp"
#include "tests/cluster/run_plans.hpp"
#include "tests/support/actor_fixture.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace framemill::test;
using namespace std::chrono_literals;

namespace {

constexpr run_id the_run{7};

/// A WORKFLOW among inboxes. Its store makes durable what it is told to.
struct running : test_services, virtual_actors {
  running() : test_services(durability::when_told) { drain(); }

  void start() {
    workflow =
        system.spawn(workflow_actor, &shared, the_run,
                     workflow_places{scheduler.handle, publisher.handle, coordinator.handle});
    drain();
  }
  /// Until there is nothing more to write or say.
  void settle() {
    do {
      store->sync();
      drain();
    } while (store->waiting() > 0);
  }
  void grant(std::uint32_t shard, worker_key key, inbox& to) {
    tell(workflow, worker_granted{shard, key, "node", "", to.handle, 100 + key});
  }
  std::vector<std::uint32_t> offered() {
    std::vector<std::uint32_t> out;
    for (const auto& o : scheduler.take<offer_work>())
      out.push_back(o.offer.id.index);
    return out;
  }
  shard_record shard(std::uint32_t index) {
    return *find<shard_record>(family::shards, keys::of(shard_id{the_run, index}));
  }

  /// Books of a run whose probe is done and that is planned.
  run_machine planned() {
    run_machine m{waiting_run(), {}, {}};
    auto is_here = [](std::string_view) { return true; };
    changes c;
    c.runs.push_back(waiting_run());
    keep(std::move(c));
    keep(m.start({1}, is_here).record);
    keep(m.granted({2}, 0, 1, "node").record);
    auto probed = success(1);
    probed.result.files.clear();
    keep(m.attempt_finished({3}, 0, std::move(probed)).record);
    auto p = shared_decode();
    keep(m.planned({4}, std::move(p.shards), std::move(p.jobs), {}).record);
    return m;
  }
  std::string artifact(const std::string& bytes) { return *shared.artifacts->put(bytes); }

  inbox scheduler{system}, publisher{system}, coordinator{system};
  inbox worker{system}, second{system};
  caf::actor workflow;
};

struct waiting_to_start : running {
  waiting_to_start() {
    changes c;
    c.runs.push_back(waiting_run());
    keep(std::move(c));
    start();
  }
};

/// Shard 0 (the probe) is leased to `worker`, which was told.
struct with_lease : waiting_to_start {
  with_lease() {
    settle();
    scheduler.forget();
    grant(0, 1, worker);
    settle();
    REQUIRE(worker.take<assignment>().size() == 1);
  }
};

} // namespace

TEST_CASE_FIXTURE(waiting_to_start, "workflow_actor: nothing is offered before it is durable") {
  CHECK(store->waiting() == 1);
  CHECK(offered().empty());
  settle();
  CHECK(offered() == std::vector<std::uint32_t>{0});
}

TEST_CASE_FIXTURE(waiting_to_start,
                  "workflow_actor: no work is given before its lease is durable") {
  settle();
  grant(0, 1, worker);
  CHECK(worker.take<assignment>().empty());
  settle();
  auto job = worker.only<assignment>();
  CHECK(job.epoch == 1);
  CHECK(job.grant == 101);
  CHECK(job.shard == shard_id{the_run, 0});
  CHECK(shard(0).state == shard_state::leased);
}

TEST_CASE_FIXTURE(waiting_to_start,
                  "workflow_actor: a failed commit ends it, and did not happen") {
  settle();
  store->fail_next(1, {errc::no_space, "disk full", {}});
  grant(0, 1, worker);
  REQUIRE(end_of(workflow));
  CHECK(*end_of(workflow) == workflow_store_failed);
  CHECK(worker.take<assignment>().empty());
  CHECK(shard(0).state == shard_state::ready);
}

TEST_CASE_FIXTURE(waiting_to_start,
                  "workflow_actor: a step behind one that was refused is not written either") {
  settle();
  store->fail_next(1, {errc::no_space, "disk full", {}});
  caf::anon_send(workflow, worker_granted{0, 1, "node", "", worker.handle, 101});
  caf::anon_send(workflow, cancel_run{"enough", {}}); // heard before the refusal is
  settle();
  CHECK(end_of(workflow));
  CHECK(run(the_run).state == run_state::probing);
  CHECK(shard(0).state == shard_state::ready);
}

TEST_CASE_FIXTURE(waiting_to_start, "workflow_actor: cancel answers when it is durable") {
  settle();
  std::optional<result<void>> answer;
  tell(workflow, cancel_run{"enough", [&](result<void> r) { answer = std::move(r); }});
  CHECK_FALSE(answer);
  settle();
  REQUIRE(answer);
  CHECK(answer->has_value());
  CHECK(run(the_run).state == run_state::cancelled);
  CHECK(coordinator.only<run_ended>().state == run_state::cancelled);
  CHECK(scheduler.take<withdraw_work>().size() == 1);
  CHECK(end_of(workflow));
}

TEST_CASE_FIXTURE(waiting_to_start, "workflow_actor: a cancel that is not written says so") {
  settle();
  std::optional<result<void>> answer;
  store->fail_next(1, {errc::no_space, "disk full", {}});
  tell(workflow, cancel_run{"enough", [&](result<void> r) { answer = std::move(r); }});
  REQUIRE(answer);
  REQUIRE_FALSE(answer->has_value());
  CHECK(answer->error().code == errc::no_space);
  CHECK(run(the_run).state == run_state::probing);
}

TEST_CASE_FIXTURE(waiting_to_start, "workflow_actor: a second worker for a shard is declined") {
  settle();
  grant(0, 1, worker);
  grant(0, 2, second);
  settle();
  CHECK(worker.only<assignment>().grant == 101);
  CHECK(second.take<assignment>().empty());
  auto idle = scheduler.only<worker_idle>();
  CHECK(idle.worker == 2);
  CHECK(idle.grant == 102);

  tell(workflow, cancel_run{"enough", {}});
  settle();
  CHECK(worker.only<stop_attempt>().epoch == 1); // not the second one
}

TEST_CASE_FIXTURE(waiting_to_start,
                  "workflow_actor: a worker granted to what was cancelled is freed") {
  settle();
  grant(0, 1, worker);
  tell(workflow, cancel_run{"enough", {}});
  settle();
  CHECK(worker.take<assignment>().empty());
  CHECK(worker.take<stop_attempt>().empty());
  CHECK(scheduler.only<worker_idle>().grant == 101);
}

TEST_CASE_FIXTURE(with_lease,
                  "workflow_actor: a failed attempt is offered again after a while") {
  tell(workflow, attempt_ended{0, failure_of(1, errc::worker_crashed)});
  settle();
  CHECK(shard(0).state == shard_state::ready);
  CHECK(offered().empty());
  advance(limits::retry_delay_first / 2 - 1ms); // jitter halves it at most
  CHECK(offered().empty());
  advance(limits::retry_delay_first * 2);
  CHECK(offered() == std::vector<std::uint32_t>{0});
}

TEST_CASE_FIXTURE(with_lease, "workflow_actor: an attempt of an old epoch changes nothing") {
  tell(workflow, attempt_ended{0, success(0)});
  settle();
  CHECK(shard(0).state == shard_state::leased);
  tell(workflow, cancel_run{"enough", {}}); // its worker is still known
  settle();
  CHECK(worker.take<stop_attempt>().size() == 1);
}

TEST_CASE_FIXTURE(with_lease, "workflow_actor: the files of a late result go with the run") {
  auto sha = artifact("made twice");
  tell(workflow, attempt_ended{0, success(0, sha)}); // as the live attempt may make them
  settle();
  CHECK(shared.pins.is_pinned(sha));
  tell(workflow, cancel_run{"enough", {}});
  settle();
  CHECK_FALSE(shared.artifacts->contains(sha));
}

TEST_CASE_FIXTURE(with_lease,
                  "workflow_actor: an outcome is noted when it is in the books, not before") {
  int noted = 0;
  tell(workflow, attempt_ended{0, failure_of(1, errc::worker_crashed), [&] { ++noted; }});
  CHECK(noted == 0);
  settle();
  CHECK(noted == 1);
}

TEST_CASE_FIXTURE(with_lease, "workflow_actor: what a worker died with is tried again") {
  kill(worker.handle);
  settle();
  CHECK(shard(0).state == shard_state::ready);
  CHECK(shard(0).attempts.back().failure->code == errc::lease_lost);
  advance(10s);
  CHECK(offered() == std::vector<std::uint32_t>{0});
}

TEST_CASE_FIXTURE(with_lease, "workflow_actor: killed, it goes on from the books") {
  kill(workflow);
  start();
  settle();
  CHECK(offered() == std::vector<std::uint32_t>{0});
  grant(0, 2, second);
  settle();
  CHECK(second.only<assignment>().epoch == 2);
  tell(workflow, attempt_ended{0, success(1)}); // from before
  settle();
  CHECK(shard(0).state == shard_state::leased);
}

TEST_CASE_FIXTURE(running, "workflow_actor: what is done is kept, what was leased is offered") {
  auto m = planned();
  auto sha = artifact("decoded");
  keep(m.granted({5}, 1, 1, "node").record);
  keep(m.attempt_finished({6}, 1, success(1, sha)).record);
  keep(m.granted({7}, 2, 1, "node").record); // 3 is ready
  start();
  settle();
  CHECK(offered() == std::vector<std::uint32_t>{2, 3});
  CHECK(shard(1).state == shard_state::done);
  CHECK(shared.pins.is_pinned(sha));
}

TEST_CASE_FIXTURE(running,
                  "workflow_actor: a finished shard without its artifact is made again") {
  auto m = planned();
  keep(m.granted({5}, 1, 1, "node").record);
  keep(m.attempt_finished({6}, 1, success(1, sha256_of("never stored"))).record);
  start();
  settle();
  CHECK(offered() == std::vector<std::uint32_t>{1});
}

TEST_CASE_FIXTURE(running, "workflow_actor: what was being published is published again") {
  auto m = planned();
  auto decoded = artifact("decoded"), joined = artifact("joined");
  keep(m.granted({5}, 1, 1, "node").record);
  keep(m.attempt_finished({6}, 1, success(1, decoded)).record);
  keep(m.granted({7}, 2, 1, "node").record);
  keep(m.attempt_finished({8}, 2, success(1, joined)).record);
  REQUIRE(m.jobs()[0].state == job_state::publishing);
  start();
  settle();
  auto order = publisher.only<publish_order>();
  CHECK(order.job.index == 0);
  REQUIRE(order.files.size() == 1);
  CHECK(order.files[0].at(0).sha256 == joined);

  SUBCASE("a failure is tried again after a while") {
    tell(workflow, publish_done{0, fail(errc::io_failed, "the mount is gone")});
    settle();
    CHECK(publisher.take<publish_order>().empty());
    advance(1s);
    CHECK(publisher.take<publish_order>().size() == 1);
  }
  SUBCASE("the job ends when its files have their names") {
    tell(workflow, publish_done{0, std::vector<published_file>{{}}});
    settle();
    CHECK(find<job_record>(family::jobs, keys::job(the_run, 0))->state == job_state::succeeded);
    CHECK(run(the_run).state == run_state::processing); // the other job is not done
  }
  SUBCASE("a damaged artifact is made again") {
    tell(workflow, publish_done{0, fail(errc::corrupt, "not its hash")});
    settle();
    CHECK(find<job_record>(family::jobs, keys::job(the_run, 0))->state
          == job_state::processing);
    auto again = offered();
    CHECK(std::count(again.begin(), again.end(), 2u) == 1);
  }
}

TEST_CASE_FIXTURE(running, "workflow_actor: a run that has ended says so and stops") {
  auto ended = waiting_run();
  ended.state = run_state::succeeded;
  changes c;
  c.runs.push_back(ended);
  keep(std::move(c));
  start();
  settle();
  CHECK(coordinator.only<run_ended>().run == the_run);
  CHECK(end_of(workflow));
}

TEST_CASE_FIXTURE(running, "workflow_actor: a run that is not in the books is not begun") {
  start();
  CHECK(end_of(workflow));
  CHECK(coordinator.take<run_ended>().empty());
}
