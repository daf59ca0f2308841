#pragma once

#include "actors/cluster_view.hpp"
#include "actors/membership_actor.hpp"
#include "cluster/scheduler.hpp"

#include <vector>

// Why a run waits, is slow or failed: put together of what the books, the nodes and
// the queue say. Reads, decides nothing, changes nothing.

namespace framemill {

/// All that the books say of one run.
struct run_books {
  run_record run;
  std::vector<job_record> jobs;
  std::vector<shard_record> shards;
};

/// What the nodes that are here told last of the run's attempts.
[[nodiscard]] std::map<std::string, std::map<attempt_key, told_attempt>>
told_of(const membership_state& m, run_id run);

/// All but what the queue knows.
[[nodiscard]] run_explanation explain_books(const run_books& books, const attempt_sights& sights,
                                            timestamp now);

/// Of shards that wait for a slot, also for a second attempt: where they stand, and
/// what each node says.
void add_queue(run_explanation& to, const scheduler& queue, timestamp now);

} // namespace framemill
