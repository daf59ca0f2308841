#pragma once

#include "actors/services.hpp"
#include "media/plan/plan.hpp"

namespace framemill {

/// Gathers what the pure planner needs (packet index, watermark images) and
/// plans. `index_sha256` names the index artifact; "" = the source has no video.
[[nodiscard]] result<physical_plan> plan_for(node_services& services, const run_record& run,
                                             const std::string& index_sha256, bool trust_index);

} // namespace framemill
