#pragma once

#include "media/plan/plan.hpp"

namespace framemill {

/// Where a job's watermarks are burnt in.
struct overlay_canvas {
  std::int32_t width = 0; ///< of the output
  std::int32_t height = 0;
  double length = 0; ///< seconds of output; 0 = unknown
};

/// The overlays, bottom first. Fails on an unknown template, an image that is
/// not among `assets`, or a window that is empty.
[[nodiscard]] result<std::vector<overlay>>
make_overlays(const std::vector<watermark_input>& marks, const overlay_canvas& canvas,
              const template_source& templates,
              const std::map<std::string, std::string>& assets,
              const std::map<std::string, std::string>& fonts);

/// Marks that are not seen, or not as they were asked for, in sentences;
/// `placed` is what make_overlays gave for `marks`.
[[nodiscard]] std::vector<std::string> idle_marks(const std::vector<watermark_input>& marks,
                                                  const std::vector<overlay>& placed,
                                                  const overlay_canvas& canvas,
                                                  const template_source& templates);

} // namespace framemill
