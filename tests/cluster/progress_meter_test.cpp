#include "cluster/progress_meter.hpp"
#include "tests/cluster/run_plans.hpp"

#include <doctest/doctest.h>

#include <limits>

using namespace framemill;
using namespace framemill::test;

namespace {

constexpr timestamp at(std::int64_t seconds) { return {1'000'000 * (100 + seconds)}; }

/// A probe, two decodes of 100 frames and a cheap join; one job.
struct metered_run {
  progress_meter meter;
  run_record run = waiting_run();
  std::vector<job_record> jobs;
  std::vector<shard_record> shards;

  metered_run() {
    plan p;
    p.add(shard_role::decode, {0}, {0});
    p.add(shard_role::decode, {0}, {0});
    p.add(shard_role::join, {1, 2}, {0});
    p.add_job({3});
    for (auto i : {0, 1}) {
      decode_step d;
      d.videos.emplace_back().last = 100;
      p.shards[static_cast<std::size_t>(i)].request.steps.push_back(d);
      p.shards[static_cast<std::size_t>(i)].cost = 45;
    }
    p.shards[2].cost = 10;
    jobs = p.jobs;
    shards = p.shards;
    shard_record probe;
    probe.state = shard_state::done;
    shards.insert(shards.begin(), probe);
    run.state = run_state::processing;
    run.media.emplace().duration = 60;
  }

  void encoded(std::int64_t seconds, std::uint32_t shard, std::int64_t frames) {
    shards[shard].state = shard_state::leased;
    watermark w;
    w.frames_encoded = frames;
    meter.moved(at(seconds), shard, w);
  }
  run_progress measure(std::int64_t seconds) {
    return meter.measure(at(seconds), run, jobs, shards);
  }
};

} // namespace

TEST_CASE("progress_meter: nothing done is 0, with speed and end unknown") {
  metered_run r;

  auto p = r.measure(1);

  CHECK(p.fraction == 0);
  CHECK(p.phase == "queued");
  CHECK(p.speed == 0);
  CHECK(p.eta_high == 0);
  CHECK(p.frames_planned == 200);
}

TEST_CASE("progress_meter: shards count by their cost") {
  metered_run r;
  r.encoded(0, 1, 50);

  CHECK(r.measure(1).fraction == doctest::Approx(0.99 * 45 * 0.5 / 100));
  r.shards[1].state = shard_state::done;
  CHECK(r.measure(1).fraction == doctest::Approx(0.99 * 0.45));
  CHECK(r.measure(1).jobs[0] == doctest::Approx(0.99 * 0.45));
  CHECK(r.measure(1).frames_encoded == 100);
}

TEST_CASE("progress_meter: a failed attempt does not take back what was shown") {
  metered_run r;
  r.encoded(0, 1, 80);
  auto before = r.measure(1).fraction;

  r.meter.ended(1);
  r.shards[1].state = shard_state::ready;

  CHECK(r.measure(2).fraction == before);
  r.encoded(3, 1, 10);
  CHECK(r.measure(4).fraction == before);
  CHECK(r.measure(4).frames_encoded == 10);
}

TEST_CASE("progress_meter: all shards done is not yet the end") {
  metered_run r;
  for (auto& s : r.shards)
    s.state = shard_state::done;
  r.jobs[0].state = job_state::publishing;

  auto p = r.measure(1);
  CHECK(p.fraction == doctest::Approx(0.99));
  CHECK(p.phase == "publishing");

  r.jobs[0].state = job_state::succeeded;
  r.run.state = run_state::succeeded;
  CHECK(r.measure(2).fraction == 1);
  CHECK(r.measure(2).jobs[0] == 1);
}

TEST_CASE("progress_meter: a failed run never shows 1") {
  metered_run r;
  for (auto& s : r.shards)
    s.state = shard_state::done;
  r.run.state = run_state::failed;

  CHECK(r.measure(1).fraction < 1);
  CHECK(r.measure(1).phase == "failed");
}

TEST_CASE("progress_meter: more frames than planned are not more than all") {
  metered_run r;
  r.encoded(0, 1, 5'000);

  CHECK(r.measure(1).fraction == doctest::Approx(0.99 * 0.45));
}

TEST_CASE("progress_meter: dropped shards weigh nothing") {
  metered_run r;
  r.shards[1].state = shard_state::done;
  r.shards[2].state = shard_state::cancelled;

  CHECK(r.measure(1).fraction == doctest::Approx(0.99 * 45 / 55));
  CHECK(r.measure(1).frames_planned == 100);
}

TEST_CASE("progress_meter: speed is source time per second, the end lies ahead") {
  metered_run r;
  r.encoded(0, 1, 1);
  r.encoded(10, 1, 100);

  auto p = r.measure(10);

  CHECK(p.speed == doctest::Approx(3)); // half of 60 s in 10 s
  CHECK(p.eta_low > 0);
  CHECK(p.eta_low < p.eta_high);
  CHECK(p.phase == "encoding");
}

TEST_CASE("progress_meter: of two attempts of a shard the further one counts") {
  metered_run r;
  r.shards[1].state = shard_state::leased;
  watermark behind, ahead;
  behind.frames_encoded = 20;
  ahead.frames_encoded = 60;
  r.meter.moved(at(0), 1, ahead, 1);
  r.meter.moved(at(1), 1, behind, 2);

  CHECK(r.measure(1).fraction == doctest::Approx(0.99 * 45 * 0.6 / 100));
  CHECK(r.measure(1).frames_encoded == 60);
  CHECK(r.meter.fraction(r.run, r.shards[1], 1) == doctest::Approx(0.6));
  CHECK(r.meter.fraction(r.run, r.shards[1], 2) == doctest::Approx(0.2));
  r.meter.ended(1, 1);
  CHECK(r.measure(2).frames_encoded == 20);
  CHECK(r.measure(2).fraction == doctest::Approx(0.99 * 45 * 0.6 / 100)); // never back
}

TEST_CASE("progress_meter: without planned frames the source's time counts") {
  metered_run r;
  std::get<decode_step>(r.shards[1].request.steps[0]).videos[0].last =
      std::numeric_limits<std::int64_t>::max();
  CHECK(planned_frames(r.shards[1].request) == 0);
  r.shards[1].state = shard_state::leased;
  watermark w;
  w.source_seconds = 30;
  r.meter.moved(at(0), 1, w);

  CHECK(r.measure(1).fraction == doctest::Approx(0.99 * 0.45 / 2));
}

TEST_CASE("progress_meter: pictures are planned frames too") {
  media_request request;
  decode_step d;
  d.pictures.emplace_back().picks.resize(7);
  request.steps.push_back(d);

  CHECK(planned_frames(request) == 7);
}

TEST_CASE("progress_meter: an attempt is as far as its last watermark says") {
  metered_run r;
  watermark w;
  w.frames_encoded = 25;
  w.source_seconds = 30;

  CHECK(fraction_at(w, r.run, r.shards[1]) == doctest::Approx(0.25)); // of 100 planned
  CHECK(fraction_at(w, r.run, r.shards[3]) == doctest::Approx(0.5));  // of a minute
  r.run.media.reset();
  CHECK(fraction_at(w, r.run, r.shards[3]) == 0);
  w.frames_encoded = 1000;
  CHECK(fraction_at(w, r.run, r.shards[1]) == 1);
}

TEST_CASE("progress_meter: a mark moves when it is another, and goes with its attempt") {
  metered_run r;
  r.encoded(1, 1, 50);
  r.encoded(2, 1, 50);
  CHECK(r.meter.marks().at({1, 0}).moved == at(1));

  r.encoded(3, 1, 51);
  CHECK(r.meter.marks().at({1, 0}).moved == at(3));
  CHECK(r.meter.marks().at({1, 0}).mark.frames_encoded == 51);

  r.meter.ended(1);
  CHECK(r.meter.marks().empty());
}
