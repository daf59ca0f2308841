#pragma once

#include "media/packet_file.hpp"
#include "media/work.hpp"

#include <limits>
#include <optional>
#include <vector>

namespace framemill {

/// Decoded sound → the output's rate, channels and clock → encoder → packet file of one
/// audio_output.
class audio_branch {
public:
  audio_branch(const audio_output& output, work& w) : output_(output), work_(w) {}

  /// `frame.pts` is the frame's begin on the source's clock, in its own samples.
  [[nodiscard]] result<void> take(const AVFrame& frame);
  /// No more frames.
  [[nodiscard]] result<void> finish();
  /// Wants no more frames.
  [[nodiscard]] bool is_done() const noexcept { return produced_ >= limit_; }

private:
  static constexpr auto no_end = std::numeric_limits<std::int64_t>::max();

  result<void> start(const AVFrame& like);
  bool fits(const AVFrame& frame) const noexcept;
  result<void> rebuild(const AVFrame& like);
  result<void> close_graph();
  result<void> drain();
  result<void> encode(AVFrame* frame);
  result<void> fill_with_silence();

  const audio_output& output_;
  work& work_;
  av::codec_ptr encoder_;
  av::packet_ptr packet_;
  std::optional<packet_writer> writer_;
  av::graph_ptr graph_;
  AVFilterContext* source_ = nullptr;
  AVFilterContext* sink_ = nullptr;
  int rate_ = 0, format_ = -1, channels_ = 0;
  std::int64_t limit_ = no_end; ///< output samples
  std::int64_t produced_ = 0;   ///< output samples given to the encoder
};

/// libavcodec's names of the encoders that an audio_output can ask for.
[[nodiscard]] std::vector<const char*> audio_encoder_names();

} // namespace framemill
