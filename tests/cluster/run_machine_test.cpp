#include "tests/cluster/run_plans.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace framemill;
using namespace framemill::test;

namespace {

constexpr timestamp now{2'000'000};

bool has_all(std::string_view) { return true; }
bool has_none(std::string_view) { return false; }

/// A machine and the short ways to push it.
struct driven_run {
  run_machine m{waiting_run(), {}, {}};
  run_machine::step last;

  shard_state shard(std::uint32_t i) const { return m.shards().at(i).state; }
  job_state job(std::uint32_t i) const { return m.jobs().at(i).state; }
  run_state run() const { return m.run().state; }

  void start() { last = m.start(now, has_all); }
  void grant(std::uint32_t i, std::uint64_t worker = 1) {
    last = m.granted(now, i, worker, "node");
  }
  void finish(std::uint32_t i, std::string sha256 = "sha") {
    last = m.attempt_finished(now, i, success(m.shards().at(i).epoch, std::move(sha256)));
  }
  void fail(std::uint32_t i, errc code) {
    last = m.attempt_finished(now, i, failure_of(m.shards().at(i).epoch, code));
  }
  void work(std::uint32_t i) {
    grant(i);
    finish(i, "sha of " + std::to_string(i));
  }
  void plan(test::plan p) { last = m.planned(now, std::move(p.shards), std::move(p.jobs), {}); }
  void publish(std::uint32_t j) { last = m.published(now, j, {published_file{}}); }

  /// The same run after the daemon died with everything written.
  void restart(const std::function<bool(std::string_view)>& has_artifact) {
    m = run_machine{m.run(), m.jobs(), m.shards()};
    last = m.start(now, has_artifact);
  }

  std::vector<std::uint32_t> offered() const {
    std::vector<std::uint32_t> out;
    for (const auto& o : all_of<offer_shard>(last))
      out.push_back(o.shard);
    return out;
  }
};

driven_run probed() {
  driven_run r;
  r.start();
  r.work(0);
  return r;
}

driven_run planned(plan p = shared_decode()) {
  auto r = probed();
  r.plan(std::move(p));
  return r;
}

using shards = std::vector<std::uint32_t>;

} // namespace

TEST_CASE("run_machine: a run begins with its probe") {
  driven_run r;

  r.start();

  CHECK(r.run() == run_state::probing);
  CHECK(r.offered() == shards{0});
  CHECK(r.last.record.runs.size() == 1);
  CHECK(r.last.record.shards.size() == 1);
  CHECK(r.m.run().started == now);
}

TEST_CASE("run_machine: all goes well") {
  driven_run r;
  r.start();
  r.grant(0, 5);
  CHECK(find_action<start_shard>(r.last)->worker == 5);
  r.finish(0);
  CHECK(find_action<plan_run>(r.last)->trust_index);
  r.plan(shared_decode());
  CHECK(r.run() == run_state::processing);
  CHECK(r.offered() == shards{1}); // the joins wait for it
  r.grant(1);
  CHECK(r.job(0) == job_state::processing);
  r.finish(1);
  CHECK(r.offered() == shards{2, 3});
  r.work(2);
  CHECK(find_action<publish_job>(r.last)->job == 0); // without waiting for the other
  r.work(3);
  r.publish(0);
  CHECK(r.run() == run_state::processing);
  CHECK_FALSE(find_action<finish_run>(r.last));

  r.publish(1);

  CHECK(r.run() == run_state::succeeded);
  CHECK(find_action<finish_run>(r.last));
  CHECK(r.m.jobs()[0].outputs.size() == 1);
  CHECK_FALSE(r.m.run().failure);
}

/// An edit of two files: its plan numbers from 2.
struct two_sources : driven_run {
  two_sources() {
    auto run = waiting_run();
    run.more_sources.push_back({{"in", "b.mp4", {}}, {}});
    m = run_machine{std::move(run), {}, {}};
    start();
  }
  static test::plan plan_of_two() {
    test::plan p;
    for (std::uint32_t i : {0, 1}) {
      shard_record s;
      s.id.index = i + 2;
      s.role = shard_role::whole;
      s.source = i;
      s.needs = {i};
      s.jobs = {0};
      p.shards.push_back(std::move(s));
    }
    shard_record join;
    join.id.index = 4;
    join.role = shard_role::join;
    join.needs = {2, 3};
    join.jobs = {0};
    p.shards.push_back(std::move(join));
    p.add_job({4});
    return p;
  }
  void probe(std::uint32_t i) {
    grant(i);
    auto outcome = success(m.shards().at(i).epoch, "index of " + std::to_string(i));
    outcome.result.probe = media_info{.size = 100 + i};
    last = m.attempt_finished(now, i, std::move(outcome));
  }
};

TEST_CASE("run_machine: of several sources each is probed, and then it is planned") {
  two_sources r;
  CHECK(r.offered() == shards{0, 1});
  CHECK(r.m.shards()[1].request.source_name == "b.mp4");

  r.probe(1);
  CHECK_FALSE(find_action<plan_run>(r.last));
  r.probe(0);
  CHECK(all_of<plan_run>(r.last).size() == 1);
  CHECK(r.m.run().media->size == 100);
  CHECK(r.m.run().more_sources[0].media->size == 101);

  r.plan(two_sources::plan_of_two());
  CHECK(r.offered() == shards{2, 3});
  CHECK(r.m.shards()[3].needs == shards{1});
  r.work(2);
  r.work(3);
  CHECK(r.offered() == shards{4});
  r.work(4);
  CHECK(find_action<publish_job>(r.last));
}

TEST_CASE("run_machine: of several sources the probe that lost its index is made anew") {
  two_sources r;
  r.probe(0);
  r.probe(1);

  r.last = r.m.plan_failed(now, {errc::artifact_lost, "gone", "index of 1"});

  CHECK(r.shard(0) == shard_state::done);
  CHECK(r.offered() == shards{1});
  r.probe(1);
  CHECK(find_action<plan_run>(r.last));
}

TEST_CASE("run_machine: several sources are planned again, and none of their numbers twice") {
  two_sources r;
  r.probe(0);
  r.probe(1);
  r.plan(two_sources::plan_of_two());
  r.grant(2);
  r.fail(2, errc::input_damaged); // the index is not trusted any more
  REQUIRE(find_action<plan_run>(r.last));

  r.plan(two_sources::plan_of_two());

  CHECK(r.offered() == shards{5, 6});
  CHECK(r.m.shards()[6].needs == shards{1});
  CHECK(r.m.shards()[7].needs == shards{5, 6});
  CHECK(r.m.jobs()[0].items[0].shard == 7);
}

TEST_CASE("run_machine: after a restart only the probe that is lost is done again") {
  two_sources r;
  r.probe(0);
  r.grant(1);

  r.restart([](std::string_view sha256) { return sha256 == "index of 0"; });

  CHECK(r.offered() == shards{1});
  r.probe(1);
  CHECK(find_action<plan_run>(r.last));
}

TEST_CASE("run_machine: a failed probe fails the run with its error") {
  for (auto code : {errc::input_not_media, errc::input_damaged, errc::input_refused}) {
    driven_run r;
    r.start();
    r.grant(0);

    r.fail(0, code);

    CHECK(r.run() == run_state::failed);
    REQUIRE(r.m.run().failure);
    CHECK(r.m.run().failure->code == code);
    CHECK(class_of(r.m.run().failure->code) == failure_class::input);
    CHECK(all_of<finish_run>(r.last).size() == 1);
  }
}

TEST_CASE("run_machine: a run whose object was replaced is cancelled, whoever notices") {
  driven_run r;
  r.start();
  r.grant(0);

  r.fail(0, errc::input_changed);

  CHECK(r.run() == run_state::cancelled);
  REQUIRE(r.m.run().failure);
  CHECK(r.m.run().failure->code == errc::input_changed);
  CHECK(all_of<finish_run>(r.last).size() == 1);
}

TEST_CASE("run_machine: a probe that crashed is tried again") {
  driven_run r;
  r.start();
  r.grant(0);

  r.fail(0, errc::worker_crashed);

  CHECK(r.run() == run_state::probing);
  CHECK(find_action<offer_shard>(r.last)->delay.count() > 0);
}

TEST_CASE("run_machine: a plan that cannot be made fails the run") {
  auto r = probed();

  r.last = r.m.plan_failed(now, {errc::input_no_video, "no video", {}});

  CHECK(r.run() == run_state::failed);
  CHECK(r.m.run().failure->code == errc::input_no_video);
  CHECK(find_action<finish_run>(r.last));
}

TEST_CASE("run_machine: a job that cannot be planned fails alone") {
  auto p = shared_decode();
  p.jobs[1].failure = error{errc::input_no_audio, "no audio", {}};

  auto r = planned(std::move(p));

  CHECK(r.job(1) == job_state::failed);
  CHECK(r.shard(3) == shard_state::cancelled); // nobody else wants it
  CHECK(r.job(0) == job_state::waiting);
  r.work(1);
  r.work(2);
  r.publish(0);
  CHECK(r.run() == run_state::failed); // not all of it was done
  CHECK(r.m.run().failure->code == errc::input_no_audio);
  CHECK(r.job(0) == job_state::succeeded);
}

TEST_CASE("run_machine: a failed shard fails the jobs that want it, and no other") {
  plan p;
  p.add(shard_role::decode, {0}, {0});   // 1
  p.add(shard_role::decode, {0}, {1});   // 2
  p.add(shard_role::audio, {0}, {0, 1}); // 3
  p.add(shard_role::join, {1, 3}, {0});  // 4
  p.add(shard_role::join, {2, 3}, {1});  // 5
  p.add_job({4});
  p.add_job({5});
  auto r = planned(std::move(p));
  r.grant(1);

  r.fail(1, errc::input_no_video);

  CHECK(r.job(0) == job_state::failed);
  CHECK(r.m.jobs()[0].failure->code == errc::input_no_video);
  CHECK(r.shard(4) == shard_state::cancelled); // unwanted now
  CHECK(r.shard(3) == shard_state::ready);     // still wanted by the other
  CHECK(r.shard(2) == shard_state::ready);
  CHECK(r.job(1) == job_state::waiting);
  for (auto i : {2, 3, 5})
    r.work(static_cast<std::uint32_t>(i));
  r.publish(1);
  CHECK(r.job(1) == job_state::succeeded);
  CHECK(r.run() == run_state::failed);
}

TEST_CASE("run_machine: an unwanted shard that runs is stopped, one that waits withdrawn") {
  plan p;
  for (int i = 0; i < 3; ++i)
    p.add(shard_role::decode, {0}, {0});
  p.add_job({1, 2, 3});
  auto r = planned(std::move(p));
  r.grant(1);
  r.grant(2);

  r.fail(1, errc::input_no_video);

  CHECK(find_action<stop_shard>(r.last)->shard == 2);
  CHECK(find_action<withdraw_shard>(r.last)->shard == 3);
  CHECK(r.run() == run_state::failed);
}

TEST_CASE("run_machine: each lease has the next epoch, and old ones are refused") {
  auto r = planned();
  r.grant(1);
  r.fail(1, errc::worker_crashed);
  r.grant(1);
  CHECK(r.m.shards()[1].epoch == 2);

  r.last = r.m.attempt_finished(now, 1, success(1)); // the first is not dead after all

  CHECK(r.shard(1) == shard_state::leased);
  CHECK(r.last.actions.empty());
  CHECK(r.last.record.shards.empty());
  REQUIRE(r.last.record.events.size() == 1);
  CHECK(r.last.record.events[0].type == "shard.refused");
}

TEST_CASE("run_machine: a result told twice counts once") {
  auto r = planned();
  r.work(1);

  r.finish(1, "other");

  CHECK(r.m.shards()[1].files[0].sha256 == "sha of 1");
  CHECK(r.last.actions.empty());
}

TEST_CASE("run_machine: a grant that nobody needs is declined") {
  auto r = planned();
  r.grant(2, 9); // blocked
  CHECK(find_action<decline_worker>(r.last)->worker == 9);
  r.grant(77, 9); // no such shard
  CHECK(find_action<decline_worker>(r.last)->worker == 9);
  r.grant(1);
  r.grant(1, 9); // leased
  CHECK(find_action<decline_worker>(r.last)->worker == 9);
  CHECK_FALSE(find_action<start_shard>(r.last));
}

TEST_CASE("run_machine: attempts are made until the budget is used up") {
  auto r = planned();
  for (int i = 0; i < limits::shard_attempts_max; ++i) {
    CHECK(r.shard(1) == shard_state::ready);
    r.grant(1);
    r.fail(1, errc::worker_crashed);
  }

  CHECK(r.shard(1) == shard_state::failed);
  CHECK(r.m.shards()[1].attempts.size() == limits::shard_attempts_max);
  CHECK(r.run() == run_state::failed);
  CHECK(r.m.run().failure->code == errc::worker_crashed);
}

TEST_CASE("run_machine: attempts that the daemon itself ended use up no budget") {
  auto r = planned();
  for (int i = 0; i < 50; ++i) {
    r.grant(1);
    r.restart(has_all);
    CHECK(r.shard(1) == shard_state::ready);
  }
  CHECK(r.m.shards()[1].attempts.size() == 50);
  r.work(1);
  CHECK(r.shard(1) == shard_state::done);
}

TEST_CASE("run_machine: an attempt that others stopped is made again") {
  auto r = probed();
  r.plan(shared_decode());
  r.grant(1);

  r.fail(1, errc::cancelled);

  CHECK(r.shard(1) == shard_state::ready);
  CHECK(r.offered() == std::vector<std::uint32_t>{1});
  CHECK(r.run() == run_state::processing);
}

TEST_CASE("run_machine: what lacked memory is tried again with twice as much") {
  auto r = planned();
  r.grant(1);
  r.fail(1, errc::no_memory);
  r.grant(1);
  r.fail(1, errc::no_memory);

  CHECK(r.m.shards()[1].memory_bytes == 400);
  CHECK(r.shard(1) == shard_state::ready);
}

TEST_CASE("run_machine: a broken lease is an attempt that failed") {
  auto r = planned();
  r.grant(1);

  r.last = r.m.lease_broken(now, 1, 1, {errc::worker_killed, "gone", {}});

  CHECK(r.shard(1) == shard_state::ready);
  CHECK(r.m.shards()[1].attempts.back().failure->code == errc::worker_killed);
  CHECK(r.m.lease_broken(now, 1, 1, {errc::worker_killed, "gone", {}}).actions.empty());
}

TEST_CASE("run_machine: cancelling stops everything at once") {
  auto r = planned();
  r.grant(1);

  r.last = r.m.cancel(now, "not wanted any more");

  CHECK(r.run() == run_state::cancelled);
  CHECK(r.job(0) == job_state::cancelled);
  CHECK(find_action<stop_shard>(r.last)->shard == 1);
  CHECK(r.m.run().failure->message == "not wanted any more");
  CHECK(all_of<finish_run>(r.last).size() == 1);
  CHECK(r.m.cancel(now, "again").actions.empty());
  r.finish(1);
  CHECK(r.last.record.events.empty()); // late, and of no interest
}

TEST_CASE("run_machine: a plan that comes after the cancellation is dropped") {
  auto r = probed();
  r.last = r.m.cancel(now, "no");

  r.plan(shared_decode());

  CHECK(r.m.shards().size() == 1);
  CHECK(r.last.actions.empty());
}

TEST_CASE("run_machine: an ended run that is started again only cleans up") {
  auto r = probed();
  r.last = r.m.cancel(now, "no");

  r.restart(has_none);

  CHECK(r.last.actions.size() == 1);
  CHECK(find_action<finish_run>(r.last));
  CHECK(r.last.record.runs.empty());
}

TEST_CASE("run_machine: a failed publication fails its job") {
  auto r = planned();
  for (std::uint32_t i : {1, 2, 3})
    r.work(i);

  r.last = r.m.publish_failed(now, 0, {errc::no_space, "disk full", {}});

  CHECK(r.job(0) == job_state::failed);
  CHECK(r.job(1) == job_state::publishing);
  r.publish(0); // late
  CHECK(r.job(0) == job_state::failed);
}

TEST_CASE("run_machine: files that lost their hash are made again") {
  auto r = planned();
  for (std::uint32_t i : {1, 2, 3})
    r.work(i);

  r.last = r.m.publish_failed(now, 0, {errc::corrupt, "another hash", {}});

  CHECK(r.job(0) == job_state::processing);
  CHECK(r.offered() == shards{2});
  r.work(2);
  CHECK(find_action<publish_job>(r.last)->job == 0);
}

TEST_CASE("run_machine: files that never keep their hash fail the job in the end") {
  auto r = planned();
  for (std::uint32_t i : {1, 2, 3})
    r.work(i);

  int times = 0;
  for (; r.job(0) == job_state::publishing; ++times) {
    REQUIRE(times < 20);
    r.last = r.m.publish_failed(now, 0, {errc::corrupt, "another hash", {}});
    if (r.shard(2) == shard_state::ready)
      r.work(2);
  }

  CHECK(times == limits::shard_attempts_max);
  CHECK(r.job(0) == job_state::failed);
}

TEST_CASE("run_machine: inputs that lost their hash are made again before their reader") {
  auto r = planned();
  r.work(1);
  r.grant(2);

  r.fail(2, errc::corrupt);

  CHECK(r.shard(1) == shard_state::ready);
  CHECK(r.shard(2) == shard_state::ready);
  CHECK(r.offered() == shards{1}); // the reader waits
  r.work(1);
  CHECK(r.offered() == shards{2, 3});
}

TEST_CASE("run_machine: inputs that never keep their hash fail the run in the end") {
  auto r = planned();
  r.work(1);

  int times = 0;
  for (; r.run() == run_state::processing; ++times) {
    REQUIRE(times < 20);
    r.grant(2);
    r.fail(2, errc::corrupt);
    if (r.shard(1) == shard_state::ready)
      r.work(1);
  }

  CHECK(times == limits::shard_attempts_max);
  CHECK(r.run() == run_state::failed);
}

TEST_CASE("run_machine: an input that is lost is made again, and no other") {
  auto r = planned(in_two_parts());
  r.work(1);
  r.work(2);
  r.grant(3);

  auto lost = failure_of(1, errc::artifact_lost);
  lost.failure->field = "sha of 2";
  r.last = r.m.attempt_finished(now, 3, lost);

  CHECK(r.shard(1) == shard_state::done);
  CHECK(r.shard(2) == shard_state::ready);
  CHECK(r.shard(3) == shard_state::ready);
  CHECK(r.run() == run_state::processing);
  CHECK(r.offered() == shards{2});
}

TEST_CASE("run_machine: files that are lost before they are published are made again") {
  auto r = planned();
  r.work(1);
  r.work(2);

  r.last = r.m.publish_failed(now, 0, {errc::artifact_lost, "it is gone", {}});

  CHECK(r.job(0) == job_state::processing);
  CHECK(r.shard(2) == shard_state::ready);
}

TEST_CASE("run_machine: an index that is lost before the plan is made again") {
  auto r = probed();

  r.last = r.m.plan_failed(now, {errc::artifact_lost, "it is gone", {}});

  CHECK(r.run() == run_state::probing);
  CHECK(r.offered() == shards{0});
  r.work(0);
  CHECK(find_action<plan_run>(r.last));
}

// ---- Damage: planned anew ----------------------------------------------------------

namespace {

plan in_one_piece() {
  plan p;
  p.add(shard_role::whole, {}, {0, 1});
  p.add_job({1});
  p.add_job({1});
  return p;
}

} // namespace

TEST_CASE("run_machine: damage under a trusted index plans the run anew, once") {
  auto r = planned();
  r.grant(1);

  r.fail(1, errc::input_damaged);

  CHECK(r.run() == run_state::probing);
  REQUIRE(find_action<plan_run>(r.last));
  CHECK_FALSE(find_action<plan_run>(r.last)->trust_index);
  r.plan(in_one_piece());
  REQUIRE(r.m.shards().size() == 5); // appended
  CHECK(r.m.shards()[4].id.index == 4);
  CHECK(r.m.jobs()[0].items[0].shard == 4);
  r.grant(4);
  r.fail(4, errc::input_damaged);
  CHECK(r.run() == run_state::failed);
  CHECK(r.m.run().failure->code == errc::input_damaged);
}

TEST_CASE("run_machine: the second plan survives a restart") {
  auto r = planned();
  r.grant(1);
  r.fail(1, errc::input_damaged);

  r.restart(has_all);

  REQUIRE(find_action<plan_run>(r.last));
  CHECK_FALSE(find_action<plan_run>(r.last)->trust_index);
  CHECK(all_of<offer_shard>(r.last).empty());
}

namespace {

/// Job 0 is being published when job 1's shard finds damage.
driven_run damaged_while_publishing() {
  plan p;
  p.add(shard_role::decode, {0}, {0});
  p.add(shard_role::decode, {0}, {1});
  p.add_job({1});
  p.add_job({2});
  auto r = planned(std::move(p));
  r.work(1);
  r.grant(2);
  r.fail(2, errc::input_damaged);
  return r;
}

} // namespace

TEST_CASE("run_machine: a job that is being published stays out of the second plan") {
  // Was put back to waiting, outside of the table, and published twice.
  auto r = damaged_while_publishing();

  r.plan(in_one_piece());

  CHECK(r.job(0) == job_state::publishing);
  CHECK(r.m.shards()[3].jobs == std::vector<std::uint32_t>{1}); // nor does it fail with it
  r.publish(0);
  CHECK(r.job(0) == job_state::succeeded);
  r.work(3);
  CHECK(all_of<publish_job>(r.last).size() == 1);
  r.publish(1);
  CHECK(r.run() == run_state::succeeded);
}

TEST_CASE("run_machine: corrupt files found before the second plan are made by it") {
  auto r = damaged_while_publishing();

  r.last = r.m.publish_failed(now, 0, {errc::corrupt, "another hash", {}});

  CHECK(r.job(0) == job_state::waiting);
  CHECK(r.offered().empty());
  r.plan(in_one_piece());
  r.work(3);
  CHECK(all_of<publish_job>(r.last).size() == 2);
}

// ---- Artifacts that are gone at a start ----------------------------------------------

namespace {

std::function<bool(std::string_view)> all_but(std::string lost) {
  return [lost](std::string_view sha256) { return sha256 != lost; };
}

} // namespace

TEST_CASE("run_machine: finished shards are kept over a restart") {
  auto r = planned();
  r.work(1);
  r.grant(2);

  r.restart(has_all);

  CHECK(r.shard(1) == shard_state::done);
  CHECK(r.offered() == shards{2, 3});
}

TEST_CASE("run_machine: a lost artifact is made again before it is read") {
  // The joins were offered beside it and failed for want of their input.
  auto r = planned();
  r.work(1);

  r.restart(all_but("sha of 1"));

  CHECK(r.shard(1) == shard_state::ready);
  CHECK(r.offered() == shards{1});
  r.grant(2, 9); // an offer of old
  CHECK(find_action<decline_worker>(r.last));
  r.work(1);
  CHECK(r.offered() == shards{2, 3});
}

TEST_CASE("run_machine: a lost artifact that nobody reads any more is let go") {
  auto r = planned();
  for (std::uint32_t i : {1, 2, 3})
    r.work(i);

  r.restart(all_but("sha of 1"));

  CHECK(r.shard(1) == shard_state::done);
  CHECK(all_of<publish_job>(r.last).size() == 2);
}

TEST_CASE("run_machine: a job whose files are lost is not published, but made again") {
  // Was published without its file, and failed.
  auto r = planned();
  for (std::uint32_t i : {1, 2, 3})
    r.work(i);

  r.restart(has_none);

  CHECK(all_of<publish_job>(r.last).empty());
  CHECK(r.job(0) == job_state::processing);
  CHECK(r.offered() == shards{0}); // all of it, from the index on
  r.work(0);
  CHECK_FALSE(find_action<plan_run>(r.last)); // the plan stands
  for (std::uint32_t i : {1, 2, 3})
    r.work(i);
  r.publish(0);
  r.publish(1);
  CHECK(r.run() == run_state::succeeded);
}

TEST_CASE("run_machine: a probe that is made again and finds damage ends the run") {
  // Stayed leased for ever, and so did what needs it.
  auto r = planned();
  r.restart(has_none);
  r.grant(0);

  r.fail(0, errc::input_damaged);

  CHECK(r.run() == run_state::failed);
  CHECK(find_action<finish_run>(r.last));
}

TEST_CASE("run_machine: a run that ends leaves no shard behind") {
  // A probe that was being made again stayed leased in a finished run.
  plan p;
  p.add(shard_role::audio, {}, {0});
  p.add(shard_role::decode, {0}, {1});
  p.add_job({1});
  p.add_job({2});
  auto r = planned(std::move(p));
  r.work(1);
  r.grant(2);
  r.restart(all_but("sha of 0"));
  CHECK(r.offered() == shards{0});
  r.grant(0);
  r.publish(0);

  r.last = r.m.fail_all(now, {errc::input_changed, "replaced", {}});

  for (const auto& s : r.m.shards())
    CHECK(is_terminal(s.state));
  CHECK(find_action<stop_shard>(r.last)->shard == 0);
}

TEST_CASE("run_machine: a job's start is the first one") {
  auto r = planned();
  r.last = r.m.granted({5'000'000}, 1, 1, "node");
  r.finish(1);
  r.work(2);

  r.last = r.m.publish_failed({9'000'000}, 0, {errc::corrupt, "another hash", {}});

  CHECK(r.m.jobs()[0].started == timestamp{5'000'000});
}

// ---- Leases that outlive the coordinator ----------------------------------------------

namespace {

/// The coordinator's own machine is "here".
bool is_elsewhere(const attempt_record& a) { return a.node != "here"; }

/// The same run after the coordinator died, while other machines went on.
void restart_beside_others(driven_run& r,
                           const run_machine::artifact_question& has_artifact = has_all) {
  r.m = run_machine{r.m.run(), r.m.jobs(), r.m.shards()};
  r.last = r.m.start(now, has_artifact, is_elsewhere);
}

driven_run leased_on(std::string node) {
  auto r = planned();
  r.last = r.m.granted(now, 1, 1, std::move(node));
  return r;
}

} // namespace

TEST_CASE("run_machine: a lease of another machine is awaited after a restart") {
  auto r = leased_on("there");

  restart_beside_others(r);

  CHECK(r.shard(1) == shard_state::leased);
  REQUIRE(find_action<await_lease>(r.last));
  CHECK(find_action<await_lease>(r.last)->shard == 1);
  CHECK(find_action<await_lease>(r.last)->epoch == 1);
  CHECK(r.offered().empty());
  r.finish(1); // under the epoch it was given
  CHECK(r.shard(1) == shard_state::done);
}

TEST_CASE("run_machine: an awaited lease that nobody has is tried again") {
  auto r = leased_on("there");
  restart_beside_others(r);

  r.last = r.m.lease_broken(now, 1, 1, {errc::lease_lost, "node there does not have it", {}});

  CHECK(r.shard(1) == shard_state::ready);
  CHECK(r.offered() == shards{1});
}

TEST_CASE("run_machine: a lease of the coordinator's own machine ends with it") {
  auto r = leased_on("here");

  restart_beside_others(r);

  CHECK(r.shard(1) == shard_state::ready);
  CHECK_FALSE(find_action<await_lease>(r.last));
}

TEST_CASE("run_machine: what lives on without its inputs begins anew after them") {
  auto r = planned();
  r.work(1);
  r.last = r.m.granted(now, 2, 1, "there");

  restart_beside_others(r, all_but("sha of 1"));

  REQUIRE(find_action<stop_shard>(r.last));
  CHECK(find_action<stop_shard>(r.last)->shard == 2);
  CHECK(r.shard(2) == shard_state::ready);
  CHECK(r.offered() == shards{1});
}

TEST_CASE("run_machine: a run whose cancellation was asked for stops what lives on") {
  auto r = leased_on("there");
  auto run = r.m.run();
  run.cancel_requested = true;
  r.m = run_machine{run, r.m.jobs(), r.m.shards()};

  r.last = r.m.start(now, has_all, is_elsewhere);

  CHECK(find_action<stop_shard>(r.last)->epoch == 1);
  CHECK(r.run() == run_state::cancelled);
}

// ---- One output, one encoder build ----------------------------------------------------

namespace {

void grant_on(driven_run& r, std::uint32_t shard, std::string node, std::string build) {
  r.last = r.m.granted(now, shard, 7, std::move(node), std::move(build));
}

void work_on(driven_run& r, std::uint32_t shard, std::string node, std::string build) {
  grant_on(r, shard, std::move(node), std::move(build));
  r.finish(shard, "sha of " + std::to_string(shard));
}

} // namespace

TEST_CASE("run_machine: the first node that encodes fixes the run's fingerprint") {
  auto r = planned(in_two_parts());
  CHECK(r.m.run().fingerprint.empty()); // a probe encodes nothing

  grant_on(r, 1, "a", "x264 r1");

  CHECK(r.m.run().fingerprint == "x264 r1");
  REQUIRE(r.last.record.runs.size() == 1); // in the step of the lease
  CHECK(r.last.record.runs[0].fingerprint == "x264 r1");
  CHECK(r.m.shards()[1].attempts[0].fingerprint == "x264 r1");
}

TEST_CASE("run_machine: a node of another build is declined, and the shard offered again") {
  auto r = planned(in_two_parts());
  grant_on(r, 1, "a", "x264 r1");

  grant_on(r, 2, "b", "x264 r2");

  CHECK(find_action<decline_worker>(r.last)->worker == 7);
  CHECK(r.offered() == shards{2});
  CHECK(r.shard(2) == shard_state::ready);
  grant_on(r, 2, "c", "x264 r1");
  CHECK(r.shard(2) == shard_state::leased);
}

TEST_CASE("run_machine: a join runs on any build") {
  auto r = planned(in_two_parts());
  work_on(r, 1, "a", "x264 r1");
  work_on(r, 2, "a", "x264 r1");

  grant_on(r, 3, "b", "x264 r2");

  CHECK(r.shard(3) == shard_state::leased);
  CHECK(r.m.run().fingerprint == "x264 r1");
}

TEST_CASE("run_machine: when no node of the build is left, all is encoded by another") {
  auto r = planned(in_two_parts());
  work_on(r, 1, "a", "x264 r1");
  grant_on(r, 2, "a", "x264 r1");

  r.last = r.m.fingerprint_lost(now, has_all);

  CHECK(r.m.run().fingerprint.empty());
  CHECK(find_action<stop_shard>(r.last)->shard == 2);
  CHECK(r.offered() == shards{1, 2});
  CHECK(r.m.shards()[1].files.empty());
  work_on(r, 1, "b", "x264 r2");
  work_on(r, 2, "b", "x264 r2");
  work_on(r, 3, "b", "x264 r2");
  r.publish(0);
  CHECK(r.run() == run_state::succeeded);
  CHECK(r.m.run().warnings.size() == 1);
}

TEST_CASE("run_machine: what has to be encoded anew may need inputs that were let go") {
  // Was offered without them, and failed for good.
  auto r = planned(in_two_parts());
  work_on(r, 1, "a", "x264 r1");
  grant_on(r, 2, "a", "x264 r1");

  r.last = r.m.fingerprint_lost(now, all_but("sha of 0"));

  CHECK(r.offered() == shards{0});
  r.work(0);
  CHECK(r.offered() == shards{1, 2});
}

TEST_CASE("run_machine: published jobs keep what they were encoded with") {
  plan p;
  p.add(shard_role::decode, {0}, {0});
  p.add(shard_role::decode, {0}, {1});
  p.add_job({1});
  p.add_job({2});
  auto r = planned(std::move(p));
  work_on(r, 1, "a", "x264 r1");
  grant_on(r, 2, "a", "x264 r1");
  CHECK(r.m.fingerprint_lost(now, has_all).actions.empty()); // not while one is being published
  r.publish(0);

  r.last = r.m.fingerprint_lost(now, has_all);

  CHECK(r.job(0) == job_state::succeeded);
  CHECK(r.shard(1) == shard_state::done);
  CHECK(r.offered() == shards{2});
}

// ---- Two attempts at once -----------------------------------------------------------------

namespace {

/// Shard 1 is at work on node "slow" (epoch 1) and on node "fast" (epoch 2).
driven_run hedged() {
  auto r = planned(in_two_parts());
  grant_on(r, 2, "other", "x");
  grant_on(r, 1, "slow", "x");
  r.last = r.m.hedge(now, 1);
  grant_on(r, 1, "fast", "x");
  return r;
}

std::vector<std::string> told(const run_machine::step& s, std::string_view type) {
  std::vector<std::string> out;
  for (const auto& e : s.record.events)
    if (e.type == type)
      out.push_back(e.message);
  return out;
}

} // namespace

TEST_CASE("run_machine: a straggler is offered a second time, once") {
  auto r = planned();
  CHECK(r.m.hedge(now, 1).actions.empty()); // nobody is at it yet
  r.grant(1);

  r.last = r.m.hedge(now, 1);

  REQUIRE(find_action<offer_shard>(r.last));
  CHECK(find_action<offer_shard>(r.last)->hedge);
  CHECK(r.m.hedge(now, 1).actions.empty());
  grant_on(r, 1, "fast", "");
  CHECK(find_action<start_shard>(r.last)->epoch == 2);
  CHECK(r.m.is_live(1, 1));
  CHECK(r.m.is_live(1, 2));
  CHECK(r.m.hedge(now, 1).actions.empty());
}

TEST_CASE("run_machine: the first success wins, and the other attempt is stopped") {
  for (std::uint32_t first : {1u, 2u}) {
    CAPTURE(first);
    auto r = hedged();

    r.last = r.m.attempt_finished(now, 1, success(first, "the bytes"));

    CHECK(r.shard(1) == shard_state::done);
    CHECK(r.m.shards()[1].made_by == first);
    REQUIRE(find_action<stop_shard>(r.last));
    CHECK(find_action<stop_shard>(r.last)->epoch == 3 - first);
    const auto& loser = r.m.shards()[1].attempts[2 - first];
    REQUIRE(loser.failure);
    CHECK(loser.failure->code == errc::cancelled); // uses up no budget
    CHECK(loser.failure->message.starts_with("superseded"));
  }
}

TEST_CASE("run_machine: what a superseded attempt says is kept, and changes nothing") {
  auto r = hedged();
  r.last = r.m.attempt_finished(now, 1, success(2, "the bytes"));
  auto late = success(1, "the bytes");
  late.result.cpu_seconds = 12;

  r.last = r.m.attempt_finished(now, 1, late);

  CHECK(r.last.actions.empty());
  CHECK(r.m.shards()[1].attempts[0].cpu_seconds == 12);
  CHECK(r.m.shards()[1].attempts[0].failure);
  CHECK(told(r.last, "shard.refused").size() == 1);
  CHECK(told(r.last, "shard.differs").empty());
}

TEST_CASE("run_machine: two attempts that made different bytes are told of") {
  auto r = hedged();
  r.last = r.m.attempt_finished(now, 1, success(2, "hash A"));

  r.last = r.m.attempt_finished(now, 1, success(1, "hash B"));

  auto differs = told(r.last, "shard.differs");
  REQUIRE(differs.size() == 1);
  for (auto word : {"hash A", "hash B", "node fast", "node slow"})
    CHECK(differs[0].find(word) != std::string::npos);
  CHECK(r.m.shards()[1].files[0].sha256 == "hash A"); // the first stays
}

TEST_CASE("run_machine: one of two attempts may fail") {
  for (auto code : {errc::worker_crashed, errc::input_damaged, errc::corrupt}) {
    auto r = hedged();

    r.last = r.m.attempt_finished(now, 1, failure_of(2, code));

    CHECK(r.shard(1) == shard_state::leased);
    CHECK(r.last.actions.empty());
    r.last = r.m.attempt_finished(now, 1, success(1));
    CHECK(r.shard(1) == shard_state::done);
  }
}

TEST_CASE("run_machine: when both attempts fail the shard is tried again") {
  auto r = hedged();
  r.last = r.m.attempt_finished(now, 1, failure_of(1, errc::worker_crashed));

  r.last = r.m.lease_broken(now, 1, 2, {errc::worker_killed, "gone", {}});

  CHECK(r.shard(1) == shard_state::ready);
  CHECK(r.offered() == shards{1});
  CHECK(nodes_to_avoid(r.m.shards()[1]) == std::vector<std::string>{"fast", "slow"});
}

TEST_CASE("run_machine: a second attempt beside the first on the same node is declined") {
  auto r = planned();
  grant_on(r, 1, "slow", "x");
  r.last = r.m.hedge(now, 1);

  grant_on(r, 1, "slow", "x");

  CHECK(find_action<decline_worker>(r.last));
  CHECK(r.offered().empty()); // the policy may ask again
  CHECK(r.m.hedge(now, 1).actions.size() == 1);
}

TEST_CASE("run_machine: an offer of a second attempt is taken back with the lease") {
  auto r = planned();
  grant_on(r, 1, "slow", "x");
  r.last = r.m.hedge(now, 1);

  r.finish(1);

  REQUIRE(find_action<withdraw_shard>(r.last));
  CHECK(find_action<withdraw_shard>(r.last)->shard == 1);
  grant_on(r, 1, "fast", "x");
  CHECK(find_action<decline_worker>(r.last));
}

TEST_CASE("run_machine: cancelling stops both attempts") {
  auto r = hedged();

  r.last = r.m.cancel(now, "no");

  CHECK(all_of<stop_shard>(r.last).size() == 3); // and the other shard's
}

TEST_CASE("run_machine: both of two attempts are awaited after a restart") {
  auto r = hedged();

  restart_beside_others(r);

  CHECK(all_of<await_lease>(r.last).size() == 3);
  r.last = r.m.attempt_finished(now, 1, success(1));
  CHECK(r.shard(1) == shard_state::done);
}

// ---- What is known of an attempt --------------------------------------------------------------

TEST_CASE("run_machine: the nodes to avoid are those where another may do better") {
  auto r = planned();
  grant_on(r, 1, "a", "x");
  r.fail(1, errc::worker_crashed);
  grant_on(r, 1, "b", "x");
  r.fail(1, errc::unavailable); // would be so anywhere
  grant_on(r, 1, "c", "x");

  CHECK(nodes_to_avoid(r.m.shards()[1]) == std::vector<std::string>{"a", "c"});
}

TEST_CASE("run_machine: a failed attempt says where, when and on which build") {
  auto r = planned();
  r.last = r.m.granted({3'000'000}, 1, 1, "a", "x264 r1");

  r.last = r.m.attempt_finished({4'000'000}, 1, failure_of(1, errc::worker_crashed));

  const auto& a = r.m.shards()[1].attempts[0];
  CHECK(a.node == "a");
  CHECK(a.fingerprint == "x264 r1");
  CHECK(a.started == timestamp{3'000'000});
  CHECK(a.finished == timestamp{4'000'000});
  CHECK(a.exit == "exit 1");
}

TEST_CASE("run_machine: no attempt of an ended run looks as if it went on") {
  auto r = hedged();

  r.last = r.m.fail_all(now, {errc::no_space, "disk full", {}});

  for (const auto& s : r.m.shards())
    for (const auto& a : s.attempts)
      CHECK(a.finished);
}

// ---- Inputs that bring workers down ----------------------------------------------------------------

TEST_CASE("run_machine: a quarantined input fails the run and says where and what to do") {
  auto r = planned();
  grant_on(r, 1, "a", "x");
  r.fail(1, errc::worker_crashed);
  grant_on(r, 1, "b", "x");
  r.fail(1, errc::worker_crashed);

  r.last = r.m.quarantine(now, 1, "signal 11 in avcodec");

  CHECK(r.run() == run_state::failed);
  REQUIRE(r.m.run().failure);
  CHECK(r.m.run().failure->code == errc::input_quarantined);
  CHECK(class_of(errc::input_quarantined) == failure_class::input);
  CHECK(retry_of(errc::input_quarantined) == retry_class::never);
  for (auto word : {"node a", "node b", "in/a.mp4", "signal 11", "framemill run release 7"})
    CHECK_MESSAGE(r.m.run().failure->message.find(word) != std::string::npos, word);
  CHECK(all_of<finish_run>(r.last).size() == 1);
  CHECK(r.m.quarantine(now, 1, "again").actions.empty());
}
