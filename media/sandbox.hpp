#pragma once

#include "core/error.hpp"

namespace framemill {

/// Takes from this process, for good, what media work never needs: sockets,
/// other programs, other processes, mounts, kernel objects (they fail with
/// EPERM). Fails when the kernel refuses; the caller says so and goes on.
[[nodiscard]] result<void> give_up_rights();

} // namespace framemill
