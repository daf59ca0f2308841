#pragma once

#include "media/source.hpp"

namespace framemill {

struct index_findings {
  packet_index index;
  double media_end = 0;      ///< seconds: end of the last packet of any stream
  bool truncated = false;    ///< the container promised more packets
};

/// One demux pass over the whole source (performance notes R1): nothing is
/// decoded. `video` −1 = no picture stream; then only `media_end` is found.
[[nodiscard]] result<index_findings> index_of(source& s, int video);

} // namespace framemill
