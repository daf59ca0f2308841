#pragma once

#include "core/run.hpp"

#include <string>
#include <vector>

namespace framemill {

/// A stretch of the chain that decided how long a run took.
struct critical_step {
  std::string what; ///< "waited for a slot", "shard 3 (decode)", "publishing job 0"
  std::string node; ///< where, or ""
  timestamp begin, end;
  double seconds = 0;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("What", s.what);
    v("Node", s.node);
    v("Begin", s.begin);
    v("End", s.end);
    v("Seconds", s.seconds);
  }
  bool operator==(const critical_step&) const = default;
};

/// Of a run that has ended: the chain of waits, attempts and publications, each
/// begun when the one before ended, from its creation to its end. They follow on
/// each other without a gap, so that their seconds add up to the run's. Empty
/// while the run lives. Pure.
///
/// Walked backwards: what ended last before this could begin? The job that ended
/// last; of what it publishes, the shard done last; before an attempt, the inputs
/// done last or the attempt that failed before it.
[[nodiscard]] std::vector<critical_step> critical_path(const run_record& run,
                                                       const std::vector<job_record>& jobs,
                                                       const std::vector<shard_record>& shards);

} // namespace framemill
