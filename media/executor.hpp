#pragma once

#include "media/work.hpp"

namespace framemill {

struct executor_options {
  int source_fd = -1;
  std::string directory = "."; ///< holds in/ and out/
  watermark_sink sink;
};

/// Runs a request's steps in order, on this thread, and says how it went. Never
/// throws; a failure is in the result.
[[nodiscard]] media_result execute(const media_request& request,
                                   const executor_options& options);

} // namespace framemill
