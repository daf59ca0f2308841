#include "media/timeline.hpp"

#include <algorithm>

namespace framemill {

result<timeline> timeline::make(std::vector<std::int64_t> pts, std::int64_t end) {
  timeline out;
  out.pts_ = std::move(pts);
  out.sorted_ = out.pts_;
  out.end_ = end;
  std::sort(out.sorted_.begin(), out.sorted_.end());
  auto twice = std::adjacent_find(out.sorted_.begin(), out.sorted_.end());
  if (twice != out.sorted_.end())
    return fail(errc::contract_broken, "two frames have the presentation time {}", *twice);
  for (std::size_t i = 0; i < out.pts_.size(); ++i) {
    auto rank = static_cast<std::size_t>(
        std::lower_bound(out.sorted_.begin(), out.sorted_.end(), out.pts_[i])
        - out.sorted_.begin());
    if (i > rank)
      out.delay_ = std::max(out.delay_, i - rank);
  }
  return out;
}

std::int64_t timeline::dts(std::size_t packet) const {
  if (packet >= delay_)
    return sorted_[packet - delay_];
  const auto step = sorted_.size() > 1 ? sorted_[1] - sorted_[0] : 1;
  return sorted_[0] - static_cast<std::int64_t>(delay_ - packet) * step;
}

std::int64_t timeline::duration(std::size_t packet) const {
  auto next = std::upper_bound(sorted_.begin(), sorted_.end(), pts_[packet]);
  return std::max<std::int64_t>((next == sorted_.end() ? end_ : *next) - pts_[packet], 1);
}

} // namespace framemill
