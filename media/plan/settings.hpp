#pragma once

#include "core/media_message.hpp"
#include "core/template.hpp"

// From a template's words to encoder settings. Templates are validated before.

namespace framemill {

/// The key frame grid, in frames for a fixed rate and in seconds otherwise. A
/// shard may begin at any multiple of `unit`: the GOP, or the HLS segment.
struct key_grid {
  std::int64_t gop = 0;
  std::int64_t unit = 0;
  double gop_seconds = 0;
  double unit_seconds = 0;
  double hls_seconds = 0; ///< 0 when not for HLS
};

/// 29.97 and its kin become n/1001; {0, 1} keeps the source's times.
[[nodiscard]] rational output_rate(const video_template& v);

enum class delivery : std::uint8_t { file, segments };

/// `nominal` is the source's rate, used when the output keeps the source's
/// times. Automatic: key frames every 2 s, segments of 6 s.
[[nodiscard]] key_grid make_key_grid(const video_template& v, const rational& fps,
                                     const rational& nominal, delivery d);

[[nodiscard]] h264_settings encoder_settings(const video_template& v);
/// Does the rate need one encoder over the whole output?
[[nodiscard]] bool needs_one_encoder(const h264_settings& s);

/// `name`, `begin` and `end` are left to the caller.
[[nodiscard]] audio_output audio_settings(const audio_template& a, std::string_view container,
                                          const stream_info& source);

/// May a stream of this codec be copied into the container?
[[nodiscard]] bool can_hold(std::string_view container, bool fmp4, const stream_info& stream);

} // namespace framemill
