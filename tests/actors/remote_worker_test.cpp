#include "actors/remote_worker.hpp"
#include "tests/cluster/run_plans.hpp"
#include "tests/support/actor_fixture.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace framemill::test;

namespace {

constexpr shard_id the_shard{{7}, 3};

/// A REMOTE WORKER among inboxes.
struct remote : test_services, virtual_actors {
  remote() : test_services(durability::at_once) { drain(); }

  void start(std::optional<held_attempt> held = {}, std::optional<reservation> holds = {}) {
    remote_slot slot{{remote_workers_first + 5, "w1"}, 2, std::move(held), std::move(holds)};
    worker = system.spawn(remote_worker, &shared, std::move(slot), scheduler.handle,
                          membership.handle);
    drain();
  }
  void assign(grant_number grant = 1) {
    assignment a;
    a.shard = the_shard;
    a.epoch = 4;
    a.reply_to = workflow.handle;
    a.grant = grant;
    tell(worker, std::move(a));
  }

  /// The node's beat does not tell of the order, which was last said long ago.
  void see_nothing_after_a_second() {
    auto* self = caf::actor_cast<caf::abstract_actor*>(worker);
    dynamic_cast<caf::stateful_actor<remote_worker_state>&>(*self).state.job->told = {};
    tell(worker, slot_seen{});
  }

  inbox scheduler{system}, membership{system}, workflow{system};
  caf::actor worker;
};

} // namespace

TEST_CASE_FIXTURE(remote, "remote_worker: every word carries the key of its slot") {
  start();
  assign();

  auto told = membership.only<tell_node>();
  CHECK(told.slot.node == "w1");
  CHECK(told.slot.key == remote_workers_first + 5);
  CHECK(std::get<assign_attempt>(told.word).slot == 2);
  CHECK(membership.only<slot_used>().slot.key == remote_workers_first + 5);
}

TEST_CASE_FIXTURE(remote, "remote_worker: what it holds reserves what its shard does") {
  start(held_attempt{the_shard, 4, 2, false, {}},
        reservation{the_shard, {.memory_bytes = 1000}});

  auto joined = scheduler.only<worker_joined>();
  REQUIRE(joined.holds);
  CHECK(joined.holds->shard == the_shard);
  CHECK(joined.holds->size.memory_bytes == 1000);
}

TEST_CASE_FIXTURE(remote,
                  "remote_worker: the outcome of what nobody owns is not noted, but kept") {
  start();
  assign(6);
  tell(worker, give_back{6}); // its run begins again
  membership.forget();
  bool noted = false;

  tell(worker, slot_ended{the_shard, success(4), [&] { noted = true; }});

  CHECK_FALSE(noted);
  auto kept = membership.only<late_outcome>();
  CHECK(kept.shard == the_shard);
  CHECK(kept.outcome.epoch == 4);
  REQUIRE(kept.noted);
  kept.noted();
  CHECK(noted);
}

TEST_CASE_FIXTURE(remote,
                  "remote_worker: an order that the node does not take is given up one day") {
  start();
  assign(6);
  for (int second = 0; second < 30; ++second)
    see_nothing_after_a_second();
  CHECK(workflow.take<attempt_ended>().empty()); // said again each second
  CHECK(membership.take<tell_node>().size() == 31);

  see_nothing_after_a_second();

  auto ended = workflow.only<attempt_ended>();
  CHECK(ended.outcome.epoch == 4);
  REQUIRE(ended.outcome.failure);
  CHECK(ended.outcome.failure->code == errc::lease_lost);
  CHECK(std::holds_alternative<stop_held>(membership.only<tell_node>().word));
  CHECK(scheduler.only<worker_idle>().grant == 6);
}

TEST_CASE_FIXTURE(remote,
                  "remote_worker: an outcome goes to the run that owns it, with its note") {
  start();
  assign();
  bool noted = false;

  tell(worker, slot_ended{the_shard, success(4), [&] { noted = true; }});

  auto ended = workflow.only<attempt_ended>();
  CHECK(ended.shard == 3);
  CHECK_FALSE(noted);
  ended.noted();
  CHECK(noted);
  CHECK(scheduler.only<worker_idle>().grant == 1);
}
