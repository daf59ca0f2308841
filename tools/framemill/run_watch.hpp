#pragma once

#include "tools/framemill/context.hpp"

namespace framemill::cli {

/// Shows a run until it ends: ok when it succeeded, failed when it did not.
/// A server that goes away for less than a minute is waited for.
[[nodiscard]] result<exit_code> watch_run(const context& ctx, client server, std::uint64_t run);

} // namespace framemill::cli
