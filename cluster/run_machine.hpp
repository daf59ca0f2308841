#pragma once

#include "cluster/retry_policy.hpp"
#include "core/change.hpp"

#include <functional>
#include <set>
#include <string>
#include <variant>
#include <vector>

namespace framemill {

// What a RUN wants done once a transition is durable.
/// Wants a slot. `hedge`: a second one, beside the attempt that is at it.
struct offer_shard {
  std::uint32_t shard;
  std::chrono::milliseconds delay{0};
  bool hedge = false;
};
/// Send that attempt to its worker, if it is still wanted (`is_live`).
struct start_shard { std::uint32_t shard; std::uint64_t worker; std::uint32_t epoch; };
struct decline_worker { std::uint64_t worker; };  ///< not needed after all
/// Kill the child, free the worker.
struct stop_shard { std::uint32_t shard; std::uint32_t epoch; };
struct withdraw_shard { std::uint32_t shard; };   ///< take back the offer
/// The attempt was given to another machine by a former life of ours and may be
/// going on there: find it; answer with its outcome or `lease_broken`.
struct await_lease { std::uint32_t shard; std::uint32_t epoch; };
struct plan_run { bool trust_index; };            ///< answer with `planned` or `plan_failed`
struct publish_job { std::uint32_t job; };        ///< answer with `published` or `publish_failed`
struct finish_run {};                             ///< nothing is left: clean up and stop
using run_action = std::variant<offer_shard, start_shard, decline_worker, stop_shard,
                                withdraw_shard, plan_run, publish_job, finish_run,
                                await_lease>;

/// The outcome of one attempt, as its TASK WORKER saw it.
struct attempt_outcome {
  std::uint32_t epoch = 0;
  std::optional<error> failure;
  std::string exit;
  std::vector<std::string> log;
  std::optional<watermark> last_watermark;
  media_result result; ///< meaningful without a failure
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Epoch", s.epoch);
    v("Failure", s.failure);
    v("Exit", s.exit);
    v("Log", s.log);
    v("LastWatermark", s.last_watermark);
    v("Result", s.result);
  }
  bool operator==(const attempt_outcome&) const = default;
};

/// Looks at an object: the first shard of every run, and what a question about
/// an object asks the child.
[[nodiscard]] media_request probe_request(const object_ref& object);

/// Does its output depend on the encoder's build? Such shards of one run are
/// only given to nodes of one fingerprint.
[[nodiscard]] bool encodes(shard_role role) noexcept;

/// Where not to try this shard next while another node is eligible: where it
/// failed in a way that another node may not, and where it is being worked on.
[[nodiscard]] std::vector<std::string> nodes_to_avoid(const shard_record& shard);

/// What a shard made is gone, or not what it was: it is made again, not waited for.
[[nodiscard]] bool is_lost_result(errc code) noexcept;

/// The life of one run: every decision about it is made here, and nothing else
/// is. Pure; owned by the run's WORKFLOW actor. Each event returns what to
/// write and what to do *after* that is durable; the state is already ahead, so
/// transitions may be pipelined into an ordered log.
///
///   start ─→ probe shards ─→ plan_run ─→ decode/audio shards ─→ join shards
///              │ failed                    │ failed             │
///              ↓                           ↓                    ↓
///         run failed               its jobs fail        publish_job ─→ job done
///
/// A job is published as soon as its own shards are done; the run ends when
/// every job has ended.
///
/// A leased shard has one live attempt, or two when it is hedged. The first
/// verified success wins; an outcome of any other epoch is refused.
class run_machine {
public:
  struct step {
    changes record;
    std::vector<run_action> actions;
  };

  using artifact_question = std::function<bool(std::string_view sha256)>;
  using attempt_question = std::function<bool(const attempt_record&)>;

  /// From the store. `jobs` and `shards` are empty for a run not yet started.
  run_machine(run_record run, std::vector<job_record> jobs, std::vector<shard_record> shards,
              retry_policy policy = {});

  /// Begins a waiting run, or goes on with a live one: finished shards whose
  /// artifacts `has_artifact` are kept; of the leases of a former life those
  /// that `may_live_on` are awaited, the others are over. Empty: none lives on.
  [[nodiscard]] step start(timestamp now, const artifact_question& has_artifact,
                           const attempt_question& may_live_on = {});
  [[nodiscard]] step planned(timestamp now, std::vector<shard_record> shards,
                             std::vector<job_record> jobs, std::vector<std::string> warnings);
  [[nodiscard]] step plan_failed(timestamp now, error e);
  /// A worker is reserved for the shard: leases it under the next epoch. The
  /// first that encodes fixes the run's fingerprint; one of another declines.
  [[nodiscard]] step granted(timestamp now, std::uint32_t shard, std::uint64_t worker,
                             std::string node, std::string fingerprint = {});
  [[nodiscard]] step attempt_finished(timestamp now, std::uint32_t shard,
                                      attempt_outcome outcome);
  /// The worker died with its lease; nothing more is known.
  [[nodiscard]] step lease_broken(timestamp now, std::uint32_t shard, std::uint32_t epoch,
                                  error e);
  /// Wants a second attempt beside the one that is at it; once per shard.
  [[nodiscard]] step hedge(timestamp now, std::uint32_t shard);
  /// No node of the run's fingerprint will come back: what was encoded for
  /// unfinished jobs is made anew under another, and so is what that reads and
  /// was let go. While a job is being published nothing is done: tell it again.
  [[nodiscard]] step fingerprint_lost(timestamp now, const artifact_question& has_artifact);
  /// The input brings down whatever works on it: the run fails, its error names
  /// the nodes and holds `report`. A retry of the run is another run, and free.
  [[nodiscard]] step quarantine(timestamp now, std::uint32_t shard, std::string report);
  [[nodiscard]] step published(timestamp now, std::uint32_t job,
                               std::vector<published_file> files);
  [[nodiscard]] step publish_failed(timestamp now, std::uint32_t job, error e);
  /// Stops everything. `why` goes into the run's failure.
  [[nodiscard]] step cancel(timestamp now, std::string why);
  /// The run cannot go on for a reason outside of its work.
  [[nodiscard]] step fail_all(timestamp now, error e);

  [[nodiscard]] const run_record& run() const { return run_; }
  [[nodiscard]] const std::vector<job_record>& jobs() const { return jobs_; }
  [[nodiscard]] const std::vector<shard_record>& shards() const { return shards_; }
  [[nodiscard]] bool finished() const { return is_terminal(run_.state); }
  /// Is that attempt wanted and not known to have ended?
  [[nodiscard]] bool is_live(std::uint32_t shard, std::uint32_t epoch) const;

private:
  class writer; ///< collects what a step changed, each record once

  void set(writer& w, run_state to, timestamp now);
  void set(writer& w, job_record& job, job_state to, timestamp now);
  void set(writer& w, shard_record& shard, shard_state to);
  void fail_shard(writer& w, shard_record& shard, const error& e, timestamp now);
  void fail_job(writer& w, job_record& job, error e, timestamp now);
  void redo_shards(writer& w, job_record& job, const error& e, timestamp now);
  void redo_needs(writer& w, const shard_record& reader, const error& e, timestamp now);
  void redo(writer& w, shard_record& shard, const error& e, timestamp now);
  void settle(writer& w, timestamp now); ///< consequences: unblock, publish, end
  void drop_unwanted(writer& w);
  void retry_or_fail(writer& w, shard_record& shard, const error& e, timestamp now);
  void replan(writer& w, const error& e, timestamp now);
  void break_leases(writer& w, const attempt_question& may_live_on);
  void await_leases(writer& w);
  void redo_lost(writer& w, const artifact_question& has_artifact);
  void lease(writer& w, shard_record& shard, attempt_record attempt, std::uint64_t worker,
             timestamp now);
  void attempt_failed(writer& w, shard_record& shard, const error& e, timestamp now);
  void attempt_succeeded(writer& w, shard_record& shard, attempt_outcome outcome);
  void note_late(writer& w, std::uint32_t index, const attempt_outcome& outcome);
  void compare(writer& w, const shard_record& shard, const attempt_record& maker,
               const attempt_record& attempt, const std::vector<result_file>& files);
  void stop_attempts(writer& w, shard_record& shard, std::string why);
  void make_anew(writer& w, shard_record& shard);
  void pass_on_warnings(writer& w, const shard_record& shard);
  void offer(writer& w, const shard_record& shard, std::chrono::milliseconds delay = {});
  void offer_readers(writer& w, std::uint32_t index);
  void drop(writer& w, shard_record& shard);
  void unpublish(writer& w, job_record& job, timestamp now);
  void await_plan(writer& w, job_record& job, timestamp now);
  void end_all(writer& w, run_state to, error e, timestamp now);
  void end(writer& w, run_state to, timestamp now);
  [[nodiscard]] bool is_probed() const; ///< all that the run reads
  [[nodiscard]] bool needs_done(const shard_record& shard) const;
  [[nodiscard]] bool shards_of_job_done(const job_record& job) const;
  [[nodiscard]] bool is_wanted(const shard_record& shard) const;
  [[nodiscard]] std::set<std::uint32_t> parts_of_live_jobs() const;
  [[nodiscard]] bool wants_worker(std::uint32_t index) const;
  [[nodiscard]] bool is_other_build(const shard_record& shard,
                                    const std::string& fingerprint) const;

  run_record run_;
  std::vector<job_record> jobs_;
  std::vector<shard_record> shards_;
  retry_policy policy_;
  std::set<std::uint32_t> hedge_offers_; ///< shards offered a second time
};

} // namespace framemill
