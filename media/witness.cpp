#include "media/witness.hpp"

#include "media/plan/frame_grid.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>

namespace framemill {
namespace {

constexpr int width = 64, height = 36;
/// How far past its end a shard goes for the second frame of the next one;
/// outputs of a low rate make do with the first.
constexpr std::int64_t reach_max = 16;

bool is_padded(const picture_geometry& g) {
  return g.fill != fill_mode::stretch
         && (g.inner_width != g.width || g.inner_height != g.height);
}

picture_recipe small(picture_recipe r) {
  r.geometry = {width, height, width, height, fill_mode::stretch};
  return r;
}

} // namespace

shrinker::shrinker(picture_recipe recipe)
    : full_(is_padded(recipe.geometry) || !recipe.overlays.empty()
                ? std::optional<picture_filter>{recipe}
                : std::nullopt),
      shrink_(small(full_ ? picture_recipe{} : recipe)) {}

result<std::string> shrinker::operator()(const AVFrame& picture, std::int64_t pts) {
  av::frame_ptr full;
  if (full_) {
    FM_TRY(full, full_->apply(picture, pts));
  }
  FM_TRY(auto little, shrink_.apply(full ? *full : picture, 0));
  std::string out;
  for (int y = 0; y < height; ++y)
    out.append(reinterpret_cast<const char*>(little->data[0])
                   + std::ptrdiff_t{y} * little->linesize[0],
               width);
  return out;
}

double distance(const std::string& a, const std::string& b) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    sum += std::abs(int{static_cast<unsigned char>(a[i])} - int{static_cast<unsigned char>(b[i])});
  return static_cast<double>(sum) / static_cast<double>(std::max<std::size_t>(a.size(), 1));
}

double squared_distance(const std::string& a, const std::string& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const int d = int{static_cast<unsigned char>(a[i])} - int{static_cast<unsigned char>(b[i])};
    sum += d * d;
  }
  return sum / static_cast<double>(std::max<std::size_t>(a.size(), 1));
}

double variance(const std::string& a) {
  double sum = 0, squares = 0;
  for (unsigned char c : a) {
    sum += c;
    squares += double{c} * c;
  }
  const auto n = static_cast<double>(std::max<std::size_t>(a.size(), 1));
  return squares / n - sum / n * (sum / n);
}

double psnr(double squared_distance) {
  constexpr double most = 100;
  return squared_distance <= 0
             ? most
             : std::round(1000 * std::log10(255.0 * 255.0 / squared_distance)) / 100;
}

std::vector<std::int64_t> witnessed_frames(const video_output& v, const packet_index& index) {
  const auto count = frame_count(v.grid, index);
  const auto frames = static_cast<std::int64_t>(index.pts.size());
  std::set<std::int64_t> ordinals;
  for (auto seam : {v.first, v.last}) {
    if (seam <= 0 || seam >= count)
      continue;
    const auto own = source_of(seam - 1, v.grid, index);
    for (auto k = std::max<std::int64_t>(seam - 2, 0); k <= std::min(seam + 1, count - 1); ++k)
      if (auto at = source_of(k, v.grid, index); k <= seam || at - own <= reach_max)
        for (auto n = std::max<std::int64_t>(at - 1, 0); n <= std::min(at + 1, frames - 1); ++n)
          ordinals.insert(n);
  }
  std::vector<std::int64_t> out;
  for (auto n : ordinals)
    out.push_back(index.pts[static_cast<std::size_t>(n)]);
  return out;
}

} // namespace framemill
