#pragma once

#include "core/media_message.hpp"

// The one rule that says which source frame an output frame shows; planner,
// executor and assembler all use it. Integers only (performance notes R1, R5).

namespace framemill {

/// round((pts − origin) × fps) with halves up; fps > 0.
[[nodiscard]] std::int64_t slot_of(std::int64_t pts, const frame_grid& grid,
                                   const rational& time_base);

/// Number of output frames of a grid on this index: with fps > 0 the slot of
/// the end (last pts + duration, or grid.end), at least 1; with fps = 0 the
/// number of pts in [origin, end).
[[nodiscard]] std::int64_t frame_count(const frame_grid& grid, const packet_index& index);

/// Presentation ordinal (into index.pts) of the source frame that output frame
/// `k` shows; −1 when there is none (before the first frame: the first is shown).
[[nodiscard]] std::int64_t source_of(std::int64_t k, const frame_grid& grid,
                                     const packet_index& index);

/// The output pts of frame k: k in 1/fps units with fps > 0; the source pts −
/// origin in source ticks with fps = 0.
[[nodiscard]] rational output_time_base(const frame_grid& grid,
                                        const rational& source_time_base);

/// Is output frame k a key frame on the global grid? For fps = 0 `pts` and
/// `previous_pts` (of frame k − 1; equal to pts for k = 0) are output pts.
[[nodiscard]] bool is_key_frame(std::int64_t k, std::int64_t pts, std::int64_t previous_pts,
                                const video_output& v, const rational& time_base);

} // namespace framemill
