#include "actors/run_explainer.hpp"

#include "core/json.hpp"

#include <doctest/doctest.h>

using namespace framemill;

namespace {

constexpr timestamp second(double s) {
  return {1'000'000'000'000'000 + static_cast<std::int64_t>(s * 1e6)};
}

bool holds(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

/// A run with one shard, leased to w1 since second 0; the coordinator's own node
/// is mill.
struct explained {
  explained() {
    books.run.id = {5};
    books.run.state = run_state::processing;
    auto& s = books.shards.emplace_back();
    s.id = {books.run.id, 0};
    s.role = shard_role::decode;
    decode_step d;
    d.videos.emplace_back().last = 100;
    s.request.steps.push_back(d);
    lease("w1", 0);
    scheduler_node n;
    n.name = "w2";
    n.takes_work = true;
    queue.set_node(n);
    queue.add_worker({1, "w2"}, reservation{{{9}, 9}});
    sights.own_node = "mill";
  }
  shard_record& shard() { return books.shards[0]; }
  void lease(const std::string& node, double since) {
    attempt_record a;
    a.epoch = ++shard().epoch;
    a.node = node;
    a.started = second(since);
    shard().attempts.push_back(a);
    shard().state = shard_state::leased;
  }
  void offer() {
    shard_offer o;
    o.id = shard().id;
    queue.offer(o);
  }
  run_explanation at(double now) {
    sights.told = told_of(members, books.run.id);
    auto out = explain_books(books, sights, second(now));
    add_queue(out, queue, second(now));
    return out;
  }
  /// Of the shard.
  shard_explanation why(double now) { return at(now).shards.at(0); }

  run_books books;
  membership_state members;
  attempt_sights sights;
  scheduler queue{scheduler::options{}};
};

} // namespace

TEST_CASE_FIXTURE(explained, "run_explainer: a node holds an attempt when it tells so") {
  CHECK(holds(why(3).why, "which is not here"));

  auto& node = members.nodes["w1"];
  node.places[shard().id] = {0, 1, {}};
  CHECK(holds(why(3).why, "has not told of it yet"));

  node.places[shard().id].told = second(2.9);
  node.held = {{shard().id, 1, 0, false, {}}};
  CHECK(why(3).why == "attempt 1 is at work on w1");

  node.held.clear();
  auto lost = why(5);
  CHECK_FALSE(holds(lost.why, "at work"));
  CHECK(holds(lost.why, "w1, which has not told of it since"));
  CHECK(lost.pace.attempts[0].standing == attempt_standing::untold);

  node.held = {{{{6}, 0}, 1, 0, false, {}}}; // another run's
  CHECK(why(5).pace.attempts[0].standing == attempt_standing::untold);
}

TEST_CASE_FIXTURE(explained, "run_explainer: how far, how fast, and what failed before") {
  shard().attempts[0].finished = second(2);
  shard().attempts[0].failure = error{errc::worker_crashed, "signal 11", {}};
  lease("mill", 3);
  watermark w;
  w.frames_encoded = 20;
  sights.marks[{0, 2}] = {w, second(6)};

  auto told = to_json_value(at(7))["Shards"][0];

  CHECK(told["Node"] == "mill");
  CHECK(told["Hedge"] == "none");
  CHECK(told["Attempts"][0]["Node"] == "w1");
  CHECK(told["Attempts"][0]["Standing"] == "failed");
  CHECK(told["Attempts"][0]["Failure"]["Code"] == "worker_crashed");
  CHECK(told["Attempts"][1]["Standing"] == "at-work");
  CHECK(told["Attempts"][1]["Frames"] == 20);
  CHECK(told["Attempts"][1]["FramesPlanned"] == 100);
  CHECK(told["Attempts"][1]["FramesPerSecond"] == 5);
  CHECK(told["Attempts"][1]["StillSeconds"] == 1);
}

TEST_CASE_FIXTURE(explained, "run_explainer: a hedge waits for a slot, or is at it") {
  shard().attempts[0].node = "mill";
  CHECK(why(5).hedge == hedge_state::none);

  offer();
  auto waiting = why(5);
  CHECK(waiting.hedge == hedge_state::waiting);
  CHECK(waiting.queue_position == 1);
  CHECK(holds(waiting.why, "attempt 1 is at work on mill"));
  CHECK(holds(waiting.why, "a second attempt (a hedge) waits: w2: its slot is busy"));

  queue.withdraw(shard().id);
  lease("w2", 5);
  shard().attempts[1].hedge = true;
  members.nodes["w2"].held = {{shard().id, 2, 0, false, {}}};
  auto begun = why(6);
  CHECK(begun.hedge == hedge_state::begun);
  CHECK(begun.queue_position == 0);
  CHECK(begun.why
        == "attempt 1 is at work on mill, and has shown nothing for 6.0 s; attempt 2 (a hedge) is "
           "at work on w2");
}

TEST_CASE_FIXTURE(explained, "run_explainer: a shard that is queued again says what it waits for") {
  shard().attempts[0].finished = second(2);
  shard().attempts[0].failure = error{errc::worker_crashed, "signal 11", {}};
  shard().state = shard_state::ready;
  CHECK(why(3).why == "failed: signal 11");

  offer();
  auto queued = why(3);

  CHECK(queued.why == "w2: its slot is busy");
  CHECK(queued.hedge == hedge_state::none);
  CHECK(queued.nodes.at(0).sentence == "its slot is busy");
  CHECK(queued.pace.attempts.at(0).standing == attempt_standing::failed);
}
