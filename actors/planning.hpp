#pragma once

#include "actors/services.hpp"
#include "media/plan/plan.hpp"

namespace framemill {

/// Gathers what the pure planner needs (packet index, watermark images) and
/// plans. `indexes` name the index artifact of each source; "" = it has no video.
[[nodiscard]] result<physical_plan> plan_for(node_services& services, const run_record& run,
                                             const std::vector<std::string>& indexes,
                                             bool trust_index);

} // namespace framemill
