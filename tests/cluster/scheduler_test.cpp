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

scheduler_node node_of(std::string name, std::int64_t memory_bytes = 0) {
  scheduler_node n;
  n.name = std::move(name);
  n.memory_bytes = memory_bytes;
  return n;
}

/// Workers 1..n of node a, and offers that begin as alike.
struct bench {
  scheduler core;
  worker_key last = 0;

  explicit bench(int workers, std::int64_t memory_bytes = 0, scheduler::options o = {})
      : core(o) {
    node(node_of("a", memory_bytes), workers);
  }

  void node(scheduler_node n, int workers = 1) {
    auto name = n.name;
    core.set_node(std::move(n));
    for (int i = 0; i < workers; ++i)
      core.add_worker({++last, name});
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

  /// The nodes that shards are granted to now, in order.
  std::vector<std::string> placed() {
    std::vector<std::string> out;
    for (const auto& g : core.decide(now))
      out.push_back(g.node);
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
using names = std::vector<std::string>;

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
  CHECK(b.core.why_waiting({{2}, 1}) == "a: its slot is busy");

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
  bench b{3, 100 * mebibyte};
  for (auto [run, size] : {std::pair{1, 70}, {2, 60}, {3, 30}}) {
    auto o = bench::offer(static_cast<std::uint64_t>(run));
    o.memory_bytes = size * mebibyte;
    b.core.offer(o);
  }

  CHECK(b.granted() == runs{1, 3});
  CHECK(b.core.why_waiting({{2}, 1}) == "a: needs 60 MiB, 0 MiB free");
  b.core.release(1);
  CHECK(b.granted() == runs{2});
}

TEST_CASE("scheduler: a shard larger than any node runs alone") {
  bench b{2, 100 * mebibyte};
  auto giant = bench::offer(1);
  giant.memory_bytes = 1000 * mebibyte;
  auto small = bench::offer(2);
  small.memory_bytes = mebibyte;
  b.core.offer(giant);
  b.core.offer(small);

  CHECK(b.granted() == runs{1}); // it begins, as nothing else runs
  CHECK(b.core.why_waiting(small.id) == "a: needs 1 MiB, 0 MiB free");
  b.core.release(1);
  CHECK(b.granted() == runs{2});
}

TEST_CASE("scheduler: back-fill does not starve a large shard") {
  bench b{2, 100 * mebibyte, {.passes_max = 10}};
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
  bench b{2, 100 * mebibyte};
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
  bench b{1, 100 * mebibyte};
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
  o.avoid_nodes = {"a"};
  b.node(node_of("b"));
  b.core.offer(o);

  CHECK(b.core.decide(now).front().node == "b");
}

TEST_CASE("scheduler: it waits for another node while there is one") {
  bench b{1};
  b.node(node_of("b"));
  b.core.offer(bench::offer(1));
  b.core.offer(bench::offer(2));
  CHECK(b.granted().size() == 2);
  b.core.release(1); // of node a; b is still busy
  auto o = bench::offer(3);
  o.avoid_nodes = {"a"};
  b.core.offer(o);

  CHECK(b.granted().empty());
  CHECK(b.core.why_waiting(o.id) == "b: its slot is busy; a: failed there before");
  b.core.remove_node("b");
  CHECK(b.granted() == runs{3}); // none is left
}

TEST_CASE("scheduler: one that waits for another node holds up nobody") {
  bench b{1};
  b.node(node_of("b"));
  b.core.offer(bench::offer(1));
  b.core.offer(bench::offer(2));
  CHECK(b.granted().size() == 2);
  b.core.release(1);
  auto avoids = bench::offer(3);
  avoids.avoid_nodes = {"a"};
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

TEST_CASE("scheduler: twice the weight is twice the share") {
  bench b{1};
  for (std::uint64_t run = 1; run <= 600; ++run) {
    auto o = bench::offer(run);
    o.workflow = run % 2 ? 1 : 2;
    o.weight = run % 2 ? 2 : 1;
    b.core.offer(o);
  }

  auto order = b.order();
  order.resize(300);
  CHECK(std::abs(std::count_if(order.begin(), order.end(), [](auto r) { return r % 2; }) - 200)
        <= 2);
}

// ---- Nodes -----------------------------------------------------------------------------

TEST_CASE("scheduler: work goes to the node with the most free memory") {
  bench b{2, 300 * mebibyte};
  b.node(node_of("b", 400 * mebibyte), 2);
  for (std::uint64_t run = 1; run <= 4; ++run) {
    auto o = bench::offer(run);
    o.memory_bytes = 150 * mebibyte;
    b.core.offer(o);
  }

  CHECK(b.placed() == names{"b", "a", "b", "a"});
}

TEST_CASE("scheduler: idle nodes share the work when memory does not matter") {
  bench b{2};
  b.node(node_of("b"), 2);
  for (std::uint64_t run = 1; run <= 3; ++run)
    b.core.offer(bench::offer(run));

  CHECK(b.placed() == names{"a", "b", "a"});
}

TEST_CASE("scheduler: memory and scratch are reserved at each node") {
  bench b{0};
  for (const auto* name : {"a", "b"}) {
    auto n = node_of(name, 100 * mebibyte);
    n.scratch_bytes = 100 * mebibyte;
    b.node(n, 3);
  }
  for (std::uint64_t run = 1; run <= 5; ++run) {
    auto o = bench::offer(run);
    (run % 2 ? o.memory_bytes : o.scratch_bytes) = 60 * mebibyte;
    b.core.offer(o);
  }

  auto first = b.core.decide(now);
  CHECK(first.size() == 4); // of each one at each node
  CHECK(b.core.why_waiting({{5}, 1}) == "2 nodes: needs 60 MiB, less is free");
  for (const auto& g : first)
    if (g.shard.run.value == 1)
      b.core.release(g.worker);
  CHECK(b.granted() == runs{5});
}

TEST_CASE("scheduler: shards keep no more cores busy than their node offers") {
  bench b{0};
  auto n = node_of("a");
  n.cores = 2;
  b.node(n, 3);
  for (std::uint64_t run = 1; run <= 2; ++run)
    b.core.offer(bench::offer(run));
  CHECK(b.granted() == runs{1, 2}); // a thread each, side by side
  auto wide = bench::offer(3);
  wide.cores = 2;
  b.core.offer(wide);

  CHECK(b.core.idle_workers() == 0); // a slot, but no core
  b.core.release(1);
  CHECK(b.granted().empty());
  CHECK(b.core.why_waiting(wide.id) == "a: needs 2 cores, 1 free");
  b.core.release(2);
  CHECK(b.granted() == runs{3});
}

TEST_CASE("scheduler: a wide shard goes where there are cores for it") {
  bench b{0};
  b.core.remove_node("a");
  auto narrow = node_of("narrow", 900 * mebibyte), wide = node_of("wide", 100 * mebibyte);
  narrow.cores = 2;
  wide.cores = 8;
  b.node(narrow, 2);
  b.node(wide, 8);
  auto o = bench::offer(1);
  o.cores = 6;
  b.core.offer(o);
  CHECK(b.placed() == names{"wide"});
  o.id.run = {2};
  b.core.offer(o);

  CHECK(b.placed().empty());
  CHECK(b.core.why_waiting(o.id)
        == "wide: needs 6 cores, 2 free; narrow: needs 6 cores, it has 2");
}

TEST_CASE("scheduler: a shard that is wider than any node gets a whole one") {
  bench b{0};
  auto n = node_of("a");
  n.cores = 2;
  b.node(n, 2);
  b.core.offer(bench::offer(1));
  CHECK(b.granted() == runs{1});
  auto wide = bench::offer(2);
  wide.cores = 6; // planned when there was such a node
  b.core.offer(wide);

  CHECK(b.core.why_never(wide).empty());
  CHECK(b.granted().empty());
  CHECK(b.core.why_waiting(wide.id)
        == "a: larger than any node: waits until nothing runs there");
  b.core.release(1);
  CHECK(b.granted() == runs{2});
  b.core.offer(bench::offer(3));
  CHECK(b.granted().empty()); // and nothing beside it
}

TEST_CASE("scheduler: a shard that wants all cores of the only node is not passed by for long") {
  bench b{0};
  auto n = node_of("a");
  n.cores = 2;
  b.node(n, 2);
  for (std::uint64_t run = 1; run <= 2; ++run)
    b.core.offer(bench::offer(run));
  std::vector<shard_grant> running = b.core.decide(now);
  auto wide = bench::offer(3);
  wide.cores = 2;
  wide.priority = 1;
  b.core.offer(wide);

  int passes = 0;
  for (std::uint64_t run = 10; running.front().shard != wide.id && run < 100; ++run) {
    b.core.offer(bench::offer(run));
    b.core.release(running.front().worker);
    running.erase(running.begin());
    for (const auto& g : b.core.decide(now)) {
      passes += g.shard != wide.id;
      running.push_back(g);
    }
    REQUIRE_FALSE(running.empty());
  }
  CHECK(passes == scheduler::options{}.passes_per_node);
}

TEST_CASE("scheduler: sessions of a device are counted") {
  bench b{0};
  auto n = node_of("a");
  n.devices = {{"gpu0", 2}};
  b.node(n, 4);
  auto offer = [&](std::uint64_t run, std::int64_t sessions) {
    auto o = bench::offer(run);
    o.device = "gpu0";
    o.sessions = sessions;
    b.core.offer(o);
    return o;
  };
  for (std::uint64_t run = 1; run <= 2; ++run)
    offer(run, 1);
  CHECK(b.granted() == runs{1, 2});
  auto third = offer(3, 1);

  CHECK(b.granted().empty());
  CHECK(b.core.why_waiting(third.id) == "a: all sessions of device gpu0 are in use");
  CHECK(b.core.why_never(third).empty());
  offer(4, 0); // must be there, but needs no session
  CHECK(b.granted() == runs{4});
  b.core.offer(bench::offer(5));
  CHECK(b.granted() == runs{5});
  b.core.release(1);
  CHECK(b.granted() == runs{3});
}

TEST_CASE("scheduler: sessions that are in use since a former life are counted") {
  bench b{0};
  auto n = node_of("a");
  n.devices = {{"gpu0", 1}};
  n.cores = 4;
  b.core.set_node(n);
  b.core.add_worker({1, "a"}, reservation{{{1}, 1}, {0, 0, 3, 1}, "gpu0", 60, now});
  b.core.add_worker({2, "a"});
  auto o = bench::offer(2);
  o.device = "gpu0";
  o.sessions = 1;
  o.cores = 2;
  b.core.offer(o);

  CHECK(b.granted().empty());
  auto e = b.core.explain(o.id, now);
  REQUIRE(e);
  CHECK(e->nodes.front().why_not
        == names{"needs 2 cores, 1 free", "all sessions of device gpu0 are in use"});
  b.core.release(1);
  CHECK(b.granted() == runs{2});
}

TEST_CASE("scheduler: preferred nodes go first, and no slot stays idle for them") {
  bench b{1, 900 * mebibyte};
  auto liked = node_of("b"), mounted = node_of("c"), both = node_of("d");
  liked.labels = both.labels = {{"disk", "ssd"}, {"zone", "a"}};
  mounted.buckets = both.buckets = {"vod"};
  for (auto* n : {&liked, &mounted, &both}) {
    n->memory_bytes = 100 * mebibyte;
    b.node(*n);
  }
  for (std::uint64_t run = 1; run <= 4; ++run) {
    auto o = bench::offer(run);
    o.bucket = "vod";
    o.preferred_labels = {{"disk", "ssd"}};
    b.core.offer(o);
  }
  auto last = bench::offer(5);
  last.preferred_labels = {{"disk", "ssd"}};
  b.core.offer(last);

  CHECK(b.placed() == names{"d", "b", "c", "a"});
  auto e = b.core.explain(last.id, now);
  REQUIRE(e);
  for (const auto& n : e->nodes)
    CHECK(n.preferred == (n.node == "b" || n.node == "d"));
}

TEST_CASE("scheduler: preferred nodes are among those that have what is required") {
  bench b{0};
  auto fast = node_of("fast"), right = node_of("right");
  fast.labels = {{"disk", "ssd"}};
  right.labels = {{"zone", "a"}};
  b.node(fast);
  b.node(right);
  auto o = bench::offer(1);
  o.labels = {{"zone", "a"}};
  o.preferred_labels = {{"disk", "ssd"}};
  b.core.offer(o);

  CHECK(b.placed() == names{"right"});
}

TEST_CASE("scheduler: a node whose disk is too full takes nothing that writes to it") {
  bench b{0};
  auto n = node_of("a");
  n.scratch_bytes = 1000 * mebibyte;
  n.scratch_left = 100 * mebibyte;
  b.node(n, 3);
  auto o = bench::offer(1);
  o.scratch_bytes = 60 * mebibyte;
  b.core.offer(o);
  CHECK(b.granted() == runs{1});
  o.id.run = {2};
  b.core.offer(o);

  CHECK(b.granted().empty()); // what it has written is not known: all of it counts
  CHECK(b.core.why_waiting(o.id) == "a: needs 60 MiB of scratch, 40 MiB free");
  b.core.set_scratch_left("a", -5 * mebibyte);
  b.core.release(1);
  CHECK(b.granted().empty());
  CHECK(b.core.why_waiting(o.id) == "a: its disk is too full for any work");
  CHECK(b.core.why_never(o).empty());
  b.core.offer(bench::offer(3)); // writes nothing
  CHECK(b.granted() == runs{3});
  b.core.set_scratch_left("a", 61 * mebibyte);
  CHECK(b.granted() == runs{2});
}

TEST_CASE("scheduler: what is larger than any disk waits for one that is not full") {
  bench b{0};
  auto n = node_of("a");
  n.scratch_bytes = 100 * mebibyte;
  n.scratch_left = 0;
  b.node(n, 2);
  auto o = bench::offer(1);
  o.scratch_bytes = 600 * mebibyte;
  b.core.offer(o);

  CHECK(b.core.why_never(o) == names{"a: needs 600 MiB of scratch, it has 100 MiB"});
  CHECK(b.granted().empty());
  CHECK(b.core.why_waiting(o.id) == "a: its disk is too full for any work");
  b.core.set_scratch_left("a", 90 * mebibyte);
  CHECK(b.granted() == runs{1}); // on a whole one
}

TEST_CASE("scheduler: a node that never said what it has keeps no run from waiting for it") {
  bench b{0};
  b.core.remove_node("a");
  auto n = node_of("new");
  n.told = false;
  n.takes_work = false;
  b.core.set_node(n);
  auto o = bench::offer(1);
  o.device = "gpu0";

  CHECK(b.core.why_never(o).empty());
}

TEST_CASE("scheduler: the widest node is known") {
  bench b{1};
  auto n = node_of("b");
  n.cores = 12;
  b.core.set_node(n); // without slots
  auto m = node_of("a");
  m.cores = 4;
  b.core.set_node(m);

  CHECK(b.core.cores_of_widest() == 4);
  b.core.add_worker({9, "b"});
  CHECK(b.core.cores_of_widest() == 12);
}

TEST_CASE("scheduler: a giant waits for the node that has room for it") {
  bench b{1, 100 * mebibyte};
  b.node(node_of("b", 1000 * mebibyte));
  b.core.offer(bench::offer(1));
  CHECK(b.placed() == names{"b"});
  auto giant = bench::offer(2);
  giant.memory_bytes = 500 * mebibyte;
  b.core.offer(giant);

  CHECK(b.placed().empty());
  CHECK(b.core.why_waiting(giant.id)
        == "b: its slot is busy; a: needs 500 MiB, it has 100 MiB");
  b.core.release(2);
  CHECK(b.placed() == names{"b"});
}

TEST_CASE("scheduler: a shard goes only where what it requires is") {
  bench b{0};
  b.node(node_of("a"));
  auto offer = bench::offer(1);
  auto able = node_of("b");
  std::string lacks;
  SUBCASE("fingerprint") {
    offer.fingerprint = able.fingerprint = "x264-164";
    lacks = "another encoder fingerprint";
  }
  SUBCASE("device") {
    offer.device = "cuda0";
    able.devices = {{"cuda1", 1}, {"cuda0", 2}};
    lacks = "no device cuda0";
  }
  SUBCASE("labels") {
    offer.labels = {{"gpu", "a10"}};
    able.labels = {{"gpu", "a10"}, {"zone", "1"}};
    lacks = "no label gpu=a10";
  }
  b.core.offer(offer);
  CHECK(b.placed().empty());
  CHECK(b.core.why_waiting(offer.id) == "a: " + lacks);
  CHECK(b.core.why_never(offer) == names{"a: " + lacks});

  b.node(able);

  CHECK(b.core.why_never(offer).empty());
  CHECK(b.placed() == names{"b"});
}

TEST_CASE("scheduler: a node that takes no work gets none until it does again") {
  bench b{1};
  auto n = node_of("a");
  n.takes_work = false;
  n.why_not = "draining";
  b.core.set_node(n);
  b.core.offer(bench::offer(1));

  CHECK(b.granted().empty());
  CHECK(b.core.why_waiting({{1}, 1}) == "a: takes no work: draining");
  CHECK(b.core.idle_workers() == 0);
  CHECK(b.core.why_never(bench::offer(1)).empty()); // it may again

  b.core.set_node(node_of("a"));
  CHECK(b.core.idle_workers() == 1);
  CHECK(b.granted() == runs{1});
}

TEST_CASE("scheduler: a worker gets no work before its node is told of") {
  scheduler core{{}};
  core.add_worker({1, "a"});
  core.offer(bench::offer(1));
  CHECK(core.decide(now).empty());
  CHECK(core.why_waiting({{1}, 1}) == "a: takes no work: has not told yet what it has");
  CHECK(core.why_never(bench::offer(1)).empty());

  core.set_node(node_of("a"));

  CHECK(core.decide(now).size() == 1);
}

TEST_CASE("scheduler: what changes at a node leaves its reservations") {
  bench b{2, 100 * mebibyte};
  auto o = bench::offer(1);
  o.memory_bytes = 60 * mebibyte;
  b.core.offer(o);
  CHECK(b.granted() == runs{1});

  b.core.set_node(node_of("a", 110 * mebibyte));
  o.id.run = {2};
  b.core.offer(o);
  CHECK(b.granted().empty());
  CHECK(b.core.why_waiting(o.id) == "a: needs 60 MiB, 50 MiB free");

  b.core.set_node(node_of("a", 120 * mebibyte));
  CHECK(b.granted() == runs{2});
}

TEST_CASE("scheduler: a node that is removed takes its workers along") {
  bench b{2};
  b.core.offer(bench::offer(1));
  CHECK(b.granted() == runs{1});

  b.core.remove_node("a");
  b.core.release(1); // a late word

  CHECK(b.core.workers() == 0);
  CHECK(b.core.busy() == 0);
  CHECK_FALSE(b.core.has_node("a"));
}

TEST_CASE("scheduler: a worker can join while it is at work") {
  bench b{0};
  b.core.set_node(node_of("a", 100 * mebibyte));
  b.core.add_worker({1, "a"}, reservation{{{1}, 1}, {70 * mebibyte}, {}, 60, now});
  b.core.add_worker({2, "a"});
  CHECK(b.core.busy() == 1);
  auto o = bench::offer(2);
  o.memory_bytes = 40 * mebibyte;
  b.core.offer(o);

  CHECK(b.granted().empty());
  CHECK(b.core.why_waiting(o.id) == "a: needs 40 MiB, 30 MiB free");
  b.core.release(1);
  CHECK(b.granted() == runs{2});
}

TEST_CASE("scheduler: a shard goes to a node that has its bucket mounted") {
  bench b{1};
  auto near = node_of("b");
  near.buckets = {"vod"};
  b.node(near);
  for (std::uint64_t run = 1; run <= 2; ++run) {
    auto o = bench::offer(run);
    o.bucket = "vod";
    b.core.offer(o);
  }

  CHECK(b.placed() == names{"b", "a"}); // and no slot stays idle for it
}

TEST_CASE("scheduler: a shard goes to the node where its inputs are") {
  bench b{1, 900 * mebibyte};
  b.node(node_of("b", 100 * mebibyte));
  b.node(node_of("c", 500 * mebibyte));
  for (std::uint64_t run = 1; run <= 3; ++run) {
    auto o = bench::offer(run);
    o.near_node = run == 3 ? "gone" : "b";
    b.core.offer(o);
  }

  CHECK(b.placed() == names{"b", "a", "c"});
}

TEST_CASE("scheduler: all nodes where it failed are avoided, while another could take it") {
  bench b{1, 100 * mebibyte};
  b.node(node_of("b", 100 * mebibyte));
  b.node(node_of("c", 10 * mebibyte)); // too small: not a reason to wait
  auto o = bench::offer(1);
  o.memory_bytes = 50 * mebibyte;
  o.avoid_nodes = {"b", "a"};
  b.core.offer(o);

  CHECK(b.placed() == names{"a"});
}

TEST_CASE("scheduler: a node that takes no work is no reason to wait elsewhere") {
  bench b{1};
  auto paused = node_of("b");
  b.node(paused);
  paused.takes_work = false;
  b.core.set_node(paused);
  auto o = bench::offer(1);
  o.avoid_nodes = {"a"};
  b.core.offer(o);

  CHECK(b.placed() == names{"a"});
}

TEST_CASE("scheduler: idle slots elsewhere can be asked for") {
  bench b{1};
  CHECK(b.core.has_idle_elsewhere({"b"}));
  CHECK_FALSE(b.core.has_idle_elsewhere({"b", "a"}));
  b.node(node_of("b"), 2);
  CHECK(b.core.has_idle_elsewhere({"a"}));
  CHECK(b.core.idle_workers() == 3);
  b.core.offer(bench::offer(1));
  CHECK(b.granted().size() == 1);
  CHECK(b.core.idle_workers() == 2);
}

// ---- Back-fill -------------------------------------------------------------------------

namespace {

/// Node a (100 MiB) and b (100 MiB), two slots each, always busy with small
/// shards that keep coming, and a large one that waits. The granted, in order.
struct stream_of_small_ones : bench {
  std::vector<shard_grant> running;
  std::uint64_t run = 10;

  stream_of_small_ones() : bench{2, 100 * mebibyte, {.passes_max = 10}} {
    node(node_of("b", 100 * mebibyte), 2);
    for (int i = 0; i < 4; ++i)
      small();
    running = core.decide(now);
  }
  void small() {
    auto o = offer(run++);
    o.memory_bytes = 40 * mebibyte;
    core.offer(o);
  }
  void step() {
    small();
    core.release(running.front().worker);
    running.erase(running.begin());
    for (auto& g : core.decide(now))
      running.push_back(g);
  }
  bool has_begun(std::uint64_t id) const {
    return std::any_of(running.begin(), running.end(),
                       [&](const auto& g) { return g.shard.run.value == id; });
  }
};

shard_offer large_offer() {
  auto o = bench::offer(1);
  o.memory_bytes = 90 * mebibyte;
  o.priority = 1;
  return o;
}

} // namespace

TEST_CASE("scheduler: a node is kept free for a shard that was passed by too often") {
  stream_of_small_ones s;
  s.core.offer(large_offer());
  for (int i = 0; i < 10; ++i)
    s.step();

  auto o = bench::offer(2);
  auto said = s.core.why_waiting(large_offer().id);
  CHECK(said == "2 nodes: all slots are busy");
  int steps = 0;
  while (!s.has_begun(1) && ++steps <= 4)
    s.step();
  CHECK(s.has_begun(1));
  CHECK(s.core.busy() >= 3); // the other node went on meanwhile
}

TEST_CASE("scheduler: a node that is kept free says so") {
  stream_of_small_ones s;
  s.core.offer(large_offer());
  for (int i = 0; i < 10; ++i)
    s.step();
  for (int i = 0; i < 4 && s.core.idle_workers() == 0; ++i) {
    s.core.release(s.running.front().worker);
    s.running.erase(s.running.begin());
  }
  auto o = bench::offer(2);
  o.memory_bytes = 200 * mebibyte;
  s.core.offer(o);
  auto e = s.core.explain(o.id, now);
  REQUIRE(e);
  CHECK(std::any_of(e->nodes.begin(), e->nodes.end(), [](const auto& n) {
    return std::find(n.why_not.begin(), n.why_not.end(),
                     "kept free for a shard that was passed by") != n.why_not.end();
  }));
}

TEST_CASE("scheduler: a node is kept free no longer than its shard waits") {
  stream_of_small_ones s;
  s.core.offer(large_offer());
  for (int i = 0; i < 11; ++i)
    s.step();
  SUBCASE("withdrawn") { CHECK(s.core.withdraw(large_offer().id)); }
  SUBCASE("granted at a third node") {
    s.node(node_of("c", 900 * mebibyte));
    CHECK(s.placed() == names{"c", "a"}); // and a small one where it was kept free
  }
  for (const auto& g : s.running)
    s.core.release(g.worker);
  for (int i = 0; i < 4; ++i)
    s.small();
  CHECK(s.core.decide(now).size() >= 3);
  CHECK(s.core.busy() == s.core.workers());
}

TEST_CASE("scheduler: a node that goes is kept free for nobody") {
  stream_of_small_ones s;
  s.core.offer(large_offer());
  for (int i = 0; i < 10; ++i)
    s.step();

  s.core.remove_node("a");
  s.core.remove_node("b");
  CHECK(s.core.decide(now).empty());
  s.node(node_of("a", 100 * mebibyte), 2);

  CHECK(s.core.decide(now).front().shard.run.value == 1);
}

TEST_CASE("scheduler: grants at nodes that could not serve it do not count as passes") {
  bench b{1, 10 * mebibyte, {.passes_max = 3}};
  auto gpu = node_of("b", 100 * mebibyte);
  gpu.labels = {{"gpu", "a10"}};
  b.node(gpu, 2);
  auto labelled = [&](std::uint64_t run) {
    auto o = large_offer();
    o.id.run = {run};
    o.labels = {{"gpu", "a10"}};
    b.core.offer(o);
  };
  labelled(1);
  CHECK(b.placed() == names{"b"});
  labelled(2); // one slot of b is idle, but has no room
  for (std::uint64_t run = 10; run < 30; ++run) {
    auto o = bench::offer(run);
    o.memory_bytes = 10 * mebibyte;
    o.avoid_nodes = {"b"};
    b.core.offer(o);
    REQUIRE(b.placed() == names{"a"});
    b.core.release(1);
  }

  b.core.offer(bench::offer(40)); // which b has room for
  b.core.offer(bench::offer(41));
  auto placed = b.placed();
  CHECK(std::count(placed.begin(), placed.end(), "b") == 1);
}

// ---- Explaining ------------------------------------------------------------------------

TEST_CASE("scheduler: explain tells each node's reasons") {
  bench b{0};
  b.core.remove_node("a");
  b.node(node_of("busy"));
  b.core.offer(bench::offer(1));
  CHECK(b.placed() == names{"busy"});
  auto failed = node_of("failed"), draining = node_of("draining"), small = node_of("small");
  draining.takes_work = false;
  draining.why_not = "draining";
  small.memory_bytes = 800 * mebibyte;
  small.fingerprint = "old";
  for (const auto& n : {failed, draining, small})
    b.node(n);
  auto o = bench::offer(2);
  o.memory_bytes = 3000 * mebibyte;
  o.avoid_nodes = {"failed"};
  b.core.offer(o);

  auto e = b.core.explain(o.id, now);
  REQUIRE(e);
  CHECK(e->needs == "1 core, 3000 MiB");
  CHECK(e->position == 1);
  CHECK(e->waiting == 1);
  CHECK(e->why == b.core.why_waiting(o.id));
  REQUIRE(e->nodes.size() == 4);
  CHECK(e->nodes[0].node == "busy");
  CHECK(e->nodes[0].why_not == names{"its slot is busy"});
  CHECK(e->nodes[1].why_not == names{"takes no work: draining"});
  CHECK(e->nodes[2].why_not == names{"failed there before"});
  CHECK(e->nodes[3].why_not == names{"needs 3000 MiB, it has 800 MiB"});
  CHECK_FALSE(b.core.explain({{77}, 1}, now));
}

TEST_CASE("scheduler: the position is the turn that comes") {
  bench b{1};
  b.core.offer(bench::offer(1));
  CHECK(b.granted() == runs{1});
  std::mt19937_64 random{7};
  for (std::uint64_t run = 10; run < 60; ++run) {
    auto o = bench::offer(run);
    o.workflow = random() % 4;
    o.cost = 1 + static_cast<double>(random() % 9);
    o.priority = static_cast<std::int32_t>(random() % 2);
    o.first = random() % 5 == 0;
    o.since = {now.us + static_cast<std::int64_t>(random() % 7)};
    o.memory_bytes = static_cast<std::int64_t>(random() % 3) * mebibyte;
    b.core.offer(o);
  }
  std::map<std::uint64_t, std::size_t> position;
  for (std::uint64_t run = 10; run < 60; ++run)
    position[run] = b.core.explain({{run}, 1}, now)->position;
  b.core.release(1);

  std::size_t turn = 0;
  for (auto run : b.order())
    CHECK(position.at(run) == ++turn);
  CHECK(turn == 50);
}

TEST_CASE("scheduler: the expected start follows from what runs and what is ahead") {
  bench b{2};
  for (std::uint64_t run = 1; run <= 5; ++run) {
    auto o = bench::offer(run);
    o.cost = 10.0 * static_cast<double>(run);
    b.core.offer(o);
  }
  CHECK(b.granted() == runs{1, 2}); // 10 and 20 seconds

  auto seconds = [&](std::uint64_t run, std::int64_t later = 0) {
    auto at = now + microseconds{later * 1'000'000};
    return (*b.core.explain({{run}, 1}, at)->expected_start - now).count() / 1'000'000;
  };
  CHECK(seconds(3) == 10);
  CHECK(seconds(4) == 20);
  CHECK(seconds(5) == 40); // 30 more from 10 on
  CHECK(seconds(3, 4) == 10);
  CHECK(seconds(3, 15) == 15); // overdue

  auto o = bench::offer(9);
  o.labels = {{"gpu", "a10"}};
  b.core.offer(o);
  CHECK_FALSE(b.core.explain(o.id, now)->expected_start);
}

TEST_CASE("scheduler: what is too far back is not counted") {
  bench b{1};
  for (std::uint64_t run = 1; run <= explain_ahead_max + 3; ++run)
    b.core.offer(bench::offer(run));

  auto last = b.core.explain({{explain_ahead_max + 1}, 1}, now);
  auto beyond = b.core.explain({{explain_ahead_max + 3}, 1}, now);
  CHECK(last->position == explain_ahead_max + 1);
  CHECK(beyond->position == explain_ahead_max + 1);
  CHECK(beyond->waiting == explain_ahead_max + 3);
  CHECK_FALSE(beyond->expected_start);
}

TEST_CASE("scheduler: what no node could ever take is told, with the reasons") {
  bench b{0};
  b.core.remove_node("a");
  auto o = bench::offer(1);
  o.memory_bytes = 200 * mebibyte;
  o.labels = {{"gpu", "a10"}};
  CHECK(b.core.why_never(o).empty()); // no node is known

  b.core.set_node(node_of("a", 400 * mebibyte));
  b.core.set_node(node_of("b", 400 * mebibyte));
  auto gpu = node_of("c", 100 * mebibyte);
  gpu.labels = {{"gpu", "a10"}};
  b.core.set_node(gpu);
  CHECK(b.core.why_never(o) == names{"a: no label gpu=a10", "b: no label gpu=a10",
                                     "c: needs 200 MiB, it has 100 MiB"});

  gpu.memory_bytes = 200 * mebibyte;
  b.core.set_node(gpu);
  CHECK(b.core.why_never(o).empty());
}

TEST_CASE("scheduler: what many nodes lack is told in a sentence for each kind") {
  bench b{0};
  b.core.remove_node("a");
  for (int i = 0; i < 9; ++i)
    b.core.set_node(node_of("n" + std::to_string(i), (i ? 100 : 300) * mebibyte));
  auto o = bench::offer(1);
  o.memory_bytes = 200 * mebibyte;
  o.labels = {{"gpu", "a10"}};

  CHECK(b.core.why_never(o) == names{"9 nodes: no label gpu=a10"});
}

// ---- Invariants ------------------------------------------------------------------------

namespace {

/// Random nodes, offers and words, beside a plain account of what must hold.
struct traffic {
  std::mt19937_64 random;
  scheduler core{{.passes_max = 5}};
  std::map<std::string, scheduler_node> nodes;
  std::map<worker_key, std::string> workers;
  std::map<worker_key, shard_offer> running;
  std::map<shard_id, shard_offer> waiting;
  worker_key last = 0;

  explicit traffic(std::uint64_t seed) : random(seed) {
    for (const auto* name : {"a", "b", "c"})
      set(name);
    for (int i = 0; i < 6; ++i)
      join();
  }

  std::uint64_t below(std::uint64_t n) { return random() % n; }

  void set(const std::string& name) {
    auto n = node_of(name, static_cast<std::int64_t>(1 + below(4)) * 100);
    n.scratch_bytes = static_cast<std::int64_t>(1 + below(4)) * 100;
    n.cores = static_cast<std::int64_t>(below(4)); // 0: uncounted
    if (below(2))
      n.devices["gpu0"] = static_cast<std::int64_t>(1 + below(2));
    n.fingerprint = below(2) ? "new" : "old";
    n.takes_work = below(5) > 0;
    if (below(2))
      n.labels["gpu"] = "a10";
    if (below(2))
      n.buckets = {"vod"};
    nodes[name] = n;
    core.set_node(n);
  }
  std::string any_node() {
    return std::next(nodes.begin(), static_cast<std::ptrdiff_t>(below(nodes.size())))->first;
  }
  void join() {
    auto name = any_node();
    workers[++last] = name;
    core.add_worker({last, name});
  }
  void leave() {
    if (workers.empty())
      return;
    auto key = workers.begin()->first;
    core.remove_worker(key);
    workers.erase(key);
    running.erase(key);
  }
  void offer() {
    shard_offer o;
    o.id = {{1 + below(5)}, static_cast<std::uint32_t>(below(40))};
    if (std::any_of(running.begin(), running.end(),
                    [&](const auto& r) { return r.second.id == o.id; }))
      return;
    o.workflow = below(3);
    o.cost = static_cast<double>(below(10));
    o.priority = static_cast<std::int32_t>(below(21)) - 10;
    o.since = {now.us - static_cast<std::int64_t>(below(100)) * minute / 3};
    o.memory_bytes = static_cast<std::int64_t>(below(8)) * 60;
    o.scratch_bytes = static_cast<std::int64_t>(below(4)) * 60;
    o.cores = static_cast<std::int64_t>(1 + below(3));
    o.fingerprint = below(4) ? "" : "new";
    if (below(4) == 0)
      o.labels["gpu"] = "a10";
    else if (below(4) == 0)
      o.preferred_labels["gpu"] = "a10";
    if (below(4) == 0) {
      o.device = "gpu0";
      o.sessions = static_cast<std::int64_t>(below(2));
    }
    o.bucket = below(2) ? "" : "vod";
    o.near_node = below(2) ? "" : "b";
    for (const auto* name : {"a", "b", "c"})
      if (below(6) == 0)
        o.avoid_nodes.push_back(name);
    waiting[o.id] = o;
    core.offer(o);
  }
  void finish() {
    if (running.empty())
      return;
    auto r = std::next(running.begin(), static_cast<std::ptrdiff_t>(below(running.size())));
    core.release(r->first);
    running.erase(r);
  }
  void withdraw() {
    if (waiting.empty())
      return;
    CHECK(core.withdraw(waiting.begin()->first));
    waiting.erase(waiting.begin());
  }

  void check_grant(const shard_grant& g) {
    REQUIRE(waiting.contains(g.shard));
    REQUIRE_FALSE(running.contains(g.worker)); // one slot, one shard
    REQUIRE(workers.at(g.worker) == g.node);
    const auto& o = waiting.at(g.shard);
    const auto& n = nodes.at(g.node);
    CHECK(n.takes_work);
    CHECK((o.fingerprint.empty() || o.fingerprint == n.fingerprint));
    CHECK((o.labels.empty() || n.labels == o.labels));
    CHECK((o.device.empty() || n.devices.contains(o.device)));
    auto sum = size_of(o);
    bool alone = true;
    for (const auto& [w, r] : running)
      if (workers.at(w) == g.node) {
        alone = false;
        auto other = size_of(r);
        sum.memory_bytes += other.memory_bytes;
        sum.scratch_bytes += other.scratch_bytes;
        sum.cores += other.cores;
        sum.sessions += o.device.empty() ? 0 : other.sessions;
      }
    auto sessions = o.device.empty() ? 0 : n.devices.at(o.device);
    CHECK((alone || sum.memory_bytes <= n.memory_bytes));
    // What writes nothing goes where others were promised more than there is now.
    CHECK((alone || o.scratch_bytes == 0 || sum.scratch_bytes <= n.scratch_bytes));
    CHECK((alone || n.cores == 0 || sum.cores <= n.cores));
    CHECK((alone || sum.sessions <= sessions));
  }
  void take() {
    for (const auto& g : core.decide(now)) {
      check_grant(g);
      running[g.worker] = waiting.at(g.shard);
      waiting.erase(g.shard);
    }
    REQUIRE(core.ready() == waiting.size());
    REQUIRE(core.busy() == running.size());
    REQUIRE(core.workers() == workers.size());
    check_reasons();
  }
  /// What could begin somewhere and did not stands behind one of like needs.
  void check_reasons() {
    for (const auto& [id, o] : waiting) {
      auto e = core.explain(id, now);
      REQUIRE(e);
      REQUIRE(e->waiting == waiting.size());
      auto could = std::any_of(e->nodes.begin(), e->nodes.end(),
                               [](const auto& n) { return n.why_not.empty(); });
      CHECK(could == (e->why == "others go first"));
      CHECK_FALSE((could && e->position == 1));
    }
  }
  void act() {
    switch (below(16)) {
      case 0: set(any_node()); break;
      case 1: join(); break;
      case 2: leave(); break;
      case 3:
      case 4: withdraw(); break;
      case 5:
      case 6:
      case 7: finish(); break;
      case 8:
      case 9: take(); break;
      default: offer(); break;
    }
  }
};

} // namespace

TEST_CASE("scheduler: random traffic keeps its books") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    INFO("seed ", seed);
    traffic t{seed};
    for (int i = 0; i < 200; ++i)
      t.act();

    // Changes stop, and one node can do all: all that waits is worked.
    auto n = node_of("a", 200);
    n.scratch_bytes = 200;
    n.labels["gpu"] = "a10";
    n.devices["gpu0"] = 1;
    n.cores = 2;
    n.fingerprint = "new";
    t.nodes["a"] = n;
    t.core.set_node(n);
    t.workers[++t.last] = "a";
    t.core.add_worker({t.last, "a"});
    for (int i = 0; i < 1000 && !(t.waiting.empty() && t.running.empty()); ++i) {
      t.take();
      REQUIRE_FALSE(t.running.empty());
      t.finish();
    }
    CHECK(t.waiting.empty());
    CHECK(t.core.busy() == 0);
  }
}

TEST_CASE("scheduler: the same words in the same order make the same decisions") {
  auto story = [](std::uint64_t seed) {
    traffic t{seed};
    for (int i = 0; i < 300; ++i)
      t.act();
    std::vector<std::pair<worker_key, shard_id>> out;
    for (const auto& [w, o] : t.running)
      out.emplace_back(w, o.id);
    return out;
  };
  for (std::uint64_t seed = 1; seed <= 20; ++seed)
    CHECK(story(seed) == story(seed));
}

TEST_CASE("scheduler: workflows get equal shares of many nodes, whatever their needs") {
  bench b{0};
  for (int i = 0; i < 20; ++i)
    b.node(node_of("n" + std::to_string(i), 1000 * mebibyte), 4);
  std::mt19937_64 random{3};
  constexpr std::uint64_t workflows = 10;
  std::uint64_t run = 1;
  std::map<std::uint64_t, double> cost;
  std::map<std::uint64_t, std::uint64_t> workflow_of;
  auto offer_one = [&](std::uint64_t workflow) {
    auto o = bench::offer(run);
    o.workflow = workflow;
    cost[run] = o.cost = 1 + static_cast<double>(random() % 5);
    workflow_of[run++] = workflow;
    o.memory_bytes = static_cast<std::int64_t>(random() % 250) * mebibyte;
    b.core.offer(o);
  };
  for (std::uint64_t w = 0; w < workflows; ++w)
    for (int i = 0; i < 50; ++i)
      offer_one(w);

  std::map<std::uint64_t, double> used;
  for (int round = 0; round < 200; ++round)
    for (const auto& g : b.core.decide(now)) {
      auto w = workflow_of.at(g.shard.run.value);
      used[w] += cost.at(g.shard.run.value);
      offer_one(w); // all have always something that waits
      b.core.release(g.worker);
    }

  auto less = [](const auto& a, const auto& b) { return a.second < b.second; };
  auto [least, most] = std::minmax_element(used.begin(), used.end(), less);
  CHECK(used.size() == workflows);
  CHECK(most->second - least->second <= 2 * 5);
}

namespace {

/// Queues looked at per decision, with one slot that becomes idle at a time.
double looked_per_decision(std::uint64_t shards) {
  bench b{0};
  for (int i = 0; i < 100; ++i) {
    auto n = node_of("n" + std::to_string(i), 64 * 1024 * mebibyte);
    if (i < 10)
      n.labels["gpu"] = "a10";
    b.node(n, 4);
  }
  std::mt19937_64 random{5};
  for (std::uint64_t run = 1; run <= shards; ++run) {
    auto o = bench::offer(run);
    o.workflow = run % 100;
    o.cost = 1 + static_cast<double>(random() % 9);
    o.priority = static_cast<std::int32_t>(run % 3);
    o.memory_bytes = static_cast<std::int64_t>(random() % 16) * 512 * mebibyte;
    if (run % 10 == 0)
      o.labels["gpu"] = "a10";
    b.core.offer(o);
  }
  std::vector<worker_key> busy;
  for (const auto& g : b.core.decide(now))
    busy.push_back(g.worker);
  auto before = b.core.looked();
  constexpr int decisions = 500;
  for (int i = 0; i < decisions; ++i) {
    std::swap(busy[random() % busy.size()], busy.back());
    b.core.release(busy.back());
    busy.pop_back();
    for (const auto& g : b.core.decide(now))
      busy.push_back(g.worker);
  }
  return static_cast<double>(b.core.looked() - before) / decisions;
}

} // namespace

TEST_CASE("scheduler: a decision looks at as few queues over 30,000 offers as over 3,000") {
  auto few = looked_per_decision(3'000), many = looked_per_decision(30'000);
  MESSAGE("queues looked at per decision: ", few, " of 3,000 offers, ", many, " of 30,000");
  CHECK(many < 1.5 * few);
  CHECK(many < 30); // there are 20 kinds of needs
}
