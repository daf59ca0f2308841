#include "notify/settlement.hpp"

#include <doctest/doctest.h>

using namespace framemill;

namespace {

using kind = delivery_outcome::kind;

constexpr timestamp since{1'000'000}, later{2'000'000}, now{3'000'000};

std::optional<delivery_record> pending(std::uint32_t attempts) {
  delivery_record d;
  d.sink = "http://h:80";
  d.event = {7};
  d.run = {3};
  d.since = since;
  d.attempts = attempts;
  return d;
}

/// Of a try before which `tried` had failed.
delivery_outcome outcome(kind what, std::uint32_t tried) {
  delivery_outcome out{{7}, what, tried, {}, {}};
  if (what != kind::delivered) {
    ++out.attempts;
    out.why = "why";
  }
  if (what == kind::again)
    out.next_try = later;
  return out;
}

} // namespace

TEST_CASE("settlement: what is pending as it was tried is settled") {
  for (auto what : {kind::delivered, kind::again, kind::dead})
    CHECK(settlement_of(pending(2), since, outcome(what, 2)) == settlement::due);
}

TEST_CASE("settlement: a copy changes nothing, and is good news") {
  CHECK(settlement_of(std::nullopt, since, outcome(kind::delivered, 2)) == settlement::known);
  CHECK(settlement_of(std::nullopt, since, outcome(kind::dead, 2)) == settlement::known);
  CHECK(settlement_of(pending(3), since, outcome(kind::again, 2)) == settlement::known);
}

TEST_CASE("settlement: a try that the books know nothing of is not settled") {
  for (auto what : {kind::delivered, kind::again, kind::dead}) {
    CHECK(settlement_of(pending(2), later, outcome(what, 2)) == settlement::stale); // redriven
    CHECK(settlement_of(pending(4), since, outcome(what, 2)) == settlement::stale);
    CHECK(settlement_of(pending(1), since, outcome(what, 2)) == settlement::stale);
  }
  CHECK(settlement_of(pending(3), since, outcome(kind::delivered, 2)) == settlement::stale);
  CHECK(settlement_of(pending(3), since, outcome(kind::dead, 2)) == settlement::stale);
  CHECK(settlement_of(std::nullopt, since, outcome(kind::again, 2)) == settlement::stale);
}

TEST_CASE("settlement: what has arrived is off the books") {
  auto c = settle(*pending(2), outcome(kind::delivered, 2), now);

  REQUIRE(c.erased_deliveries.size() == 1);
  CHECK(c.erased_deliveries[0] == std::pair{std::string{"http://h:80"}, event_id{7}});
  CHECK(c.deliveries.empty());
  CHECK(c.events.empty());
}

TEST_CASE("settlement: a failed try is kept with its reason, and the last one tells") {
  auto again = settle(*pending(2), outcome(kind::again, 2), now);
  auto dead = settle(*pending(2), outcome(kind::dead, 2), now);

  for (const auto* c : {&again, &dead}) {
    REQUIRE(c->deliveries.size() == 1);
    CHECK(c->deliveries[0].attempts == 3);
    CHECK(c->deliveries[0].last_try == now);
    CHECK(c->deliveries[0].last_error == "why");
    CHECK(c->erased_deliveries.empty());
  }
  CHECK(again.deliveries[0].next_try == later);
  CHECK(again.deliveries[0].state == delivery_state::pending);
  CHECK(again.events.empty());
  CHECK(dead.deliveries[0].state == delivery_state::dead);
  REQUIRE(dead.events.size() == 1);
  CHECK(dead.events[0].type == "delivery.dead");
  CHECK(dead.events[0].run == run_id{3});
  CHECK(dead.events[0].message == "event 7 to http://h:80: why");
}
