#include "actors/placer.hpp"
#include "actors/membership_actor.hpp"
#include "core/codec.hpp"
#include "tests/support/actor_fixture.hpp"
#include "tests/support/recording_hub.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace framemill::test;
using namespace std::chrono_literals;

namespace {

const service_id watcher{bucket_watcher_kind, "in"};

/// A PLACER whose bucket was watched by w1 when its former life ended, between
/// inboxes; w2 has the bucket too.
struct placing : test_services, virtual_actors {
  explicit placing(durability d = durability::at_once) : test_services(d) {
    shared.buckets["in"] = std::move(*open_local_bucket({"in", dir / "", ""}));
    shared.config.watch["in"] = "any";
    changes c;
    c.services.push_back({watcher, "w1", 3, {}, "as ever"});
    keep(std::move(c));
    placer = system.spawn(placer_actor, &shared, coordinator.handle, membership.handle);
    drain();
    members.services = &shared;
    auto recording = std::make_unique<recording_hub>();
    recorded = recording.get();
    members.hub = std::move(recording);
    members.nodes["w1"].connection = 1;
    members.nodes["w2"].connection = 2;
    membership.forget();
    knows("w1");
    knows("w2");
  }
  ~placing() { kill(placer); }

  void knows(const std::string& name, node_standing standing = node_standing::open,
             std::string ended = {}) {
    node_placeable m;
    m.node.name = name;
    m.node.standing = standing;
    m.node.kinds = {bucket_watcher_kind};
    m.node.buckets = {"in"};
    m.ended = std::move(ended);
    tell(placer, std::move(m));
  }
  void says(const std::string& node, std::uint64_t epoch, std::uint64_t number,
            const watch_word& word) {
    tell(placer, node_says{node, {watcher, epoch, number, encode(word)}});
  }
  /// What left for the nodes since the last look.
  template <class Word>
  std::vector<std::pair<connection_key, Word>> sent() {
    drain();
    for (const auto& call : membership.take<membership_call>())
      (*call.call)(members);
    std::vector<std::pair<connection_key, Word>> out;
    for (auto& [to, body] : std::exchange(recorded->sent, {}))
      if (auto* word = std::get_if<Word>(&body))
        out.emplace_back(to, std::move(*word));
    return out;
  }
  static watch_reports report(const std::string& key) {
    watch_reports m;
    m.reports.emplace_back();
    m.reports.back().object = {"a bucket of its choice", key, {}};
    return m;
  }

  inbox coordinator{system}, membership{system};
  membership_state members;
  recording_hub* recorded = nullptr;
  caf::actor placer;
};

struct slow_books : placing {
  slow_books() : placing(durability::when_told) {}
};

} // namespace

TEST_CASE_FIXTURE(placing, "placer: what the present host found is booked, then answered") {
  says("w1", 3, 101, report("a.mp4"));

  auto batch = coordinator.only<settled_batch>();
  CHECK(batch.node == "w1");
  CHECK(batch.reports.at(0).object.key == "a.mp4");
  CHECK(batch.reports.at(0).object.bucket == "in"); // it speaks for its own bucket
  CHECK(sent<service_answer>().empty());
  tell(placer, batch_booked{batch.batch, true, {}});
  auto answers = sent<service_answer>();
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].first == 1);
  CHECK(answers[0].second.number == 101);
  CHECK(answers[0].second.payload == encode(watch_answer{watch_booked{true}}));
}

TEST_CASE_FIXTURE(placing, "placer: a word that is said again while it is booked is booked "
                           "once") {
  says("w1", 3, 101, report("a.mp4"));
  says("w1", 3, 101, report("a.mp4"));

  auto batch = coordinator.only<settled_batch>();
  tell(placer, batch_booked{batch.batch, true, {}});
  CHECK(sent<service_answer>().size() == 1);
  says("w1", 3, 101, report("a.mp4")); // its answer was lost
  CHECK(coordinator.take<settled_batch>().size() == 1);
}

TEST_CASE_FIXTURE(placing, "placer: a former host is told to end, and not heard") {
  knows("w1", node_standing::away, "nothing was heard of it");
  auto hosts = sent<host_service>();
  REQUIRE(hosts.size() == 1);
  CHECK(hosts[0].first == 2);
  CHECK(hosts[0].second.epoch == 4);

  says("w1", 3, 101, report("a.mp4"));
  says("w1", 4, 102, report("a.mp4"));
  says("w2", 3, 103, report("a.mp4"));

  CHECK(coordinator.take<settled_batch>().empty());
  CHECK(sent<end_service>().size() == 3);
  says("w2", 4, 104, report("a.mp4"));
  CHECK(coordinator.take<settled_batch>().size() == 1);
}

TEST_CASE_FIXTURE(slow_books, "placer: nobody is told before the placement is in the books") {
  knows("w1", node_standing::away, "killed");
  CHECK(sent<host_service>().empty());

  store->sync();
  CHECK(sent<host_service>().size() == 1);
  CHECK(find<service_record>(family::meta, keys::of(watcher))->host == "w2");
}

TEST_CASE_FIXTURE(placing, "placer: what the store refuses is written again before it counts") {
  store->fail_next(2, {errc::no_space, "disk full", {}});
  knows("w1", node_standing::away, "killed");
  CHECK(sent<host_service>().empty());
  advance(1s);
  CHECK(sent<host_service>().empty());
  advance(1s);

  CHECK(sent<host_service>().size() >= 1);
  CHECK(find<service_record>(family::meta, keys::of(watcher))->host == "w2");
}

TEST_CASE_FIXTURE(placing, "placer: what a watcher asks is answered from the books") {
  object_record line;
  line.object = {"in", "known.mp4", {}};
  line.object.generation.size = 7;
  line.state = object_state::ignored;
  changes c;
  c.objects.push_back(line);
  line.object.key = "ours.mp4"; // published, and not seen yet
  line.state = object_state::settling;
  c.objects.push_back(line);
  keep(std::move(c));
  auto seven = line.object.generation;

  says("w1", 3, 101,
       watch_question{
           {{"known.mp4", seven}, {"known.mp4", {}}, {"new.mp4", seven}, {"ours.mp4", seven}}});

  auto answers = sent<service_answer>();
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].second.payload == encode(watch_answer{watch_unbooked{{1, 2, 3}}}));
}
