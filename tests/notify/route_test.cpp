#include "notify/route.hpp"

#include <doctest/doctest.h>

using namespace framemill;

namespace {

event_record event(std::string type, std::string state) {
  event_record e;
  e.id = {9};
  e.run = {1};
  e.type = std::move(type);
  e.state = std::move(state);
  return e;
}

run_record notifying(std::string mode) {
  run_record r;
  r.id = {1};
  r.spec.notify = notify_config{"URL", std::move(mode), "http://h/x"};
  return r;
}

std::size_t told(const std::string& mode, const event_record& e) {
  return destinations(e, notifying(mode), false).size();
}

} // namespace

TEST_CASE("route: Finish is told of the end alone") {
  for (const auto* end : {"succeeded", "failed", "cancelled"})
    CHECK(told("Finish", event("run.state", end)) == 1);
  CHECK(told("", event("run.state", "succeeded")) == 1);
  CHECK(told("Finish", event("run.state", "probing")) == 0);
  CHECK(told("Finish", event("job.state", "succeeded")) == 0);
}

TEST_CASE("route: Change is told of each start and end of a job, and of the end") {
  for (const auto* state : {"processing", "succeeded", "failed", "cancelled"})
    CHECK(told("Change", event("job.state", state)) == 1);
  CHECK(told("Change", event("run.state", "failed")) == 1);
  for (const auto& e : {event("job.state", "publishing"), event("run.state", "processing"),
                        event("shard.done", "done"), event("run.created", "waiting"),
                        event("delivery.dead", "dead")})
    CHECK(told("Change", e) == 0);
}

TEST_CASE("route: a destination is the sink and the configuration of the run") {
  auto to = destinations(event("run.state", "failed"), notifying("Finish"), false);
  REQUIRE(to.size() == 1);
  CHECK(to[0].sink == "http://h:80");
  CHECK(to[0].config.notify_url == "http://h/x");
  CHECK(destinations(event("run.state", "failed"), run_record{}, false).empty());
}

TEST_CASE("route: a bound function is told of the end of every run, once") {
  auto end = event("run.state", "succeeded");
  auto alone = destinations(end, run_record{}, true);
  REQUIRE(alone.size() == 1);
  CHECK(alone[0].sink == "function/WorkflowTask");
  run_record of_scheme;
  of_scheme.spec.kind = task_kind::schedule;
  CHECK(destinations(end, of_scheme, true).at(0).sink == "function/ScheduleTask");
  CHECK(destinations(event("job.state", "processing"), run_record{}, true).empty());
  CHECK(destinations(end, notifying("Finish"), true).size() == 2);

  auto by_workflow = notifying("Change");
  by_workflow.spec.notify->notify_type = "SCF";
  for (bool is_bound : {false, true})
    CHECK(destinations(end, by_workflow, is_bound).size() == 1);
  CHECK(destinations(event("job.state", "processing"), by_workflow, true).size() == 1);
}
