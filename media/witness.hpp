#pragma once

#include "media/packet_file.hpp"
#include "media/picture_filter.hpp"

#include <optional>
#include <string>
#include <vector>

namespace framemill {

/// Frames as small luma pictures, to tell them apart: encoding noise averages
/// out, a shift by one frame of anything that moves does not.
class shrinker {
public:
  /// `recipe`: what was, or is to be, done with the pictures at their full size.
  explicit shrinker(picture_recipe recipe);
  /// `pts` on the recipe's clock, rising: marks have their times.
  [[nodiscard]] result<std::string> operator()(const AVFrame& picture, std::int64_t pts = 0);

private:
  /// Only where the picture does not fill its canvas, or is marked.
  std::optional<picture_filter> full_;
  picture_filter shrink_;
};

/// Mean absolute difference of two small pictures; they must be of one size.
[[nodiscard]] double distance(const std::string& a, const std::string& b);
/// Mean squared difference, likewise.
[[nodiscard]] double squared_distance(const std::string& a, const std::string& b);
/// Of a picture to a plain one of its own mean.
[[nodiscard]] double variance(const std::string& a);
/// dB of a squared distance, to the hundredth; 100 when it is 0.
[[nodiscard]] double psnr(double squared_distance);

/// Source ticks, ascending, of the frames around the seams at both ends of a
/// shard: the two that are shown on each side, and their neighbours. Those past
/// its end it decodes for the next shard's sake, which gets there on its own.
[[nodiscard]] std::vector<std::int64_t> witnessed_frames(const video_output& shard,
                                                         const packet_index& index);

} // namespace framemill
