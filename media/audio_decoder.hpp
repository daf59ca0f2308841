#pragma once

#include "media/source.hpp"

#include <string>

namespace framemill {

/// Decodes one audio stream front to back. Owns its demuxer. Damage is counted, not fatal.
class audio_decoder {
public:
  /// `name` is what messages call the source.
  [[nodiscard]] static result<audio_decoder> open(source s, int stream,
                                                  const std::string& name);

  /// The next frame, whose `pts` is its begin on the source's clock in its own samples;
  /// false at the end. The frame may have another rate or layout than the one before.
  [[nodiscard]] result<bool> next(AVFrame& frame);

  /// Before the first frame: passes over what lies well before `seconds`, where the
  /// container has an index of true times.
  [[nodiscard]] result<void> skip_to(double seconds);

  [[nodiscard]] std::int64_t failed_packets() const noexcept { return failed_; }

private:
  audio_decoder(source s, int stream) : source_(std::move(s)), stream_(stream) {}
  AVRational clock() noexcept { return source_.stream(stream_).time_base; }
  result<void> feed();
  void stamp(AVFrame& frame);
  std::int64_t begin_of(const AVFrame& frame, AVRational samples);

  source source_;
  int stream_;
  av::codec_ptr codec_;
  av::packet_ptr packet_;
  std::int64_t failed_ = 0;
  std::int64_t next_ = 0; ///< where the last frame ends, in samples of rate_
  int rate_ = 0;
  bool drained_ = false;
};

} // namespace framemill
