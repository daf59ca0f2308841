#pragma once

namespace framemill::cli {

/// From here on Ctrl-C asks to stop instead of killing; a second one kills.
void catch_interrupt();
[[nodiscard]] bool is_interrupted() noexcept;

} // namespace framemill::cli
