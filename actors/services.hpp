#pragma once

#include "actors/child_host.hpp"
#include "actors/fail_points.hpp"
#include "actors/journal.hpp"
#include "actors/notices.hpp"
#include "actors/progress_board.hpp"
#include "actors/queue_service.hpp"
#include "cluster/catalog.hpp"
#include "media/plan/plan.hpp"
#include "notify/queue_driver.hpp"
#include "notify/sink.hpp"
#include "storage/artifact_store.hpp"

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

namespace framemill {

/// What a node does. An all-in-one node has all roles.
struct node_roles {
  bool coordinator = true; ///< owns the state; with it come gateway and watchers
  bool gateway = true;     ///< answers the API
  bool worker = true;      ///< has slots
};

/// A node's place in a cluster.
struct cluster_config {
  std::string listen;           ///< coordinator: HOST:PORT of the control plane; "" = alone
  std::uint16_t enrolment_port = 0; ///< 0 = listen's + 1 (any, when that is 0)
  std::uint16_t data_port = 0;  ///< 0 = listen's + 2 (any, when that is 0)
  std::string join;             ///< worker: HOST:PORT of the enrolment desk, at first
  std::string token;            ///< worker: at first
  std::map<std::string, std::string> via; ///< for fault drills: control, data → HOST:PORT
};

/// How events leave the node.
struct event_config {
  std::vector<std::string> egress_allow; ///< networks, see notify/egress.hpp
  std::vector<std::string> egress_deny;
  std::chrono::seconds retry_window{limits::delivery_window};
  std::string ca_file; ///< whom TLS trusts; "" = the system's authorities
  std::string sqs_endpoint; ///< for AWS-SQS; "" = Amazon's, by the region
  std::string notifiers = "coordinator"; ///< or any, or a node: who tells HTTP sinks
  /// Where those for queues and topics go: `embedded`, or the address of a broker
  /// (notify/broker_address.hpp), which may hold a password.
  std::string queue = "embedded";
  std::string queue_credentials_file; ///< USER:PASSWORD for it, or a token
  bool queue_create = true;           ///< what the broker lacks

  [[nodiscard]] bool has_broker() const { return queue != "embedded"; }
};

/// How functions are run, and how long their calls are remembered.
struct function_config {
  std::string directory;        ///< bootstrap and templates, absolute
  int processes = 16;           ///< at once, of all functions
  std::chrono::hours log_age{7 * 24};
  std::uint64_t log_count = 1000; ///< calls of each function
};

/// What an operator decides about a node; `framemilld` reads it from TOML and
/// the command line (docs/operations.md).
struct node_config {
  std::string name;                  ///< default: the host's name
  std::string data_dir = "framemill-data";
  std::string media_program;         ///< framemill-media, absolute
  std::map<std::string, std::string> buckets; ///< name → directory
  std::map<std::string, std::string> watch; ///< bucket → coordinator, any, or a node
  int slots = 0;                     ///< 0 = one per core
  int cores = 0;                     ///< for children together; 0 = the machine's, or
                                     ///< one per slot if those are more
  std::int64_t memory_bytes = 0;     ///< for children together; 0 = 3/4 of the machine's
  std::optional<std::int64_t> scratch_floor_bytes; ///< that stay free; default: 2 % of
                                                   ///< the disk, at most 1 GiB
  std::map<std::string, std::int64_t> devices; ///< and how many may use each at once
  std::chrono::milliseconds scan_interval{10000};
  std::chrono::milliseconds settle_quiet{2000}; ///< without a close hint
  std::chrono::milliseconds stall_limit{60000}; ///< a watermark must move within
  bool allow_faults = false;         ///< fail points may be armed
  plan_options planning;             ///< coordinator; what an operator may not set is
                                     ///< set with each plan
  node_roles roles;
  cluster_config cluster;
  event_config events;
  function_config functions;
};
[[nodiscard]] result<void> validate(const node_config& c);

/// Artifacts that a live run needs; the rest may go. Thread-safe.
class artifact_pins {
public:
  /// False: the run had pinned it before.
  bool pin(run_id run, std::string sha256);
  /// Forgets a run; returns the hashes that nobody needs any more.
  [[nodiscard]] std::vector<std::string> release(run_id run);
  [[nodiscard]] bool is_pinned(std::string_view sha256) const;

private:
  mutable std::mutex mutex_;
  std::map<run_id, std::set<std::string>> by_run_;
  std::map<std::string, int, std::less<>> counts_;
};

/// The latest template catalogue, shared by everybody who plans. Thread-safe.
class template_board {
public:
  void set(std::shared_ptr<const template_source> t);
  [[nodiscard]] std::shared_ptr<const template_source> current() const;

private:
  mutable std::mutex mutex_;
  std::shared_ptr<const template_source> current_;
};

/// Encoder builds of the nodes that are here. Thread-safe.
class fingerprint_board {
public:
  void set(std::set<std::string, std::less<>> here);
  /// False as well while no node is here at all.
  [[nodiscard]] bool lacks(std::string_view fingerprint) const;

private:
  mutable std::mutex mutex_;
  std::set<std::string, std::less<>> here_;
};

/// The file system below the scratch directory, in bytes; −1 = it does not say.
struct disk_space {
  std::int64_t total = -1;
  std::int64_t free = -1;
  std::int64_t floor = 0; ///< that stay free
};
/// Buckets that other nodes have mounted and this one does not know: by name,
/// with the nodes. Thread-safe.
class foreign_bucket_board {
public:
  using bucket_nodes = std::map<std::string, std::set<std::string>>;
  void set(bucket_nodes b);
  /// "" = no node has it.
  [[nodiscard]] std::string sentence_of(const std::string& bucket) const;

private:
  mutable std::mutex mutex_;
  bucket_nodes buckets_;
};
/// That such a bucket cannot be used, and what to do.
[[nodiscard]] std::string foreign_bucket_sentence(const std::string& bucket,
                                                  const std::set<std::string>& nodes);

/// Monotone counts for /metrics. Thread-safe.
struct node_counters {
  std::atomic<std::uint64_t> runs_created{0}, runs_succeeded{0}, runs_failed{0},
      runs_cancelled{0}, attempts{0}, attempts_failed{0}, frames_encoded{0}, outputs_published{0},
      bytes_published{0}, objects_settled{0}, function_calls{0}, function_calls_failed{0};
};

/// The node's wall clock; wrong while `clock.now` is armed.
class node_clock final : public clock {
public:
  [[nodiscard]] timestamp now() const override {
    return system_clock{}.now() + fail_clock("clock.now");
  }
};

/// What all actors of a node share; outlives them. Everything in it is
/// thread-safe or immutable after start.
/// A worker node has no store and no journal.
struct node_services {
  node_config config;
  std::unique_ptr<state_store> store;
  std::unique_ptr<framemill::journal> journal;
  std::unique_ptr<artifact_store> artifacts;
  std::map<std::string, std::unique_ptr<bucket>> buckets;
  std::map<std::string, std::string> sentinels; ///< of the buckets
  foreign_bucket_board foreign_buckets;
  std::unique_ptr<framemill::child_host> children;
  std::unique_ptr<queue_service> queues;      ///< the embedded ones
  std::unique_ptr<framemill::queue_driver> queue_driver; ///< where events for queues go
  artifact_pins pins;
  template_board templates;
  progress_board progress;
  node_counters counters;
  fingerprint_board builds;
  framemill::notices notices; ///< of a worker the sinks, and keys as it heard of them last
  std::atomic<int> slots_here{0}; ///< of all nodes that are here; SCHEDULER's word
  std::atomic<int> cores_here{0}; ///< of the widest of them
  /// After a coordinator's start: some that it knows are not back yet. MEMBERSHIP's word.
  std::atomic<bool> nodes_may_return{false};
  node_clock clock;     ///< for what is recorded and told
  steady_clock uptime;  ///< for how long something lasts
  std::string scratch_root;
  std::string failed_root; ///< kept requests of failed attempts
  timestamp started;

  /// Keeps the artifact, which need not be here yet, until the run ends. Any thread.
  /// errc::cancelled: it has ended.
  [[nodiscard]] result<void> want_artifact(run_id run, const std::string& sha256);
  /// The run has ended: removes the artifacts that nobody else needs. What
  /// cannot be removed is collected at the next start.
  void release_artifacts(run_id run);
  [[nodiscard]] disk_space scratch_space() const;
  /// What this machine has and can do, but for what it costs time to find out
  /// (the self-test, proofs of mounts).
  [[nodiscard]] node_facts facts() const;
  /// What a node has mounted that is what we mean by these names, as the sentinels
  /// tell.
  [[nodiscard]] std::vector<std::string> proven_buckets(const node_facts& of) const;
  /// errc::not_found naming the bucket; unsupported when only other nodes have it.
  [[nodiscard]] result<bucket*> find_bucket(const std::string& name) const;
};

/// The directory of one attempt below the scratch root or that of the failed.
[[nodiscard]] std::string attempt_directory(const std::string& root, shard_id shard,
                                            std::uint32_t epoch);

} // namespace framemill
