#pragma once

#include "core/fields.hpp"

#include <optional>
#include <string>
#include <variant>
#include <vector>

// The conversation between framemilld and its child framemill-media, as
// MessagePack frames over pipes (docs/protocol.md):
//
//   fd 0  daemon → child   one media_request; then nothing. EOF before the
//                          result means: stop, nobody waits for you.
//   fd 1  child → daemon   child_message frames: watermarks, then one result
//   fd 2  child → daemon   log lines
//   fd 3                   the source object, opened read-only by the daemon
//                          (absent when the request has no source)
//   cwd                    the scratch directory: `in/` holds handed artifacts
//                          (read-only), results are written to `out/`
//
// A frame is a 4-byte little-endian length and that many bytes. One process,
// one request. Kind numbers are append-only.

namespace framemill {

struct rational {
  std::int64_t num = 0;
  std::int64_t den = 1;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Num", s.num);
    v("Den", s.den);
  }
  bool operator==(const rational&) const = default;
};

// ---- What a probe finds -------------------------------------------------------

enum class stream_kind : std::uint8_t { video, audio, subtitle, data };

struct stream_info {
  std::int32_t index = 0; ///< in the container
  stream_kind kind = stream_kind::data;
  std::string codec;      ///< libavcodec's name
  std::string profile;
  std::string codec_tag;  ///< RFC 6381 when known (avc1.640028), else ""
  rational time_base{0, 1};
  std::int64_t start_pts = 0;    ///< in time_base
  std::int64_t duration_pts = 0; ///< in time_base; 0 = unknown
  std::int64_t bitrate = 0;      ///< bit/s; 0 = unknown
  std::string language;
  bool attached_picture = false;
  // video
  std::int32_t width = 0;        ///< coded, before rotation and SAR
  std::int32_t height = 0;
  rational sample_aspect{1, 1};
  std::int32_t rotation = 0;     ///< clockwise degrees to bring it upright: 0 90 180 270
  std::string pixel_format;
  std::int32_t bit_depth = 8;
  rational frame_rate{0, 1};     ///< nominal; 0 = unknown
  bool interlaced = false;
  std::string color_range, color_primaries, color_transfer, color_space;
  bool hdr = false;              ///< PQ or HLG transfer
  // audio
  std::int32_t sample_rate = 0;  ///< Hz
  std::int32_t channels = 0;
  std::string channel_layout;

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Index", s.index);
    v("Kind", s.kind);
    v("Codec", s.codec);
    v("Profile", s.profile);
    v("CodecTag", s.codec_tag);
    v("TimeBase", s.time_base);
    v("StartPts", s.start_pts);
    v("DurationPts", s.duration_pts);
    v("Bitrate", s.bitrate);
    v("Language", s.language);
    v("AttachedPicture", s.attached_picture);
    v("Width", s.width);
    v("Height", s.height);
    v("SampleAspect", s.sample_aspect);
    v("Rotation", s.rotation);
    v("PixelFormat", s.pixel_format);
    v("BitDepth", s.bit_depth);
    v("FrameRate", s.frame_rate);
    v("Interlaced", s.interlaced);
    v("ColorRange", s.color_range);
    v("ColorPrimaries", s.color_primaries);
    v("ColorTransfer", s.color_transfer);
    v("ColorSpace", s.color_space);
    v("Hdr", s.hdr);
    v("SampleRate", s.sample_rate);
    v("Channels", s.channels);
    v("ChannelLayout", s.channel_layout);
  }
  bool operator==(const stream_info&) const = default;
};

struct media_info {
  std::string container; ///< libavformat's demuxer names: mov,mp4,m4a,3gp,3g2,mj2
  std::int64_t size = 0; ///< bytes
  double duration = 0;   ///< seconds
  std::int64_t bitrate = 0; ///< bit/s
  std::vector<stream_info> streams;

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Container", s.container);
    v("Size", s.size);
    v("Duration", s.duration);
    v("Bitrate", s.bitrate);
    v("Streams", s.streams);
  }
  bool operator==(const media_info&) const = default;

  [[nodiscard]] const stream_info* video() const; ///< first real picture stream
  [[nodiscard]] const stream_info* audio() const; ///< first audio stream
};

/// A random-access point: decoding may start at this packet.
struct access_point {
  std::int64_t pts = 0;
  std::int64_t position = -1; ///< byte offset of the packet; −1 = unknown
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Pts", s.pts);
    v("Pos", s.position);
  }
  bool operator==(const access_point&) const = default;
};

/// The presentation list of one video stream, from one demux pass. `exact` says
/// that decoding yields precisely these frames; when it is false (`reason` says
/// why) the source is worked as one piece, frames as they come.
struct packet_index {
  std::int32_t stream = 0;
  rational time_base{1, 1};
  std::vector<std::int64_t> pts; ///< ascending, time_base ticks
  std::int64_t last_duration = 0; ///< of the last frame, ticks
  std::vector<access_point> access_points; ///< ascending by pts
  bool exact = true;
  std::string reason;

  bool operator==(const packet_index&) const = default;
};

/// Compact bytes of an index (zig-zag variable-length deltas), and back.
[[nodiscard]] std::string encode_index(const packet_index& index);
[[nodiscard]] result<packet_index> decode_index(std::string_view bytes);

// ---- Steps -----------------------------------------------------------------------

/// Looks at the source. Writes `out/index` (encode_index) when it has video.
struct probe_step {
  static constexpr std::uint64_t kind = 1;
  bool with_index = true;
  template <class Self, class V>
  static void fields(Self& s, V& v) { v("WithIndex", s.with_index); }
  bool operator==(const probe_step&) const = default;
};

enum class fill_mode : std::uint8_t { stretch, black, white, gauss };

/// What the picture becomes, in pixels: upright, square samples, 4:2:0 8 bit.
struct picture_geometry {
  std::int32_t width = 0;  ///< of the output; even for encoders
  std::int32_t height = 0;
  std::int32_t inner_width = 0;  ///< the scaled picture within it, centred
  std::int32_t inner_height = 0;
  fill_mode fill = fill_mode::stretch;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Width", s.width);
    v("Height", s.height);
    v("InnerWidth", s.inner_width);
    v("InnerHeight", s.inner_height);
    v("Fill", s.fill);
  }
  bool operator==(const picture_geometry&) const = default;
};

/// A mark burnt into the picture while `begin <= t < end` (seconds of output
/// time; end 0 = to the end). Exactly one of `image` and `text` is non-empty.
struct overlay {
  std::string image;   ///< file below `in/`
  std::string text;
  std::string font;    ///< font file, absolute
  std::int32_t font_size = 0; ///< px
  std::string color;   ///< RRGGBB
  double alpha = 1;
  std::int32_t x = 0, y = 0;           ///< offset inward from `origin`, px
  std::int32_t origin = 0;             ///< coordinate_origin as a number
  std::int32_t width = 0, height = 0;  ///< of the image, px; 0 = keep aspect
  double begin = 0, end = 0;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Image", s.image);
    v("Text", s.text);
    v("Font", s.font);
    v("FontSize", s.font_size);
    v("Color", s.color);
    v("Alpha", s.alpha);
    v("X", s.x);
    v("Y", s.y);
    v("Origin", s.origin);
    v("Width", s.width);
    v("Height", s.height);
    v("Begin", s.begin);
    v("End", s.end);
  }
  bool operator==(const overlay&) const = default;
};

enum class rate_control : std::uint8_t { crf, capped_crf, abr, cbr };

struct h264_settings {
  std::string preset = "veryfast";
  rate_control control = rate_control::crf;
  double crf = 23;
  std::int32_t kbps = 0;   ///< the cap of capped_crf, the average of abr and cbr
  std::string profile;     ///< "" = the encoder's choice
  std::string level;
  std::int32_t bframes = -1;
  std::int32_t threads = 1; ///< pinned: another count gives another stream
  bool scenecut = false;   ///< extra key frames at scene cuts, beside the grid
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Preset", s.preset);
    v("Control", s.control);
    v("Crf", s.crf);
    v("Kbps", s.kbps);
    v("Profile", s.profile);
    v("Level", s.level);
    v("Bframes", s.bframes);
    v("Threads", s.threads);
    v("Scenecut", s.scenecut);
  }
  bool operator==(const h264_settings&) const = default;
};

/// Which frames an output takes, by one rule for every consumer (media/plan/
/// frame_grid.hpp). With fps > 0 the output has a grid: source frame i falls in
/// slot round((pts_i − origin) × fps), and output frame k shows the last source
/// frame whose slot is ≤ k. With fps = 0 each source frame with pts in
/// [origin, end) is one output frame and keeps its time.
struct frame_grid {
  rational fps{0, 1};
  std::int64_t origin = 0; ///< source ticks: output time 0
  std::int64_t end = 0;    ///< source ticks, exclusive; the clip's end
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Fps", s.fps);
    v("Origin", s.origin);
    v("End", s.end);
  }
  bool operator==(const frame_grid&) const = default;
};

/// One rendition of a shard: output frames [first, last) of its grid, into the
/// packet file `out/<name>`. Key frames are exactly the frames k with k mod gop
/// == 0 (fps > 0), or the first frame at or after each multiple of gop_seconds.
struct video_output {
  std::string name;
  picture_geometry geometry;
  std::vector<overlay> overlays;
  frame_grid grid;
  std::int64_t first = 0;
  std::int64_t last = 0;   ///< exclusive; INT64_MAX = to the end (inexact index)
  std::int64_t gop = 0;    ///< frames; used when fps > 0
  double gop_seconds = 0;  ///< used when fps = 0
  h264_settings encoder;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Name", s.name);
    v("Geometry", s.geometry);
    v("Overlays", s.overlays);
    v("Grid", s.grid);
    v("First", s.first);
    v("Last", s.last);
    v("Gop", s.gop);
    v("GopSeconds", s.gop_seconds);
    v("Encoder", s.encoder);
  }
  bool operator==(const video_output&) const = default;
};

/// One picture to take: the source frame shown at `ticks` (the last with
/// pts ≤ ticks; the first frame when none is), as number `ordinal` of its job.
struct picture_pick {
  std::int64_t ticks = 0;
  std::int64_t ordinal = 0;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Ticks", s.ticks);
    v("Ordinal", s.ordinal);
  }
  bool operator==(const picture_pick&) const = default;
};

/// Pictures of a shard. `format` jpg, png, webp: files `out/<name>.<ordinal>`.
/// `format` raw: one lossless picture file `out/<name>` that a join reads.
struct picture_output {
  std::string name;
  picture_geometry geometry;
  std::vector<overlay> overlays;
  std::string format;
  std::int32_t quality = 0; ///< 1–100, webp and jpg; 0 = default
  std::vector<picture_pick> picks; ///< ascending by ticks
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Name", s.name);
    v("Geometry", s.geometry);
    v("Overlays", s.overlays);
    v("Format", s.format);
    v("Quality", s.quality);
    v("Picks", s.picks);
  }
  bool operator==(const picture_output&) const = default;
};

/// Decodes the video once, from `start` (an access point; pts INT64_MIN = the
/// beginning) until every output has its frames, and feeds all outputs.
/// With `index_file` set, the frames decoded within [begin, end] must be
/// precisely the index's frames there, else errc::input_damaged.
struct decode_step {
  static constexpr std::uint64_t kind = 2;
  std::int32_t stream = 0;
  access_point start;
  std::int64_t begin = 0; ///< ticks: first frame any output needs
  std::int64_t end = 0;   ///< ticks: last frame any output needs, inclusive
  std::string index_file; ///< below `in/`; "" = inexact, work as decoded
  bool key_frames_only = false; ///< picks snap to key frames (sprites alone)
  bool deinterlace = false;
  bool tonemap = false;   ///< HDR source to BT.709
  bool bt709 = false;     ///< pictures of another matrix, too
  std::int32_t rotation = 0; ///< clockwise degrees: 0 90 180 270
  std::vector<video_output> videos;
  std::vector<picture_output> pictures;
  std::int32_t threads = 1; ///< of the decoder
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Stream", s.stream);
    v("Start", s.start);
    v("Begin", s.begin);
    v("End", s.end);
    v("IndexFile", s.index_file);
    v("KeyFramesOnly", s.key_frames_only);
    v("Deinterlace", s.deinterlace);
    v("Tonemap", s.tonemap);
    v("Rotation", s.rotation);
    v("Videos", s.videos);
    v("Pictures", s.pictures);
    v("Threads", s.threads);
    v("Bt709", s.bt709);
  }
  bool operator==(const decode_step&) const = default;
};

/// One continuous audio encode into the packet file `out/<name>`. Output time
/// 0 is source second `begin`; a late start is filled with silence. `end` 0 =
/// to the end.
struct audio_output {
  std::string name;
  std::string codec = "aac"; ///< aac, mp3, pcm_s16le (of clips that are spliced)
  std::int32_t kbps = 0;     ///< 0 = 64 per channel
  std::int32_t sample_rate = 0; ///< Hz; 0 = nearest the codec has to the source's
  std::int32_t channels = 0; ///< 0 = as the source
  double begin = 0;          ///< seconds on the source's own clock
  double end = 0;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Name", s.name);
    v("Codec", s.codec);
    v("Kbps", s.kbps);
    v("SampleRate", s.sample_rate);
    v("Channels", s.channels);
    v("Begin", s.begin);
    v("End", s.end);
  }
  bool operator==(const audio_output&) const = default;
};

/// Decodes the audio once for all outputs; never sharded.
struct audio_step {
  static constexpr std::uint64_t kind = 3;
  std::int32_t stream = 0;
  std::vector<audio_output> outputs;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Stream", s.stream);
    v("Outputs", s.outputs);
  }
  bool operator==(const audio_step&) const = default;
};

/// What a finished media file must be; checked on the file itself before it
/// may be published. Counts of −1 are not checked.
struct output_contract {
  std::int64_t video_frames = -1;
  double duration = 0;           ///< seconds; 0 = not checked
  double duration_tolerance = 0; ///< seconds
  std::int32_t width = 0, height = 0;
  bool has_video = false, has_audio = false;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("VideoFrames", s.video_frames);
    v("Duration", s.duration);
    v("DurationTolerance", s.duration_tolerance);
    v("Width", s.width);
    v("Height", s.height);
    v("HasVideo", s.has_video);
    v("HasAudio", s.has_audio);
  }
  bool operator==(const output_contract&) const = default;
};

/// Which sides of a place where two shards meet are compared with the source: the
/// end of the one and the start of the next, or starts alone (media/seams.hpp).
enum class seam_sides : std::uint8_t { both, starts };

/// Joins packet files to one output. `videos` are the shards of one rendition
/// in order; DTS is made anew over the whole. Checks: equal codec parameters,
/// PTS strictly the planned ones, DTS increasing; then the contract on the file.
/// Files are looked for in `out/`, then in `in/`.
struct assemble_step {
  static constexpr std::uint64_t kind = 4;
  std::string name;        ///< result: `out/<name>`; for hls the manifest, and
                           ///< segments `out/<name>.<n>.ts` (or .mp4, init .init)
  std::string container;   ///< mp4, hls, mp3, m4a, mov, flv
  std::vector<std::string> videos;
  std::string audio;       ///< packet file; "" = none
  double hls_seconds = 0;
  bool hls_fmp4 = false;
  std::string segment_pattern; ///< hls: what the manifest calls segment n, with one
                               ///< `%d` for n (the daemon publishes under these names);
                               ///< where a name holds others, the last is n's
  std::string init_name;       ///< hls_fmp4: what the manifest calls `<name>.init`
  seam_sides seams = seam_sides::both;
  output_contract contract;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Name", s.name);
    v("Container", s.container);
    v("Videos", s.videos);
    v("Audio", s.audio);
    v("HlsSeconds", s.hls_seconds);
    v("HlsFmp4", s.hls_fmp4);
    v("SegmentPattern", s.segment_pattern);
    v("InitName", s.init_name);
    v("Seams", s.seams);
    v("Contract", s.contract);
  }
  bool operator==(const assemble_step&) const = default;
};

/// Copies packets of the source into another container: nothing is decoded.
/// `audio_file` (a packet file) replaces the source's audio when it is encoded.
/// `begin` and `end` are seconds on the source's own clock, `end` 0 = to the end: the
/// copy begins with the last key frame at or before `begin`, and so does its sound.
struct remux_step {
  static constexpr std::uint64_t kind = 5;
  std::string name;
  std::string container;
  std::int32_t video_stream = -1; ///< −1 = none
  std::int32_t audio_stream = -1;
  std::string audio_file;
  std::string video_file;         ///< packet file that replaces the video
  double hls_seconds = 0;
  bool hls_fmp4 = false;
  std::string segment_pattern;
  std::string init_name;
  output_contract contract;
  double begin = 0;
  double end = 0;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Name", s.name);
    v("Container", s.container);
    v("VideoStream", s.video_stream);
    v("AudioStream", s.audio_stream);
    v("AudioFile", s.audio_file);
    v("VideoFile", s.video_file);
    v("HlsSeconds", s.hls_seconds);
    v("HlsFmp4", s.hls_fmp4);
    v("SegmentPattern", s.segment_pattern);
    v("InitName", s.init_name);
    v("Contract", s.contract);
    v("Begin", s.begin);
    v("End", s.end);
  }
  bool operator==(const remux_step&) const = default;
};

/// Tiles raw picture files into sprite sheets `out/<name>.<sheet>` and writes
/// the WebVTT `out/<name>.vtt`; `sheet_names` are what the VTT calls them.
struct sprite_step {
  static constexpr std::uint64_t kind = 6;
  std::string name;
  std::vector<std::string> pictures; ///< raw picture files in order
  std::string format;                ///< jpg, png, webp
  std::int32_t rows = 0, columns = 0;
  std::vector<double> times;         ///< seconds of each picture, ascending
  double duration = 0;               ///< seconds: end of the last cue
  std::vector<std::string> sheet_names;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Name", s.name);
    v("Pictures", s.pictures);
    v("Format", s.format);
    v("Rows", s.rows);
    v("Columns", s.columns);
    v("Times", s.times);
    v("Duration", s.duration);
    v("SheetNames", s.sheet_names);
  }
  bool operator==(const sprite_step&) const = default;
};

/// Makes an animated GIF (one palette for the whole) or WebP of raw pictures.
struct animation_step {
  static constexpr std::uint64_t kind = 7;
  std::string name;
  std::vector<std::string> pictures;
  std::string format; ///< gif, webp
  rational fps{2, 1};
  std::int32_t quality = 75; ///< webp
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Name", s.name);
    v("Pictures", s.pictures);
    v("Format", s.format);
    v("Fps", s.fps);
    v("Quality", s.quality);
  }
  bool operator==(const animation_step&) const = default;
};

/// Puts clips one after the other into packet files that an assemble_step reads. A clip
/// is a media file with one H.264 stream at `fps` and, if the clip has sound, one of PCM;
/// all have the same encoder settings and size. Pictures are copied: those of all clips
/// are frames 0, 1, 2, … of `out/<video>`. Sound is encoded once over the whole: that of
/// a clip begins with its first picture, to the sample, and is cut, or filled with
/// silence, where its last one ends.
struct splice_step {
  static constexpr std::uint64_t kind = 8;
  std::vector<std::string> clips; ///< in order; looked for in `out/`, then in `in/`
  std::string video;
  rational fps;
  std::optional<audio_output> sound; ///< codec, rate and channels are set; begin and end
                                     ///< are not looked at
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Clips", s.clips);
    v("Video", s.video);
    v("Fps", s.fps);
    v("Sound", s.sound);
  }
  bool operator==(const splice_step&) const = default;
};

using media_step = std::variant<probe_step, decode_step, audio_step, assemble_step,
                                remux_step, splice_step, sprite_step, animation_step>;

/// One attempt's work: steps in order, each may read what earlier ones wrote to
/// `out/`. Only the files in `keep` are results.
struct media_request {
  std::string source_name;  ///< key of the object, for messages and format hints
  std::int64_t source_bytes = 0; ///< 0 = there is no source
  std::vector<media_step> steps;
  std::vector<std::string> keep; ///< file names in `out/`; a trailing '*' takes all with the prefix
  std::int64_t memory_bytes_max = 0; ///< address-space-free RSS bound the daemon enforces
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("SourceName", s.source_name);
    v("SourceBytes", s.source_bytes);
    v("Steps", s.steps);
    v("Keep", s.keep);
    v("MemoryBytesMax", s.memory_bytes_max);
  }
  bool operator==(const media_request&) const = default;
};

/// Does it put clips together, which are of several sources?
[[nodiscard]] inline bool splices(const media_request& r) {
  return !r.steps.empty() && std::holds_alternative<splice_step>(r.steps.front());
}

// ---- What the child says ------------------------------------------------------------

enum class work_phase : std::uint8_t { opening, probing, decoding, audio, assembling, verifying, writing };

/// Proof of life, at most 10 per second. Counters only grow.
struct watermark {
  static constexpr std::uint64_t kind = 64;
  work_phase phase = work_phase::opening;
  std::uint32_t step = 0;
  std::int64_t bytes_in = 0;
  std::int64_t frames_decoded = 0;
  std::int64_t frames_encoded = 0; ///< over all outputs
  std::int64_t bytes_out = 0;
  double source_seconds = 0;       ///< of source time worked so far
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Phase", s.phase);
    v("Step", s.step);
    v("BytesIn", s.bytes_in);
    v("FramesDecoded", s.frames_decoded);
    v("FramesEncoded", s.frames_encoded);
    v("BytesOut", s.bytes_out);
    v("SourceSeconds", s.source_seconds);
  }
  bool operator==(const watermark&) const = default;
};

/// A frame beside a place where two shards meet, as small luma, held against those
/// of the source (media/seams.hpp).
struct seam_frame {
  std::int64_t seam = 0;   ///< output frame with which the later shard begins
  std::int64_t frame = 0;  ///< of the output; below `seam`: the end of the earlier one
  std::int64_t source = 0; ///< ticks of the source frame that it stands for
  double psnr = 0;         ///< dB against that one; 100 = equal
  double other_psnr = 0;   ///< dB against the most like of its neighbours
  bool nearest = false;    ///< no neighbour is clearly more like it, nor a plain picture
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Seam", s.seam);
    v("Frame", s.frame);
    v("SourcePts", s.source);
    v("Psnr", s.psnr);
    v("OtherPsnr", s.other_psnr);
    v("Nearest", s.nearest);
  }
  bool operator==(const seam_frame&) const = default;
};

struct result_file {
  std::string name;   ///< in `out/`
  std::int64_t size = 0;
  std::string sha256; ///< lower hex
  std::string md5;    ///< lower hex; of publishable files, else ""
  std::optional<media_info> media; ///< of media files
  std::optional<std::int64_t> frames; ///< video packets, or pictures
  std::int32_t width = 0, height = 0; ///< of images
  double time = 0;    ///< seconds: of a snapshot, where in the source it is
  std::vector<seam_frame> seams; ///< of joined video: all that were compared, in order
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Name", s.name);
    v("Size", s.size);
    v("Sha256", s.sha256);
    v("Md5", s.md5);
    v("Media", s.media);
    v("Frames", s.frames);
    v("Width", s.width);
    v("Height", s.height);
    v("Time", s.time);
    v("Seams", s.seams);
  }
  bool operator==(const result_file&) const = default;
};

/// The end of an attempt. `failure` set: nothing in `out/` counts.
struct media_result {
  static constexpr std::uint64_t kind = 65;
  std::optional<error> failure;
  std::vector<result_file> files; ///< those of `keep`, sorted by name
  std::optional<media_info> probe; ///< of the source, when a probe_step ran
  std::vector<std::string> warnings; ///< policies applied, damage skipped
  std::string fingerprint; ///< libav* and encoder builds and settings: what decides on bytes
  double cpu_seconds = 0;
  std::int64_t peak_rss_bytes = 0;
  std::int64_t frames_decoded = 0;
  std::string cpu;         ///< features that codecs and filters use there
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Failure", s.failure);
    v("Files", s.files);
    v("Probe", s.probe);
    v("Warnings", s.warnings);
    v("Fingerprint", s.fingerprint);
    v("CpuSeconds", s.cpu_seconds);
    v("PeakRssBytes", s.peak_rss_bytes);
    v("FramesDecoded", s.frames_decoded);
    v("Cpu", s.cpu);
  }
  bool operator==(const media_result&) const = default;
};

using child_message = std::variant<watermark, media_result>;

} // namespace framemill

FM_ENUM_NAMES(framemill::stream_kind, "video", "audio", "subtitle", "data")
FM_ENUM_NAMES(framemill::fill_mode, "stretch", "black", "white", "gauss")
FM_ENUM_NAMES(framemill::rate_control, "crf", "capped_crf", "abr", "cbr")
FM_ENUM_NAMES(framemill::seam_sides, "both", "starts")
FM_ENUM_NAMES(framemill::work_phase, "opening", "probing", "decoding", "audio", "assembling",
              "verifying", "writing")
