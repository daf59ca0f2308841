#pragma once

#include <chrono>

namespace framemill::cli {

/// From here on Ctrl-C asks to stop instead of killing; a second one kills.
void catch_interrupt();
[[nodiscard]] bool is_interrupted() noexcept;
/// Waits before asking a server again. False: Ctrl-C came.
[[nodiscard]] bool pause_for(std::chrono::milliseconds time);

} // namespace framemill::cli
