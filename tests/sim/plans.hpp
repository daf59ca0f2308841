#pragma once

#include "core/run.hpp"
#include "tests/sim/machines.hpp"

namespace framemill::sim {

/// What the planner makes of an input; the same each time it is asked.
struct sim_plan {
  std::vector<shard_record> shards; ///< numbered from 1; 0 is the probe
  std::vector<job_record> jobs;
};
[[nodiscard]] sim_plan plan_of(const object_ref& object, const input_nature& nature,
                               bool trusts_index);

} // namespace framemill::sim
