#include "cluster/hedging.hpp"

#include <doctest/doctest.h>

using namespace framemill;

namespace {

constexpr timestamp second(double s) { return {1'000'000 + static_cast<std::int64_t>(s * 1e6)}; }

shard_record at_work(std::uint32_t index, double since, double cost = 1) {
  shard_record s;
  s.id.index = index;
  s.role = shard_role::decode;
  s.jobs = {0};
  s.cost = cost;
  s.state = shard_state::leased;
  s.epoch = 1;
  attempt_record a;
  a.epoch = 1;
  a.node = "a";
  a.started = second(since);
  s.attempts.push_back(a);
  return s;
}

shard_record finished(std::uint32_t index, double seconds, double cost = 1) {
  auto s = at_work(index, 0, cost);
  s.attempts[0].finished = second(seconds);
  s.state = shard_state::done;
  s.made_by = 1;
  return s;
}

/// A run of 100 s source time, and a meter that was told how far its shards are.
struct stage {
  run_record run;
  std::vector<shard_record> shards;
  progress_meter meter;

  stage() { run.media.emplace().duration = 100; }
  void moved(std::uint32_t shard, double fraction) {
    watermark w;
    w.source_seconds = fraction * 100;
    meter.moved(second(1), shard, w, 1);
  }
  std::optional<std::uint32_t> slowest(double now) const {
    return straggler(second(now), run, shards, meter);
  }
};

} // namespace

TEST_CASE("hedging: the shard with the longest still to go is the straggler") {
  stage s;
  s.shards = {finished(0, 10), finished(1, 10), at_work(2, 0), at_work(3, 0)};
  s.moved(2, 0.4); // 45 s to go
  s.moved(3, 0.2); // 120 s to go

  CHECK(s.slowest(30) == 3);
}

TEST_CASE("hedging: who is nearly there is left alone") {
  stage s;
  s.shards = {finished(0, 10), at_work(1, 0)};
  s.moved(1, 0.8); // slow, but only 10 s to go: a second attempt takes as long

  CHECK_FALSE(s.slowest(40));
}

TEST_CASE("hedging: a bigger shard may take longer") {
  stage s;
  s.shards = {finished(0, 10), at_work(1, 0, 10)};
  s.moved(1, 0.4); // 60 s to go of 100 expected

  CHECK_FALSE(s.slowest(40));
}

TEST_CASE("hedging: nothing is hedged while a shard waits for a slot") {
  stage s;
  s.shards = {finished(0, 10), at_work(1, 0), at_work(2, 0)};
  s.moved(1, 0.1);
  CHECK(s.slowest(60) == 1);

  s.shards[2].state = shard_state::ready;

  CHECK_FALSE(s.slowest(60));
}

TEST_CASE("hedging: without a finished sibling nobody knows what is slow") {
  stage s;
  s.shards = {at_work(0, 0), at_work(1, 0)};
  s.moved(0, 0.01);
  auto other = finished(2, 1);
  other.role = shard_role::audio;
  s.shards.push_back(other);

  CHECK_FALSE(s.slowest(600));
}

TEST_CASE("hedging: who shows no progress is hedged once it has taken twice as long") {
  stage s;
  s.shards = {finished(0, 10), at_work(1, 0)};

  CHECK_FALSE(s.slowest(5));
  CHECK_FALSE(s.slowest(19));
  CHECK(s.slowest(20) == 1);
}

TEST_CASE("hedging: a few seconds are not worth it") {
  stage s;
  s.shards = {finished(0, 0.1), at_work(1, 0)};

  CHECK_FALSE(s.slowest(2.9));
  CHECK(s.slowest(3) == 1);
}

TEST_CASE("hedging: a shard is hedged once") {
  stage s;
  s.shards = {finished(0, 10), at_work(1, 0)};
  auto second_attempt = s.shards[1].attempts[0];
  second_attempt.epoch = 2;
  second_attempt.hedge = true;
  s.shards[1].attempts.push_back(second_attempt);

  CHECK_FALSE(s.slowest(100));
}
