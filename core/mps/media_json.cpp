#include "core/mps/media_json.hpp"

#include <cmath>

namespace framemill::mps {

namespace {

double seconds_of(const stream_info* s, double otherwise) {
  if (!s)
    return 0;
  if (s->duration_pts <= 0 || s->time_base.den == 0)
    return otherwise;
  return static_cast<double>(s->duration_pts) * static_cast<double>(s->time_base.num) /
         static_cast<double>(s->time_base.den);
}

std::int64_t rounded_fps(const rational& rate) {
  if (rate.den == 0)
    return 0;
  return std::llround(static_cast<double>(rate.num) / static_cast<double>(rate.den));
}

std::string hdr_type(const stream_info& s) {
  if (!s.hdr)
    return "sdr";
  return s.color_transfer == "arib-std-b67" ? "hlg" : "hdr10";
}

json video_item(const stream_info& s) {
  return {{"Bitrate", s.bitrate},
          {"Height", s.height},
          {"Width", s.width},
          {"Codec", s.codec},
          {"Fps", rounded_fps(s.frame_rate)},
          {"ColorPrimaries", s.color_primaries},
          {"ColorSpace", s.color_space},
          {"ColorTransfer", s.color_transfer},
          {"HdrType", hdr_type(s)},
          {"Codecs", s.codec_tag},
          {"FpsNumerator", s.frame_rate.num},
          {"FpsDenominator", s.frame_rate.den}};
}

json audio_item(const stream_info& s) {
  return {{"Bitrate", s.bitrate},  {"SamplingRate", s.sample_rate}, {"Codec", s.codec},
          {"Channel", s.channels}, {"Codecs", s.codec_tag},         {"Loudness", nullptr}};
}

} // namespace

json to_video_stream_set(const media_info& media) {
  auto out = json::array();
  for (const auto& s : media.streams)
    if (s.kind == stream_kind::video && !s.attached_picture)
      out.push_back(video_item(s));
  return out;
}

json to_audio_stream_set(const media_info& media) {
  auto out = json::array();
  for (const auto& s : media.streams)
    if (s.kind == stream_kind::audio)
      out.push_back(audio_item(s));
  return out;
}

json to_media_meta_data(const media_info& media) {
  const auto* video = media.video();
  const auto* audio = media.audio();
  return {{"Size", media.size},
          {"Container", media.container},
          {"Bitrate", media.bitrate},
          {"Height", video ? video->height : 0},
          {"Width", video ? video->width : 0},
          {"Duration", media.duration},
          {"Rotate", video ? video->rotation : 0},
          {"VideoStreamSet", to_video_stream_set(media)},
          {"AudioStreamSet", to_audio_stream_set(media)},
          {"VideoDuration", seconds_of(video, media.duration)},
          {"AudioDuration", seconds_of(audio, media.duration)}};
}

} // namespace framemill::mps
