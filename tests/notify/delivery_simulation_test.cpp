#include "core/notify.hpp"
#include "notify/delivery.hpp"

#include <doctest/doctest.h>

#include <random>

// A NOTIFIER's life without threads: events come, tries are answered in any order
// or never, its process dies and reads its books again. Whatever happens, none is
// lost, each run's order is kept, and every event arrives or is given up.

using namespace framemill;
using namespace std::chrono_literals;

namespace {

using verdict = delivery_answer::verdict;

struct life {
  explicit life(std::uint64_t seed) : random(seed) {
    rules.known_of_failing = 3;
    rules.known_max = 20; // the books hold more than it knows at once
    rules.in_flight_max = 5;
    rules.in_flight_per_lane = 2;
    schedule.emplace(rules);
  }

  std::mt19937_64 random;
  delivery_rules rules;
  timestamp now{1'000'000'000'000};
  std::map<event_id, delivery_record> books; ///< pending
  std::set<event_id> dead, made;
  std::map<run_id, std::vector<event_id>> received; ///< in order, repetitions too
  std::uint64_t last_event = 0;

  std::optional<delivery_schedule> schedule;
  event_id loaded; ///< all before are known or were
  std::map<event_id, run_id> in_flight;
  std::map<event_id, delivery_outcome> unwritten;

  bool chance(int percent) { return random() % 100 < static_cast<std::uint64_t>(percent); }

  template <class Map>
  auto any_of(Map& m) {
    return std::next(m.begin(), static_cast<std::ptrdiff_t>(random() % m.size()));
  }

  void arrive() {
    delivery_record d;
    d.event = {++last_event};
    d.run = {1 + random() % 6};
    d.config.notify_type = "URL";
    d.config.notify_url = d.run.value % 2 == 0 ? "http://h/a" : "http://h/b";
    d.since = d.next_try = now;
    made.insert(d.event);
    books.emplace(d.event, std::move(d));
  }

  void refill() {
    if (auto from = schedule->read_again_from())
      loaded = std::min(loaded, event_id{from->value - 1});
    if (schedule->room() == 0)
      schedule->make_room();
    for (auto d = books.upper_bound(loaded); d != books.end() && schedule->room() > 0; ++d) {
      const auto& r = d->second;
      schedule->load(now, {r.event, r.run, lane_of(r.config), r.since, r.next_try, r.attempts});
      loaded = r.event;
    }
  }

  void send() {
    refill();
    for (auto event : schedule->due(now)) {
      auto run = books.at(event).run;
      for (const auto& [other, its_run] : in_flight)
        REQUIRE(its_run != run); // one of a run at a time
      for (const auto& [other, outcome] : unwritten)
        REQUIRE(books.at(other).run != run);
      for (const auto& [other, d] : books)
        if (d.run == run)
          REQUIRE(other >= event); // the earliest that is left
      in_flight.emplace(event, run);
      REQUIRE(in_flight.size() <= rules.in_flight_max);
    }
  }

  void answer() {
    if (in_flight.empty())
      return;
    auto [event, run] = *any_of(in_flight);
    in_flight.erase(event);
    delivery_answer a;
    a.what = chance(50) ? verdict::delivered : chance(5) ? verdict::parked : verdict::again;
    a.why = "why";
    if (chance(10))
      a.not_before = std::chrono::seconds{random() % 7200};
    if (a.what == verdict::delivered || chance(20)) // it may have it, and the answer is lost
      received[run].push_back(event);
    unwritten.emplace(event, schedule->answered(now, event, a));
  }

  void write() {
    if (unwritten.empty())
      return;
    auto [event, outcome] = *any_of(unwritten);
    unwritten.erase(event);
    auto& d = books.at(event);
    d.attempts = outcome.attempts;
    d.next_try = outcome.next_try;
    if (outcome.what == delivery_outcome::kind::dead)
      dead.insert(event);
    if (outcome.what != delivery_outcome::kind::again)
      books.erase(event);
    schedule->written(event);
  }

  /// What was in flight may have arrived; what was not written did not happen.
  void crash() {
    for (const auto& [event, run] : in_flight)
      if (chance(50))
        received[run].push_back(event);
    in_flight.clear();
    unwritten.clear();
    schedule.emplace(rules);
    loaded = {};
  }

  void wait() {
    auto wake = schedule->wake_at();
    if (wake && *wake > now && chance(50))
      now = *wake;
    else
      now = now + microseconds{std::chrono::seconds{random() % 60}};
  }

  void step() {
    switch (random() % 12) {
      case 0: arrive(); break;
      case 1: crash(); break;
      case 2: wait(); break;
      case 3:
      case 4: send(); break;
      case 5:
      case 6:
      case 7: answer(); break;
      default: write(); break;
    }
  }

  /// Nothing new comes and nothing dies: until all is over.
  void finish() {
    for (int i = 0; !books.empty() || !unwritten.empty(); ++i) {
      REQUIRE_MESSAGE(i < 1'000'000, "it does not come to an end");
      send();
      if (in_flight.empty() && unwritten.empty())
        now = schedule->wake_at().value_or(now + 1s);
      answer();
      write();
    }
    REQUIRE(schedule->is_empty());
  }

  void check_all() const {
    std::set<event_id> arrived;
    for (const auto& [run, events] : received) {
      event_id highest;
      for (auto e : events) {
        REQUIRE(e >= highest); // a repetition comes before the next, never after it
        highest = e;
        arrived.insert(e);
      }
    }
    for (auto e : made)
      REQUIRE_MESSAGE((arrived.contains(e) || dead.contains(e)), "lost: " << e.value);
  }
};

} // namespace

TEST_CASE("delivery: no order of answers, crashes and waits loses or reorders an event") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    life l{seed};
    for (int i = 0; i < 1500; ++i)
      l.step();
    l.finish();
    l.check_all();
  }
}

TEST_CASE("delivery: a sink that never answers leaves nothing pending after the window") {
  life l{7};
  for (int i = 0; i < 100; ++i)
    l.arrive();
  auto begin = l.now;
  for (int i = 0; !l.books.empty(); ++i) {
    REQUIRE(i < 1'000'000);
    l.send();
    for (const auto& [event, run] : std::exchange(l.in_flight, {}))
      l.unwritten.emplace(event,
                          l.schedule->answered(l.now, event, {verdict::again, "no answer", {}}));
    while (!l.unwritten.empty())
      l.write();
    l.now = std::max(l.now, l.schedule->wake_at().value_or(l.now));
  }

  CHECK(l.dead.size() == 100);
  CHECK(l.now - begin <= 48h); // its own window, and that of those it waited for
}
