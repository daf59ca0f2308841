#pragma once

#include "cluster/protocol.hpp"
#include "cluster/scheduler.hpp"
#include "core/run.hpp"

#include <vector>

namespace framemill {

// What a shard asks of a slot, and what the slot is told to do. Pure; the
// WORKFLOW sends both.

[[nodiscard]] shard_offer offer_of(const run_record& run, const shard_record& shard);

/// The same for a slot that is at it already, since its last lease.
[[nodiscard]] reservation reservation_of(const run_record& run, const shard_record& shard);

/// Shard `index` under `epoch`; the slot is whose turn it is to fill in. What it
/// reads in `in/` are the files of the shards it needs, then its assets.
[[nodiscard]] assign_attempt order_of(const run_record& run,
                                      const std::vector<shard_record>& shards,
                                      std::uint32_t index, std::uint32_t epoch);

} // namespace framemill
