#pragma once

#include "core/codec.hpp"
#include "media/av.hpp"
#include "media/digest.hpp"

#include <cstdio>
#include <memory>
#include <string>

// A packet file holds the packets of one elementary stream on the output's own
// clock. It is a row of records, each a 4-byte little-endian length and the
// MessagePack of a packet_record; a packet_head is followed by `size` raw bytes.
// First a stream_head, last a stream_foot; a file without its foot is torn.

namespace framemill {

struct colour_tags {
  std::int32_t range = 0, primaries = 2, transfer = 2, matrix = 2; ///< AVCOL_* numbers
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Range", s.range);
    v("Primaries", s.primaries);
    v("Transfer", s.transfer);
    v("Matrix", s.matrix);
  }
  bool operator==(const colour_tags&) const = default;
};

/// What a muxer must know; equal for all shards of one rendition.
struct stream_head {
  static constexpr std::uint64_t kind = 1;
  std::string codec;
  rational time_base{1, 1};
  rational frame_rate{0, 1};
  std::string extradata;
  std::int64_t bit_rate = 0;
  std::int32_t profile = -99, level = -99;
  std::int32_t width = 0, height = 0;
  colour_tags colours;
  std::int32_t sample_rate = 0, frame_samples = 0, initial_padding = 0;
  std::string channel_layout;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Codec", s.codec);
    v("TimeBase", s.time_base);
    v("FrameRate", s.frame_rate);
    v("Extradata", s.extradata);
    v("BitRate", s.bit_rate);
    v("Profile", s.profile);
    v("Level", s.level);
    v("Width", s.width);
    v("Height", s.height);
    v("Colours", s.colours);
    v("SampleRate", s.sample_rate);
    v("FrameSamples", s.frame_samples);
    v("InitialPadding", s.initial_padding);
    v("ChannelLayout", s.channel_layout);
  }
  bool operator==(const stream_head&) const = default;
};

struct packet_head {
  static constexpr std::uint64_t kind = 2;
  std::int64_t pts = 0, dts = 0, duration = 0;
  std::int32_t flags = 0; ///< AV_PKT_FLAG_*
  std::int32_t size = 0;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Pts", s.pts);
    v("Dts", s.dts);
    v("Duration", s.duration);
    v("Flags", s.flags);
    v("Size", s.size);
  }
  bool operator==(const packet_head&) const = default;
};

/// Source ticks that one output frame shows.
struct shown_frame {
  std::int64_t pts = 0;    ///< output ticks
  std::int64_t source = 0; ///< source ticks
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Pts", s.pts);
    v("Source", s.source);
  }
  bool operator==(const shown_frame&) const = default;
};

/// A frame of the source as a shard's decoder saw it (media/witness.hpp).
struct witness {
  std::int64_t source = 0; ///< ticks
  std::string luma;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Source", s.source);
    v("Luma", s.luma);
  }
  bool operator==(const witness&) const = default;
};

struct stream_foot {
  static constexpr std::uint64_t kind = 3;
  std::int64_t packets = 0;
  std::int64_t end = 0;  ///< pts at which the last frame ends
  std::string sha256;    ///< of all bytes before the foot, and of the foot without it
  std::vector<shown_frame> first_shown, last_shown; ///< video: two at either end
  std::vector<witness> witnesses; ///< ascending: of the source around both ends
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Packets", s.packets);
    v("End", s.end);
    v("Sha256", s.sha256);
    v("FirstShown", s.first_shown);
    v("LastShown", s.last_shown);
    v("Witnesses", s.witnesses);
  }
  bool operator==(const stream_foot&) const = default;
};

using packet_record = std::variant<stream_head, packet_head, stream_foot>;

/// Writes one packet file front to back. Without finish() the file is torn.
class packet_writer {
public:
  [[nodiscard]] static result<packet_writer> create(const std::string& path,
                                                    const stream_head& head);
  [[nodiscard]] result<void> add(const AVPacket& packet);
  /// `foot.packets` and `foot.sha256` are filled in.
  [[nodiscard]] result<void> finish(stream_foot foot);
  [[nodiscard]] std::int64_t packets() const noexcept { return packets_; }

private:
  explicit packet_writer(std::FILE* file);
  result<void> put(std::string_view bytes);
  result<void> put_record(const packet_record& record);
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  digest sha_{digest_kind::sha256};
  std::int64_t packets_ = 0;
};

/// Reads one packet file front to back.
class packet_reader {
public:
  [[nodiscard]] static result<packet_reader> open(const std::string& path);
  /// Reads it once to its end before: for who acts on the head or on packets
  /// before it has seen the foot.
  [[nodiscard]] static result<packet_reader> open_whole(const std::string& path);
  [[nodiscard]] const stream_head& head() const noexcept { return head_; }
  /// The next packet; false after the last. A torn or altered file is
  /// errc::corrupt.
  [[nodiscard]] result<bool> next(AVPacket& packet);
  /// Only its head; the payload is hashed, not kept.
  [[nodiscard]] result<bool> next(packet_head& head);
  /// Reads what is left. What is odd in a file that turns out to be damaged was
  /// the damage.
  [[nodiscard]] result<void> drain();
  /// Valid after next() has returned false.
  [[nodiscard]] const stream_foot& foot() const noexcept { return foot_; }

private:
  packet_reader(std::FILE* file, std::string path);
  result<packet_record> record();
  result<void> take(char* to, std::size_t size);
  result<bool> end(stream_foot foot);
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  std::string path_;
  digest sha_{digest_kind::sha256};
  std::string pending_;
  stream_head head_;
  stream_foot foot_;
  std::int64_t packets_ = 0;
  bool at_end_ = false;
};

/// Codec parameters as a muxer wants them, from a head, and back.
[[nodiscard]] result<av::parameters_ptr> parameters_of(const stream_head& head);
[[nodiscard]] result<stream_head> head_of(const AVCodecContext& encoder);

} // namespace framemill
