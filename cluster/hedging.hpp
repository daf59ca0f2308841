#pragma once

#include "cluster/progress_meter.hpp"
#include "core/run.hpp"

#include <optional>

namespace framemill {

/// When a slow shard is worth a second attempt. Siblings are the shards of the
/// same role for the same jobs: of equal work but for their cost.
struct hedging_policy {
  double slowdown_min = 2;   ///< as many times what a sibling takes must be left
  double left_seconds_min = 3; ///< less is not worth the trouble
};

/// The leased shard of this run that has the longest still to go, if a second
/// attempt on an idle node would likely be there first. None while a shard waits
/// for a slot, before a sibling has finished, and never twice for one shard.
/// Pure; the WORKFLOW asks it about once a second and tells `run_machine::hedge`.
[[nodiscard]] std::optional<std::uint32_t>
straggler(timestamp now, const run_record& run, const std::vector<shard_record>& shards,
          const progress_meter& meter, hedging_policy policy = {});

/// Of the same work on the same source; what probes of several take is no measure.
[[nodiscard]] bool are_siblings(const shard_record& a, const shard_record& b);

/// The attempt that made what is there of the shard; null when nobody knows.
[[nodiscard]] const attempt_record* maker_of(const shard_record& shard);

} // namespace framemill
