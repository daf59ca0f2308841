#pragma once

#include "core/json.hpp"

#include <optional>
#include <string>

namespace framemill::test {

enum class clip_audio { none, sine };

/// A picture with a moving test pattern; every frame is different.
struct clip_options {
  double seconds = 4;
  int width = 320, height = 180;
  int fps = 25;
  double keyframe_seconds = 1;
  clip_audio audio = clip_audio::sine;
};

/// Makes an MP4 with the ffmpeg program and returns its path. The same options
/// give the same file for the rest of the process.
[[nodiscard]] std::string make_clip(const clip_options& o = {});
/// 24 s with a key frame each second: the planner cuts it in shards.
[[nodiscard]] std::string make_long_clip();

/// A real clip by its name below the directory of clips: FRAMEMILL_CLIPS, or
/// ../shared/media beside the source tree. nullopt when it is not there.
[[nodiscard]] std::optional<std::string> real_clip(const std::string& name);

/// What ffprobe says: `format` and `streams`, frames counted by decoding.
[[nodiscard]] json probe(const std::string& path);
/// The first stream of a kind, null when there is none.
[[nodiscard]] json stream_of(const json& probed, const std::string& kind);

[[nodiscard]] std::string file_content(const std::string& path);
void write_file(const std::string& path, const std::string& content);
[[nodiscard]] std::string sha256_of_file(const std::string& path);

} // namespace framemill::test
