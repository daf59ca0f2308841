#include "cluster/shard_pace.hpp"

#include <doctest/doctest.h>

using namespace framemill;

namespace {

constexpr timestamp second(double s) {
  return {1'000'000'000'000'000 + static_cast<std::int64_t>(s * 1e6)};
}

/// A stage of shards of 100 frames, and what is known of those that are at work.
struct stage {
  run_record run;
  std::vector<shard_record> shards;
  attempt_sights sights;

  stage() { sights.own_node = "mill"; }

  shard_record& add(double cost = 1) {
    shard_record s;
    s.id.index = static_cast<std::uint32_t>(shards.size());
    s.role = shard_role::decode;
    s.jobs = {0};
    s.cost = cost;
    decode_step d;
    d.videos.emplace_back().last = 100;
    s.request.steps.push_back(d);
    s.state = shard_state::ready;
    shards.push_back(std::move(s));
    return shards.back();
  }
  /// Leased since second 0.
  void add_at_work(const std::string& node, double cost = 1) { lease(add(cost), node); }
  void add_finished(double seconds, double cost = 1) {
    auto& s = add(cost);
    lease(s, "w9");
    s.attempts[0].finished = second(seconds);
    s.state = shard_state::done;
    s.made_by = 1;
  }
  static void lease(shard_record& s, const std::string& node, double since = 0) {
    attempt_record a;
    a.epoch = ++s.epoch;
    a.node = node;
    a.started = second(since);
    s.attempts.push_back(a);
    s.state = shard_state::leased;
  }
  void moved(std::uint32_t shard, std::int64_t frames, double when) {
    watermark w;
    w.frames_encoded = frames;
    sights.marks[{shard, shards[shard].epoch}] = {w, second(when)};
  }
  shard_pace pace(double now, std::uint32_t shard) const {
    return pace_of(second(now), run, shards, shards[shard], sights);
  }
  attempt_view last(double now, std::uint32_t shard) const {
    return pace(now, shard).attempts.back();
  }
  std::string says(double now, std::uint32_t shard) const {
    auto p = pace(now, shard);
    return sentence(second(now), p.attempts.back(), p);
  }
};

bool holds(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("shard_pace: an attempt at work tells its frames, its speed, and when it moved") {
  stage s;
  s.add_at_work("mill");
  s.moved(0, 50, 8);

  auto a = s.last(10, 0);

  CHECK(a.standing == attempt_standing::at_work);
  CHECK(a.frames == 50);
  CHECK(a.frames_planned == 100);
  CHECK(a.frames_per_second == doctest::Approx(5));
  CHECK(a.fraction == doctest::Approx(0.5));
  CHECK(a.moved == second(8));
  CHECK(a.still_seconds == doctest::Approx(2));
  CHECK(a.pace == 0); // nobody to compare it with
  CHECK(s.says(10, 0) == "attempt 1 is at work on mill");
}

TEST_CASE("shard_pace: where no frames are planned, the source's time is the speed") {
  stage s;
  s.run.media.emplace().duration = 100;
  s.add_at_work("mill");
  s.shards[0].request.steps.clear();
  watermark w;
  w.source_seconds = 40;
  s.sights.marks[{0, 1}] = {w, second(9)};

  auto a = s.last(10, 0);

  CHECK(a.speed == doctest::Approx(4));
  CHECK(a.fraction == doctest::Approx(0.4));
}

TEST_CASE("shard_pace: a slow shard is held against the median of its stage") {
  stage s;
  s.add_at_work("mill");
  s.add_finished(2);
  s.add_finished(4);
  s.add_finished(40);
  s.moved(0, 20, 10); // a fifth in 10 s

  auto p = s.pace(10, 0);

  CHECK(p.others == 3);
  CHECK(p.usual_seconds == doctest::Approx(4));
  CHECK(p.attempts[0].pace == doctest::Approx(0.08));
  CHECK(holds(s.says(10, 0), "0.08 times as fast as the median of 3 other shards of its stage"));
}

TEST_CASE("shard_pace: others count while they are at work, and by their cost") {
  stage s;
  s.add_at_work("mill", 2);
  s.add_at_work("mill", 1);
  s.moved(0, 50, 10);
  s.moved(1, 50, 10);

  CHECK(s.pace(10, 0).usual_seconds == doctest::Approx(40)); // twice the work of the other
  CHECK(s.last(10, 0).pace == doctest::Approx(2));
  CHECK(s.last(10, 1).pace == doctest::Approx(0.5));
}

TEST_CASE("shard_pace: shards of other work are no measure") {
  stage s;
  s.add_at_work("mill");
  s.add_finished(2);
  s.shards[1].role = shard_role::audio;
  s.add_finished(2);
  s.shards[2].jobs = {1};

  CHECK(s.pace(10, 0).others == 0);
  CHECK(s.pace(10, 0).usual_seconds == 0);
}

TEST_CASE("shard_pace: who stands still is told so") {
  stage s;
  s.add_at_work("mill");
  s.add_at_work("mill");
  s.add_finished(2);
  s.moved(0, 50, 1);

  CHECK(holds(s.says(13, 0), "and has not moved for 12.0 s"));
  CHECK(holds(s.says(13, 1), "and has shown nothing for 13.0 s"));
  CHECK(holds(s.says(13, 1), "13.0 s so far"));
  CHECK_FALSE(holds(s.says(3, 0), "not moved"));
}

TEST_CASE("shard_pace: what its node does not tell of is not at work") {
  stage s;
  s.add_at_work("w1");
  const attempt_key key{0, 1};
  CHECK(s.last(3, 0).standing == attempt_standing::away);
  CHECK(holds(s.says(3, 0), "w1, which is not here"));

  auto& told = s.sights.told["w1"];
  CHECK(s.last(3, 0).standing == attempt_standing::unheard);
  CHECK(s.says(3, 0) == "attempt 1 was given to w1 3.0 s ago, which has not told of it yet");

  told[key] = {true, false, second(2.9)};
  CHECK(s.last(3, 0).standing == attempt_standing::at_work);
  CHECK(s.says(3, 0) == "attempt 1 is at work on w1");
  CHECK(holds(s.says(5, 0), "as it last told 2.1 s ago")); // frozen, perhaps

  told[key].held = false;
  CHECK(s.last(7, 0).standing == attempt_standing::untold);
  CHECK(holds(s.says(7, 0), "w1, which has not told of it since 2001-09-09T01:46:42Z (4.1 s ago)"));

  told[key] = {true, true, second(7)};
  CHECK(s.last(7, 0).standing == attempt_standing::ended);
  told[{0, 2}] = std::exchange(told[key], {}); // of another epoch it may tell
  CHECK(s.last(7, 0).standing == attempt_standing::unheard);
}

TEST_CASE("shard_pace: earlier attempts stay with their node and code, a hedge beside them") {
  stage s;
  auto& shard = s.add();
  stage::lease(shard, "w1");
  shard.attempts[0].finished = second(4);
  shard.attempts[0].failure = error{errc::worker_crashed, "signal 11", {}};
  shard.attempts[0].last_watermark.emplace().frames_encoded = 10;
  stage::lease(shard, "mill", 5);
  stage::lease(shard, "mill", 8);
  shard.attempts[2].hedge = true;

  auto all = s.pace(10, 0).attempts;

  REQUIRE(all.size() == 3);
  CHECK(all[0].standing == attempt_standing::failed);
  CHECK(all[0].node == "w1");
  CHECK(all[0].failure->code == errc::worker_crashed);
  CHECK(all[0].frames == 10);
  CHECK(all[0].seconds == doctest::Approx(4));
  CHECK(all[0].still_seconds == 0);
  CHECK_FALSE(all[1].hedge);
  CHECK(all[2].hedge);
  CHECK(s.says(10, 0) == "attempt 3 (a hedge) is at work on mill");
}
