#pragma once

#include "core/json.hpp"
#include "core/media_message.hpp"

namespace framemill::mps {

/// MediaMetaData of a probe: the one conversion, wherever the API shows media.
[[nodiscard]] json to_media_meta_data(const media_info& media);
/// MediaVideoStreamItem and MediaAudioStreamItem lists.
[[nodiscard]] json to_video_stream_set(const media_info& media);
[[nodiscard]] json to_audio_stream_set(const media_info& media);

} // namespace framemill::mps
