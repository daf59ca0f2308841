#pragma once

#include "core/media_message.hpp"
#include "core/object.hpp"
#include "core/workflow.hpp"

#include <optional>
#include <string>
#include <vector>

namespace framemill {

//  RUN       waiting ─→ probing ─→ processing ─→ succeeded | failed
//  JOB       waiting ─→ processing ─→ publishing ─→ succeeded | failed
//  SHARD     blocked ─→ ready ─→ leased ─→ done | failed
//                         ↑        │ attempt failed, budget left
//                         └────────┘
//  any live state ─→ cancelled

enum class run_state : std::uint8_t { waiting, probing, processing, succeeded, failed, cancelled };
enum class job_state : std::uint8_t { waiting, processing, publishing, succeeded, failed, cancelled };
enum class shard_state : std::uint8_t { blocked, ready, leased, done, failed, cancelled };

/// The one transition table. False: the change is not allowed, and asking for
/// it is a bug.
[[nodiscard]] bool may_become(run_state from, run_state to) noexcept;
[[nodiscard]] bool may_become(job_state from, job_state to) noexcept;
[[nodiscard]] bool may_become(shard_state from, shard_state to) noexcept;
[[nodiscard]] bool is_terminal(run_state s) noexcept;
[[nodiscard]] bool is_terminal(job_state s) noexcept;
[[nodiscard]] bool is_terminal(shard_state s) noexcept;

/// A file under its final name in a bucket.
struct published_file {
  object_ref object;
  std::string role;  ///< media, manifest, segment, picture, sheet, vtt
  std::int64_t size = 0;
  std::string md5;
  std::optional<media_info> media;
  std::int32_t width = 0, height = 0;
  double time = 0;   ///< seconds: of a snapshot
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Object", s.object);
    v("Role", s.role);
    v("Size", s.size);
    v("Md5", s.md5);
    v("Media", s.media);
    v("Width", s.width);
    v("Height", s.height);
    v("Time", s.time);
  }
  bool operator==(const published_file&) const = default;
};

/// One try of a shard, kept for ever with the run: what field-note C18 asks.
struct attempt_record {
  std::uint32_t epoch = 0;
  std::string node;
  timestamp started;
  timestamp finished;     ///< 0 = it may still be at it
  std::optional<error> failure;
  std::string exit;       ///< "exit 0", "signal 9 (Killed)"
  std::vector<std::string> log; ///< last lines of the child's stderr
  std::optional<watermark> last_watermark;
  double cpu_seconds = 0;
  std::int64_t peak_rss_bytes = 0;
  std::string fingerprint; ///< of the node's libav* and encoders
  bool hedge = false;      ///< begun while an older attempt was still at it
  std::string cpu;         ///< features of the node's CPU, as it told in the end
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Epoch", s.epoch);
    v("Node", s.node);
    v("Started", s.started);
    v("Finished", s.finished);
    v("Failure", s.failure);
    v("Exit", s.exit);
    v("Log", s.log);
    v("LastWatermark", s.last_watermark);
    v("CpuSeconds", s.cpu_seconds);
    v("PeakRssBytes", s.peak_rss_bytes);
    v("Fingerprint", s.fingerprint);
    v("Hedge", s.hedge);
    v("Cpu", s.cpu);
  }
  bool operator==(const attempt_record&) const = default;
};

/// An artifact handed to a shard under a name in `in/`, beside what it `needs`.
struct handed_file {
  std::string name;
  std::string sha256;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Name", s.name);
    v("Sha256", s.sha256);
  }
  bool operator==(const handed_file&) const = default;
};

/// An object that a run reads beside its first, with what the probe found.
struct run_source {
  object_ref object;
  std::optional<media_info> media;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Object", s.object);
    v("Media", s.media);
  }
  bool operator==(const run_source&) const = default;
};

enum class shard_role : std::uint8_t { probe, decode, audio, join, whole };

/// A unit of leased work: family `shards`, key = run/index. The first of a run are its
/// probes, one for each object.
struct shard_record {
  shard_id id;
  shard_role role = shard_role::probe;
  shard_state state = shard_state::blocked;
  std::uint32_t epoch = 0;   ///< of the newest lease; grows by one each time
  std::vector<std::uint32_t> needs; ///< shards whose files this one reads in `in/`
  std::vector<std::uint32_t> jobs;  ///< jobs that want this shard's results
  std::vector<handed_file> assets;  ///< watermark images
  media_request request;
  double cost = 1;           ///< predicted CPU seconds
  std::int64_t memory_bytes = 0;
  std::vector<attempt_record> attempts;
  std::vector<result_file> files;   ///< when done; sha256 names the artifact
  std::vector<std::string> warnings;
  std::uint32_t made_by = 0; ///< epoch of the attempt that made `files`; 0 = not known
  std::int32_t cores = 1;    ///< that its child keeps busy
  std::int64_t scratch_bytes = 0; ///< predicted
  std::uint32_t source = 0;  ///< which of the run's objects it reads (run_record::object_of)
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Id", s.id);
    v("Role", s.role);
    v("State", s.state);
    v("Epoch", s.epoch);
    v("Needs", s.needs);
    v("Jobs", s.jobs);
    v("Assets", s.assets);
    v("Request", s.request);
    v("Cost", s.cost);
    v("MemoryBytes", s.memory_bytes);
    v("Attempts", s.attempts);
    v("Files", s.files);
    v("Warnings", s.warnings);
    v("MadeBy", s.made_by);
    v("Cores", s.cores);
    v("ScratchBytes", s.scratch_bytes);
    v("Source", s.source);
  }
  bool operator==(const shard_record&) const = default;
};

/// How a result file becomes a published object.
struct publish_item {
  std::string file;  ///< name in the shard's results; trailing '*' = each, in order
  std::uint32_t shard = 0;
  std::string bucket;
  std::string key;   ///< may hold `{number}` when `file` ends in '*'
  std::string role;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("File", s.file);
    v("Shard", s.shard);
    v("Bucket", s.bucket);
    v("Key", s.key);
    v("Role", s.role);
  }
  bool operator==(const publish_item&) const = default;
};

/// One activity of one run: family `jobs`, key = run/index.
struct job_record {
  run_id run;
  std::uint32_t index = 0;  ///< of the activity
  job_state state = job_state::waiting;
  std::vector<publish_item> items; ///< in publishing order; manifests last
  number_format numbers;
  std::vector<published_file> outputs;
  std::optional<error> failure;
  std::vector<std::string> warnings;
  timestamp started;
  timestamp finished;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Run", s.run);
    v("Index", s.index);
    v("State", s.state);
    v("Items", s.items);
    v("Numbers", s.numbers);
    v("Outputs", s.outputs);
    v("Failure", s.failure);
    v("Warnings", s.warnings);
    v("Started", s.started);
    v("Finished", s.finished);
  }
  bool operator==(const job_record&) const = default;
};

enum class run_cause : std::uint8_t { trigger, call, retry };

/// One execution of one workflow revision for one object: family `runs`.
struct run_record {
  run_id id;
  run_cause cause = run_cause::trigger;
  workflow_id workflow;       ///< 0 for a call without a workflow
  std::uint32_t revision = 0;
  workflow_spec spec;         ///< the definition as it was
  object_ref object;
  run_state state = run_state::waiting;
  std::int32_t priority = 0;
  timestamp created;
  timestamp started;
  timestamp finished;
  std::optional<media_info> media;
  std::optional<error> failure;   ///< when the whole run could not go on
  std::vector<std::string> warnings;
  std::vector<std::uint64_t> lineage; ///< workflows that led here (object_origin)
  bool cancel_requested = false;
  std::uint32_t shard_count = 0;
  std::uint32_t plan_revision = 0; ///< +1 when the run is planned anew
  std::string session_id;
  std::string session_context;
  std::string fingerprint; ///< of all nodes that encode for it; "" = none has yet
  std::vector<run_source> more_sources; ///< of an edit: its second file, third, …

  [[nodiscard]] std::uint32_t source_count() const {
    return static_cast<std::uint32_t>(more_sources.size() + 1);
  }
  [[nodiscard]] const object_ref& object_of(std::uint32_t source) const {
    return source == 0 ? object : more_sources[source - 1].object;
  }
  [[nodiscard]] std::optional<media_info>& media_of(std::uint32_t source) {
    return source == 0 ? media : more_sources[source - 1].media;
  }
  [[nodiscard]] const std::optional<media_info>& media_of(std::uint32_t source) const {
    return source == 0 ? media : more_sources[source - 1].media;
  }
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Id", s.id);
    v("Cause", s.cause);
    v("Workflow", s.workflow);
    v("Revision", s.revision);
    v("Spec", s.spec);
    v("Object", s.object);
    v("State", s.state);
    v("Priority", s.priority);
    v("Created", s.created);
    v("Started", s.started);
    v("Finished", s.finished);
    v("Media", s.media);
    v("Failure", s.failure);
    v("Warnings", s.warnings);
    v("Lineage", s.lineage);
    v("CancelRequested", s.cancel_requested);
    v("ShardCount", s.shard_count);
    v("PlanRevision", s.plan_revision);
    v("SessionId", s.session_id);
    v("SessionContext", s.session_context);
    v("Fingerprint", s.fingerprint);
    v("MoreSources", s.more_sources);
  }
  bool operator==(const run_record&) const = default;
};

/// Unique in the store: (object generation, workflow, revision). A run made by
/// a call or a retry has no such key.
[[nodiscard]] std::string run_key(const object_ref& object, workflow_id workflow,
                                  std::uint32_t revision);

/// MPS's TaskId of a run, `<appid>-WorkflowTask-<32 hex>tt0`, and back (also
/// from the plain number that the CLI shows).
[[nodiscard]] std::string to_task_id(run_id id, task_kind kind = task_kind::workflow);
[[nodiscard]] std::string task_id_of(const run_record& run);
[[nodiscard]] result<run_id> run_of_task_id(std::string_view text);

/// What is known of a live run between commits. Fractions 0..1, monotone; 1
/// only after publishing.
struct run_progress {
  run_id run;
  run_state state = run_state::waiting;
  std::string phase;        ///< waiting, probing, encoding, joining, publishing, …
  double fraction = 0;
  std::int64_t frames_encoded = 0;
  std::int64_t frames_planned = 0; ///< 0 = unknown
  double speed = 0;         ///< source seconds per second; 0 = unknown
  double eta_low = 0, eta_high = 0; ///< seconds; 0 = unknown
  std::vector<double> jobs; ///< fraction of each job
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Run", s.run);
    v("State", s.state);
    v("Phase", s.phase);
    v("Fraction", s.fraction);
    v("FramesEncoded", s.frames_encoded);
    v("FramesPlanned", s.frames_planned);
    v("Speed", s.speed);
    v("EtaLow", s.eta_low);
    v("EtaHigh", s.eta_high);
    v("Jobs", s.jobs);
  }
  bool operator==(const run_progress&) const = default;
};

/// A durable fact: family `events`, key = sequence. Written in the batch of the
/// transition it tells of.
struct event_record {
  event_id id;
  timestamp time;
  std::string type;    ///< run.created, run.state, job.state, shard.done,
                       ///< shard.failed, output.published, object.settled,
                       ///< node.joined, node.lost, service.placed, …
  run_id run;
  std::string bucket;
  std::string key;
  std::optional<std::uint32_t> job;
  std::string state;   ///< the new one
  std::string message;
  std::string node;    ///< of node.* and service.* events
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Id", s.id);
    v("Time", s.time);
    v("Type", s.type);
    v("Run", s.run);
    v("Bucket", s.bucket);
    v("Key", s.key);
    v("Job", s.job);
    v("State", s.state);
    v("Message", s.message);
    v("Node", s.node);
  }
  bool operator==(const event_record&) const = default;
};

} // namespace framemill

FM_ENUM_NAMES(framemill::run_state, "waiting", "probing", "processing", "succeeded", "failed",
              "cancelled")
FM_ENUM_NAMES(framemill::job_state, "waiting", "processing", "publishing", "succeeded", "failed",
              "cancelled")
FM_ENUM_NAMES(framemill::shard_state, "blocked", "ready", "leased", "done", "failed", "cancelled")
FM_ENUM_NAMES(framemill::shard_role, "probe", "decode", "audio", "join", "whole")
FM_ENUM_NAMES(framemill::run_cause, "trigger", "call", "retry")
