#include "actors/scheduler_actor.hpp"
#include "actors/task_worker.hpp"
#include "tests/support/actor_fixture.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace framemill::test;

namespace {

struct scheduling : test_services, virtual_actors {
  scheduling() : test_services(durability::at_once) { drain(); }
  ~scheduling() { kill(scheduler); } // while work waits its timers have no end

  void join(inbox& worker, worker_key key) {
    tell(scheduler, worker_joined{{key, "node"}, worker.handle});
  }
  void know(const std::string& name, std::int64_t memory_bytes = 0) {
    scheduler_node n;
    n.name = name;
    n.memory_bytes = memory_bytes;
    n.fingerprint = "new build";
    tell(scheduler, node_known{std::move(n), true});
  }
  static shard_offer offer_of(std::uint64_t run, std::uint32_t shard) {
    shard_offer o;
    o.id = {{run}, shard};
    o.workflow = run;
    return o;
  }
  void offer(inbox& workflow, std::uint64_t run, std::uint32_t shard) {
    tell(scheduler, offer_work{offer_of(run, shard), workflow.handle});
  }
  node_status status() {
    node_status out;
    tell(scheduler, report_status{[&](result<node_status> s) { out = *s; }, {}});
    return out;
  }

  caf::actor scheduler = system.spawn(scheduler_actor, &shared);
  inbox workflow{system}, other{system}, worker{system};
};

} // namespace

TEST_CASE_FIXTURE(scheduling, "scheduler_actor: an offer waits for a worker and gets it") {
  offer(workflow, 1, 4);
  CHECK(workflow.take<worker_granted>().empty());
  join(worker, 9);
  auto grant = workflow.only<worker_granted>();
  CHECK(grant.shard == 4);
  CHECK(grant.worker == 9);
  CHECK(grant.node == "node");
  CHECK(grant.handle == worker.handle);
  CHECK(status().slots_busy == 1);
}

TEST_CASE_FIXTURE(scheduling, "scheduler_actor: a repeated offer is granted once") {
  offer(workflow, 1, 4);
  offer(workflow, 1, 4);
  join(worker, 9);
  tell(scheduler, worker_idle{9, workflow.only<worker_granted>().grant});
  CHECK(workflow.take<worker_granted>().empty());
  CHECK(status().shards_ready == 0);
}

TEST_CASE_FIXTURE(scheduling, "scheduler_actor: an offer that was withdrawn is not granted") {
  offer(workflow, 1, 4);
  tell(scheduler, withdraw_work{{{1}, 4}});
  join(worker, 9);
  CHECK(workflow.take<worker_granted>().empty());
}

TEST_CASE_FIXTURE(scheduling, "scheduler_actor: work goes on when a node's disk has room again") {
  scheduler_node n;
  n.name = "far";
  n.scratch_left = 0;
  tell(scheduler, node_known{n, true});
  tell(scheduler, worker_joined{{9, "far"}, worker.handle});
  auto o = offer_of(1, 4);
  o.scratch_bytes = 1000;
  tell(scheduler, offer_work{o, workflow.handle});
  CHECK(workflow.take<worker_granted>().empty());

  tell(scheduler, scratch_seen{"far", 999});
  CHECK(workflow.take<worker_granted>().empty());
  tell(scheduler, scratch_seen{"far", 1000});
  CHECK(workflow.take<worker_granted>().size() == 1);
}

TEST_CASE_FIXTURE(scheduling, "scheduler_actor: planners are told of the widest node") {
  for (const auto* name : {"node", "other"}) {
    scheduler_node n;
    n.name = name;
    n.cores = name == std::string{"other"} ? 12 : 4;
    tell(scheduler, node_known{n, true});
  }
  CHECK(shared.cores_here.load() == 0); // nobody has slots
  join(worker, 9);
  CHECK(shared.cores_here.load() == 4);
}

TEST_CASE_FIXTURE(scheduling, "scheduler_actor: a late idle does not free the next grant") {
  join(worker, 9);
  offer(workflow, 1, 1);
  auto first = workflow.only<worker_granted>();
  tell(scheduler, worker_idle{9, first.grant});
  offer(other, 2, 1);
  CHECK(other.take<worker_granted>().size() == 1);

  tell(scheduler, worker_idle{9, first.grant}); // a copy
  offer(workflow, 1, 2);
  CHECK(workflow.take<worker_granted>().empty());
  CHECK(status().slots_busy == 1);
}

TEST_CASE_FIXTURE(scheduling, "scheduler_actor: a dead WORKFLOW's offers are dropped") {
  offer(workflow, 1, 1);
  offer(workflow, 1, 2);
  offer(other, 2, 1);
  kill(workflow.handle);
  CHECK(status().shards_ready == 1);
  join(worker, 9);
  CHECK(other.take<worker_granted>().size() == 1);
}

TEST_CASE_FIXTURE(scheduling, "scheduler_actor: a dead WORKFLOW's worker is asked back once") {
  join(worker, 9);
  for (std::uint32_t shard = 1; shard <= 5; ++shard)
    offer(workflow, 1, shard); // five messages, one death
  auto grant = workflow.only<worker_granted>().grant;
  kill(workflow.handle);
  CHECK(worker.only<give_back>().grant == grant);

  tell(scheduler, worker_idle{9, grant});
  offer(other, 2, 1);
  CHECK(other.take<worker_granted>().size() == 1);
}

TEST_CASE_FIXTURE(scheduling, "scheduler_actor: an offer of one who is dead does not stay") {
  kill(workflow.handle);
  offer(workflow, 1, 1);
  CHECK(status().shards_ready == 0);
}

TEST_CASE_FIXTURE(scheduling, "scheduler_actor: a build that is away refuses no run for ever") {
  know("remote");
  auto o = offer_of(1, 4);
  o.fingerprint = "old build";
  tell(scheduler, offer_work{o, workflow.handle, true});
  CHECK(workflow.take<work_refused>().empty()); // it encodes anew, or the build comes back
  CHECK(status().shards_ready == 1);

  o.id.index = 5;
  o.device = "a card that no node has";
  tell(scheduler, offer_work{o, workflow.handle, true});
  CHECK(workflow.only<work_refused>().shard == 5);
}

TEST_CASE_FIXTURE(scheduling, "scheduler_actor: what a slot still holds reserves its memory") {
  inbox held{system}, idle{system};
  know("remote", 100);
  tell(scheduler, worker_joined{{remote_workers_first + 1, "remote"},
                                held.handle,
                                reservation{{{1}, 1}, {.memory_bytes = 60}}});
  tell(scheduler, worker_joined{{remote_workers_first + 2, "remote"}, idle.handle});
  auto o = offer_of(2, 1);
  o.memory_bytes = 60;
  tell(scheduler, offer_work{o, other.handle});
  CHECK(other.take<worker_granted>().empty());

  tell(scheduler, worker_idle{remote_workers_first + 1, 0});
  CHECK(other.take<worker_granted>().size() == 1);
}

TEST_CASE_FIXTURE(scheduling,
                  "scheduler_actor: a slot whose node was removed is not this machine's") {
  know("remote");
  tell(scheduler, node_forgotten{"remote"});
  tell(scheduler, worker_joined{{remote_workers_first + 1, "remote"}, worker.handle});
  offer(workflow, 1, 4);
  CHECK(workflow.take<worker_granted>().empty());

  inbox own{system};
  join(own, 9); // a key of its own: nobody has to tell of its node
  CHECK(workflow.only<worker_granted>().worker == 9);
}

namespace {

/// Fulfilled when its last copy goes.
struct last_word {
  std::shared_ptr<bool> said = std::make_shared<bool>(false);
  std::shared_ptr<void> token{nullptr, [said = said](void*) { *said = true; }};
};

} // namespace

TEST_CASE_FIXTURE(scheduling, "scheduler_actor: a machine that stops is given nothing new") {
  join(worker, 1);
  tell(scheduler, stop_own_slots{});
  offer(workflow, 1, 1);
  CHECK(workflow.take<worker_granted>().empty());

  scheduler_node far;
  far.name = "far";
  tell(scheduler, node_known{std::move(far), true});
  tell(scheduler, worker_joined{{remote_workers_first, "far"}, worker.handle});
  CHECK(workflow.only<worker_granted>().node == "far");
}

TEST_CASE_FIXTURE(scheduling, "scheduler_actor: a slot that joins a machine that stops gets nothing") {
  tell(scheduler, stop_own_slots{});
  join(worker, 1);
  offer(workflow, 1, 1);
  CHECK(workflow.take<worker_granted>().empty());
}

TEST_CASE_FIXTURE(scheduling, "scheduler_actor: a machine has left when all of its slots is noted") {
  inbox slot{system};
  join(slot, 1);
  offer(workflow, 1, 1);
  const auto grant = workflow.only<worker_granted>().grant;
  tell(scheduler, node_known{{.name = "far"}, true});
  tell(scheduler, worker_joined{{remote_workers_first, "far"}, worker.handle});
  offer(workflow, 1, 2); // what other machines work on is not waited for
  last_word left;

  tell(scheduler, stop_own_slots{std::move(left.token)});
  CHECK(slot.take<tell_when_noted>().empty());
  tell(scheduler, worker_idle{1, grant});
  CHECK_FALSE(*left.said);
  CHECK(slot.take<tell_when_noted>().size() == 1);

  CHECK(*left.said); // the slot let it go
}

TEST_CASE_FIXTURE(scheduling, "scheduler_actor: this machine does what its operator says of it") {
  inbox membership{system};
  tell(scheduler, membership_known{membership.handle});
  join(worker, 1);
  offer(workflow, 1, 1);
  const auto grant = workflow.only<worker_granted>().grant;
  CHECK(membership.only<own_slots_used>().busy == 1);
  scheduler_node cordoned = own_machine(shared);
  cordoned.takes_work = false;
  cordoned.why_not = "it is cordoned";
  tell(scheduler, node_known{cordoned, true});
  offer(workflow, 1, 2);

  tell(scheduler, vacate_own_slots{"node node was drained"});
  CHECK(worker.only<vacate_slot>().why == "node node was drained");
  tell(scheduler, worker_idle{1, grant});
  CHECK(membership.only<own_slots_used>().busy == 0);
  CHECK(workflow.take<worker_granted>().empty());

  tell(scheduler, node_known{own_machine(shared), true});
  CHECK(workflow.only<worker_granted>().shard == 2);
}

TEST_CASE_FIXTURE(scheduling, "scheduler_actor: a machine that stops stays so, whatever is said of it") {
  join(worker, 1);
  tell(scheduler, stop_own_slots{});
  tell(scheduler, node_known{own_machine(shared), true});
  offer(workflow, 1, 1);
  CHECK(workflow.take<worker_granted>().empty());
}

TEST_CASE_FIXTURE(scheduling, "scheduler_actor: a slot that dies is not waited for") {
  join(worker, 1);
  offer(workflow, 1, 1);
  last_word left, again;
  tell(scheduler, stop_own_slots{std::move(left.token)});
  CHECK_FALSE(*left.said);

  kill(worker.handle);
  CHECK(*left.said);

  tell(scheduler, stop_own_slots{std::move(again.token)});
  CHECK(*again.said);
}
