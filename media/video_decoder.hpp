#pragma once

#include "media/source.hpp"

#include <memory>

namespace framemill {

enum class decode_extent : std::uint8_t { all_frames, key_frames };

/// A key frame of a file that was read before.
struct key_place {
  std::int64_t pts = 0, dts = 0, position = -1;
};

/// Decodes one video stream in presentation order. Owns its demuxer, so that
/// starting over is always possible. Damage is counted, not fatal.
class video_decoder {
public:
  [[nodiscard]] static result<video_decoder> open(source s, int stream, decode_extent extent,
                                                  int threads = 2);

  /// The next picture with its source ticks in `pts` (made up from its
  /// predecessor when the source has none, then never decreasing); false at the
  /// end. The frame may have another size or format than the one before.
  [[nodiscard]] result<bool> next(AVFrame& frame);

  /// Shows the decoder the first packet, before the first seek: H.264 in 4:4:4 by x264
  /// before build 151 is decoded by a rule of its own, and that packet alone says so.
  [[nodiscard]] result<void> prime();

  /// Continues from the last random-access point at or before `pts`; the caller
  /// checks where the first frame really is.
  [[nodiscard]] result<void> seek(std::int64_t pts);
  /// Continues from a packet's byte position (transport and program streams).
  [[nodiscard]] result<void> seek_position(std::int64_t position);
  [[nodiscard]] bool seeks_positions() const noexcept;
  /// Continues from a key frame, or so many seconds before it.
  [[nodiscard]] result<void> seek(const key_place& key, int seconds_before = 0);
  /// From now on pictures before `pts` are decoded only as far as others need them.
  void hurry_to(std::int64_t pts) noexcept { hurry_to_ = pts; }

  [[nodiscard]] AVStream& stream() noexcept { return source_.stream(stream_); }
  [[nodiscard]] std::int64_t failed_packets() const noexcept { return failed_; }
  [[nodiscard]] bool broken() const noexcept { return failed_ > 0 || source_.broken(); }

private:
  video_decoder(source s, int stream) : source_(std::move(s)), stream_(stream) {}
  result<void> feed();
  result<void> moved_to(int returned);
  void stamp(AVFrame& frame);

  source source_;
  int stream_;
  av::codec_ptr codec_;
  av::packet_ptr packet_;
  std::int64_t failed_ = 0;
  std::int64_t last_pts_ = AV_NOPTS_VALUE;
  std::int64_t last_duration_ = 1;
  std::int64_t hurry_to_ = AV_NOPTS_VALUE;
  bool drained_ = false;
};

} // namespace framemill
