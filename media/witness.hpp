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
  [[nodiscard]] result<std::string> operator()(const AVFrame& picture);

private:
  std::optional<picture_filter> pad_; ///< only where the picture does not fill its canvas
  picture_filter shrink_;
};

/// Mean absolute difference of two small pictures; they must be of one size.
[[nodiscard]] double distance(const std::string& a, const std::string& b);
/// Their PSNR in dB, to the hundredth; 100 when they are equal.
[[nodiscard]] double psnr(const std::string& a, const std::string& b);

/// Source ticks, ascending, of the frames around the seams at both ends of a
/// shard: the two that are shown on each side, and their neighbours. Those past
/// its end it decodes for the next shard's sake, which gets there on its own.
[[nodiscard]] std::vector<std::int64_t> witnessed_frames(const video_output& shard,
                                                         const packet_index& index);

} // namespace framemill
