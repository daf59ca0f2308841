#pragma once

#include <chrono>

namespace framemill::cli {

/// From here on Ctrl-C asks to stop instead of killing; a second one kills.
void catch_interrupt();
[[nodiscard]] bool is_interrupted() noexcept;
/// For what has to be tidied up all the same: calls go out again.
void forget_interrupt() noexcept;
/// Waits before asking a server again. False: Ctrl-C came.
[[nodiscard]] bool pause_for(std::chrono::milliseconds time);

} // namespace framemill::cli
