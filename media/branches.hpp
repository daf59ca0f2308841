#pragma once

#include "media/h264_encoder.hpp"
#include "media/picture_filter.hpp"
#include "media/pictures.hpp"
#include "media/work.hpp"

#include <limits>
#include <memory>

namespace framemill {

/// One consumer of a decode. Is given the pictures in presentation order.
class branch {
public:
  virtual ~branch() = default;
  [[nodiscard]] virtual result<void> take(const AVFrame& picture) = 0; ///< pts: source ticks
  /// Source ticks up to which it wants to see pictures, though others show them.
  [[nodiscard]] virtual std::int64_t sees_until() const noexcept { return INT64_MIN; }
  /// Is shown every picture from the step's access point on, before take().
  [[nodiscard]] virtual result<void> see(const AVFrame&) { return {}; }
  /// No more pictures. `end`: source ticks at which the last one ends.
  [[nodiscard]] virtual result<void> finish(std::int64_t end) = 0;
  /// Wants no more pictures.
  [[nodiscard]] virtual bool is_done() const noexcept = 0;
};

/// What all branches of one decode know of it.
struct decode_frame {
  const decode_step& step;
  const packet_index* index; ///< null: inexact
  rational time_base;
  rational frame_rate;       ///< nominal; 0 = unknown
  std::int64_t start = 0;    ///< source ticks of the stream's beginning
};

/// Rate grid → filter → encoder → packet file of one video_output.
[[nodiscard]] result<std::unique_ptr<branch>> make_branch(const video_output& output,
                                                          const decode_frame& d, work& w);
/// Picks → filter → image files, or the raw picture file, of one picture_output.
[[nodiscard]] result<std::unique_ptr<branch>> make_branch(const picture_output& output,
                                                          const decode_frame& d, work& w);

} // namespace framemill
