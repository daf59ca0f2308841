#include "tests/media/plan/sources.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace framemill;
using namespace framemill::plan_test;

namespace {

const clip_shape brief{"10 s", {1, 90000}, {25, 1}, 250, 50};
const clip_shape minute{"60 s", {1, 90000}, {25, 1}, 1500, 50};
constexpr std::int64_t mebibyte = 1 << 20;

/// One encoder over a minute, on a cluster of so many slots and cores.
shard_record whole(int slots, int cores, int renditions = 1) {
  planned p{minute};
  for (int i = 0; i < renditions; ++i) {
    auto& t = p.raw("mp4", 25);
    t.video->mode = rate_mode::abr;
    t.video->bitrate = 1000 + i;
  }
  p.options.slots = slots;
  p.options.cores = cores;
  auto plan = p.plan();
  REQUIRE(plan.shards.size() == 1);
  REQUIRE(plan.shards[0].role == shard_role::whole);
  return plan.shards[0];
}

const decode_step& decode_of(const shard_record& s) {
  for (const auto& step : s.request.steps)
    if (const auto* d = std::get_if<decode_step>(&step))
      return *d;
  throw std::logic_error("no decode step");
}

} // namespace

TEST_CASE("planner: each piece of a source is worked by one thread") {
  planned p{minute};
  p.raw("mp4", 25);
  p.raw("mp4", 25).video->height = 360;
  p.snapshots({"1s", "50%"});
  p.options.slots = p.options.cores = 8;
  auto plan = p.plan();

  REQUIRE(plan.shards.size() > 3);
  for (const auto& s : plan.shards)
    CHECK(s.cores == 1);
  for (const auto& d : steps_of<decode_step>(plan)) {
    CHECK(d.threads == 1);
    for (const auto& v : d.videos)
      CHECK(v.encoder.threads == 1);
  }
}

TEST_CASE("planner: a source in one piece has threads, no more than one node has cores") {
  struct row {
    int slots, cores, encoder, decoder, reserved;
  };
  for (auto r : {row{1, 8, 1, 1, 1}, row{2, 2, 2, 2, 2}, row{2, 8, 2, 2, 4}, row{32, 2, 2, 2, 2},
                 row{32, 64, 4, 2, 6}, row{8, 1, 1, 1, 1}}) {
    CAPTURE(r.slots);
    CAPTURE(r.cores);
    auto s = whole(r.slots, r.cores);

    CHECK(decode_of(s).threads == r.decoder);
    CHECK(decode_of(s).videos.at(0).encoder.threads == r.encoder);
    CHECK(s.cores == r.reserved);
  }
  CHECK(whole(32, 64, 3).cores == 3 * 4 + 2);
  CHECK(whole(32, 8, 3).cores == 8);
}

TEST_CASE("planner: a source that costs little is worked by one thread") {
  planned p{brief};
  p.raw("mp4", 25);
  p.options.slots = p.options.cores = 8;
  auto cheap = p.plan().shards.at(0);
  p.raw("mp4", 25).video->preset = "slow";
  auto dear = p.plan().shards.at(0);

  CHECK(cheap.role == shard_role::whole);
  CHECK(cheap.cores == 1);
  CHECK(dear.cores > 1);
}

TEST_CASE("planner: a shard has scratch for what it makes, and a join for what it reads too") {
  planned p{minute};
  p.raw("mp4", 25);
  p.sprite();
  auto plan = p.plan();
  std::int64_t made = 0, sum = 0;
  for (const auto& s : plan.shards) {
    CHECK(s.scratch_bytes > mebibyte);
    if (s.role == shard_role::decode || s.role == shard_role::audio)
      made += s.scratch_bytes - mebibyte; // all but what every shard has
    sum += s.scratch_bytes;
  }
  std::int64_t joins = 0;
  for (const auto& s : plan.shards)
    if (s.role == shard_role::join)
      joins += s.scratch_bytes - mebibyte;

  CHECK(joins > made); // all is read once, and written again in part
  CHECK(joins < 2 * made);
  CHECK(plan.scratch_bytes == sum);
}

TEST_CASE("planner: a source in one piece keeps packets and result in scratch at once") {
  auto s = whole(2, 2);
  const auto minute_at_a_megabit = 60 * 1'000'000 / 8;

  CHECK(s.scratch_bytes > 2 * minute_at_a_megabit);
  CHECK(s.scratch_bytes < 4 * minute_at_a_megabit);
}
