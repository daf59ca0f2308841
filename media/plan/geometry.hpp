#pragma once

#include "core/media_message.hpp"
#include "core/template.hpp"

// Picture sizes: what a source looks like upright with square samples, and what
// a template makes of it.

namespace framemill {

struct picture_size {
  std::int32_t width = 0;
  std::int32_t height = 0;
  bool operator==(const picture_size&) const = default;
};

/// After sample aspect ratio and rotation. An absurd sample aspect (beyond 16:1)
/// counts as square.
[[nodiscard]] picture_size display_size(const stream_info& video);

/// What a template says about size; 0 = from the source.
struct size_wish {
  std::int64_t width = 0;
  std::int64_t height = 0;
  on_off adaptive = on_off::open; ///< open: width is the long side, height the short
  fill_type fill = fill_type::stretch;
};

struct fitted_picture {
  picture_geometry geometry;
  bool clamped = false; ///< the wish was larger than the source: not upscaled
};

/// Even sizes, never larger than the source: a box that would enlarge the
/// picture shrinks in proportion until the picture has its own size in it.
[[nodiscard]] fitted_picture fit(const picture_size& source, const size_wish& wish);

/// The picture as large as fits the canvas, centred on black; enlarged, too.
[[nodiscard]] picture_geometry place(const picture_size& source, const picture_size& canvas);

/// A measure in pixels: percent of `whole`, or as it is.
[[nodiscard]] std::int32_t to_pixels(const measure& m, std::int32_t whole);

} // namespace framemill
