#pragma once

#include "media/packet_file.hpp"
#include "media/source.hpp"
#include "media/work.hpp"

#include <string>
#include <vector>

namespace framemill {

/// Reads a finished output again, from its own bytes, and holds it against its
/// contract: streams, exact frame count, times, A/V end, segments that begin
/// with key frames, a tail that decodes. Fails with errc::contract_broken.
/// `files` as muxer::files() gives them. Returns what the file is.
[[nodiscard]] result<media_info> verify_contract(const std::vector<std::string>& files,
                                                 const std::string& container,
                                                 const output_contract& contract, work& w);

/// A place where two shards meet: the frames on both sides.
struct seam {
  shard_origin origin;      ///< of the later shard
  std::vector<shown_frame> before, after; ///< two each, in order
};

/// Decodes the output around each seam and the source anew, from another access
/// point than the shards used: each frame must resemble the source frame it
/// stands for more than that frame's neighbours (performance notes 2.3c).
[[nodiscard]] result<void> verify_seams(const std::vector<std::string>& files,
                                        const std::vector<seam>& seams,
                                        rational output_time_base, work& w);

/// The output's bytes as one media stream: the file itself, or the init segment
/// and all segments of an HLS output.
[[nodiscard]] result<source> open_output(const std::vector<std::string>& files, work& w);

} // namespace framemill
