#pragma once

#include "core/run.hpp"

#include <map>
#include <utility>

namespace framemill {

/// Which attempt of a run: shard and epoch.
using attempt_key = std::pair<std::uint32_t, std::uint32_t>;

/// The last watermark of an attempt.
struct attempt_mark {
  watermark mark;
  timestamp moved; ///< when it was first like this
};
using attempt_marks = std::map<attempt_key, attempt_mark>;

/// How far a live run is: the weighted sum over its shards, with the plan's
/// costs as weights. Pure; owned by the WORKFLOW actor. Monotone, and 1 only
/// when the run has succeeded. Speed and ETA are unknown (0) until a watermark
/// has moved.
class progress_meter {
public:
  /// A watermark of a live attempt of a shard; of two, the further one counts.
  void moved(timestamp now, std::uint32_t shard, const watermark& w, std::uint32_t epoch = 0);
  /// The attempt ended; its partial work no longer counts (but what was shown
  /// stays: progress never goes back).
  void ended(std::uint32_t shard, std::uint32_t epoch = 0);

  /// How far the attempt is, 0..1; 0 also when it has not spoken yet.
  [[nodiscard]] double fraction(const run_record& run, const shard_record& shard,
                                std::uint32_t epoch) const;
  [[nodiscard]] run_progress measure(timestamp now, const run_record& run,
                                     const std::vector<job_record>& jobs,
                                     const std::vector<shard_record>& shards);

  /// Of the attempts that have spoken and not ended.
  [[nodiscard]] const attempt_marks& marks() const { return live_; }

private:
  [[nodiscard]] const watermark* furthest(const shard_record& shard) const;

  attempt_marks live_;
  timestamp first_move_;
  double shown_ = 0;
  std::vector<double> jobs_shown_;
};

/// How far a shard's attempt is, 0 to 1, by its last watermark: in frames when the
/// plan says how many, else in time of the source; 0 when neither is known.
[[nodiscard]] double fraction_at(const watermark& mark, const run_record& run,
                                 const shard_record& shard);

/// Video frames and pictures that a request will make; 0 = not known before.
[[nodiscard]] std::int64_t planned_frames(const media_request& request);

} // namespace framemill
