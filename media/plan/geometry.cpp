#include "media/plan/geometry.hpp"

#include <algorithm>
#include <cmath>

namespace framemill {
namespace {

/// The nearest even number, the lower of two: a source of 719 lines is not
/// enlarged to 720.
std::int32_t even(double length) {
  return std::max(2, 2 * static_cast<std::int32_t>(std::ceil(length / 2 - 0.5)));
}

double sample_ratio(const rational& aspect) {
  if (aspect.num <= 0 || aspect.den <= 0)
    return 1;
  auto ratio = static_cast<double>(aspect.num) / static_cast<double>(aspect.den);
  return ratio > 16 || ratio < 1.0 / 16 ? 1 : ratio;
}

fill_mode mode_of(fill_type fill) {
  switch (fill) {
  case fill_type::black: return fill_mode::black;
  case fill_type::white: return fill_mode::white;
  case fill_type::gauss: return fill_mode::gauss;
  default: return fill_mode::stretch;
  }
}

picture_geometry filled(std::int32_t width, std::int32_t height) {
  return {width, height, width, height, fill_mode::stretch};
}

/// One side given, or none: the source's aspect rules.
fitted_picture fit_aspect(const picture_size& source, double scale) {
  auto s = std::min(scale, 1.0);
  return {filled(even(source.width * s), even(source.height * s)), scale > 1};
}

fitted_picture fit_box(const picture_size& source, double width, double height,
                       fill_type fill) {
  auto scale = std::min(width / source.width, height / source.height);
  auto shrink = std::max(scale, 1.0);
  auto out = filled(even(width / shrink), even(height / shrink));
  if (fill != fill_type::stretch) {
    out.fill = mode_of(fill);
    out.inner_width = std::min(out.width, even(source.width * scale / shrink));
    out.inner_height = std::min(out.height, even(source.height * scale / shrink));
  }
  return {out, scale > 1};
}

} // namespace

picture_size display_size(const stream_info& video) {
  auto width = std::max(1L, std::lround(video.width * sample_ratio(video.sample_aspect)));
  picture_size upright{static_cast<std::int32_t>(width), std::max(1, video.height)};
  if (video.rotation % 180 != 0)
    std::swap(upright.width, upright.height);
  return upright;
}

fitted_picture fit(const picture_size& source, const size_wish& wish) {
  auto width = static_cast<double>(wish.width);
  auto height = static_cast<double>(wish.height);
  if (wish.adaptive == on_off::open && source.height > source.width)
    std::swap(width, height);
  if (width > 0 && height > 0)
    return fit_box(source, width, height, wish.fill);
  if (width > 0)
    return fit_aspect(source, width / source.width);
  return fit_aspect(source, height > 0 ? height / source.height : 1);
}

picture_geometry place(const picture_size& source, const picture_size& canvas) {
  const auto scale = std::min(double(canvas.width) / source.width,
                              double(canvas.height) / source.height);
  auto out = filled(canvas.width, canvas.height);
  out.fill = fill_mode::black;
  out.inner_width = std::min(out.width, even(source.width * scale));
  out.inner_height = std::min(out.height, even(source.height * scale));
  return out;
}

std::int32_t to_pixels(const measure& m, std::int32_t whole) {
  auto pixels = m.percent ? m.value * whole / 100 : m.value;
  return static_cast<std::int32_t>(std::clamp(std::round(pixels), -16384.0, 16384.0));
}

} // namespace framemill
