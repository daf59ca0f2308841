#pragma once

#include "core/media_message.hpp"

// The source's clock. Output time 0 of an unclipped output is `zero`; offsets
// of clips and snapshots count from there.

namespace framemill {

struct source_clock {
  rational time_base{1, 1'000'000}; ///< of the video stream when there is one
  std::int64_t zero = 0;            ///< ticks
  std::int64_t end = INT64_MAX;     ///< ticks, exclusive; INT64_MAX = as it comes
  double duration = 0;              ///< seconds from zero; 0 = unknown
};

/// Zero is the first picture, unless sound begins more than `lead_seconds_max`
/// before it: AAC priming must not shift pictures against the output grid.
inline constexpr double lead_seconds_max = 0.1;

/// `index` is nullptr without video; `exact` says whether its end is true.
[[nodiscard]] source_clock make_source_clock(const media_info& media, const packet_index* index,
                                             bool exact);

[[nodiscard]] double seconds_of(std::int64_t ticks, const rational& time_base);
/// Seconds after zero as ticks, rounded to the nearest.
[[nodiscard]] std::int64_t ticks_at(const source_clock& t, double seconds);

/// A part of the source: [origin, end) in ticks, and the same on the source's
/// own clock in seconds for audio (`end_seconds` 0 = to the end).
struct clip {
  std::int64_t origin = 0;
  std::int64_t end = 0;
  double begin_seconds = 0;
  double end_seconds = 0;
  double length = 0; ///< seconds; 0 = unknown
  bool whole = true;
};

/// MPS offsets: 0 = start / end, n > 0 = at n s, n < 0 = n s before the end.
[[nodiscard]] result<clip> resolve_clip(const source_clock& t, double start, double end);

} // namespace framemill
