#pragma once

#include "media/plan/cut.hpp"

// Predictions, from measurements on a 2.7 GHz Xeon (docs: media/plan/README.md).
// They order and reserve; nothing is correct or wrong because of them.

namespace framemill {

struct prediction {
  double cpu_seconds = 0;
  std::int64_t memory_bytes = 0;
  std::int64_t scratch_bytes = 0;
};

/// CPU seconds for decoding the source once and encoding all renditions.
[[nodiscard]] double predict_video(const std::vector<shared_video>& videos,
                                   const source_facts& source);

[[nodiscard]] prediction predict(const shard_record& shard, const source_facts& source);

} // namespace framemill
