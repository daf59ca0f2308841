#pragma once

#include "media/plan/cut.hpp"

namespace framemill {

/// What is encoded of the source, [begin, end) in ticks.
struct source_span {
  std::int64_t begin = INT64_MAX;
  std::int64_t end = INT64_MIN;
};

/// Where to cut, ascending: of several rows of pieces — some that get shorter toward
/// the end, some in waves of equal ones — the one whose shards may be expected to end
/// soonest when the slots take them in order, and none's work is known exactly. Each
/// boundary is a key frame of the outputs, soon after an access point of the source
/// where there is one near. Work is predicted by time and by the source's bytes: in
/// units of the source's seconds, and never to decide right or wrong.
[[nodiscard]] std::vector<std::int64_t> boundaries(const source_span& s,
                                                   const shared_work& work,
                                                   const source_facts& source,
                                                   const plan_options& options);

/// Source seconds that are decoded only to get from access points to boundaries.
[[nodiscard]] double wasted_seconds(const std::vector<std::int64_t>& ticks,
                                    const packet_index& index);

} // namespace framemill
