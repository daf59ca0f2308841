#include "actors/membership_actor.hpp"
#include "core/codec.hpp"
#include "tests/cluster/run_plans.hpp"
#include "tests/support/actor_fixture.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace framemill::test;
using namespace std::chrono_literals;

namespace {

/// What was said to each connection.
class recording_hub final : public hub {
public:
  using words = std::vector<std::pair<connection_key, cluster_message>>;
  explicit recording_hub(std::shared_ptr<words> to) : said_(std::move(to)) {}
  [[nodiscard]] std::uint16_t port() const override { return 1; }
  void send(connection_key to, std::string frame) override {
    said_->emplace_back(to, decode<envelope>(frame)->body);
  }
  void drop(connection_key) override {}

private:
  std::shared_ptr<words> said_;
};

constexpr std::uint64_t the_term = 7;
constexpr shard_id the_shard{{5}, 1};

/// A MEMBERSHIP among inboxes. n1 is enrolled; what it says is put in by hand.
struct members : test_services, virtual_actors {
  explicit members(durability d = durability::at_once) : test_services(d) {
    changes c;
    for (auto name : {"n1", "n2"}) {
      c.nodes.emplace_back();
      c.nodes.back().name = name;
      c.nodes.back().public_key = key_of(name);
    }
    keep(std::move(c));
  }
  ~members() { kill(membership); }

  void start() {
    auto opened = std::make_shared<std::promise<result<cluster_endpoints>>>();
    membership = system.spawn(membership_actor, &shared,
                              coordinator_life{"cluster", "timeline", the_term, make_key_pair()},
                              cluster_endpoints{"127.0.0.1"}, scheduler.handle, opened);
    drain();
    REQUIRE(opened->get_future().get());
    ask([this](membership_state& m) {
      m.coordinator = coordinator.handle;
      m.hub = std::make_unique<recording_hub>(said);
    });
  }
  void ask(std::function<void(membership_state&)> call) {
    tell(membership,
         membership_call{std::make_shared<std::function<void(membership_state&)>>(call)});
  }
  static std::string key_of(const std::string& node) {
    return node + std::string(40 - node.size(), 'k');
  }
  void hear(connection_key c, cluster_message word, const std::string& node = "n1") {
    envelope e;
    e.sender = node;
    e.term = the_term;
    e.body = std::move(word);
    tell(membership, frame_arrived{c, key_of(node), encode(e)});
  }
  void come(connection_key c, std::vector<held_attempt> held = {},
            const std::string& boot = "b", const std::string& node = "n1",
            const std::string& timeline = "timeline") {
    node_facts facts;
    facts.slots = 1;
    facts.memory_bytes = 1000;
    hear(c, node_hello{node, boot, facts, std::move(held), false, timeline}, node);
  }
  /// The slots that joined since the last look, oldest first.
  std::vector<worker_joined> joined() { return scheduler.take<worker_joined>(); }
  template <class Word>
  std::vector<Word> said_to(connection_key c) {
    std::vector<Word> out;
    for (const auto& [to, word] : *said)
      if (const auto* w = std::get_if<Word>(&word); w && to == c)
        out.push_back(*w);
    return out;
  }
  void settle() {
    do {
      store->sync();
      drain();
    } while (store->waiting() > 0);
  }
  void end_claims() {
    ask([](membership_state& m) { m.claims_end = {}; });
  }
  static attempt_judged judged(const std::string& node, inbox& run) {
    attempt_report r;
    r.input = {"in", "a.mp4", {}};
    r.shard = the_shard;
    r.epoch = 1;
    r.node = node;
    r.failure = error{errc::worker_crashed, "signal 11", {}};
    return {std::move(r), run.handle};
  }

  inbox scheduler{system}, coordinator{system}, run{system};
  std::shared_ptr<recording_hub::words> said = std::make_shared<recording_hub::words>();
  caf::actor membership;
};

/// Books are written when the test says so.
struct slow_members : members {
  slow_members() : members(durability::when_told) { drain(); }
};

} // namespace

TEST_CASE_FIXTURE(
    slow_members,
    "membership_actor: a node removed while its hello is written is not welcomed") {
  start();
  come(1);
  ask([](membership_state& m) { m.apply(*m.core->remove({1}, "n1")); });
  settle();

  CHECK(said_to<node_welcome>(1).empty());
  CHECK_FALSE(end_of(membership)); // it goes on
  CHECK(said_to<node_refused>(1).size() == 1);
}

TEST_CASE_FIXTURE(slow_members,
                  "membership_actor: what a hello held is known though its connection broke") {
  start();
  come(1, {{the_shard, 3, 0, false, {}}});
  tell(membership, connection_gone{1}); // before the hello is written
  settle();

  auto slots = joined();
  REQUIRE(slots.size() == 1);
  REQUIRE(slots[0].holds);
  CHECK(slots[0].holds->shard == the_shard);
}

TEST_CASE_FIXTURE(members, "membership_actor: what is held since another timeline is not ours") {
  start();
  come(1, {{the_shard, 3, 0, false, {}}}, "b", "n1", "another");

  auto slots = joined();
  REQUIRE(slots.size() == 1);
  CHECK_FALSE(slots[0].holds);
  REQUIRE(said_to<node_welcome>(1).size() == 1);
  CHECK(said_to<node_welcome>(1)[0].timeline == "timeline"); // it drops what it holds
}

TEST_CASE_FIXTURE(members, "membership_actor: what is held reserves the memory of its shard") {
  changes c;
  c.runs.emplace_back();
  c.runs.back().id = the_shard.run;
  c.shards.emplace_back();
  c.shards.back().id = the_shard;
  c.shards.back().memory_bytes = 700;
  keep(std::move(c));
  start();
  come(1, {{the_shard, 3, 0, false, {}}});

  auto slots = joined();
  REQUIRE(slots.size() == 1);
  REQUIRE(slots[0].holds);
  CHECK(slots[0].holds->size.memory_bytes == 700);
}

TEST_CASE_FIXTURE(members, "membership_actor: a slot of a former life has nothing to say") {
  start();
  come(1);
  auto old = joined().at(0).slot;
  come(2, {}, "another boot");
  auto fresh = joined().at(0).slot;

  tell(membership, tell_node{old, stop_held{the_shard, 1}});
  tell(membership, slot_used{old, 1});
  CHECK(said_to<stop_held>(2).empty());
  ask([](membership_state& m) { CHECK(m.nodes.at("n1").busy == 0); });

  tell(membership, tell_node{fresh, stop_held{the_shard, 1}});
  tell(membership, slot_used{fresh, 1});
  CHECK(said_to<stop_held>(2).size() == 1);
  ask([](membership_state& m) { CHECK(m.nodes.at("n1").busy == 1); });
}

TEST_CASE_FIXTURE(members,
                  "membership_actor: an outcome before its claim waits, and is not noted") {
  start();
  come(1);
  hear(1, node_outcome{the_shard, success(3)});
  CHECK(said_to<outcome_noted>(1).empty());
  CHECK(coordinator.take<late_outcome>().empty());

  tell(membership, claim_lease{the_shard, 3, "n1", run.handle});
  auto ended = run.only<attempt_ended>();
  CHECK(ended.outcome.epoch == 3);
  CHECK(said_to<outcome_noted>(1).empty()); // not before the run has written it
  ended.noted();
  advance(100ms);
  CHECK(said_to<outcome_noted>(1).size() == 1);
}

TEST_CASE_FIXTURE(members,
                  "membership_actor: an outcome that nobody claims goes on with its note") {
  start();
  come(1);
  hear(1, node_outcome{the_shard, success(3)});
  end_claims();
  advance(100ms);

  auto late = coordinator.only<late_outcome>();
  CHECK(said_to<outcome_noted>(1).empty());
  late.noted();
  advance(100ms);
  CHECK(said_to<outcome_noted>(1).size() == 1);

  hear(1, node_outcome{the_shard, success(3)}); // and so does one that comes later
  CHECK(coordinator.only<late_outcome>().shard == the_shard);
  CHECK(said_to<outcome_noted>(1).size() == 1);
}

TEST_CASE_FIXTURE(members, "membership_actor: both leases of a hedged shard are answered") {
  start();
  tell(membership, claim_lease{the_shard, 3, "n1", run.handle});
  tell(membership, claim_lease{the_shard, 4, "n2", run.handle});
  come(1, {}, "b", "n1");
  come(2, {}, "b", "n2");

  CHECK(run.take<lease_missing>().size() == 2);
}

TEST_CASE_FIXTURE(members, "membership_actor: a node that comes only to leave gets no work") {
  start();
  hear(1, node_hello{"n1", "b", {}, {}, true});

  auto known = scheduler.take<node_known>();
  REQUIRE_FALSE(known.empty());
  CHECK_FALSE(known.back().node.takes_work);
  CHECK(known.back().node.why_not == "it is stopping");
}

TEST_CASE_FIXTURE(members, "membership_actor: blame outlives a restart") {
  start();
  tell(membership, judged("n1", run));
  CHECK(run.take<input_blamed>().empty());
  kill(membership);

  start();
  tell(membership, judged("n2", run));
  CHECK(run.only<input_blamed>().report.find("on n1") != std::string::npos);
}

TEST_CASE_FIXTURE(slow_members,
                  "membership_actor: no verdict is told before its reasons are written") {
  start();
  tell(membership, judged("n1", run));
  tell(membership, judged("n2", run));
  CHECK(run.take<input_blamed>().empty());
  settle();
  CHECK(run.take<input_blamed>().size() == 1);
}

TEST_CASE_FIXTURE(members, "membership_actor: blame that the store refused is written later") {
  start();
  store->fail_next(1, {errc::no_space, "disk full", {}});
  tell(membership, judged("n1", run));
  CHECK(records_below<input_blame>(*store, family::blame, "input/")->empty());
  advance(1s);
  CHECK(records_below<input_blame>(*store, family::blame, "input/")->size() == 1);
}

TEST_CASE_FIXTURE(members, "membership_actor: when a node last told of an attempt is known") {
  start();
  come(1);
  auto slot = joined().at(0).slot;
  auto told = [this] {
    timestamp out;
    ask([&out](membership_state& m) { out = m.nodes.at("n1").places.at(the_shard).told; });
    return out;
  };
  assign_attempt order;
  order.shard = the_shard;
  order.epoch = 2;
  tell(membership, tell_node{slot, order});
  hear(1, node_beat{{{the_shard, 1, 0, false, {}}}, 0, {}});
  CHECK_FALSE(told()); // of another epoch

  hear(1, node_beat{{{the_shard, 2, 0, false, {}}}, 0, {}});
  auto heard = told();
  CHECK(heard);
  hear(1, node_beat{{}, 0, {}});
  CHECK(told() == heard);
  ask([](membership_state& m) { CHECK(m.nodes.at("n1").held.empty()); });
}

TEST_CASE_FIXTURE(members, "membership_actor: what a hello told of is held before the first beat") {
  start();
  come(1, {{the_shard, 3, 0, false, {}}});

  ask([](membership_state& m) {
    REQUIRE(m.nodes.at("n1").held.size() == 1);
    CHECK(m.nodes.at("n1").held[0].epoch == 3);
    CHECK(m.nodes.at("n1").places.at(the_shard).told);
  });
}
