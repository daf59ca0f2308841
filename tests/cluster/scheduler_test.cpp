#include "cluster/scheduler.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <random>
#include <set>

using namespace framemill;

namespace {

constexpr std::int64_t minute = 60'000'000;
constexpr std::int64_t mebibyte = 1 << 20;
constexpr timestamp now{1'000 * minute};

/// Workers 1..n of one node, and offers that begin as alike.
struct bench {
  scheduler core;

  explicit bench(int workers, scheduler::options o = {}) : core(o) {
    for (int i = 1; i <= workers; ++i)
      core.add_worker({static_cast<worker_key>(i), "a"});
  }

  static shard_offer offer(std::uint64_t run, std::uint32_t index = 1) {
    shard_offer o;
    o.id = {{run}, index};
    o.workflow = 1;
    o.since = now;
    return o;
  }

  /// The runs of the shards granted now, in order.
  std::vector<std::uint64_t> granted() {
    std::vector<std::uint64_t> out;
    for (const auto& g : core.decide(now))
      out.push_back(g.shard.run.value);
    return out;
  }

  /// One worker takes one shard after the other until none is left.
  std::vector<std::uint64_t> order() {
    std::vector<std::uint64_t> out;
    for (auto g = core.decide(now); !g.empty(); g = core.decide(now)) {
      out.push_back(g.front().shard.run.value);
      core.release(g.front().worker);
    }
    return out;
  }
};

using runs = std::vector<std::uint64_t>;

} // namespace

TEST_CASE("scheduler: a shard is granted once, and its worker is reserved") {
  bench b{2};
  b.core.offer(bench::offer(1));

  CHECK(b.granted() == runs{1});
  CHECK(b.granted().empty());
  CHECK(b.core.busy() == 1);
  CHECK(b.core.ready() == 0);
}

TEST_CASE("scheduler: an offer told twice is one offer") {
  bench b{2};
  auto o = bench::offer(1);
  b.core.offer(o);
  o.priority = 3; // and the newer one counts
  b.core.offer(o);

  CHECK(b.core.ready() == 1);
  CHECK(b.granted() == runs{1});
}

TEST_CASE("scheduler: more shards than workers wait until one is released") {
  bench b{1};
  b.core.offer(bench::offer(1));
  b.core.offer(bench::offer(2));
  CHECK(b.granted() == runs{1});
  CHECK(b.core.why_waiting({{2}, 1}) == "all 1 slots are busy");

  b.core.release(1);

  CHECK(b.granted() == runs{2});
  CHECK(b.core.why_waiting({{2}, 1}).empty());
}

TEST_CASE("scheduler: a higher priority goes first") {
  bench b{1};
  for (auto [run, priority] : {std::pair{1, -10}, {2, 0}, {3, 10}}) {
    auto o = bench::offer(static_cast<std::uint64_t>(run));
    o.priority = priority;
    b.core.offer(o);
  }

  CHECK(b.order() == runs{3, 2, 1});
}

TEST_CASE("scheduler: a minute of waiting is worth a point of priority") {
  bench b{1};
  auto urgent = bench::offer(1);
  urgent.priority = 10;
  auto waited_long = bench::offer(2);
  waited_long.priority = -10;
  waited_long.since = now + microseconds{-21 * minute};
  auto waited_less = bench::offer(3);
  waited_less.priority = -10;
  waited_less.since = now + microseconds{-19 * minute};
  for (const auto& o : {urgent, waited_long, waited_less})
    b.core.offer(o);

  CHECK(b.order() == runs{2, 1, 3});
}

TEST_CASE("scheduler: serial work goes before its siblings") {
  bench b{1};
  auto video = bench::offer(1, 1), audio = bench::offer(1, 2);
  audio.first = true;
  b.core.offer(video);
  b.core.offer(audio);

  CHECK(b.core.decide(now).front().shard.index == 2);
}

TEST_CASE("scheduler: the older run goes first within a workflow") {
  bench b{1};
  auto younger = bench::offer(1), older = bench::offer(2); // in the same minute
  younger.since = {now.us + 2};
  older.since = {now.us + 1};
  b.core.offer(younger);
  b.core.offer(older);

  CHECK(b.order() == runs{2, 1});
}

TEST_CASE("scheduler: workflows share the CPU, not the count of shards") {
  bench b{1};
  for (std::uint64_t run = 1; run <= 300; ++run) {
    auto o = bench::offer(run);
    o.workflow = run % 2 ? 1 : 2;
    o.cost = run % 2 ? 1 : 4;
    b.core.offer(o);
  }

  auto order = b.order();
  double used[2] = {0, 0};
  for (std::size_t i = 0; i < 100; ++i) {
    used[order[i] % 2] += order[i] % 2 ? 1 : 4;
    CHECK(std::abs(used[0] - used[1]) <= 5);
  }
  CHECK(order.size() == 300);
}

TEST_CASE("scheduler: many idle workers are shared among workflows in one decision") {
  bench b{8};
  for (std::uint64_t run = 1; run <= 20; ++run) {
    auto o = bench::offer(run);
    o.workflow = run <= 10 ? 1 : 2;
    b.core.offer(o);
  }

  auto granted = b.granted();
  CHECK(granted.size() == 8);
  CHECK(std::count_if(granted.begin(), granted.end(), [](auto r) { return r <= 10; }) == 4);
}

TEST_CASE("scheduler: a workflow cannot save up its share while it is idle") {
  bench b{1};
  auto offer_of = [&](std::uint64_t workflow, std::uint64_t run) {
    auto o = bench::offer(run);
    o.workflow = workflow;
    o.cost = 10;
    b.core.offer(o);
  };
  offer_of(1, 1); // both are known,
  offer_of(2, 2);
  b.order();
  for (std::uint64_t run = 100; run < 200; ++run)
    offer_of(2, run); // then one works alone for long
  for (int i = 0; i < 50; ++i)
    b.core.release(b.core.decide(now).front().worker);

  for (std::uint64_t run = 10; run < 20; ++run)
    offer_of(1, run);

  int of_one = 0;
  for (int i = 0; i < 10; ++i) {
    auto g = b.core.decide(now).front();
    of_one += g.shard.run.value < 100;
    b.core.release(g.worker);
  }
  CHECK(of_one == 5);
}

TEST_CASE("scheduler: what does not fit the memory left is passed by") {
  bench b{3, {.memory_bytes = 100 * mebibyte}};
  for (auto [run, size] : {std::pair{1, 70}, {2, 60}, {3, 30}}) {
    auto o = bench::offer(static_cast<std::uint64_t>(run));
    o.memory_bytes = size * mebibyte;
    b.core.offer(o);
  }

  CHECK(b.granted() == runs{1, 3});
  CHECK(b.core.why_waiting({{2}, 1}) == "needs 60 MiB, 100 of 100 MiB are reserved");
  b.core.release(1);
  CHECK(b.granted() == runs{2});
}

TEST_CASE("scheduler: a shard larger than the machine runs alone") {
  bench b{2, {.memory_bytes = 100 * mebibyte}};
  auto giant = bench::offer(1);
  giant.memory_bytes = 1000 * mebibyte;
  auto small = bench::offer(2);
  small.memory_bytes = mebibyte;
  b.core.offer(giant);
  b.core.offer(small);

  CHECK(b.granted() == runs{1}); // it begins, as nothing else runs
  CHECK(b.core.why_waiting(small.id) == "needs 1 MiB, 1000 of 100 MiB are reserved");
  b.core.release(1);
  CHECK(b.granted() == runs{2});
}

TEST_CASE("scheduler: back-fill does not starve a large shard") {
  bench b{2, {.memory_bytes = 100 * mebibyte, .passes_max = 10}};
  auto small = [&](std::uint64_t run) {
    auto o = bench::offer(run);
    o.memory_bytes = 40 * mebibyte;
    b.core.offer(o);
  };
  std::uint64_t run = 10;
  small(run++);
  small(run++);
  auto running = b.core.decide(now);
  auto large = bench::offer(1);
  large.memory_bytes = 90 * mebibyte;
  b.core.offer(large);

  // Small ones keep coming; a worker is free again as soon as one ended.
  bool has_begun = false;
  for (int i = 0; i < 100 && !has_begun; ++i) {
    small(run++);
    b.core.release(running.front().worker);
    running.erase(running.begin());
    for (auto& g : b.core.decide(now)) {
      has_begun = has_begun || g.shard.run.value == 1;
      running.push_back(g);
    }
  }
  CHECK(has_begun);
}

TEST_CASE("scheduler: memory is given back when the worker is released or leaves") {
  bench b{2, {.memory_bytes = 100 * mebibyte}};
  auto offer_large = [&](std::uint64_t run) {
    auto o = bench::offer(run);
    o.memory_bytes = 80 * mebibyte;
    b.core.offer(o);
  };
  offer_large(1);
  offer_large(2);
  offer_large(3);
  CHECK(b.granted() == runs{1});

  b.core.release(1);
  b.core.release(1); // told twice
  CHECK(b.granted() == runs{2});
  b.core.remove_worker(1);
  CHECK(b.core.workers() == 1);
  CHECK(b.granted() == runs{3});
  CHECK(b.core.busy() == 1);
}

TEST_CASE("scheduler: a worker that joins again has lost its shard and its memory") {
  bench b{1, {.memory_bytes = 100 * mebibyte}};
  auto o = bench::offer(1);
  o.memory_bytes = 80 * mebibyte;
  b.core.offer(o);
  CHECK(b.granted() == runs{1});

  b.core.add_worker({1, "a"});

  CHECK(b.core.busy() == 0);
  b.core.add_worker({2, "a"});
  o.id.run = {2};
  b.core.offer(o);
  CHECK(b.granted() == runs{2});
}

TEST_CASE("scheduler: a shard goes elsewhere than where it failed") {
  bench b{1};
  auto o = bench::offer(1);
  o.avoid_node = "a";
  b.core.add_worker({2, "b"});
  b.core.offer(o);

  CHECK(b.core.decide(now).front().node == "b");
}

TEST_CASE("scheduler: it waits for another node while there is one") {
  bench b{1};
  b.core.add_worker({2, "b"});
  b.core.offer(bench::offer(1));
  b.core.offer(bench::offer(2));
  CHECK(b.granted().size() == 2);
  b.core.release(1); // of node a; b is still busy
  auto o = bench::offer(3);
  o.avoid_node = "a";
  b.core.offer(o);

  CHECK(b.granted().empty());
  CHECK(b.core.why_waiting(o.id) == "failed on node a; waits for another");
  b.core.remove_worker(2);
  CHECK(b.granted() == runs{3}); // none is left
}

TEST_CASE("scheduler: one that waits for another node holds up nobody") {
  bench b{1};
  b.core.add_worker({2, "b"});
  b.core.offer(bench::offer(1));
  b.core.offer(bench::offer(2));
  CHECK(b.granted().size() == 2);
  b.core.release(1);
  auto avoids = bench::offer(3);
  avoids.avoid_node = "a";
  avoids.priority = 10;
  b.core.offer(avoids);
  b.core.offer(bench::offer(4));

  CHECK(b.granted() == runs{4});
}

TEST_CASE("scheduler: a withdrawn offer is not granted") {
  bench b{0};
  b.core.offer(bench::offer(1, 1));
  b.core.offer(bench::offer(1, 2));
  b.core.offer(bench::offer(2, 1));
  CHECK(b.core.why_waiting({{2}, 1}) == "no worker has joined");

  CHECK(b.core.withdraw({{2}, 1}));
  CHECK_FALSE(b.core.withdraw({{2}, 1}));
  b.core.withdraw_run({1});

  b.core.add_worker({1, "a"});
  CHECK(b.core.ready() == 0);
  CHECK(b.granted().empty());
}

TEST_CASE("scheduler: nothing starves while urgent work keeps coming") {
  bench b{1};
  auto humble = bench::offer(1);
  humble.priority = -10;
  humble.workflow = 9;
  b.core.offer(humble);

  std::int64_t waited_minutes = 0;
  for (std::uint64_t run = 2;; ++run, ++waited_minutes) {
    REQUIRE(waited_minutes <= 21);
    timestamp at{now.us + waited_minutes * minute};
    auto urgent = bench::offer(run);
    urgent.priority = 10;
    urgent.since = at;
    b.core.offer(urgent);
    auto g = b.core.decide(at);
    REQUIRE(g.size() == 1);
    b.core.release(g.front().worker);
    if (g.front().shard.run.value == 1)
      break;
  }
  CHECK(waited_minutes >= 19);
}

TEST_CASE("scheduler: random traffic keeps its books") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    INFO("seed ", seed);
    std::mt19937_64 random{seed};
    auto below = [&](std::uint64_t n) { return random() % n; };
    auto memory = static_cast<std::int64_t>(100 + below(300));
    scheduler core{{.memory_bytes = memory, .passes_max = 5}};
    std::map<worker_key, std::pair<shard_offer, std::string>> running;
    std::map<shard_id, shard_offer> waiting;
    std::set<worker_key> workers;
    for (worker_key w = 1; w <= 4; ++w) {
      core.add_worker({w, w % 2 ? "odd" : "even"});
      workers.insert(w);
    }
    auto take = [&] {
      for (const auto& g : core.decide(now)) {
        REQUIRE(waiting.contains(g.shard));
        REQUIRE_FALSE(running.contains(g.worker));
        REQUIRE(workers.contains(g.worker));
        running[g.worker] = {waiting.at(g.shard), g.node};
        waiting.erase(g.shard);
        std::int64_t sum = 0;
        for (const auto& [w, r] : running)
          sum += r.first.memory_bytes;
        CHECK((running.size() == 1 || sum <= memory)); // an only one may have more
      }
      REQUIRE(core.ready() == waiting.size());
      REQUIRE(core.busy() == running.size());
    };
    for (int i = 0; i < 200; ++i) {
      switch (below(6)) {
        case 0:
        case 1:
        case 2: {
          shard_offer o;
          o.id = {{1 + below(5)}, static_cast<std::uint32_t>(below(20))};
          if (std::any_of(running.begin(), running.end(),
                          [&](const auto& r) { return r.second.first.id == o.id; }))
            break;
          o.workflow = below(3);
          o.priority = static_cast<std::int32_t>(below(21)) - 10;
          o.since = {now.us - static_cast<std::int64_t>(below(100)) * minute / 3};
          o.memory_bytes = static_cast<std::int64_t>(below(5)) * 60;
          o.avoid_node = below(3) ? "" : "odd";
          waiting[o.id] = o;
          core.offer(o);
          break;
        }
        case 3:
          if (!running.empty()) {
            core.release(running.begin()->first);
            running.erase(running.begin());
          }
          break;
        case 4:
          if (!waiting.empty()) {
            CHECK(core.withdraw(waiting.begin()->first));
            waiting.erase(waiting.begin());
          }
          break;
        case 5: take(); break;
      }
    }
    // Faults stop; all that waits is worked.
    for (int i = 0; i < 1000 && !(waiting.empty() && running.empty()); ++i) {
      take();
      REQUIRE_FALSE(running.empty());
      core.release(running.begin()->first);
      running.erase(running.begin());
    }
    CHECK(waiting.empty());
    CHECK(core.busy() == 0);
  }
}

TEST_CASE("scheduler: a decision over 100,000 offers looks at few of them") {
  bench b{1};
  for (std::uint64_t run = 1; run <= 100'000; ++run) {
    auto o = bench::offer(run);
    o.workflow = run % 20;
    o.priority = static_cast<std::int32_t>(run % 21) - 10;
    o.memory_bytes = static_cast<std::int64_t>(run % 5) * mebibyte;
    b.core.offer(o);
  }

  constexpr int decisions = 1000;
  auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < decisions; ++i)
    b.core.release(b.core.decide(now).front().worker);
  auto took = std::chrono::steady_clock::now() - begin;

  auto each = std::chrono::duration<double, std::micro>(took).count() / decisions;
  MESSAGE("a decision over 100,000 offers: ", each, " us");
  CHECK(each < 5'000); // looking at all of them takes ten times that, unoptimised
  CHECK(b.core.ready() == 99'000);
}
