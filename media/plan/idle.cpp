#include "media/plan/idle.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace framemill {
namespace {

using sentences = std::vector<std::string>;
using names = std::vector<std::string_view>;

struct parameter {
  std::string_view name;
  bool given = false;
};

/// Names of those that are given, for one sentence.
names given(std::initializer_list<parameter> all) {
  names out;
  for (const auto& p : all)
    if (p.given)
      out.push_back(p.name);
  return out;
}

bool says_something(const std::optional<std::string>& text) {
  return text && !text->empty() && *text != "default";
}

/// Of a stream that stays as it is; sizes, rates and GOPs were refused before.
names encoder_parameters(const video_template& v) {
  return given({{"Bitrate", v.bitrate.value_or(0) != 0},
                {"FpsDenominator", v.fps_denominator.value_or(1) != 1},
                {"FillType", v.fill_type.has_value()},
                {"Mode", v.mode.has_value()},
                {"Bframes", v.bframes.value_or(-1) != -1},
                {"VideoProfile", says_something(v.video_profile)},
                {"VideoLevel", says_something(v.video_level)},
                {"Sar", says_something(v.sar)},
                {"NoScenecut", v.no_scenecut.has_value()},
                {"EncoderPreset", v.preset.has_value()}});
}

/// What waits for another parameter, which is not there or rules instead.
void add_dependent(const video_template& v, sentences& out) {
  if (v.fps.value_or(0) == 0 && v.fps_denominator.value_or(1) != 1)
    out.push_back("FpsDenominator does nothing without Fps: the rate is the source's");
  if (v.gop.value_or(0) == 0 && v.gop_unit == gop_unit::second)
    out.push_back("GopUnit does nothing without Gop: key frames are set automatically");
  if (v.vcrf && (v.mode == rate_mode::abr || v.mode == rate_mode::cbr))
    out.push_back(fmt::format("Mode {} does nothing beside Vcrf: the quality is constant and "
                              "Bitrate its cap",
                              to_string(*v.mode)));
}

/// Of AAC (6144 bits a channel in a frame of 1024 samples) and MPEG layer III.
std::int64_t kbps_most(const audio_output& a, const stream_info& source) {
  auto rate = std::int64_t{a.sample_rate > 0 ? a.sample_rate : source.sample_rate};
  if (a.codec == "mp3")
    return rate >= 32'000 ? 320 : rate >= 16'000 ? 160 : 64;
  return 6 * rate * a.channels / 1000;
}

void add_channels(const audio_template& a, const audio_output& made, const stream_info& source,
                  sentences& out) {
  auto asked = a.audio_channel.value_or(made.channels);
  if (asked > made.channels)
    out.push_back(fmt::format("AudioChannel {}: the source has {}, so {} are made", asked,
                              source.channels, made.channels));
  if (asked == 0 && made.channels < source.channels)
    out.push_back(fmt::format("AudioChannel 0: the source's {} channels are mixed to {}{}",
                              source.channels, made.channels,
                              made.codec == "mp3" ? "" : "; 6 keeps up to six"));
}

} // namespace

sentences idle_video_parameters(const video_template& v, std::string_view container,
                                treatment video) {
  sentences out;
  if (container != "hls")
    for (auto name : given({{"HlsTime", v.hls_time.has_value()},
                            {"SegmentType", v.segment_type.has_value()}}))
      out.push_back(fmt::format("{} does nothing in {}: only hls has segments", name,
                                container));
  if (container == "mp3" || container == "m4a")
    out.push_back(fmt::format("VideoTemplate does nothing in {}: it holds sound only",
                              container));
  if (video == treatment::encode)
    add_dependent(v, out);
  if (auto idle = encoder_parameters(v); video == treatment::copy && !idle.empty())
    out.push_back(fmt::format("copied video stays as it is: {} of VideoTemplate do nothing",
                              fmt::join(idle, ", ")));
  return out;
}

sentences idle_audio_parameters(const audio_template& a, const audio_output* made,
                                const stream_info& source) {
  sentences out;
  if (!made) {
    if (a.bitrate.value_or(0) != 0)
      out.push_back("copied sound stays as it is: Bitrate of AudioTemplate does nothing");
    return out;
  }
  add_channels(a, *made, source, out);
  if (auto most = kbps_most(*made, source); most > 0 && made->kbps > most)
    out.push_back(fmt::format("Bitrate {}: {} of this sample rate and these channels has at "
                              "most {} kbps",
                              made->kbps, made->codec, most));
  if (a.codec == "libfdk_aac")
    out.push_back("Codec libfdk_aac: the sound is made by FFmpeg's own AAC encoder");
  return out;
}

} // namespace framemill
