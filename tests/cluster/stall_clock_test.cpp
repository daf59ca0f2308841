#include "cluster/stall_clock.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace std::chrono_literals;

namespace {

using finding = stall_clock::finding;
constexpr std::chrono::seconds limit{10};
constexpr timestamp start{1'700'000'000'000'000};

/// A child that is asked about every second, and what it asks of the CPUs then.
struct watched {
  stall_clock clock{limit, start};
  timestamp now = start;
  cpu_use use;

  finding pass(std::chrono::seconds time, microseconds runs, microseconds waits,
               bool waits_for_us = false) {
    auto found = finding::moves;
    for (auto passed = 0s; passed < time && found == finding::moves; passed += 1s) {
      now = now + 1s;
      use.ran += runs;
      use.waited += waits;
      found = clock.look(now, use, waits_for_us);
    }
    return found;
  }
};

} // namespace

TEST_CASE("stall_clock: a child that computes and gets nowhere hangs") {
  watched w;

  CHECK(w.pass(limit, 1s, 0s) == finding::moves);
  CHECK(w.pass(1s, 1s, 0s) == finding::hung);
}

TEST_CASE("stall_clock: a child that blocks and asks for no CPU hangs") {
  watched w;

  CHECK(w.pass(limit, 1ms, 2ms) == finding::moves);
  CHECK(w.pass(1s, 1ms, 2ms) == finding::hung);
}

TEST_CASE("stall_clock: a child that a busy machine starves is not said to hang") {
  watched w;

  CHECK(w.pass(4 * limit, 100ms, 900ms) == finding::moves); // a tenth of what it asked for
  w.clock.moved();
  CHECK(w.pass(4 * limit, 100ms, 900ms) == finding::moves);
}

TEST_CASE("stall_clock: threads that stand in line count as much as those that run") {
  watched w;

  CHECK(w.pass(limit, 2s, 2s) == finding::moves); // eight threads on two cores
  CHECK(w.pass(limit, 2s, 2s) == finding::moves);
  CHECK(w.pass(1s, 2s, 2s) == finding::hung);
}

TEST_CASE("stall_clock: a child that starves for very long is given up, and not blamed") {
  watched w;

  CHECK(w.pass(19 * limit, 20ms, 980ms) == finding::moves);
  CHECK(w.pass(2 * limit, 20ms, 980ms) == finding::starved);
}

TEST_CASE("stall_clock: a child that waits for bytes that we owe it never hangs") {
  watched w;

  CHECK(w.pass(100 * limit, 0s, 0s, true) == finding::moves);
  CHECK(w.pass(limit, 0s, 0s) == finding::moves);
  CHECK(w.pass(1s, 0s, 0s) == finding::hung);
}

TEST_CASE("stall_clock: time in which nobody looked counts little") {
  watched w;

  w.now = w.now + 600s; // the node was frozen
  CHECK(w.clock.look(w.now, w.use, false) == finding::moves);
  w.now = w.now + -50s; // its clock was set back
  CHECK(w.clock.look(w.now, w.use, false) == finding::moves);
  CHECK(w.pass(limit, 1s, 0s) == finding::hung);
}

TEST_CASE("stall_clock: threads that end take nothing back") {
  watched w;
  CHECK(w.pass(5s, 1s, 0s) == finding::moves);
  w.use = {};

  CHECK(w.pass(5s, 0s, 0s) == finding::moves);
  CHECK(w.pass(1s, 0s, 0s) == finding::hung);
}
