#pragma once

#include "media/packet_file.hpp"

#include <string_view>

namespace framemill {

enum class frame_role : std::uint8_t { plain, key };

/// libx264, set up so that shards can be joined and repeated to the byte:
/// closed GOPs, key frames where they are asked, pinned threads, parameter sets
/// that do not depend on the rate (performance notes R7).
class h264_encoder {
public:
  static constexpr const char* codec_name = "libx264"; ///< libavcodec's
  /// x264's, of all outputs: parts of other encoders can be put together, and no
  /// CPU makes other bytes.
  static constexpr std::string_view byte_settings = "stitchable=1:cpu-independent=1";

  struct format {
    int width = 0, height = 0;
    AVRational time_base{1, 25}, frame_rate{25, 1};
    colour_tags colours;
    std::int64_t gop = 0; ///< frames; 0 = only the asked key frames
  };
  [[nodiscard]] static result<h264_encoder> open(const h264_settings& settings,
                                                 const format& f);
  /// Packets come out through next() in decoding order.
  [[nodiscard]] result<void> push(AVFrame* frame, frame_role role); ///< null: the end
  /// False when the encoder wants more.
  [[nodiscard]] result<bool> next(AVPacket& packet);
  [[nodiscard]] const AVCodecContext& context() const noexcept { return *codec_; }

private:
  av::codec_ptr codec_;
};

} // namespace framemill
