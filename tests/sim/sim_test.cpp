#include "tests/sim/schedule.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace framemill::sim;

namespace {

constexpr std::uint64_t seeds = 1000;

/// The first seed that finds the broken rule; 0: none does.
std::uint64_t found_by(rule broken_rule, std::uint64_t seeds_max) {
  schedule::sights seen;
  for (std::uint64_t seed = 1; seed <= seeds_max; ++seed)
    if (!try_seed(seed, broken_rule, seen).empty())
      return seed;
  return 0;
}

} // namespace

TEST_CASE("simulation: a thousand clusters come through their faults") {
  schedule::sights seen;

  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    auto wrong = try_seed(seed, rule::none, seen);
    REQUIRE_MESSAGE(wrong.empty(), wrong, "; replay: tools/simulate --seed ", seed);
  }

  // What was meant to happen has happened.
  CHECK(seen.succeeded > seeds);
  CHECK(seen.cancelled > 0);
  CHECK(seen.facts.broken > 0);
  CHECK(seen.facts.adopted > 0);
  CHECK(seen.facts.refused > 0);
  CHECK(seen.facts.hedged > 0);
  CHECK(seen.facts.quarantined > 0);
  CHECK(seen.facts.moved > 0);
  CHECK(seen.facts.found_elsewhere > 0);
}

TEST_CASE("simulation: the same seed is the same day") {
  CHECK(trace_of(7, rule::none) == trace_of(7, rule::none));
}

TEST_CASE("simulation: a rule that is broken on purpose is found") {
  for (auto broken_rule :
       {rule::fencing, rule::grace, rule::durable, rule::idempotence, rule::grants,
        rule::drain, rule::builds, rule::publishing, rule::claims, rule::noted, rule::booking}) {
    CAPTURE(to_string(broken_rule));
    CHECK(found_by(broken_rule, seeds) > 0);
  }
}
