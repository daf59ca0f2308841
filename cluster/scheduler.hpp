#pragma once

#include "core/id.hpp"
#include "core/time.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

namespace framemill {

/// A shard that waits for a slot.
struct shard_offer {
  shard_id id;
  std::uint64_t workflow = 0;    ///< fair share is per workflow
  std::int32_t priority = 0;     ///< −10..10
  timestamp since;               ///< of the run: older ones go first
  bool first = false;            ///< serial work (audio, probe): before its siblings
  double cost = 1;               ///< predicted CPU seconds
  std::int64_t memory_bytes = 0;
  std::string avoid_node;        ///< failed there; taken only if no other is there
};

using worker_key = std::uint64_t;

struct worker_slot {
  worker_key key = 0;
  std::string node;
};

/// A decision: this shard goes to that worker.
struct shard_grant {
  shard_id shard;
  worker_key worker = 0;
  std::string node;
};

/// Who works on what next. Pure and deterministic; owned by the SCHEDULER
/// actor. Highest effective priority first (a point more for every
/// `ageing_step` waited, so that nothing starves), then the workflow that has
/// had least CPU so far (fair share), then the oldest run. A shard that does
/// not fit the memory left is passed by (back-fill).
class scheduler {
public:
  struct options {
    std::int64_t memory_bytes = 0;           ///< to reserve from; 0 = unlimited
    microseconds ageing_step{60'000'000};
  };
  explicit scheduler(options o) : options_(o) {}

  void add_worker(worker_slot w);
  void remove_worker(worker_key w);
  void offer(shard_offer o);
  /// Forgets an offer that was not granted. False: it is granted or unknown.
  bool withdraw(shard_id id);
  void withdraw_run(run_id run);
  /// The worker is idle again.
  void release(worker_key w);

  /// As many grants as workers and memory allow; each worker is reserved until
  /// `release`.
  [[nodiscard]] std::vector<shard_grant> decide(timestamp now);

  [[nodiscard]] std::size_t ready() const { return offers_.size(); }
  [[nodiscard]] std::size_t busy() const { return busy_.size(); }
  [[nodiscard]] std::size_t workers() const { return workers_.size(); }
  /// Why the shard waits, in one sentence; "" when it is not waiting.
  [[nodiscard]] std::string why_waiting(shard_id id) const;

private:
  struct reservation {
    shard_id shard;
    std::int64_t memory_bytes = 0;
  };
  using rank = std::tuple<std::int64_t, bool, double, std::int64_t, shard_id>;
  [[nodiscard]] rank rank_of(const shard_offer& o, timestamp now) const;
  [[nodiscard]] bool fits(const shard_offer& o) const;
  [[nodiscard]] std::optional<worker_key> pick_worker(const shard_offer& o) const;

  options options_;
  std::map<worker_key, worker_slot> workers_;
  std::set<worker_key> idle_;
  std::map<worker_key, reservation> busy_;
  std::unordered_map<shard_id, shard_offer> offers_;
  std::unordered_map<std::uint64_t, double> used_; ///< CPU seconds by workflow
  std::int64_t memory_reserved_ = 0;
};

} // namespace framemill
