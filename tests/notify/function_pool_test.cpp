#include "core/limits.hpp"
#include "notify/function_pool.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <set>

using namespace framemill;

namespace {

using pool = function_pool;

/// Does what the pool says, and checks that it may be done.
struct house {
  explicit house(int processes_max = 4) : core({processes_max}), processes_max(processes_max) {}

  void call(const std::string& function, std::uint64_t version = 1, int concurrency = 2,
            bool is_warm = true) {
    pool::call c{++last_call, function, version, concurrency, is_warm};
    of_call[c.id] = c;
    obey(core.on_call(now, c));
  }
  void end(pool::process_id p, pool::fitness how = pool::fitness::fit) {
    REQUIRE(at_work.contains(p));
    at_work.erase(p);
    ++ended;
    obey(core.on_call_ended(now, p, how));
  }
  void gone(pool::process_id p) {
    stopping.erase(p);
    serves.erase(p);
    obey(core.on_gone(now, p));
  }
  void all_gone() {
    while (!stopping.empty())
      gone(*stopping.begin());
  }
  void obey(const pool::actions& actions) {
    for (const auto& a : actions) {
      if (auto* s = std::get_if<pool::start>(&a)) {
        CHECK(serves.emplace(s->process, of_call.at(s->first).version).second);
        function_of[s->process] = of_call.at(s->first).function;
        begin(s->process, s->first);
      } else if (auto* g = std::get_if<pool::give>(&a)) {
        CHECK(of_call.at(g->call).function == function_of.at(g->process));
        CHECK(of_call.at(g->call).version == serves.at(g->process));
        begin(g->process, g->call);
      } else if (auto* t = std::get_if<pool::stop>(&a)) {
        CHECK_FALSE(at_work.contains(t->process));
        CHECK(stopping.insert(t->process).second);
      } else {
        refused.push_back(std::get<pool::refuse>(a));
      }
    }
    CHECK(serves.size() <= static_cast<std::size_t>(processes_max));
  }
  void begin(pool::process_id p, pool::call_id c) {
    CHECK_FALSE(stopping.contains(p));
    CHECK(at_work.emplace(p, c).second);
    auto& last = last_of[of_call.at(c).function];
    CHECK(c > last); // in order
    last = c;
    auto same = std::count_if(at_work.begin(), at_work.end(), [&](const auto& w) {
      return of_call.at(w.second).function == of_call.at(c).function;
    });
    CHECK(same <= of_call.at(c).concurrency);
  }
  [[nodiscard]] pool::process_id only() const {
    REQUIRE(at_work.size() == 1);
    return at_work.begin()->first;
  }

  pool core;
  int processes_max;
  timestamp now{1};
  pool::call_id last_call = 0;
  std::size_t ended = 0;
  std::map<pool::call_id, pool::call> of_call;
  std::map<std::string, pool::call_id> last_of;
  std::map<pool::process_id, pool::call_id> at_work;
  std::map<pool::process_id, std::uint64_t> serves; ///< version, of those that live
  std::map<pool::process_id, std::string> function_of;
  std::set<pool::process_id> stopping;
  std::vector<pool::refuse> refused;
};

} // namespace

TEST_CASE("function_pool: a warm process serves the next call") {
  house h;
  h.call("a");
  auto p = h.only();
  h.end(p);
  CHECK(h.core.idle() == 1);

  h.call("a");

  CHECK(h.only() == p);
  CHECK(h.core.processes() == 1);
}

TEST_CASE("function_pool: an executable's process serves one call") {
  house h;
  h.call("a", 1, 2, false);
  auto p = h.only();
  h.end(p);
  CHECK(h.stopping.contains(p));
  h.gone(p);
  h.call("a", 1, 2, false);
  CHECK(h.only() != p);
}

TEST_CASE("function_pool: calls beyond the concurrency wait, in order") {
  house h;
  for (int i = 0; i < 5; ++i)
    h.call("a", 1, 2);
  CHECK(h.at_work.size() == 2);
  CHECK(h.core.waiting() == 3);
  while (!h.at_work.empty())
    h.end(h.at_work.begin()->first);
  CHECK(h.ended == 5);
  CHECK(h.core.processes() == 2);
}

TEST_CASE("function_pool: another function is not held up by one that is at its limit") {
  house h;
  for (int i = 0; i < 3; ++i)
    h.call("a", 1, 1);
  h.call("b");
  CHECK(h.at_work.size() == 2);
}

TEST_CASE("function_pool: whoever is idle longest makes room, and only one at a time") {
  house h{2};
  h.call("a");
  auto first = h.only();
  h.end(first);
  h.now.us = 2;
  h.call("b");
  h.end(h.only());
  h.now.us = 3;

  h.call("c");
  h.call("d");

  CHECK(h.stopping == std::set<pool::process_id>{first});
  CHECK(h.at_work.empty());
  h.gone(first);
  CHECK(h.of_call.at(h.at_work.begin()->second).function == "c");
  h.all_gone();
  CHECK(h.at_work.size() == 2);
}

TEST_CASE("function_pool: a process that may be broken serves no other call") {
  house h;
  h.call("a");
  auto p = h.only();
  h.end(p, pool::fitness::unfit);
  h.call("a");
  CHECK(h.only() != p);
}

TEST_CASE("function_pool: a process ends after so many calls") {
  house h;
  h.call("a");
  auto p = h.only();
  for (std::uint32_t i = 1; i < limits::function_calls_per_process_max; ++i) {
    h.end(p);
    h.call("a");
  }
  REQUIRE(h.only() == p);
  h.end(p);
  CHECK(h.stopping.contains(p));
}

TEST_CASE("function_pool: an idle process ends in time, and the pool says when") {
  house h;
  h.call("a");
  CHECK_FALSE(h.core.wake());
  h.end(h.only());
  auto wake = h.core.wake();
  REQUIRE(wake);
  h.now.us = wake->us - 1;
  h.obey(h.core.on_tick(h.now));
  CHECK(h.stopping.empty());
  h.now = *wake;
  h.obey(h.core.on_tick(h.now));
  CHECK(h.stopping.size() == 1);
}

TEST_CASE("function_pool: a new version is served by new processes, and old ones end") {
  house h;
  h.call("a", 1);
  h.call("a", 1);
  auto idle = h.at_work.begin()->first;
  h.end(idle);
  auto busy = h.only();

  h.obey(h.core.on_version(h.now, "a", 2));
  CHECK(h.stopping == std::set<pool::process_id>{idle});
  h.end(busy);
  CHECK(h.stopping.contains(busy));
  h.all_gone();
  h.call("a", 2);
  CHECK(h.serves.at(h.only()) == 2);
}

TEST_CASE("function_pool: waiting calls of a deleted function are refused") {
  house h;
  h.call("a", 1, 1);
  h.call("a", 1, 1);
  h.obey(h.core.on_version(h.now, "a", 0));
  REQUIRE(h.refused.size() == 1);
  CHECK(h.refused[0].call == 2);
  CHECK(h.refused[0].why.find("deleted") != std::string::npos);
  h.end(h.only());
  CHECK(h.stopping.size() == 1);
}

TEST_CASE("function_pool: a queue that is full refuses") {
  house h;
  for (std::size_t i = 0; i <= limits::function_calls_waiting_max; ++i)
    h.call("a", 1, 1);
  CHECK(h.refused.empty());
  h.call("a", 1, 1);
  REQUIRE(h.refused.size() == 1);
  CHECK(h.refused[0].why.find("wait already") != std::string::npos);
}

TEST_CASE(
    "function_pool: in any order of things every call is served once, within the limits") {
  for (unsigned seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    std::mt19937 dice{seed};
    house h{1 + static_cast<int>(dice() % 4)};
    auto pick = [&](const auto& from) { return std::next(from.begin(), dice() % from.size()); };
    for (int step = 0; step < 200; ++step) {
      h.now.us += dice() % 100'000'000;
      auto what = dice() % 10;
      std::string function(1, static_cast<char>('a' + dice() % 3));
      if (what < 4)
        h.call(function, 1, 1 + static_cast<int>(dice() % 2), function != "c");
      else if (what < 8 && !h.at_work.empty())
        h.end(pick(h.at_work)->first,
              dice() % 4 == 0 ? pool::fitness::unfit : pool::fitness::fit);
      else if (what == 8 && !h.stopping.empty())
        h.gone(*pick(h.stopping));
      else
        h.obey(h.core.on_tick(h.now));
    }
    while (!h.at_work.empty() || !h.stopping.empty()) {
      if (!h.at_work.empty())
        h.end(h.at_work.begin()->first);
      h.all_gone();
    }
    CHECK(h.core.waiting() == 0);
    CHECK(h.ended == h.last_call);
  }
}
