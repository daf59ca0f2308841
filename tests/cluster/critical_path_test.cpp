#include "cluster/critical_path.hpp"
#include "tests/cluster/run_plans.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace framemill::test;

namespace {

constexpr timestamp at(double seconds) {
  return {1'000'000 + static_cast<std::int64_t>(seconds * 1e6)}; // waiting_run is of second 0
}

/// A run whose shards begin and end when told to.
struct timed_run {
  run_machine m{waiting_run(), {}, {}};

  timed_run() {
    (void)m.start(at(0), [](auto) { return true; });
    work(0, 1, 2);
  }
  void begin(std::uint32_t shard, double when, std::string node = "a") {
    (void)m.granted(at(when), shard, 1, std::move(node));
  }
  void end(std::uint32_t shard, double when, std::uint32_t epoch = 1) {
    (void)m.attempt_finished(at(when), shard, success(epoch));
  }
  void fail(std::uint32_t shard, double when, errc code, std::uint32_t epoch = 1) {
    (void)m.attempt_finished(at(when), shard, failure_of(epoch, code));
  }
  void work(std::uint32_t shard, double from, double until, std::string node = "a") {
    begin(shard, from, std::move(node));
    end(shard, until);
  }
  void plan(double when, test::plan p) {
    (void)m.planned(at(when), std::move(p.shards), std::move(p.jobs), {});
  }
  void publish(double when) { (void)m.published(at(when), 0, {published_file{}}); }

  /// "what node seconds", line by line.
  std::vector<std::string> told() const {
    std::vector<std::string> out;
    for (const auto& s : critical_path(m.run(), m.jobs(), m.shards()))
      out.push_back(fmt::format("{}{}{} {}", s.what, s.node.empty() ? "" : " on ", s.node,
                                s.seconds));
    return out;
  }
};

using lines = std::vector<std::string>;

} // namespace

TEST_CASE("critical_path: it goes by what was done last at every turn") {
  timed_run r;
  r.plan(3, in_two_parts());
  r.work(1, 4, 9);
  r.work(2, 4, 14, "b"); // the join waits for this one
  r.work(3, 15, 17, "c");
  r.publish(18.5);

  CHECK(r.told()
        == lines{"waited to begin 1", "shard 0 (probe) on a 1", "waited for the plan and a slot 2",
                 "shard 2 (decode) on b 10", "waited for a slot 1", "shard 3 (join) on c 2",
                 "publishing job 0 1.5"});
}

TEST_CASE("critical_path: a failed attempt cost time, too") {
  timed_run r;
  r.plan(2, in_two_parts());
  r.work(1, 2, 3);
  r.begin(2, 2, "b");
  r.fail(2, 6, errc::worker_crashed);
  r.begin(2, 7, "c");
  r.end(2, 9, 2);
  r.work(3, 9, 10);
  r.publish(10);

  CHECK(r.told()
        == lines{"waited to begin 1", "shard 0 (probe) on a 1",
                 "shard 2 (decode), attempt 1 failed: it failed on b 4", "waited to try again 1",
                 "shard 2 (decode) on c 2", "shard 3 (join) on a 1"});
}

TEST_CASE("critical_path: of a hedged shard the slow attempt counts until the second began") {
  timed_run r;
  r.plan(2, in_two_parts());
  r.work(1, 2, 3);
  r.begin(2, 2, "slow");
  (void)r.m.hedge(at(8), 2);
  r.begin(2, 8, "fast");
  r.end(2, 10, 2);
  r.work(3, 10, 11);
  r.publish(11);

  CHECK(r.told()
        == lines{"waited to begin 1", "shard 0 (probe) on a 1",
                 "shard 2 (decode), attempt 1 was slow on slow 6", "shard 2 (decode) on fast 2",
                 "shard 3 (join) on a 1"});
}

TEST_CASE("critical_path: a second plan comes after the damage") {
  timed_run r;
  r.plan(2, in_two_parts());
  r.begin(1, 2);
  r.fail(1, 5, errc::input_damaged);
  plan again;
  again.add(shard_role::whole, {}, {0});
  again.add_job({1});
  r.plan(6, std::move(again));
  r.work(4, 7, 20, "b");
  r.publish(20);

  CHECK(r.told()
        == lines{"waited to begin 1", "shard 0 (probe) on a 1",
                 "shard 1 (decode), attempt 1 failed: it failed on a 3",
                 "waited for the plan and a slot 2", "shard 4 (whole) on b 13"});
}

TEST_CASE("critical_path: a failed run ends with what failed it") {
  timed_run r;
  r.plan(2, in_two_parts());
  r.begin(1, 3, "b");
  r.fail(1, 5, errc::input_no_video);

  CHECK(r.m.run().state == run_state::failed);
  CHECK(r.told()
        == lines{"waited to begin 1", "shard 0 (probe) on a 1", "waited for the plan and a slot 1",
                 "shard 1 (decode), attempt 1 failed: it failed on b 2"});
}

TEST_CASE("critical_path: a run that was cancelled while it waited only waited") {
  run_machine m{waiting_run(), {}, {}};
  (void)m.cancel(at(4), "no");

  auto path = critical_path(m.run(), m.jobs(), m.shards());

  REQUIRE(path.size() == 1);
  CHECK(path[0].what == "waited to begin");
  CHECK(path[0].seconds == 4);
}

TEST_CASE("critical_path: of a live run there is none yet") {
  timed_run r;
  r.plan(2, in_two_parts());

  CHECK(r.told().empty());
}
