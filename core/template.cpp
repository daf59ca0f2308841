#include "core/template.hpp"

#include "core/base64.hpp"
#include "core/utf8.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace framemill {

namespace {

// ---- Presets (MPS console, mps-api §7.2) --------------------------------------

struct rendition {
  std::uint64_t number; ///< of the definition, within its container's hundred
  std::string_view label;
  std::int64_t height, video_kbps, audio_kbps;
};
constexpr rendition renditions[] = {
    {10, "FLU", 360, 400, 64},    {20, "SD", 540, 1000, 64},   {30, "HD", 720, 1800, 128},
    {40, "FHD", 1080, 2500, 128}, {70, "2K", 1440, 3000, 160}, {80, "4K", 2160, 6000, 160},
};

template_record preset(template_family family, std::uint64_t definition, std::string name) {
  template_record r;
  r.family = family;
  r.definition = definition;
  r.origin = template_origin::preset;
  r.name = std::move(name);
  return r;
}

audio_template audio_of(std::string codec, std::int64_t kbps) {
  audio_template a;
  a.codec = std::move(codec);
  a.bitrate = kbps;
  a.sample_rate = 44100;
  a.audio_channel = 2;
  return a;
}

video_template video_of(const rendition& r) {
  video_template v;
  v.codec = "h264";
  v.fps = 25;
  v.bitrate = r.video_kbps;
  v.resolution_adaptive = on_off::open;
  v.width = 0;
  v.height = r.height;
  v.gop = 0;
  v.fill_type = fill_type::stretch;
  return v;
}

template_record encode_preset(std::uint64_t base, const rendition& r, std::string container) {
  auto label = container == "hls" ? "HLS" : "MP4";
  auto record =
      preset(template_family::transcode, base + r.number, fmt::format("{}-{}", label, r.label));
  record.transcode = transcode_template{std::move(container), 0, 0, video_of(r),
                                        audio_of("aac", r.audio_kbps)};
  return record;
}

template_record remux_preset(std::uint64_t definition, std::string container) {
  auto record = preset(template_family::transcode, definition,
                       container == "hls" ? "Remux-HLS" : "Remux-MP4");
  video_template v;
  v.codec = "copy";
  audio_template a;
  a.codec = "copy";
  record.transcode = transcode_template{std::move(container), 0, 0, v, a};
  return record;
}

template_record audio_preset(std::uint64_t definition, std::string container, std::string codec,
                             std::int64_t kbps) {
  auto record = preset(template_family::transcode, definition,
                       fmt::format("{}-{}K", container == "mp3" ? "MP3" : "M4A", kbps));
  record.transcode = transcode_template{std::move(container), 1, 0, std::nullopt,
                                        audio_of(std::move(codec), kbps)};
  return record;
}

void add_transcodes(std::vector<template_record>& to) {
  for (const auto& r : renditions)
    to.push_back(encode_preset(100000, r, "mp4"));
  for (const auto& r : renditions)
    to.push_back(encode_preset(100200, r, "hls"));
  to.push_back(remux_preset(875, "mp4"));
  to.push_back(remux_preset(876, "hls"));
  constexpr std::int64_t m4a_kbps[] = {24, 48, 96, 192, 256};
  for (std::uint64_t i = 0; i < std::size(m4a_kbps); ++i)
    to.push_back(audio_preset(1100 + 10 * i, "m4a", "aac", m4a_kbps[i]));
  to.push_back(audio_preset(1010, "mp3", "mp3", 128));
  to.push_back(audio_preset(1020, "mp3", "mp3", 320));
}

void add_pictures(std::vector<template_record>& to) {
  auto snapshot = preset(template_family::snapshot_by_time_offset, 10, "SnapshotByTimeOffset");
  snapshot.snapshot.emplace().fill_type = fill_type::stretch;
  to.push_back(std::move(snapshot));

  auto sample = preset(template_family::sample_snapshot, 10, "SampleSnapshot");
  sample.sample_snapshot.emplace().fill_type = fill_type::stretch;
  to.push_back(std::move(sample));

  auto sprite = preset(template_family::image_sprite, 10, "ImageSprite");
  auto& s = sprite.image_sprite.emplace();
  s.width = 142;
  s.height = 80;
  s.fill_type = fill_type::stretch;
  to.push_back(std::move(sprite));
}

void add_animations(std::vector<template_record>& to) {
  auto gif = preset(template_family::animated_graphics, 20000, "GIF");
  gif.animated_graphics.emplace();
  to.push_back(std::move(gif));
  auto webp = preset(template_family::animated_graphics, 20001, "WebP");
  webp.animated_graphics.emplace().format = "webp";
  to.push_back(std::move(webp));
}

std::vector<template_record> all_presets() {
  std::vector<template_record> all;
  add_transcodes(all);
  add_pictures(all);
  add_animations(all);
  return all;
}

/// 10, 20, 30, 40 were the mp4 presets and 210…240 the hls ones.
std::uint64_t current_definition(std::uint64_t definition) {
  bool old =
      definition % 10 == 0
      && ((definition >= 10 && definition <= 40) || (definition >= 210 && definition <= 240));
  return old ? 100000 + definition : definition;
}

// ---- Checks --------------------------------------------------------------------

using names = std::initializer_list<std::string_view>;

bool is_among(std::string_view name, names allowed) {
  return std::find(allowed.begin(), allowed.end(), name) != allowed.end();
}

result<void> check_among(std::string field, std::string_view value, names supported) {
  if (is_among(value, supported))
    return {};
  return fail_field(errc::unsupported, field, "{} `{}` is not supported; supported are: {}",
                    field, value, fmt::join(supported, ", "));
}

template <class T>
result<void> check_range(std::string field, T value, T low, T high) {
  if (value >= low && value <= high)
    return {};
  return fail_field(errc::invalid_argument, field, "{} is {}; it must be within {} to {}",
                    field, value, low, high);
}

template <class T>
result<void> check_range(std::string field, const std::optional<T>& value,
                         std::type_identity_t<T> low, std::type_identity_t<T> high) {
  return value ? check_range<T>(std::move(field), *value, low, high) : result<void>{};
}

/// 0 stands for "as the source" or "automatic".
result<void> check_zero_or(std::string field, std::int64_t value, std::int64_t low,
                           std::int64_t high) {
  if (value == 0 || (value >= low && value <= high))
    return {};
  return fail_field(errc::invalid_argument, field, "{} is {}; it must be 0 or within {} to {}",
                    field, value, low, high);
}

failure invalid(std::string field, std::string_view sentence) {
  return fail_field(errc::invalid_argument, std::move(field), "{}", sentence);
}

failure missing(std::string field) {
  return fail_field(errc::missing_argument, field, "a required parameter is missing: {}",
                    field);
}

/// The same failure, its field below `name`.
result<void> within(std::string_view name, result<void> r) {
  if (!r)
    r.error().field = fmt::format("{}.{}", name, r.error().field);
  return r;
}

struct size_rule {
  std::int64_t low, high;
};
constexpr size_rule picture_size{128, 4096};
constexpr size_rule sprite_cell_size{16, 4096}; ///< the preset's cells are 142 × 80

result<void> check_size(std::int64_t width, std::int64_t height, on_off adaptive,
                        size_rule rule) {
  FM_CHECK(check_zero_or("Width", width, rule.low, rule.high));
  FM_CHECK(check_zero_or("Height", height, rule.low, rule.high));
  if (adaptive == on_off::open && width != 0 && height != 0 && width < height)
    return invalid("Width", "Width is the long side while ResolutionAdaptive is open: it "
                            "must not be less than Height");
  return {};
}

result<void> check_fill(fill_type fill) {
  return check_among("FillType", to_string(fill), {"stretch", "black", "white", "gauss"});
}

result<void> check_sampling(sample_type type, std::int64_t interval) {
  if (type == sample_type::percent)
    return check_range<std::int64_t>("SampleInterval", interval, 1, 100);
  return check_range<std::int64_t>("SampleInterval", interval, 1, 172'800);
}

// ---- Video and audio -------------------------------------------------------------

/// The rate that x264 and every container here can hold.
result<void> check_fps(const video_template& v) {
  FM_CHECK(check_range("FpsDenominator", v.fps_denominator, 1, 100'000));
  auto denominator = static_cast<double>(v.fps_denominator.value_or(1));
  auto rate = v.fps.value_or(0) / denominator;
  if (rate == 0 || (rate >= 0.1 && rate <= 120))
    return {};
  return fail_field(errc::invalid_argument, "Fps",
                    "Fps is {}; it must be 0 (as the source) or within 0.1 to 120", rate);
}

result<void> check_rate(const video_template& v) {
  FM_CHECK(check_zero_or("Bitrate", v.bitrate.value_or(0), 128, 100'000));
  FM_CHECK(check_range("Vcrf", v.vcrf, 0, 51));
  auto mode = v.mode.value_or(rate_mode::vbr);
  if (mode == rate_mode::vcrf && !v.vcrf)
    return invalid("Vcrf", "Mode VCRF needs Vcrf");
  bool needs_bitrate = mode == rate_mode::abr || mode == rate_mode::cbr;
  if (needs_bitrate && v.bitrate.value_or(0) == 0)
    return invalid("Bitrate", "Mode ABR and Mode CBR need a Bitrate");
  return {};
}

result<void> check_h264(const video_template& v) {
  auto profile = v.video_profile.value_or("");
  FM_CHECK(check_among("VideoProfile", profile, {"", "default", "baseline", "main", "high"}));
  FM_CHECK(check_among(
      "VideoLevel", v.video_level.value_or(""),
      {"",    "default", "1",   "1.0", "1.1", "1.2", "1.3", "2",  "2.0", "2.1", "2.2", "3",
       "3.0", "3.1",     "3.2", "4",   "4.0", "4.1", "4.2", "5",  "5.0", "5.1", "5.2", "6",
       "6.0", "6.1",     "6.2", "10",  "11",  "12",  "13",  "20", "21",  "22",  "30",  "31",
       "32",  "40",      "41",  "42",  "50",  "51",  "52",  "60", "61",  "62"}));
  FM_CHECK(check_range("Bframes", v.bframes, -1, 16));
  if (profile == "baseline" && v.bframes.value_or(0) > 0)
    return invalid("Bframes", "VideoProfile baseline has no B-frames");
  return check_among("EncoderPreset", v.preset.value_or("veryfast"),
                     {"ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow",
                      "slower", "veryslow"});
}

result<void> check_segments(const video_template& v) {
  if (v.hls_time && !(*v.hls_time > 0 && *v.hls_time <= 10))
    return fail_field(errc::invalid_argument, "HlsTime",
                      "HlsTime is {}; it must be above 0 and at most 10 seconds", *v.hls_time);
  auto type = v.segment_type.value_or(0);
  if (type != 0 && type != 7)
    return fail_field(errc::unsupported, "SegmentType",
                      "SegmentType {} is not supported; supported are: 0 (TS), 7 (MP4)", type);
  return {};
}

/// What asks for other pictures, of a stream that stays as it is.
result<void> check_copied(const video_template& v) {
  bool asked[] = {v.fps.value_or(0) != 0, v.width.value_or(0) != 0, v.height.value_or(0) != 0,
                  v.vcrf.has_value(), v.gop.value_or(0) != 0};
  const char* names[] = {"Fps", "Width", "Height", "Vcrf", "Gop"};
  for (std::size_t i = 0; i < std::size(asked); ++i)
    if (asked[i])
      return fail_field(errc::invalid_argument, names[i],
                        "{} needs a Codec other than copy: copied video stays as it is",
                        names[i]);
  return {};
}

result<void> check_copied(const audio_template& a) {
  if (a.sample_rate.value_or(0) != 0)
    return invalid("SampleRate", "SampleRate needs a Codec other than copy");
  if (a.audio_channel.value_or(0) != 0)
    return invalid("AudioChannel", "AudioChannel needs a Codec other than copy");
  return {};
}

result<void> check_audio_codec(std::string_view codec, std::string_view container) {
  if (container == "mp3")
    return check_among("Codec", codec, {"mp3", "libmp3lame", "copy"});
  if (container == "m4a" || container == "flv") // FLV has few rates of MP3
    return check_among("Codec", codec, {"aac", "libfdk_aac", "copy"});
  return check_among("Codec", codec, {"aac", "libfdk_aac", "mp3", "libmp3lame", "copy"});
}

/// MPS says 26–256; its own presets have 24 and 320 as well.
result<void> check_audio_bitrate(std::int64_t kbps) {
  if (kbps == 24 || kbps == 320)
    return {};
  return check_zero_or("Bitrate", kbps, 26, 256);
}

result<void> check_sample_rate(std::int64_t hertz) {
  constexpr std::int64_t rates[] = {0,     8000,  11025, 12000, 16000,
                                    22050, 24000, 32000, 44100, 48000};
  if (std::find(std::begin(rates), std::end(rates), hertz) != std::end(rates))
    return {};
  return fail_field(errc::unsupported, "SampleRate",
                    "SampleRate {} is not supported; supported are: {}", hertz,
                    fmt::join(rates, ", "));
}

bool is_audio_only(std::string_view container) {
  return container == "mp3" || container == "m4a";
}

result<void> check_streams(const transcode_template& t) {
  FM_CHECK(check_range("RemoveVideo", t.remove_video, 0, 1));
  FM_CHECK(check_range("RemoveAudio", t.remove_audio, 0, 1));
  bool no_audio = t.remove_audio.value_or(0) == 1;
  if (no_audio && is_audio_only(*t.container))
    return invalid("RemoveAudio", "an audio container without audio would be empty");
  if (no_audio && t.remove_video.value_or(0) == 1)
    return invalid("RemoveVideo", "RemoveVideo and RemoveAudio must not both be 1");
  return {};
}

// ---- Watermarks --------------------------------------------------------------------

result<void> check_position(std::string field, std::string_view text) {
  auto m = parse_measure(text);
  if (!m)
    return fail_field(m.error().code, std::move(field), "{}", m.error().message);
  return check_range(std::move(field), m->value, 0.0, m->percent ? 100.0 : 16384.0);
}

result<void> check_mark_size(std::string field, std::string_view text) {
  auto m = parse_measure(text);
  if (!m)
    return fail_field(m.error().code, std::move(field), "{}", m.error().message);
  if (m->percent)
    return check_range(std::move(field), m->value, 0.0, 100.0);
  if (m->value == 0)
    return {};
  return check_range(std::move(field), m->value, 8.0, 4096.0);
}

result<void> check_mark(const image_watermark_template& t) {
  auto image = decode_base64(t.image_content);
  if (!image)
    return fail_field(image.error().code, "ImageContent", "{}", image.error().message);
  if (!image->starts_with("\x89PNG\r\n\x1a\n") && !image->starts_with("\xff\xd8\xff"))
    return invalid("ImageContent", "ImageContent must be a PNG or a JPEG");
  return validate_mark_geometry(t.width, t.height, t.repeat_type);
}

bool is_color(std::string_view text) {
  return text.size() == 8 && text.starts_with("0x")
         && text.substr(2).find_first_not_of("0123456789abcdefABCDEF")
                == std::string_view::npos;
}

result<void> check_mark(const text_watermark_template& t) {
  FM_CHECK(check_among("FontType", t.font_type, {"simkai.ttf", "arial.ttf"}));
  auto size = parse_measure(t.font_size);
  if (!size || size->percent)
    return invalid("FontSize", "FontSize must be a length like `24px`");
  FM_CHECK(check_range("FontSize", size->value, 1.0, 4096.0));
  if (!is_color(t.font_color))
    return invalid("FontColor", "FontColor must be like 0xFFFFFF");
  if (!(t.font_alpha > 0 && t.font_alpha <= 1))
    return invalid("FontAlpha", "FontAlpha must be above 0 and at most 1");
  return check_text("TextContent", t.text_content, 100);
}

} // namespace

result<void> check_text(std::string field, std::string_view text, std::size_t chars_max) {
  auto n = code_points(text);
  if (!n)
    return fail_field(errc::invalid_argument, field, "{} is not valid UTF-8", field);
  if (*n > chars_max)
    return fail_field(errc::invalid_argument, field,
                      "{} has {} characters; at most {} are allowed", field, *n, chars_max);
  return {};
}

result<void> validate_mark_position(std::string_view x_pos, std::string_view y_pos) {
  FM_CHECK(check_position("XPos", x_pos));
  return check_position("YPos", y_pos);
}

result<void> validate_mark_geometry(std::string_view width, std::string_view height,
                                    std::string_view repeat_type) {
  FM_CHECK(check_mark_size("Width", width));
  FM_CHECK(check_mark_size("Height", height));
  return check_among("RepeatType", repeat_type, {"once", "repeat_last_frame", "repeat"});
}

std::span<const template_record> preset_templates() {
  static const std::vector<template_record> presets = all_presets();
  return presets;
}

const template_record* find_preset(template_family family, std::uint64_t definition) {
  if (family == template_family::transcode)
    definition = current_definition(definition);
  for (const auto& p : preset_templates())
    if (p.family == family && p.definition == definition)
      return &p;
  return nullptr;
}

result<void> validate(const video_template& v) {
  if (!v.codec)
    return missing("Codec");
  FM_CHECK(check_among("Codec", *v.codec, {"h264", "libx264", "copy"}));
  if (*v.codec == "copy")
    FM_CHECK(check_copied(v));
  FM_CHECK(check_fps(v));
  FM_CHECK(check_rate(v));
  FM_CHECK(check_size(v.width.value_or(0), v.height.value_or(0),
                      v.resolution_adaptive.value_or(on_off::open), picture_size));
  FM_CHECK(check_range("Gop", v.gop, 0, 100'000));
  FM_CHECK(check_fill(v.fill_type.value_or(fill_type::black)));
  FM_CHECK(check_h264(v));
  FM_CHECK(check_among("Sar", v.sar.value_or(""), {"", "default", "1:1"}));
  FM_CHECK(check_segments(v));
  return check_range("NoScenecut", v.no_scenecut, 0, 1);
}

result<void> validate(const audio_template& a, std::string_view container) {
  if (!a.codec)
    return missing("Codec");
  FM_CHECK(check_audio_codec(*a.codec, container));
  if (*a.codec == "copy")
    FM_CHECK(check_copied(a));
  FM_CHECK(check_audio_bitrate(a.bitrate.value_or(0)));
  FM_CHECK(check_sample_rate(a.sample_rate.value_or(0)));
  auto channels = a.audio_channel.value_or(2);
  if (channels != 0 && channels != 1 && channels != 2 && channels != 6)
    return invalid("AudioChannel", "AudioChannel must be 0 (as the source), 1, 2 or 6");
  if (channels == 6 && (*a.codec == "mp3" || *a.codec == "libmp3lame"))
    return invalid("AudioChannel", "mp3 has at most two channels");
  return {};
}

result<void> validate(const transcode_template& t) {
  if (!t.container)
    return missing("Container");
  FM_CHECK(check_among("Container", *t.container, {"mp4", "hls", "mov", "flv", "mp3", "m4a"}));
  FM_CHECK(check_streams(t));
  if (!is_audio_only(*t.container) && t.remove_video.value_or(0) == 0) {
    if (!t.video)
      return missing("VideoTemplate");
    FM_CHECK(within("VideoTemplate", validate(*t.video)));
  }
  if (t.remove_audio.value_or(0) == 1)
    return {};
  if (!t.audio)
    return missing("AudioTemplate");
  return within("AudioTemplate", validate(*t.audio, *t.container));
}

result<void> validate(const snapshot_template& t) {
  FM_CHECK(check_size(t.width, t.height, t.resolution_adaptive, picture_size));
  FM_CHECK(check_among("Format", t.format, {"jpg", "png", "webp"}));
  return check_fill(t.fill_type);
}

result<void> validate(const sample_snapshot_template& t) {
  FM_CHECK(check_sampling(t.sample_type, t.sample_interval));
  FM_CHECK(check_size(t.width, t.height, t.resolution_adaptive, picture_size));
  FM_CHECK(check_among("Format", t.format, {"jpg", "png", "webp"}));
  return check_fill(t.fill_type);
}

result<void> validate(const image_sprite_template& t) {
  FM_CHECK(check_sampling(t.sample_type, t.sample_interval));
  FM_CHECK(check_range<std::int64_t>("RowCount", t.row_count, 1, 100));
  FM_CHECK(check_range<std::int64_t>("ColumnCount", t.column_count, 1, 100));
  if (t.row_count * t.column_count > 100)
    return invalid("RowCount", "a sprite has at most 100 pictures (RowCount x ColumnCount)");
  FM_CHECK(check_size(t.width, t.height, t.resolution_adaptive, sprite_cell_size));
  constexpr std::int64_t side_max = 16383; // of a WebP
  if (t.width * t.column_count > side_max || t.height * t.row_count > side_max)
    return invalid("Width", "a side of the sprite would be longer than 16383 pixels");
  FM_CHECK(check_among("Format", t.format, {"jpg", "png", "webp"}));
  return check_fill(t.fill_type);
}

result<void> validate(const animated_graphics_template& t) {
  FM_CHECK(check_range<std::int64_t>("Fps", t.fps, 1, 30));
  FM_CHECK(check_size(t.width, t.height, t.resolution_adaptive, picture_size));
  FM_CHECK(check_among("Format", t.format, {"gif", "webp"}));
  return check_range("Quality", t.quality, 1.0, 100.0);
}

result<void> validate(const watermark_template& t) {
  if (t.type == watermark_type::svg)
    return check_among("Type", to_string(t.type), {"image", "text"});
  FM_CHECK(validate_mark_position(t.x_pos, t.y_pos));
  if (t.type == watermark_type::image) {
    if (t.text)
      return invalid("TextTemplate", "TextTemplate is not for a watermark of Type image");
    return t.image ? within("ImageTemplate", check_mark(*t.image)) : missing("ImageTemplate");
  }
  if (t.image)
    return invalid("ImageTemplate", "ImageTemplate is not for a watermark of Type text");
  return t.text ? within("TextTemplate", check_mark(*t.text)) : missing("TextTemplate");
}

result<void> validate(const template_record& t) {
  FM_CHECK(check_text("Name", t.name, 64));
  FM_CHECK(check_text("Comment", t.comment, 256));
  int members = int{t.transcode.has_value()} + int{t.watermark.has_value()}
                + int{t.snapshot.has_value()} + int{t.sample_snapshot.has_value()}
                + int{t.image_sprite.has_value()} + int{t.animated_graphics.has_value()};
  auto check = [&](const auto& member) -> result<void> {
    if (!member || members != 1)
      return invalid("Family", "a template has exactly the parameters of its family");
    return validate(*member);
  };
  switch (t.family) {
    case template_family::transcode: return check(t.transcode);
    case template_family::watermark: return check(t.watermark);
    case template_family::snapshot_by_time_offset: return check(t.snapshot);
    case template_family::sample_snapshot: return check(t.sample_snapshot);
    case template_family::image_sprite: return check(t.image_sprite);
    case template_family::animated_graphics: return check(t.animated_graphics);
  }
  return invalid("Family", "unknown template family");
}

// ---- Overriding ------------------------------------------------------------------------

namespace {

/// The addresses of a struct's fields in the order in which it lists them.
struct field_addresses {
  std::vector<const void*> at;
  template <class T, class... R>
  void operator()(std::string_view, const T& member, R...) {
    at.push_back(&member);
  }
  void unsupported(std::string_view) {}
};

template <class T>
void take_present(T& base, const T& over);

/// Visits the same struct again: the i-th field has the type it had there.
struct present_taker {
  const std::vector<const void*>& over;
  std::size_t next = 0;
  template <class T>
  void operator()(std::string_view, std::optional<T>& member) {
    const auto& from = *static_cast<const std::optional<T>*>(over[next++]);
    if constexpr (has_fields<T>) {
      if (from && member)
        return take_present(*member, *from);
    }
    if (from)
      member = from;
  }
  void unsupported(std::string_view) {}
};

template <class T>
void take_present(T& base, const T& over) {
  field_addresses addresses;
  T::fields(over, addresses);
  present_taker taker{addresses.at};
  T::fields(base, taker);
}

constexpr std::int64_t vcrf_cleared = 100; ///< MPS: an update with 100 takes Vcrf away

} // namespace

transcode_template merge(transcode_template base, const transcode_template& over) {
  // A stream that is copied has none of the settings of the encode it replaces.
  if (over.video && over.video->codec == "copy")
    base.video.reset();
  if (over.audio && over.audio->codec == "copy")
    base.audio.reset();
  take_present(base, over);
  if (base.video && base.video->vcrf == vcrf_cleared)
    base.video->vcrf.reset();
  return base;
}

result<measure> parse_measure(std::string_view text) {
  auto number = text;
  bool percent = text.ends_with('%');
  if (percent)
    number.remove_suffix(1);
  else if (text.ends_with("px"))
    number.remove_suffix(2);
  else
    return fail(errc::malformed, "`{}` is not a length like `12px` or `7.5%`", text);
  double value = 0;
  auto [end, ec] = std::from_chars(number.data(), number.data() + number.size(), value,
                                   std::chars_format::fixed);
  if (ec != std::errc{} || end != number.data() + number.size() || !std::isfinite(value)
      || std::signbit(value))
    return fail(errc::malformed, "`{}` is not a length like `12px` or `7.5%`", text);
  return measure{value, percent};
}

} // namespace framemill
