#include "media/plan/frame_grid.hpp"

#include <algorithm>
#include <cmath>

namespace framemill {
namespace {

// Ticks times frame rates outgrow 64 bits: a 2-hour source in nanoseconds at
// 30000/1001 does.
__extension__ using wide = __int128;

wide floor_div(wide a, wide b) {
  auto q = a / b;
  return q - ((a % b != 0) && ((a < 0) != (b < 0)) ? 1 : 0);
}

std::int64_t index_end(const packet_index& index) {
  return index.pts.back() + std::max<std::int64_t>(index.last_duration, 1);
}

std::int64_t kept_count(const frame_grid& grid, const packet_index& index) {
  auto first = std::lower_bound(index.pts.begin(), index.pts.end(), grid.origin);
  auto last = std::lower_bound(first, index.pts.end(), grid.end);
  return last - first;
}

/// Which multiple of gop_seconds a time is in; milliseconds keep it integral.
wide gop_number(std::int64_t pts, double gop_seconds, const rational& time_base) {
  auto milliseconds = std::max<std::int64_t>(std::llround(gop_seconds * 1000), 1);
  return floor_div(wide{pts} * time_base.num * 1000, wide{time_base.den} * milliseconds);
}

} // namespace

std::int64_t slot_of(std::int64_t pts, const frame_grid& grid, const rational& time_base) {
  auto a = (wide{pts} - grid.origin) * time_base.num * grid.fps.num;
  auto b = wide{time_base.den} * grid.fps.den;
  return static_cast<std::int64_t>(floor_div(2 * a + b, 2 * b));
}

std::int64_t frame_count(const frame_grid& grid, const packet_index& index) {
  if (index.pts.empty())
    return 0;
  if (grid.fps.num == 0)
    return kept_count(grid, index);
  auto end = std::min(grid.end, index_end(index));
  return std::max<std::int64_t>(slot_of(end, grid, index.time_base), 1);
}

std::int64_t source_of(std::int64_t k, const frame_grid& grid, const packet_index& index) {
  if (k < 0 || k >= frame_count(grid, index))
    return -1;
  const auto& pts = index.pts;
  if (grid.fps.num == 0)
    return std::lower_bound(pts.begin(), pts.end(), grid.origin) - pts.begin() + k;
  auto later = std::partition_point(pts.begin(), pts.end(), [&](std::int64_t p) {
    return slot_of(p, grid, index.time_base) <= k;
  });
  return std::max<std::int64_t>(later - pts.begin() - 1, 0);
}

rational output_time_base(const frame_grid& grid, const rational& source_time_base) {
  return grid.fps.num > 0 ? rational{grid.fps.den, grid.fps.num} : source_time_base;
}

bool is_key_frame(std::int64_t k, std::int64_t pts, std::int64_t previous_pts,
                  const video_output& v, const rational& time_base) {
  if (k == 0)
    return true;
  if (v.grid.fps.num > 0)
    return v.gop > 0 && k % v.gop == 0;
  return v.gop_seconds > 0 && gop_number(pts, v.gop_seconds, time_base) !=
                                  gop_number(previous_pts, v.gop_seconds, time_base);
}

} // namespace framemill
