#pragma once

#include "core/media_message.hpp"
#include "core/template.hpp"

// Parameters that change nothing of a job's output, or not what they say, as
// sentences for its warnings. What MPS refuses is refused before (core/).

namespace framemill {

enum class treatment : std::uint8_t { none, copy, encode };

/// Of a transcode into `container`; `video` is what happens to the source's.
[[nodiscard]] std::vector<std::string>
idle_video_parameters(const video_template& v, std::string_view container, treatment video);

/// `made` is what comes of `a` for this source; nullptr when it is not encoded.
[[nodiscard]] std::vector<std::string>
idle_audio_parameters(const audio_template& a, const audio_output* made,
                      const stream_info& source);

} // namespace framemill
