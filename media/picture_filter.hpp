#pragma once

#include "media/av.hpp"

#include <string>
#include <vector>

namespace framemill {

/// What leaves the filter.
enum class pixel_layout : std::uint8_t { video, jpeg, rgb, rgba };

/// What happens to each decoded picture on its way to one output.
struct picture_recipe {
  picture_geometry geometry;
  std::vector<overlay> overlays; ///< `image` is a path that can be opened
  int rotation = 0;              ///< clockwise degrees
  bool tonemap = false;
  bool bt709 = false;            ///< whatever matrix it says it has
  pixel_layout layout = pixel_layout::video;
  AVRational clock{1, 1};        ///< of the pts given to apply(): output time
};

/// Upright, scaled, padded, marked: one picture in, one picture out. Every part
/// looks at one picture alone, so shards give what a whole pass would give. The
/// graph is made anew when the source changes its size or format.
class picture_filter {
public:
  explicit picture_filter(picture_recipe recipe) : recipe_(std::move(recipe)) {}
  /// `pts` is output time in `clock`; it decides which overlays show.
  [[nodiscard]] result<av::frame_ptr> apply(const AVFrame& picture, std::int64_t pts);

private:
  result<void> build(const AVFrame& like);
  [[nodiscard]] bool fits(const AVFrame& picture) const noexcept;

  picture_recipe recipe_;
  av::graph_ptr graph_;
  AVFilterContext* source_ = nullptr; ///< owned by graph_
  AVFilterContext* sink_ = nullptr;   ///< owned by graph_
  int width_ = 0, height_ = 0, format_ = -1;
  int colour_ = -1;
};

/// bwdif over a run of pictures; looks one picture ahead and behind.
class deinterlacer {
public:
  /// Takes one picture (nullptr: the end) and hands on those that are ready.
  [[nodiscard]] result<void> push(const AVFrame* picture);
  [[nodiscard]] result<av::frame_ptr> pull(); ///< null when none is ready

private:
  result<void> build(const AVFrame& like);
  av::graph_ptr graph_;
  AVFilterContext* source_ = nullptr;
  AVFilterContext* sink_ = nullptr;
  int width_ = 0, height_ = 0, format_ = -1;
};

/// Decodes an image file of one picture.
[[nodiscard]] result<av::frame_ptr> load_image(const std::string& path);

} // namespace framemill
