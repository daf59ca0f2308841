#pragma once

#include "core/id.hpp"
#include "core/time.hpp"

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
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
/// not fit the memory left is passed by (back-fill), but not for ever: after
/// `passes_max` grants it goes before all that come after it.
///
/// All that wait age alike, so that ageing changes nobody's place: an offer's
/// place is found once, when it comes. Offers with the same needs stand in one
/// line; when its first cannot go, none of it can. A decision looks at the
/// first of each line only.
class scheduler {
public:
  struct options {
    std::int64_t memory_bytes = 0;           ///< to reserve from; 0 = unlimited
    microseconds ageing_step{60'000'000};
    int passes_max = 100;
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
  struct needs {
    std::uint64_t workflow = 0;
    std::int64_t memory_bytes = 0;
    std::string avoid_node;
    auto operator<=>(const needs&) const = default;
  };
  struct place {
    std::int64_t band = 0; ///< ageing steps; a point of priority is worth one
    bool after_serial = false;
    std::int64_t since_us = 0;
    shard_id id;
    auto operator<=>(const place&) const = default;
  };
  struct line {
    std::set<place> places; ///< never empty
    int passes = 0;         ///< grants that went past its first for lack of memory
  };
  struct share {
    double used = 0; ///< CPU seconds
    std::size_t waiting = 0;
  };
  using lines = std::map<needs, line>;
  using rank = std::tuple<std::int64_t, bool, double, std::int64_t, shard_id>;

  [[nodiscard]] static needs needs_of(const shard_offer& o);
  [[nodiscard]] place place_of(const shard_offer& o) const;
  [[nodiscard]] rank rank_of(const lines::value_type& l) const;
  [[nodiscard]] bool fits(std::int64_t memory_bytes) const;
  [[nodiscard]] std::optional<worker_key> pick_worker(const std::string& avoid_node) const;
  [[nodiscard]] std::optional<shard_grant> next_grant();
  void reserve(const shard_grant& g);
  void join_in(share& s);

  options options_;
  std::map<worker_key, worker_slot> workers_;
  std::set<worker_key> idle_;
  std::map<worker_key, reservation> busy_;
  std::map<shard_id, shard_offer> offers_;
  lines lines_; ///< of the offers
  std::map<std::uint64_t, share> shares_; ///< by workflow
  double level_ = 0; ///< `used` of the workflow granted last, before that grant
  std::int64_t memory_reserved_ = 0;
};

} // namespace framemill
