#pragma once

#include "media/plan/cut.hpp"

#include <cstdint>
#include <map>
#include <string>

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

/// Predicted bytes of the files that shards make, by name.
using file_sizes = std::map<std::string, std::int64_t>;

/// `made` are the files of the shards before, which this one may read; its own are
/// added. Scratch holds what it reads of them and all that it writes.
[[nodiscard]] prediction predict(const shard_record& shard, const source_facts& source,
                                 file_sizes& made);

} // namespace framemill
