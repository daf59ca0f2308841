#pragma once

#include "cluster/progress_meter.hpp"
#include "core/run.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace framemill {

/// What its node last told of an attempt.
struct told_attempt {
  bool held = false;  ///< by its newest word
  bool ended = false; ///< there; the outcome is kept until it is noted
  timestamp when;     ///< when it last told of it
};

/// What is known of a run's attempts beside the books.
struct attempt_sights {
  std::string own_node; ///< the coordinator's: what is at work there needs no word
  attempt_marks marks;
  std::map<std::string, std::map<attempt_key, told_attempt>> told; ///< by node that is here
};

enum class attempt_standing : std::uint8_t {
  at_work, ///< its node says so
  unheard, ///< its node has not told of it yet
  untold,  ///< its node told of it, and does so no more
  ended,   ///< on its node; the outcome is not in the books yet
  away,    ///< its node is not here
  failed,
  done,
};

/// One try of a shard, and how it fares.
struct attempt_view {
  std::uint32_t epoch = 0;
  std::string node;
  bool hedge = false; ///< begun while an older one was still at it
  attempt_standing standing = attempt_standing::at_work;
  timestamp started;
  timestamp told;  ///< when its node last told of it; 0 = never, or it is the coordinator
  timestamp moved; ///< when its watermark last changed; 0 = not yet
  double seconds = 0; ///< since it began, until now or its end
  double still_seconds = 0; ///< of one at work: since its watermark, or it itself, began
  std::int64_t frames = 0;
  std::int64_t frames_planned = 0;  ///< 0 = not known before
  double fraction = 0;              ///< 0..1 of the shard
  double frames_per_second = 0;     ///< 0 = not known, or none are made
  double speed = 0;                 ///< source seconds per second, where no frames are planned
  double pace = 0;                  ///< 1 = as fast as the median of its stage; 0 = not known
  std::optional<error> failure;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Epoch", s.epoch);
    v("Node", s.node);
    v("Hedge", s.hedge);
    v("Standing", s.standing);
    v("Started", s.started);
    v("Told", s.told);
    v("Moved", s.moved);
    v("Seconds", s.seconds);
    v("StillSeconds", s.still_seconds);
    v("Frames", s.frames);
    v("FramesPlanned", s.frames_planned);
    v("Fraction", s.fraction);
    v("FramesPerSecond", s.frames_per_second);
    v("Speed", s.speed);
    v("Pace", s.pace);
    v("Failure", s.failure);
  }
};

/// A shard's attempts, measured by its stage: the shards of the same role for the
/// same jobs. Of those, the finished ones count with what they took, and those at
/// work with how far they are. Pure.
struct shard_pace {
  std::vector<attempt_view> attempts;
  std::int64_t others = 0;   ///< shards of its stage that show a pace
  double usual_seconds = 0;  ///< that it would take at their median pace; 0 = not known
};
[[nodiscard]] shard_pace pace_of(timestamp now, const run_record& run,
                                 const std::vector<shard_record>& shards,
                                 const shard_record& shard, const attempt_sights& sights);

/// "attempt 2 is at work on w1: 0.3 times as fast as the median of 5 others". It
/// says no more than is known: what its node does not tell of is not at work.
[[nodiscard]] std::string sentence(timestamp now, const attempt_view& attempt,
                                   const shard_pace& of);

} // namespace framemill

FM_ENUM_NAMES(framemill::attempt_standing, "at-work", "not-heard-of", "not-told-of", "ended",
              "node-away", "failed", "done")
