#include "actors/task_worker.hpp"
#include "tests/cluster/run_plans.hpp"
#include "tests/support/actor_fixture.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace framemill::test;

namespace {

/// Has no artifact: answers as it is told.
class empty_supply final : public supply {
public:
  explicit empty_supply(error e) : answer_(std::move(e)) {}
  result<void> hand(const std::string&, const std::string&) override { return failure{answer_}; }
  result<void> verify(const std::string&) override { return {}; }
  result<opened_source> open(const object_ref&) override { return failure{answer_}; }
  result<void> deliver(run_id, const std::string&, const std::string&) override {
    return failure{answer_};
  }

private:
  error answer_;
};

struct working : test_services, virtual_actors {
  working() : test_services(durability::at_once) {
    shared.scratch_root = dir / "scratch";
    shared.failed_root = dir / "failed";
    drain();
  }
  caf::actor start(error answer) {
    std::shared_ptr<supply> nothing = std::make_shared<empty_supply>(std::move(answer));
    return system.spawn(task_worker, &shared, worker_slot{1, "node"}, scheduler.handle,
                        std::move(nothing));
  }
  /// How the attempt to work on an artifact ends that the supply answers so for.
  attempt_outcome end_with(error e) { return end_on(start(std::move(e))).outcome; }
  attempt_ended end_on(const caf::actor& worker) {
    assignment a;
    a.shard = {{7}, 2};
    a.epoch = 1;
    a.inputs = {{"part0", "sha of part0"}};
    a.reply_to = workflow.handle;
    tell(worker, std::move(a));
    return workflow.only<attempt_ended>();
  }

  inbox scheduler{system}, workflow{system};
};

} // namespace

TEST_CASE_FIXTURE(working, "task_worker: an input that is gone or damaged is lost, by name") {
  for (auto code : {errc::not_found, errc::corrupt}) {
    CAPTURE(to_string(code));
    auto outcome = end_with({code, "as the data plane says", {}});

    REQUIRE(outcome.failure);
    CHECK(outcome.failure->code == errc::artifact_lost);
    CHECK(outcome.failure->field == "sha of part0");
    CHECK(outcome.failure->message.find("part0") != std::string::npos);
  }
}

TEST_CASE_FIXTURE(working, "task_worker: an input that does not come for now is not lost") {
  auto outcome = end_with({errc::unavailable, "nobody answers", {}});

  REQUIRE(outcome.failure);
  CHECK(outcome.failure->code == errc::unavailable);
}

TEST_CASE_FIXTURE(working, "task_worker: who waits until it is noted waits for all its outcomes") {
  auto worker = start({errc::unavailable, "nobody answers", {}});
  std::optional first{end_on(worker)}, second{end_on(worker)};
  bool told = false;

  tell(worker, tell_when_noted{{nullptr, [&](void*) { told = true; }}});
  second.reset();
  CHECK_FALSE(told);
  first.reset(); // its WORKFLOW has noted it, or is gone
  CHECK(told);

  told = false;
  tell(worker, tell_when_noted{{nullptr, [&](void*) { told = true; }}});
  CHECK(told);
}
