#include "media/plan/settings.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace framemill {
namespace {

constexpr double gop_seconds_auto = 2;
constexpr double hls_seconds_auto = 6;

double value_of(const rational& r) {
  return r.den > 0 ? static_cast<double>(r.num) / static_cast<double>(r.den) : 0;
}

rational reduced(std::int64_t num, std::int64_t den) {
  auto g = std::gcd(num, den);
  return {num / g, den / g};
}

double rounded_ms(double seconds) { return std::max(0.001, std::round(seconds * 1000) / 1000); }

double segment_target(const video_template& v) {
  auto wish = v.hls_time.value_or(0);
  return wish > 0 ? wish : hls_seconds_auto;
}

/// The GOP a template asks for, in seconds of output; 0 = automatic.
double asked_gop(const video_template& v, double fps) {
  auto gop = static_cast<double>(v.gop.value_or(0));
  return v.gop_unit.value_or(gop_unit::frame) == gop_unit::second ? gop : gop / fps;
}

/// The largest divisor of a segment that is no longer than the automatic GOP,
/// unless it were less than half of it.
std::int64_t dividing_gop(std::int64_t segment, std::int64_t gop) {
  for (auto n = std::min(gop, segment); 2 * n >= std::min(gop, segment); --n)
    if (segment % n == 0)
      return n;
  return std::min(gop, segment);
}

std::int64_t frames(double seconds, double fps) {
  return std::max<std::int64_t>(1, std::llround(seconds * fps));
}

key_grid frame_keys(const video_template& v, const rational& fps, delivery d) {
  auto rate = value_of(fps);
  auto asked = asked_gop(v, rate);
  key_grid g;
  g.gop = frames(asked > 0 ? asked : gop_seconds_auto, rate);
  g.unit = g.gop;
  if (d == delivery::segments) {
    auto segment = frames(segment_target(v), rate);
    if (asked <= 0)
      g.gop = dividing_gop(segment, g.gop);
    g.unit = std::max<std::int64_t>(
                 1, std::llround(static_cast<double>(segment) / static_cast<double>(g.gop))) *
             g.gop;
    g.hls_seconds = static_cast<double>(g.unit) / rate;
  }
  return g;
}

key_grid time_keys(const video_template& v, const rational& nominal, delivery d) {
  auto rate = value_of(nominal) > 0 ? value_of(nominal) : 25;
  auto asked = asked_gop(v, rate);
  key_grid g;
  g.gop_seconds = rounded_ms(asked > 0 ? asked : gop_seconds_auto);
  g.unit_seconds = g.gop_seconds;
  if (d == delivery::segments) {
    auto target = segment_target(v);
    if (asked <= 0)
      g.gop_seconds = rounded_ms(target / std::ceil(target / gop_seconds_auto));
    auto gops = std::max(1.0, std::round(target / g.gop_seconds));
    g.unit_seconds = g.hls_seconds = gops * g.gop_seconds;
  }
  return g;
}

void set_rate(h264_settings& s, const video_template& v) {
  s.kbps = static_cast<std::int32_t>(v.bitrate.value_or(0));
  auto mode = v.mode.value_or(rate_mode::vbr);
  if (v.vcrf)
    s.crf = static_cast<double>(*v.vcrf);
  if (s.kbps == 0)
    s.control = rate_control::crf;
  else if (!v.vcrf && mode == rate_mode::abr)
    s.control = rate_control::abr;
  else if (!v.vcrf && mode == rate_mode::cbr)
    s.control = rate_control::cbr;
  else
    s.control = rate_control::capped_crf;
}

std::string unless_default(const std::optional<std::string>& text) {
  return text && *text != "default" ? *text : "";
}

/// 5.1 is kept only for who asks for six channels; nothing is mixed up to 5.1.
std::int32_t channels_of(const audio_template& a, std::string_view codec, std::int32_t source) {
  auto asked = static_cast<std::int32_t>(a.audio_channel.value_or(0));
  auto have = std::max(source, 1);
  if (asked == 6)
    return codec == "mp3" ? std::min(have, 2) : std::min(have, 6);
  return asked > 0 ? asked : std::min(have, 2);
}

template <std::size_t N>
bool any_of(std::string_view codec, const std::array<std::string_view, N>& list) {
  return std::find(list.begin(), list.end(), codec) != list.end();
}

constexpr auto mp4_codecs =
    std::to_array<std::string_view>({"h264", "hevc", "av1", "vp9", "mpeg4", "aac", "mp3", "ac3",
                                     "eac3", "opus", "flac", "alac"});
constexpr auto ts_codecs = std::to_array<std::string_view>(
    {"h264", "hevc", "mpeg2video", "aac", "mp3", "mp2", "ac3", "eac3"});
constexpr auto m4a_codecs = std::to_array<std::string_view>({"aac", "alac", "ac3"});
constexpr auto mov_codecs = std::to_array<std::string_view>(
    {"h264", "hevc", "mpeg4", "prores", "aac", "mp3", "ac3", "alac", "pcm_s16le"});
constexpr auto flv_codecs = std::to_array<std::string_view>({"h264", "aac", "mp3"});

} // namespace

rational output_rate(const video_template& v) {
  auto fps = v.fps.value_or(0);
  if (fps <= 0)
    return {0, 1};
  if (v.fps_denominator.value_or(0) > 1)
    return reduced(std::llround(fps), *v.fps_denominator);
  for (std::int64_t whole : {24, 30, 48, 60, 120})
    if (std::abs(fps - static_cast<double>(whole) * 1000 / 1001) < 0.005)
      return {whole * 1000, 1001};
  return reduced(std::max<std::int64_t>(1, std::llround(fps * 1000)), 1000);
}

key_grid make_key_grid(const video_template& v, const rational& fps, const rational& nominal,
                       delivery d) {
  return fps.num > 0 ? frame_keys(v, fps, d) : time_keys(v, nominal, d);
}

h264_settings encoder_settings(const video_template& v) {
  h264_settings s;
  s.preset = v.preset.value_or(s.preset);
  s.profile = unless_default(v.video_profile);
  s.level = unless_default(v.video_level);
  s.bframes = static_cast<std::int32_t>(v.bframes.value_or(-1));
  s.scenecut = v.no_scenecut && *v.no_scenecut == 0;
  set_rate(s, v);
  return s;
}

bool needs_one_encoder(const h264_settings& s) {
  return s.control == rate_control::abr || s.control == rate_control::cbr;
}

audio_output audio_settings(const audio_template& a, std::string_view container,
                            const stream_info& source) {
  auto codec = a.codec.value_or("");
  audio_output out;
  out.codec = container == "mp3" || codec == "mp3" || codec == "libmp3lame" ? "mp3" : "aac";
  out.kbps = static_cast<std::int32_t>(a.bitrate.value_or(0));
  out.sample_rate = static_cast<std::int32_t>(a.sample_rate.value_or(0));
  out.channels = channels_of(a, out.codec, source.channels);
  return out;
}

bool can_hold(std::string_view container, bool fmp4, const stream_info& stream) {
  if (container == "mp3")
    return stream.codec == "mp3";
  if (container == "m4a")
    return any_of(stream.codec, m4a_codecs);
  if (container == "mov")
    return any_of(stream.codec, mov_codecs);
  if (container == "flv")
    return any_of(stream.codec, flv_codecs);
  return container == "hls" && !fmp4 ? any_of(stream.codec, ts_codecs)
                                     : any_of(stream.codec, mp4_codecs);
}

} // namespace framemill
