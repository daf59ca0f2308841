#include "notify/delivery.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace std::chrono_literals;

namespace {

using verdict = delivery_answer::verdict;
using kind = delivery_outcome::kind;

constexpr timestamp start{1'000'000'000'000};

delivery_brief brief(std::uint64_t event, std::uint64_t run, std::string lane = {}) {
  return {{event}, {run}, std::move(lane), start, start, 0};
}

std::vector<std::uint64_t> numbers(const std::vector<event_id>& events) {
  std::vector<std::uint64_t> out;
  for (auto e : events)
    out.push_back(e.value);
  return out;
}

using ids = std::vector<std::uint64_t>;

/// A schedule whose time the test moves.
struct scheduled : delivery_schedule {
  using delivery_schedule::delivery_schedule;
  timestamp now = start;

  void add(const delivery_brief& d) { load(now, d); }
  ids send() { return numbers(due(now)); }
  delivery_outcome answer(std::uint64_t event, verdict what,
                          std::optional<microseconds> not_before = {}) {
    return answered(now, {event}, {what, what == verdict::delivered ? "" : "why", not_before});
  }
  /// Answered and written.
  delivery_outcome settle(std::uint64_t event, verdict what) {
    auto out = answer(event, what);
    written({event});
    return out;
  }
};

} // namespace

TEST_CASE("delivery: events of different runs go together") {
  scheduled s;
  s.add(brief(1, 1));
  s.add(brief(2, 2));

  CHECK(s.send() == ids{1, 2});
  CHECK(s.send().empty());
}

TEST_CASE("delivery: the next of a run waits until what became of the last is written") {
  scheduled s;
  s.add(brief(1, 1));
  s.add(brief(2, 1));

  CHECK(s.send() == ids{1});
  CHECK(s.answer(1, verdict::delivered).what == kind::delivered);
  CHECK(s.send().empty());
  s.written({1});
  CHECK(s.send() == ids{2});
  s.settle(2, verdict::delivered);
  CHECK(s.is_empty());
}

TEST_CASE("delivery: one that is tried again holds back its own run only") {
  scheduled s;
  s.add(brief(1, 1));
  s.add(brief(2, 1));
  s.add(brief(3, 2));
  CHECK(s.send() == ids{1, 3});

  auto out = s.settle(1, verdict::again);
  s.settle(3, verdict::delivered);

  CHECK(out.what == kind::again);
  CHECK(out.attempts == 1);
  CHECK(out.why == "why");
  CHECK(s.send().empty());
  CHECK(s.wake_at() == out.next_try);
  s.now = out.next_try;
  CHECK(s.send() == ids{1});
}

TEST_CASE("delivery: one that is parked is dead, and the next of its run goes") {
  scheduled s;
  s.add(brief(1, 1));
  s.add(brief(2, 1));
  (void)s.send();

  CHECK(s.settle(1, verdict::parked).what == kind::dead);

  CHECK(s.send() == ids{2});
}

TEST_CASE("delivery: waits double up to their maximum, each spread by half") {
  delivery_rules rules;
  rules.window = 1000h;
  scheduled s{rules};
  s.add(brief(1, 1));
  for (int attempt = 1; attempt <= 40; ++attempt) {
    REQUIRE(s.send() == ids{1});
    auto out = s.settle(1, verdict::again);
    auto base = std::min<microseconds>(1s * (1LL << std::min(attempt - 1, 30)), 10min);
    CAPTURE(attempt);
    CHECK(out.next_try - s.now >= base / 2);
    CHECK(out.next_try - s.now <= base * 3 / 2);
    s.now = out.next_try;
  }
}

TEST_CASE("delivery: the other side's wish is honoured, within reason") {
  auto wait = [](microseconds wish) {
    scheduled s;
    s.add(brief(1, 1));
    (void)s.send();
    return s.answer(1, verdict::again, wish).next_try - s.now;
  };
  CHECK(wait(2min) == 2min);
  CHECK(wait(30h) == 1h);
  CHECK(wait(0s) >= 500ms);
  CHECK(wait(-5s) >= 500ms);
}

TEST_CASE("delivery: the last try is at the end of the window, then it is dead") {
  scheduled s;
  s.add(brief(1, 1));
  int tries = 0;
  for (;; ++tries) {
    REQUIRE(s.send() == ids{1});
    auto out = s.settle(1, verdict::again);
    if (out.what == kind::dead)
      break;
    s.now = out.next_try;
  }

  CHECK(s.now - start == 24h);
  CHECK(tries > 24 * 4);
  CHECK(s.is_empty());
}

TEST_CASE("delivery: one that nobody tried within its window gets its try") {
  scheduled s;
  s.add(brief(1, 1));
  s.now = start + 48h;

  CHECK(s.send() == ids{1});
  CHECK(s.settle(1, verdict::delivered).what == kind::delivered);
}

TEST_CASE("delivery: no more are in flight than the rules allow") {
  delivery_rules rules;
  rules.in_flight_max = 3;
  scheduled s{rules};
  for (std::uint64_t i = 1; i <= 5; ++i)
    s.add(brief(i, i, std::to_string(i)));

  CHECK(s.send() == ids{1, 2, 3});
  CHECK_FALSE(s.wake_at()); // an answer comes first
  s.settle(2, verdict::delivered);
  CHECK(s.send() == ids{4});
}

TEST_CASE("delivery: a lane that does not answer leaves room for the others") {
  scheduled s;
  for (std::uint64_t i = 1; i <= 100; ++i)
    s.add(brief(i, i, "/dead"));
  s.add(brief(101, 101, "/good"));
  auto first = s.send();
  CHECK(first.size() == 9);
  CHECK(first.back() == 101);

  for (std::uint64_t i = 1; i <= 8; ++i)
    s.settle(i, verdict::again);

  CHECK(s.send() == ids{9}); // one at a time, to see whether it is back
  s.add(brief(102, 102, "/good"));
  CHECK(s.send() == ids{102});
  s.settle(9, verdict::delivered);
  CHECK(s.send().size() == 8);
}

TEST_CASE("delivery: a sink where nothing arrives is probed by few") {
  scheduled s;
  for (std::uint64_t i = 1; i <= 200; ++i)
    s.add(brief(i, i, std::to_string(i)));
  for (auto event : s.send())
    s.settle(event, verdict::again);

  CHECK(s.send().size() == 4);
  s.settle(33, verdict::delivered);
  CHECK(s.send().size() == 29);
}

TEST_CASE("delivery: one that is redriven goes before later ones of its run") {
  scheduled s;
  s.add(brief(5, 1));
  s.add(brief(6, 1));
  s.add(brief(3, 1));

  CHECK(s.send() == ids{3});
  s.add(brief(2, 1)); // while one of its run is in flight
  CHECK(s.send().empty());
  s.settle(3, verdict::delivered);
  CHECK(s.send() == ids{2});
}

TEST_CASE("delivery: what it knows is not loaded twice, and room is counted") {
  delivery_rules rules;
  rules.known_max = 3;
  scheduled s{rules};
  s.add(brief(1, 1));
  s.add(brief(1, 1));
  CHECK(s.room() == 2);
  (void)s.send();
  s.add(brief(1, 1));
  CHECK(s.send().empty());
  CHECK(s.oldest() == event_id{1});
  s.settle(1, verdict::delivered);
  CHECK(s.room() == 3);
  CHECK_FALSE(s.oldest());
}

TEST_CASE("delivery: what is not in the books any more is forgotten") {
  scheduled s;
  s.add(brief(1, 1));
  s.add(brief(2, 1));
  (void)s.send();

  s.forget({1});

  CHECK(s.send() == ids{2});
  CHECK(s.in_flight() == 1);
}

TEST_CASE("delivery: a clock that went back does not put a try off for days") {
  scheduled s;
  auto d = brief(1, 1);
  d.next_try = start + 72h;
  s.add(d);

  REQUIRE(s.wake_at());
  CHECK(*s.wake_at() <= start + 1h);
}

TEST_CASE("delivery: a failing lane leaves what it has too much of in the books, and asks again") {
  delivery_rules rules;
  rules.known_max = 8;
  rules.known_of_failing = 4;
  rules.in_flight_per_lane = 1;
  scheduled s{rules};
  for (std::uint64_t i = 1; i <= 6; ++i)
    s.add(brief(i, i, "/a"));
  CHECK(s.send() == ids{1});
  s.settle(1, verdict::again);

  s.add(brief(7, 7, "/a")); // left
  s.add(brief(8, 8, "/b"));
  CHECK(s.room() == 1);
  s.make_room();
  CHECK(s.room() == 3);
  s.add(brief(9, 9, "/a")); // behind others that were left
  CHECK(s.room() == 3);
  CHECK_FALSE(s.read_again_from());
  CHECK(s.send() == ids{2, 8});

  s.settle(2, verdict::delivered);
  CHECK(s.send() == ids{3});
  s.settle(3, verdict::delivered);
  s.add(brief(10, 10, "/a")); // well again, but those before it come first
  CHECK(s.read_again_from() == event_id{5});
  CHECK_FALSE(s.read_again_from());
  for (std::uint64_t i : {5, 6, 7, 9, 10})
    s.add(brief(i, i, "/a"));
  CHECK(s.send() == ids{4});
  CHECK(s.room() == 0);
}

TEST_CASE("delivery: what a lane left is asked for though nothing of it is known any more") {
  delivery_rules rules;
  rules.known_of_failing = 1;
  scheduled s{rules};
  s.add(brief(1, 1, "/a"));
  CHECK(s.send() == ids{1});
  s.settle(1, verdict::again);
  s.add(brief(2, 1, "/a"));
  s.now = s.now + 10min;
  CHECK(s.send() == ids{1});
  s.settle(1, verdict::delivered);
  CHECK(s.is_empty());
  CHECK(s.read_again_from() == event_id{2});
}
