// The scheduler core alone: many nodes, a queue that stays full, one slot that
// becomes idle at a time. Prints a line of JSON per size of the queue.
#include "cluster/scheduler.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <random>
#include <vector>

using namespace framemill;

namespace {

using steady = std::chrono::steady_clock;
constexpr std::int64_t gibibyte = 1 << 30;
constexpr timestamp start{1'000'000'000'000};

struct load {
  std::uint64_t nodes = 1000;
  std::uint64_t slots = 8;       ///< of a node
  std::uint64_t workflows = 1000;
  std::vector<std::uint64_t> shards{1000, 10'000, 100'000, 1'000'000};
  std::uint64_t decisions = 200'000;
};

/// Of three kinds, as clusters grow: sizes, a label, two encoder versions.
scheduler_node node_of(std::uint64_t i) {
  scheduler_node n;
  n.name = fmt::format("node-{:04}", i);
  n.memory_bytes = static_cast<std::int64_t>(16 << (i % 3)) * gibibyte;
  n.scratch_bytes = 500 * gibibyte;
  n.fingerprint = i % 10 ? "x264-164" : "x264-163";
  n.buckets = {fmt::format("bucket-{}", i % 4)};
  if (i % 5 == 0)
    n.labels["gpu"] = "a10";
  return n;
}

/// Every shard has sizes of its own; most may go anywhere, some must have the
/// label or the encoder, some have failed somewhere.
shard_offer offer_of(std::uint64_t i, const load& l, std::mt19937_64& random) {
  auto below = [&](std::uint64_t n) { return random() % n; };
  shard_offer o;
  o.id = {{1 + i / 100}, static_cast<std::uint32_t>(i % 100)};
  o.workflow = o.id.run.value % l.workflows;
  o.weight = 1 + static_cast<double>(o.workflow % 3);
  o.priority = static_cast<std::int32_t>(o.workflow % 5) - 2;
  o.since = start + std::chrono::milliseconds{i};
  o.first = i % 100 == 0;
  o.cost = 1 + static_cast<double>(below(100));
  // A workflow's shards are alike, more or less.
  o.memory_bytes = (1 + static_cast<std::int64_t>(o.workflow % 8)) * gibibyte / 2
                   + static_cast<std::int64_t>(below(gibibyte / 8));
  o.scratch_bytes = static_cast<std::int64_t>(below(8) * gibibyte);
  o.bucket = fmt::format("bucket-{}", o.workflow % 4);
  if (o.workflow % 10 == 1)
    o.labels["gpu"] = "a10";
  if (o.workflow % 10 == 2)
    o.fingerprint = "x264-164";
  if (below(100) == 0)
    o.avoid_nodes = {fmt::format("node-{:04}", below(l.nodes))};
  return o;
}

double seconds_since(steady::time_point t) {
  return std::chrono::duration<double>(steady::now() - t).count();
}

std::size_t heap_bytes() {
  auto m = mallinfo2();
  return m.uordblks + m.hblkhd;
}

/// A cluster whose slots all work, and a queue that is kept at one length.
class cluster {
public:
  explicit cluster(const load& l) : load_(l) {
    for (std::uint64_t i = 0; i < l.nodes; ++i)
      core_.set_node(node_of(i));
    for (worker_key w = 0; w < l.nodes * l.slots; ++w)
      core_.add_worker({w, fmt::format("node-{:04}", w % l.nodes)});
    while (core_.idle_workers() > 0 && core_.ready() < 500) {
      offer();
      decide();
    }
  }

  [[nodiscard]] const scheduler& core() const { return core_; }
  void offer() { core_.offer(offer_of(next_++, load_, random_)); }
  void fill(std::uint64_t shards) {
    while (core_.ready() < shards)
      offer();
  }
  /// One worker, whichever, is idle again. Returns how many grants that gave.
  std::size_t release_one() {
    std::swap(busy_[random_() % busy_.size()], busy_.back());
    core_.release(busy_.back());
    busy_.pop_back();
    return decide();
  }
  [[nodiscard]] shard_id newest() const {
    return {{1 + (next_ - 1) / 100}, static_cast<std::uint32_t>((next_ - 1) % 100)};
  }

private:
  std::size_t decide() {
    auto grants = core_.decide(start);
    for (const auto& g : grants)
      busy_.push_back(g.worker);
    return grants.size();
  }

  const load& load_;
  scheduler core_{{}};
  std::mt19937_64 random_{1};
  std::uint64_t next_ = 0;
  std::vector<worker_key> busy_;
};

struct filling {
  double offers_per_second = 0, bytes_per_shard = 0;
};

filling fill(cluster& c, std::uint64_t shards) {
  auto heap = heap_bytes(), ready = c.core().ready();
  auto t = steady::now();
  c.fill(shards);
  auto offered = static_cast<double>(c.core().ready() - ready);
  return {offered / seconds_since(t),
          static_cast<double>(heap_bytes() - heap) / std::max(offered, 1.0)};
}

double explain_ms(const cluster& c) {
  auto t = steady::now();
  auto e = c.core().explain(c.newest(), start);
  return e ? 1e3 * seconds_since(t) : 0;
}

void measure(const load& l, std::uint64_t shards) {
  cluster c{l};
  auto filled = fill(c, shards);
  auto looked = c.core().looked();
  std::vector<double> micros;
  double seconds = 0, decided = 0;
  while (decided < static_cast<double>(l.decisions)) {
    auto t = steady::now();
    decided += static_cast<double>(c.release_one());
    seconds += seconds_since(t);
    micros.push_back(1e6 * seconds_since(t));
    c.fill(shards); // as many wait as before
  }
  std::sort(micros.begin(), micros.end());
  fmt::print("{{\"nodes\":{},\"slots\":{},\"shards\":{},\"decisions_per_second\":{:.0f},"
             "\"slots_busy\":{:.3f},\"p50_us\":{:.2f},\"p99_us\":{:.2f},"
             "\"looked_per_decision\":{:.1f},\"offers_per_second\":{:.0f},"
             "\"bytes_per_shard\":{:.0f},\"explain_ms\":{:.2f}}}\n",
             l.nodes, l.nodes * l.slots, c.core().ready(), decided / seconds,
             static_cast<double>(c.core().busy()) / static_cast<double>(c.core().workers()),
             micros[micros.size() / 2], micros[micros.size() * 99 / 100],
             static_cast<double>(c.core().looked() - looked) / decided,
             filled.offers_per_second, filled.bytes_per_shard, explain_ms(c));
  std::fflush(stdout);
}

} // namespace

int main(int argc, char** argv) {
  CLI::App app{"scheduler_core - decisions of the scheduler over queues of several sizes"};
  load l;
  app.add_option("--nodes", l.nodes, "how many")->check(CLI::PositiveNumber);
  app.add_option("--slots", l.slots, "of each node")->check(CLI::PositiveNumber);
  app.add_option("--workflows", l.workflows, "how many")->check(CLI::PositiveNumber);
  app.add_option("--shards", l.shards, "that wait, for each measurement");
  app.add_option("--decisions", l.decisions, "for each measurement")
      ->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  for (auto shards : l.shards)
    measure(l, shards);
}
