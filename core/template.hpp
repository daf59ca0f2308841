#pragma once

#include "core/fields.hpp"

#include <optional>
#include <span>
#include <string>
#include <vector>

// Parameter sets of activities ("templates", addressed by an integer
// Definition). Field names, units and ranges are those of the MPS API: bitrates
// kbps, sizes pixels, 0 = as the source.

namespace framemill {

enum class on_off : std::uint8_t { open, close };
enum class fill_type : std::uint8_t { stretch, black, white, gauss, smarttailor };
enum class sample_type : std::uint8_t { percent, time };
enum class rate_mode : std::uint8_t { vbr, abr, cbr, vcrf };
enum class gop_unit : std::uint8_t { frame, second };
enum class coordinate_origin : std::uint8_t { top_left, top_right, bottom_left, bottom_right };
enum class watermark_type : std::uint8_t { image, text, svg };
enum class template_origin : std::uint8_t { preset, custom };

enum class template_family : std::uint8_t {
  transcode, watermark, snapshot_by_time_offset, sample_snapshot, image_sprite,
  animated_graphics,
};

/// VideoTemplateInfo. Absent members (in an override) keep the template's value.
struct video_template {
  std::optional<std::string> codec;       ///< h264, libx264, copy
  std::optional<double> fps;              ///< [0, 120]; 0 = as the source
  std::optional<std::int64_t> fps_denominator;
  std::optional<std::int64_t> bitrate;    ///< kbps; 0 = automatic
  std::optional<on_off> resolution_adaptive; ///< open: Width is the long side
  std::optional<std::int64_t> width;
  std::optional<std::int64_t> height;
  std::optional<std::int64_t> gop;        ///< 0 = automatic
  std::optional<framemill::gop_unit> gop_unit;
  std::optional<framemill::fill_type> fill_type;
  std::optional<std::int64_t> vcrf;       ///< [0, 51]; given: Bitrate is a cap
  std::optional<rate_mode> mode;
  std::optional<std::int64_t> bframes;    ///< 0–16; -1 = automatic
  std::optional<std::string> video_profile; ///< baseline, main, high, default
  std::optional<std::string> video_level;
  std::optional<std::string> sar;         ///< 1:1, default
  std::optional<double> hls_time;         ///< (0, 10] seconds
  std::optional<std::int64_t> segment_type; ///< 0 TS, 7 MP4
  std::optional<std::int64_t> no_scenecut; ///< 0, 1
  std::optional<std::string> preset;      ///< x264 preset; an extension of ours

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Codec", s.codec);
    v("Fps", s.fps);
    v("FpsDenominator", s.fps_denominator);
    v("Bitrate", s.bitrate);
    v("ResolutionAdaptive", s.resolution_adaptive);
    v("Width", s.width);
    v("Height", s.height);
    v("Gop", s.gop);
    v("GopUnit", s.gop_unit);
    v("FillType", s.fill_type);
    v("Vcrf", s.vcrf);
    v("Mode", s.mode);
    v("Bframes", s.bframes);
    v("VideoProfile", s.video_profile);
    v("VideoLevel", s.video_level);
    v("Sar", s.sar);
    v("HlsTime", s.hls_time);
    v("SegmentType", s.segment_type);
    v("NoScenecut", s.no_scenecut);
    v("EncoderPreset", s.preset);
    v.unsupported("BitDepth");
    v.unsupported("RawPts");
    v.unsupported("SegmentSpecificInfo");
    v.unsupported("Stereo3dType");
    v.unsupported("Compress");
    v.unsupported("ScenarioBased");
    v.unsupported("SceneType");
    v.unsupported("CompressType");
    v.unsupported("ContentAdaptStream");
  }
  bool operator==(const video_template&) const = default;
};

/// AudioTemplateInfo.
struct audio_template {
  std::optional<std::string> codec;       ///< aac, libfdk_aac (alias), mp3, libmp3lame, copy
  std::optional<std::int64_t> bitrate;    ///< kbps; 0 = automatic
  std::optional<std::int64_t> sample_rate; ///< Hz; 0 = as the source
  std::optional<std::int64_t> audio_channel; ///< 0 (source), 1, 2, 6

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Codec", s.codec);
    v("Bitrate", s.bitrate);
    v("SampleRate", s.sample_rate);
    v("AudioChannel", s.audio_channel);
    v.unsupported("StreamSelects");
    v.unsupported("TrackChannelInfo");
    v.unsupported("AudioLanguage");
    v.unsupported("AudioName");
    v.unsupported("DefaultTrack");
  }
  bool operator==(const audio_template&) const = default;
};

/// A transcode: container and what its streams become. RemoveVideo and
/// RemoveAudio are 0 or 1.
struct transcode_template {
  std::optional<std::string> container;   ///< mp4, hls, mov, flv, mp3, m4a
  std::optional<std::int64_t> remove_video;
  std::optional<std::int64_t> remove_audio;
  std::optional<video_template> video;
  std::optional<audio_template> audio;

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Container", s.container);
    v("RemoveVideo", s.remove_video);
    v("RemoveAudio", s.remove_audio);
    v("VideoTemplate", s.video);
    v("AudioTemplate", s.audio);
    v.unsupported("TEHDConfig");
    v.unsupported("EnhanceConfig");
    v.unsupported("SubtitleTemplate");
    v.unsupported("AddonAudioStream");
    v.unsupported("AddOnSubtitles");
    v.unsupported("StdExtInfo");
  }
  bool operator==(const transcode_template&) const = default;
};

/// SnapshotByTimeOffset, and the picture part of the other image families.
struct snapshot_template {
  std::int64_t width = 0;
  std::int64_t height = 0;
  on_off resolution_adaptive = on_off::open;
  std::string format = "jpg";             ///< jpg, png, webp
  framemill::fill_type fill_type = fill_type::black;

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Width", s.width);
    v("Height", s.height);
    v("ResolutionAdaptive", s.resolution_adaptive);
    v("Format", s.format);
    v("FillType", s.fill_type);
  }
  bool operator==(const snapshot_template&) const = default;
};

struct sample_snapshot_template {
  framemill::sample_type sample_type = sample_type::percent;
  std::int64_t sample_interval = 10;      ///< percent, or seconds
  std::int64_t width = 0;
  std::int64_t height = 0;
  on_off resolution_adaptive = on_off::open;
  std::string format = "jpg";
  framemill::fill_type fill_type = fill_type::black;

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("SampleType", s.sample_type, required);
    v("SampleInterval", s.sample_interval, required);
    v("Width", s.width);
    v("Height", s.height);
    v("ResolutionAdaptive", s.resolution_adaptive);
    v("Format", s.format);
    v("FillType", s.fill_type);
  }
  bool operator==(const sample_snapshot_template&) const = default;
};

/// Width and Height are those of one sub-image; 0 keeps the aspect.
struct image_sprite_template {
  framemill::sample_type sample_type = sample_type::time;
  std::int64_t sample_interval = 10;
  std::int64_t row_count = 10;
  std::int64_t column_count = 10;
  std::int64_t width = 0;
  std::int64_t height = 0;
  on_off resolution_adaptive = on_off::open;
  framemill::fill_type fill_type = fill_type::black;
  std::string format = "jpg";

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("SampleType", s.sample_type, required);
    v("SampleInterval", s.sample_interval, required);
    v("RowCount", s.row_count, required);
    v("ColumnCount", s.column_count, required);
    v("Width", s.width);
    v("Height", s.height);
    v("ResolutionAdaptive", s.resolution_adaptive);
    v("FillType", s.fill_type);
    v("Format", s.format);
  }
  bool operator==(const image_sprite_template&) const = default;
};

struct animated_graphics_template {
  std::int64_t fps = 2;                   ///< [1, 30]
  std::int64_t width = 0;
  std::int64_t height = 0;
  on_off resolution_adaptive = on_off::open;
  std::string format = "gif";             ///< gif, webp
  double quality = 75;                    ///< [1, 100], WebP

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Fps", s.fps, required);
    v("Width", s.width);
    v("Height", s.height);
    v("ResolutionAdaptive", s.resolution_adaptive);
    v("Format", s.format);
    v("Quality", s.quality);
  }
  bool operator==(const animated_graphics_template&) const = default;
};

struct image_watermark_template {
  std::string image_content;              ///< base64 of a PNG or JPEG
  std::string width = "10%";              ///< `N%` of the video's width, or `Npx`
  std::string height = "0px";             ///< 0px keeps the aspect
  std::string repeat_type = "repeat";

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("ImageContent", s.image_content, required);
    v("Width", s.width);
    v("Height", s.height);
    v("RepeatType", s.repeat_type);
  }
  bool operator==(const image_watermark_template&) const = default;
};

struct text_watermark_template {
  std::string font_type;                  ///< simkai.ttf, arial.ttf
  std::string font_size;                  ///< `Npx`
  std::string font_color = "0xFFFFFF";    ///< 0xRRGGBB
  double font_alpha = 1.0;                ///< (0, 1]
  std::string text_content;

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("FontType", s.font_type, required);
    v("FontSize", s.font_size, required);
    v("FontColor", s.font_color, required);
    v("FontAlpha", s.font_alpha, required);
    v("TextContent", s.text_content);
  }
  bool operator==(const text_watermark_template&) const = default;
};

/// Exactly the member that `type` names is set.
struct watermark_template {
  watermark_type type = watermark_type::image;
  framemill::coordinate_origin coordinate_origin = coordinate_origin::top_left;
  std::string x_pos = "0px";              ///< `N%` of the video, or `Npx`
  std::string y_pos = "0px";
  std::optional<image_watermark_template> image;
  std::optional<text_watermark_template> text;

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Type", s.type, required);
    v("CoordinateOrigin", s.coordinate_origin);
    v("XPos", s.x_pos);
    v("YPos", s.y_pos);
    v("ImageTemplate", s.image);
    v("TextTemplate", s.text);
    v.unsupported("SvgTemplate");
  }
  bool operator==(const watermark_template&) const = default;
};

/// A stored template: exactly the member of its family is set.
struct template_record {
  template_family family = template_family::transcode;
  std::uint64_t definition = 0;
  template_origin origin = template_origin::custom;
  std::string name;
  std::string comment;
  timestamp created;
  timestamp updated;
  std::optional<transcode_template> transcode;
  std::optional<watermark_template> watermark;
  std::optional<snapshot_template> snapshot;
  std::optional<sample_snapshot_template> sample_snapshot;
  std::optional<image_sprite_template> image_sprite;
  std::optional<animated_graphics_template> animated_graphics;

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Family", s.family);
    v("Definition", s.definition);
    v("Type", s.origin);
    v("Name", s.name);
    v("Comment", s.comment);
    v("CreateTime", s.created);
    v("UpdateTime", s.updated);
    v("Transcode", s.transcode);
    v("Watermark", s.watermark);
    v("Snapshot", s.snapshot);
    v("SampleSnapshot", s.sample_snapshot);
    v("ImageSprite", s.image_sprite);
    v("AnimatedGraphics", s.animated_graphics);
  }
  bool operator==(const template_record&) const = default;
};

/// The presets of the MPS documentation that these families have; immutable.
[[nodiscard]] std::span<const template_record> preset_templates();
/// A preset by family and Definition; old ids (10, 20, … 240) are aliases.
[[nodiscard]] const template_record* find_preset(template_family family,
                                                 std::uint64_t definition);
/// Custom ids count up from here in each family.
inline constexpr std::uint64_t custom_definition_first = 1'000'000;

/// Ranges and combinations; the error's field is relative to the parameter set.
[[nodiscard]] result<void> validate(const video_template& v);
[[nodiscard]] result<void> validate(const audio_template& a, std::string_view container);
[[nodiscard]] result<void> validate(const transcode_template& t);
[[nodiscard]] result<void> validate(const snapshot_template& t);
[[nodiscard]] result<void> validate(const sample_snapshot_template& t);
[[nodiscard]] result<void> validate(const image_sprite_template& t);
[[nodiscard]] result<void> validate(const animated_graphics_template& t);
[[nodiscard]] result<void> validate(const watermark_template& t);
/// The one set member, by its family's rules.
[[nodiscard]] result<void> validate(const template_record& t);

/// The parts that stored and raw watermarks share.
[[nodiscard]] result<void> validate_mark_position(std::string_view x_pos,
                                                  std::string_view y_pos);
[[nodiscard]] result<void> validate_mark_geometry(std::string_view width,
                                                  std::string_view height,
                                                  std::string_view repeat_type);
/// Valid UTF-8 of at most `chars_max` characters; `field` names it.
[[nodiscard]] result<void> check_text(std::string field, std::string_view text,
                                      std::size_t chars_max);

/// Members that `over` has win; absent ones keep `base`'s, but for a stream that
/// `over` copies.
[[nodiscard]] transcode_template merge(transcode_template base, const transcode_template& over);

/// A length like `12px` or `7.5%`.
struct measure {
  double value = 0;
  bool percent = false;
};
[[nodiscard]] result<measure> parse_measure(std::string_view text);

} // namespace framemill

FM_ENUM_NAMES(framemill::on_off, "open", "close")
FM_ENUM_NAMES(framemill::fill_type, "stretch", "black", "white", "gauss", "smarttailor")
FM_ENUM_NAMES(framemill::sample_type, "Percent", "Time")
FM_ENUM_NAMES(framemill::rate_mode, "VBR", "ABR", "CBR", "VCRF")
FM_ENUM_NAMES(framemill::gop_unit, "frame", "second")
FM_ENUM_NAMES(framemill::coordinate_origin, "TopLeft", "TopRight", "BottomLeft", "BottomRight")
FM_ENUM_NAMES(framemill::watermark_type, "image", "text", "svg")
FM_ENUM_NAMES(framemill::template_origin, "Preset", "Custom")
FM_ENUM_NAMES(framemill::template_family, "Transcode", "Watermark", "SnapshotByTimeOffset",
              "SampleSnapshot", "ImageSprite", "AnimatedGraphics")
