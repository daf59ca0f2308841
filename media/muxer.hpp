#pragma once

#include "media/av.hpp"
#include "media/work.hpp"

#include <string>
#include <vector>

namespace framemill {

/// How an output is packed.
struct packing {
  std::string name;      ///< in out/; for hls the manifest
  std::string container; ///< mp4, hls, mp3, m4a, mov, flv
  double hls_seconds = 0;
  bool hls_fmp4 = false;
  std::string segment_pattern; ///< what the manifest calls segment n; %d
};

/// Writes one output file, or manifest and segments. Reproducible: no dates, no
/// versions.
class muxer {
public:
  [[nodiscard]] static result<muxer> open(packing p, work& w);
  [[nodiscard]] result<int> add_stream(const AVCodecParameters& parameters,
                                       AVRational time_base, AVRational frame_rate);
  [[nodiscard]] result<void> start();
  /// Takes the packet; its times are in the time base given to add_stream.
  [[nodiscard]] result<void> write(AVPacket& packet, int stream);
  [[nodiscard]] result<void> finish();
  /// Files made, the manifest first, the init segment second.
  [[nodiscard]] result<std::vector<std::string>> files() const;

private:
  muxer(packing p, work& w) : packing_(std::move(p)), work_(&w) {}
  result<void> rename_segments();

  packing packing_;
  work* work_;
  av::output_ptr format_;
  std::vector<AVRational> clocks_;
};

} // namespace framemill
