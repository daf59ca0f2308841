#pragma once

#include "actors/interfaces.hpp"
#include "actors/services.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/event_based_actor.hpp>

#include <chrono>
#include <future>
#include <string>
#include <vector>

// Runs of shards that do nothing: what the control plane is measured with
// (noop_shards.cpp in one process, noop_cluster.cpp over the network).

namespace framemill::bench {

/// What is put through.
struct load {
  std::uint64_t runs = 2000;
  std::uint32_t shards = 1; ///< of a run
  bool join = false;        ///< one more that needs all others
  std::uint64_t window = 1; ///< runs at once
  int slots = 1;            ///< in all
};
[[nodiscard]] std::uint64_t shards_in_all(const load& l);

/// What the shards' requests call their source.
inline constexpr const char* nothing = "in/nothing.mp4";

struct outcome {
  double seconds = 0;
  std::vector<double> latencies_ms; ///< of a run, submitted to complete
};

/// COORDINATOR and PUBLISHER in one. Submits runs, `window` at once, until all
/// have ended. A run begins with its plan, in one batch. It is complete when
/// the event of its last shard is told, which is when that is durable: the peer's
/// `completed`. Publishing (nothing) and closing it, which the peer has not,
/// go on beside the next; the clock stops when all are closed.
struct driver_state {
  std::uint64_t submitted = 0, finished = 0;
  std::vector<std::chrono::steady_clock::time_point> since; ///< by run id
  std::vector<std::uint32_t> open_shards;                   ///< by run id
  std::shared_ptr<void> following;
  outcome result;
};
[[nodiscard]] caf::behavior driver(caf::stateful_actor<driver_state>* self, node_services* services,
                                   load l, caf::actor scheduler, caf::actor membership,
                                   std::promise<outcome>* done);

[[nodiscard]] double percentile(std::vector<double> v, double p);
/// One JSON object.
[[nodiscard]] std::string report(const std::string& subject, const load& l, double cpu_seconds,
                                 std::size_t fsyncs, const outcome& r);

} // namespace framemill::bench
