#pragma once

#include "core/change.hpp"
#include "storage/state_store.hpp"
#include "tests/sim/world.hpp"

#include <map>
#include <set>

namespace framemill::sim {

/// An attempt as it really was, whatever anybody says of it.
struct real_attempt {
  shard_id shard;
  std::uint32_t epoch = 0;
  std::string node, boot, fingerprint;
  std::vector<result_file> files; ///< once it has succeeded
  std::optional<errc> failure;
};

/// How a node fares, seen from outside of it.
struct real_node {
  std::string boot;
  bool is_leaving = false;
  timestamp trouble; ///< when there last was a reason to break its leases
  timestamp heard;   ///< when MEMBERSHIP last welcomed it
};

/// What the books hold of a run.
struct real_run {
  run_record run;
  std::map<std::uint32_t, job_record> jobs;
  std::map<std::uint32_t, shard_record> shards;
  int endings = 0; ///< events that tell of its end
};

/// THE CHECKERS: sees what became durable and what really happened on nodes and
/// in buckets, and objects (world::violate) when they do not go together. Takes
/// nobody's word, and no part in anything.
class truth {
public:
  explicit truth(world& w) : world_(w) {}

  // ---- the store
  void became_durable(const write_batch& batch);
  [[nodiscard]] const std::map<run_id, real_run>& runs() const { return runs_; }
  [[nodiscard]] const real_run* find(run_id run) const;
  [[nodiscard]] const shard_record* find(shard_id shard) const;
  [[nodiscard]] const attempt_record* find(shard_id shard, std::uint32_t epoch) const;
  [[nodiscard]] const node_record* find_node(const std::string& name) const;

  // ---- nodes
  [[nodiscard]] std::int64_t attempt_started(real_attempt a);
  void attempt_succeeded(std::int64_t serial, std::vector<result_file> files);
  void attempt_failed(std::int64_t serial, errc code);
  /// Where it failed in a way that may be the input's fault.
  [[nodiscard]] std::set<std::string> nodes_with_strikes(run_id run) const;
  real_node& node(const std::string& name) { return nodes_[name]; }

  // ---- the coordinator
  /// It, or its clock, stood still, or its store refused something: nobody is
  /// judged by time for a while.
  void coordinator_disturbed(microseconds lasts = {});
  void assigned(const std::string& node, shard_id shard, std::uint32_t epoch);
  /// It was said that the node shall take work again; durable or not.
  void woken(const std::string& node);
  void granted(const std::string& node);
  void noted(shard_id shard, std::uint32_t epoch);
  void published(run_id run, std::uint32_t job, const std::string& key);
  /// A node is told to host the watcher of the inputs' bucket.
  void host_told(const std::string& node, std::uint64_t epoch) const;
  /// What it found is going to be booked.
  void heard_from(const std::string& node, std::uint64_t epoch);
  /// How often output `key` got a new content.
  [[nodiscard]] int publications(const std::string& key) const;

  struct counts {
    std::uint64_t attempts = 0, refused = 0, hedged = 0, broken = 0, adopted = 0,
                  quarantined = 0, rebuilt = 0, retried = 0, moved = 0, found_elsewhere = 0;
  };
  counts seen;

private:
  void run_written(run_record r);
  void job_written(job_record j);
  void shard_written(shard_record s);
  void node_written(node_record n);
  void service_written(service_record s);
  void told(const event_record& e);
  void check_attempts(const real_run& r, const shard_record& s) const;
  void check_ended(const real_run& r, const shard_record* before, const shard_record& s,
                   const attempt_record& a);
  void check_result(const real_run& r, const shard_record* before, const shard_record& s) const;
  void check_cause(const shard_record& s, const attempt_record& a) const;
  void check_outputs(const real_run& r) const;
  [[nodiscard]] bool is_known_to_be_idle(const std::string& node) const;

  world& world_;
  std::map<run_id, real_run> runs_;
  std::map<run_id, run_state> told_;
  std::map<std::string, node_record> books_of_nodes_;
  service_record watcher_; ///< where the books have it
  std::map<std::string, timestamp> idle_since_; ///< nodes that shall take no work
  std::map<std::string, real_node> nodes_;
  std::vector<real_attempt> attempts_; ///< by serial − 1
  std::map<std::pair<shard_id, std::uint32_t>, std::int64_t> started_;
  std::map<std::pair<shard_id, std::uint32_t>, timestamp> leased_;
  std::map<std::string, int> publications_;
  timestamp calm_since_;
};

} // namespace framemill::sim
