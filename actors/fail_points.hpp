#pragma once

#include <span>
#include <string_view>

namespace framemill {

/// Named places at which the daemon can be made to die, so that recovery from
/// a death there can be shown: `framemilld --fail-point NAME[:N]` (the N-th
/// pass, from 1), only when the node's config allows faults. Does nothing
/// otherwise. A death is SIGKILL: nothing is flushed, nobody is told.
void fail_point(std::string_view name);
void arm_fail_point(std::string_view name_and_count);
[[nodiscard]] std::span<const std::string_view> fail_point_names();

} // namespace framemill
