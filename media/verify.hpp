#pragma once

#include "media/seams.hpp"
#include "media/source.hpp"
#include "media/work.hpp"

#include <string>
#include <vector>

namespace framemill {

/// What a finished output is, by its own bytes.
struct verified_output {
  media_info info;
  std::vector<seam_frame> seams; ///< where its shards meet
};

/// Reads a finished output again, from its own bytes, and holds it against its
/// contract: streams, exact frame count, times, A/V end, segments that begin
/// with key frames, the source's pictures at the seams, a tail that decodes.
/// Fails with errc::contract_broken. `files` as muxer::files() gives them.
[[nodiscard]] result<verified_output> verify_contract(const std::vector<std::string>& files,
                                                      const std::string& container,
                                                      const output_contract& contract,
                                                      const seam_list& seams, work& w);

/// The output's bytes as one media stream: the file itself, or the init segment
/// and all segments of an HLS output.
[[nodiscard]] result<source> open_output(const std::vector<std::string>& files, work& w);

} // namespace framemill
