#pragma once

#include "core/error.hpp"

#include <cstdint>
#include <string>

namespace framemill {

/// What is true of the clip: H.264 High with B-frames and two closed GOPs, and
/// AAC LC of the same length.
struct golden {
  static constexpr std::int32_t width = 64, height = 48;
  static constexpr std::int32_t fps = 24, frames = 24, gop = 12;
  static constexpr std::int64_t ticks_per_second = 12288;
  static constexpr std::int64_t ticks_per_frame = ticks_per_second / fps;
  static constexpr double seconds = 1;
};

/// The bytes of the MP4 that every worker can encode; under 4 KB.
[[nodiscard]] result<std::string> golden_clip();

} // namespace framemill
