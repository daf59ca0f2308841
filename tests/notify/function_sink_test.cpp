#include "notify/function_sink.hpp"

#include <doctest/doctest.h>

using namespace framemill;

namespace {

struct caller {
  std::vector<std::pair<notification, function_sink::outcome_fn>> calls;
  std::vector<delivery_answer> answers;
  std::string bound = "hook";
  std::unique_ptr<function_sink> sink = std::make_unique<function_sink>(
      [this](std::string_view event_type) -> result<std::string> {
        CHECK(event_type == "WorkflowTask");
        return bound;
      },
      [this](const std::string& function, notification n, function_sink::outcome_fn done) {
        CHECK(function == "hook");
        calls.emplace_back(std::move(n), std::move(done));
      });
  void deliver(std::uint64_t event) {
    notification n;
    n.event = {event};
    n.event_type = "WorkflowTask";
    sink->deliver(std::move(n), [this](delivery_answer a) { answers.push_back(std::move(a)); });
  }
};

} // namespace

TEST_CASE("function_sink: a call that succeeds is a delivery") {
  caller c;
  c.deliver(7);
  REQUIRE(c.calls.size() == 1);
  CHECK(c.calls[0].first.event.value == 7);
  c.calls[0].second({});
  REQUIRE(c.answers.size() == 1);
  CHECK(c.answers[0].what == delivery_answer::verdict::delivered);
}

TEST_CASE("function_sink: whatever fails may be put right, so it is tried again") {
  caller c;
  c.deliver(7);
  c.calls[0].second({"no answer within 3 s", "abc"});
  REQUIRE(c.answers.size() == 1);
  CHECK(c.answers[0].what == delivery_answer::verdict::again);
  CHECK(c.answers[0].why == "function hook: no answer within 3 s, request abc");
}

TEST_CASE("function_sink: an event waits for a function to be bound") {
  caller c;
  c.bound.clear();
  c.deliver(7);
  CHECK(c.calls.empty());
  REQUIRE(c.answers.size() == 1);
  CHECK(c.answers[0].what == delivery_answer::verdict::again);
  CHECK(c.answers[0].why == "no function is bound to WorkflowTask, or its trigger is disabled");
}

TEST_CASE("function_sink: what is under way when it is closed is answered, once") {
  caller c;
  c.deliver(1);
  c.deliver(2);
  c.calls[0].second({});
  c.sink.reset();
  REQUIRE(c.answers.size() == 2);
  CHECK(c.answers[1].what == delivery_answer::verdict::again);
  CHECK(c.answers[1].why == "the sink was closed");
  c.calls[1].second({}); // too late
  CHECK(c.answers.size() == 2);
}
