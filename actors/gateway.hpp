#pragma once

#include "actors/cluster_view.hpp"
#include "core/notify.hpp"
#include "core/function_request.hpp"
#include "core/run.hpp"
#include "media/plan/plan.hpp"
#include "storage/bucket.hpp"
#include "storage/state_store.hpp"

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace framemill {

class queue_service; // actors/queue_service.hpp

/// A manual start: an object, and a workflow or a graph of its own.
struct run_request {
  std::string bucket;
  std::string key;
  workflow_id workflow;        ///< of a workflow or a scheme; 0: use `spec`
  workflow_spec spec;          ///< activities, output place, notify, priority
  workflow_change change;      ///< of `workflow`, for this run alone
  std::string session_id;      ///< a repeat within 3 days: errc::conflict
  std::string session_context;
};

/// Could a node watch the bucket?
struct bucket_host {
  std::string node;
  std::string why_not; ///< "" = it could, or does
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Node", s.node);
    v("WhyNot", s.why_not);
  }
};

struct bucket_status {
  std::string name;
  std::string location;        ///< on the coordinator; "" = it has no such bucket
  std::string watch_mode;      ///< "inotify", or "scan: why"
  bool available = true;
  std::string problem;         ///< why not available
  std::uint64_t settling = 0;  ///< objects
  timestamp last_scan;
  std::string wish;            ///< where it shall be watched: coordinator, any, a node
  std::string watched_by;      ///< the node where it is; "" = nowhere
  std::string watched_at;      ///< its directory there
  std::string reason;          ///< why there
  timestamp since;
  std::uint64_t epoch = 0;     ///< of the placement
  std::vector<bucket_host> nodes;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Name", s.name);
    v("Location", s.location);
    v("WatchMode", s.watch_mode);
    v("Available", s.available);
    v("Problem", s.problem);
    v("Settling", s.settling);
    v("LastScan", s.last_scan);
    v("Watch", s.wish);
    v("WatchedBy", s.watched_by);
    v("WatchedAt", s.watched_at);
    v("Reason", s.reason);
    v("Since", s.since);
    v("Epoch", s.epoch);
    v("Nodes", s.nodes);
  }
};

/// The balance of the ingest ledger under a prefix. It balances when `missing`
/// and `duplicated` are empty.
struct audit_report {
  std::string bucket;
  std::string prefix;
  std::uint64_t seen = 0, settling = 0, settled = 0, ignored = 0, vanished = 0, made_by_us = 0;
  std::uint64_t runs_live = 0, runs_succeeded = 0, runs_failed = 0, runs_cancelled = 0;
  std::map<std::string, std::uint64_t> ignored_by_reason;
  std::vector<std::string> missing;    ///< in the bucket or due a run, and not in the books
  std::vector<std::string> duplicated; ///< more than one run of one run key
  std::vector<std::string> failed;     ///< keys whose newest run failed
  bool balanced = true;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Bucket", s.bucket);
    v("Prefix", s.prefix);
    v("Seen", s.seen);
    v("Settling", s.settling);
    v("Settled", s.settled);
    v("Ignored", s.ignored);
    v("Vanished", s.vanished);
    v("MadeByUs", s.made_by_us);
    v("RunsLive", s.runs_live);
    v("RunsSucceeded", s.runs_succeeded);
    v("RunsFailed", s.runs_failed);
    v("RunsCancelled", s.runs_cancelled);
    v("IgnoredByReason", s.ignored_by_reason);
    v("Missing", s.missing);
    v("Duplicated", s.duplicated);
    v("Failed", s.failed);
    v("Balanced", s.balanced);
  }
};

struct node_status {
  std::string name;
  std::string version;
  std::int64_t cores = 0;
  std::int64_t memory_bytes = 0;
  std::int64_t scratch_bytes_free = 0;
  std::int64_t slots = 0;
  std::int64_t slots_busy = 0;
  std::int64_t shards_ready = 0;
  std::int64_t runs_live = 0;
  std::int64_t runs_queued = 0;
  std::string fingerprint;     ///< libav*, encoders
  std::string sandbox;         ///< "bubblewrap + seccomp", or what is missing and why
  std::vector<std::string> warnings;
  timestamp started;
  std::string cpu;             ///< features that codecs and filters use
  std::map<std::string, std::int64_t> device_sessions;
  std::int64_t scratch_floor_bytes = 0; ///< that stay free
  std::vector<hosted_service> services; ///< placed here
  std::vector<std::string> encoders;    ///< that outputs can be made with
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Name", s.name);
    v("Version", s.version);
    v("Cores", s.cores);
    v("MemoryBytes", s.memory_bytes);
    v("ScratchBytesFree", s.scratch_bytes_free);
    v("Slots", s.slots);
    v("SlotsBusy", s.slots_busy);
    v("ShardsReady", s.shards_ready);
    v("RunsLive", s.runs_live);
    v("RunsQueued", s.runs_queued);
    v("Fingerprint", s.fingerprint);
    v("Sandbox", s.sandbox);
    v("Warnings", s.warnings);
    v("Started", s.started);
    v("Cpu", s.cpu);
    v("DeviceSessions", s.device_sessions);
    v("ScratchFloorBytes", s.scratch_floor_bytes);
    v("Services", s.services);
    v("Encoders", s.encoders);
  }
};

/// Counters and gauges for /metrics: name → value, with HELP texts beside.
struct metric {
  std::string name;            ///< framemill_runs_finished_total
  std::string help;
  bool counter = false;        ///< else a gauge
  std::map<std::string, std::string> labels;
  double value = 0;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Name", s.name);
    v("Help", s.help);
    v("Counter", s.counter);
    v("Labels", s.labels);
    v("Value", s.value);
  }
};

/// A live event feed: durable events from a sequence on, then as they are
/// committed, with transient progress in between. Dropping it ends it.
class event_feed {
public:
  virtual ~event_feed() = default;
};

/// The system as the API sees it: what can be asked of the COORDINATOR, free
/// of actors. Thread-safe. Replies run on an actor's thread and must not
/// block; a mutation is durable when its reply comes. Questions that a child
/// answers (probe, explain) fail with errc::timed_out after
/// limits::answer_time_max; the others have no deadline of their own.
class gateway {
public:
  template <class T>
  using reply = std::function<void(result<T>)>;

  virtual ~gateway() = default;

  // Definitions. Errors: invalid_argument with field, not_found, already_exists
  // (a workflow's name), in_use (enabled; preset).
  virtual void create_workflow(workflow_spec spec, reply<workflow_id> done) = 0;
  virtual void reset_workflow(workflow_id id, workflow_spec spec, reply<void> done) = 0;
  virtual void modify_workflow(definition_ref which, workflow_change change,
                               reply<void> done) = 0;
  virtual void set_enabled(definition_ref which, bool enabled, reply<void> done) = 0;
  virtual void delete_workflow(definition_ref which, reply<void> done) = 0;
  /// Definition 0 creates; answers the Definition.
  virtual void put_template(template_record record, reply<std::uint64_t> done) = 0;
  virtual void delete_template(template_family f, std::uint64_t definition, reply<void> done) = 0;
  /// A copy of the template catalogue, presets included.
  [[nodiscard]] virtual std::shared_ptr<const template_source> templates() const = 0;

  // Runs.
  virtual void submit(run_request request, reply<run_id> done) = 0;
  virtual void cancel(run_id id, reply<void> done) = 0;
  /// A new run of the same object and the same definition.
  virtual void retry(run_id id, reply<run_id> done) = 0;
  virtual void progress(run_id id, reply<run_progress> done) = 0;

  /// Where the node keeps a shard's last failed attempt for `framemill-media
  /// --reproduce DIR`; "" when none is kept.
  [[nodiscard]] virtual std::string reproduce_directory(shard_id) const { return {}; }

  // Media questions, answered by a child process.
  virtual void probe(std::string bucket, std::string key, reply<media_info> done) = 0;
  /// Probes the object and plans the request without running it.
  virtual void explain(run_request request, reply<physical_plan> done) = 0;

  // The house.
  virtual void buckets(reply<std::vector<bucket_status>> done) = 0;
  virtual void audit(std::string bucket, std::string prefix, reply<audit_report> done) = 0;
  virtual void node(reply<node_status> done) = 0;
  virtual void metrics(reply<std::vector<metric>> done) = 0;

  // The cluster. A node without one answers errc::unsupported; not_found names
  // the node or the run.
  /// By name; removed ones are left out.
  virtual void nodes(reply<std::vector<node_view>> done) { done(no_cluster()); }
  virtual void cluster(reply<cluster_status> done) { done(no_cluster()); }
  /// `drain_deadline` goes with `draining` only: what still runs then is stopped.
  /// `removed` is not a mode to set: see remove_node.
  virtual void set_node_mode(std::string, node_mode, std::string /*reason*/,
                             std::optional<timestamp> /*drain_deadline*/, reply<void> done) {
    done(no_cluster());
  }
  virtual void label_node(std::string, std::map<std::string, std::string> /*set*/,
                          std::vector<std::string> /*removed*/, reply<void> done) {
    done(no_cluster());
  }
  /// Its key is refused from now on.
  virtual void remove_node(std::string, reply<void> done) { done(no_cluster()); }
  virtual void make_join_token(std::int32_t /*uses*/, std::chrono::seconds /*ttl*/,
                               reply<join_offer> done) {
    done(no_cluster());
  }
  /// A word to one node (`node_order` of cluster/protocol.hpp): "self-test",
  /// "fault list", "fault arm", "fault disarm". Answers what the node says.
  virtual void order_node(std::string, std::string /*what*/,
                          std::vector<std::string> /*arguments*/, reply<std::string> done) {
    done(no_cluster());
  }

  /// Why a run waits, is slow or failed, from the predicates that decided.
  virtual void explain_run(run_id, reply<run_explanation> done) { done(no_cluster()); }
  /// Starts a run whose input is quarantined anew; answers the new run. Errors:
  /// conflict when it is not quarantined.
  virtual void release_run(run_id, reply<run_id> done) { done(no_cluster()); }
  /// The join certificate of one job, as JSON text. not_found: the job has none.
  virtual void certificate(run_id, std::uint32_t /*job*/, reply<std::string> done) {
    done(no_cluster());
  }
  /// A consistent copy of the durable state into `directory` of the
  /// coordinator's machine, which must be absent or empty.
  virtual void backup(std::string /*directory*/, reply<void> done) { done(no_cluster()); }

  /// The embedded queue; null on a node that has none.
  [[nodiscard]] virtual queue_service* queues() { return nullptr; }
  // Notifications.
  virtual void sinks(reply<std::vector<sink_status>> done) { done(no_outbox()); }
  /// Dead letters are tried anew, for a whole window; answers how many. Those of
  /// one sink when it is named, and of one event of it when that is; not_found:
  /// that one is not dead.
  virtual void redrive(std::string /*sink*/, event_id, reply<std::uint64_t> done) {
    done(no_outbox());
  }
  /// Tells a sink again of every event from `from` on whose run names it; answers
  /// how many. What is pending stays as it is. not_found: that is no sink.
  virtual void replay(event_id /*from*/, std::string /*sink*/, reply<std::uint64_t> done) {
    done(no_outbox());
  }
  /// A new key signs; the one before it does so too, older ones no more.
  virtual void rotate_signing_key(reply<signing_key_record> done) { done(no_outbox()); }
  // Functions of users; what is known of them is in the store. Errors name the
  // field; unsupported: this machine cannot run them, and why.
  /// `from_template` "" = the edit brings its code.
  virtual void create_function(std::string /*name*/, std::string /*from_template*/,
                               function_edit, reply<void> done) {
    done(no_functions());
  }
  virtual void update_function(std::string /*name*/, function_edit, reply<void> done) {
    done(no_functions());
  }
  virtual void delete_function(std::string /*name*/, reply<void> done) { done(no_functions()); }
  virtual void bind_function(std::string /*event_type*/, std::string /*name*/, reply<void> done) {
    done(no_functions());
  }
  virtual void unbind_function(std::string /*event_type*/, reply<void> done) {
    done(no_functions());
  }
  virtual void set_trigger_enabled(std::string /*event_type*/, bool, reply<void> done) {
    done(no_functions());
  }
  /// A call that failed is a reply, too.
  virtual void invoke_function(function_invocation, reply<invocation_result> done) {
    done(no_functions());
  }
  virtual void functions(reply<function_status> done) { done(no_functions()); }

  /// Durable records, for reading only.
  [[nodiscard]] virtual const state_store& store() const = 0;

  /// `on_event` and `on_progress` run on an actor's thread, in order.
  struct feed_options {
    event_id after;            ///< events with a greater id; 0 = all
    run_id run;                ///< only this run's; 0 = all
    std::function<void(const event_record&)> on_event;
    std::function<void(const run_progress&)> on_progress;
  };
  [[nodiscard]] virtual std::unique_ptr<event_feed> follow(feed_options options) = 0;

protected:
  [[nodiscard]] static failure no_cluster() {
    return fail(errc::unsupported, "this node is alone: start it with --cluster-listen HOST:PORT, "
                                   "where workers can reach it");
  }
  [[nodiscard]] static failure no_outbox() {
    return fail(errc::unavailable, "there is no OUTBOX just now; try again");
  }
  [[nodiscard]] static failure no_functions() {
    return fail(errc::unsupported, "this node runs no functions");
  }
};

} // namespace framemill
