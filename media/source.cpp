#include "media/source.hpp"

#include "core/limits.hpp"
#include "core/range_message.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>

namespace framemill {
namespace {

constexpr int io_buffer_bytes = 256 << 10;

/// Demuxers that read one stream of bytes and nothing else.
constexpr const char* formats_allowed =
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,flv,ogg,asf,rm,"
    "wav,w64,aiff,au,caf,mp3,aac,ac3,eac3,dts,flac,amr,ape,wv,tta,h264,hevc,obu,ivf,av1,"
    "mxf,gxf,dv,nut,gif,apng,swf,wtv,h263,vc1,png_pipe,jpeg_pipe,webp_pipe,bmp_pipe,"
    "tiff_pipe";

/// Demuxers that open what the file names.
constexpr const char* formats_of_references =
    "hls,applehttp,concat,dash,imf,sdp,rtsp,rtp,image2,webm_dash_manifest,vapoursynth,"
    "avisynth,lavfi,mpsub,vobsub";

bool starts_with(std::string_view head, std::string_view prefix) {
  if (head.size() < prefix.size())
    return false;
  return std::equal(prefix.begin(), prefix.end(), head.begin(), [](char a, char b) {
    return a == (b >= 'A' && b <= 'Z' ? char(b + 32) : b);
  });
}

/// Text files that name other media, whether or not a demuxer knows them.
bool is_playlist(std::string_view head) {
  if (starts_with(head, "\xef\xbb\xbf"))
    head.remove_prefix(3);
  while (!head.empty() && std::strchr(" \t\r\n", head.front()))
    head.remove_prefix(1);
  for (auto prefix : {"#extm3u", "ffconcat", "[playlist]", "<asx", "<smil", "<?wpl", "v=0\r\n",
                      "v=0\no=", "rtsp://", "http://", "https://", "file://", "file '"})
    if (starts_with(head, prefix))
      return true;
  return starts_with(head, "<?xml") && head.find("<MPD") != head.npos;
}

int read_bytes(void* opaque, std::uint8_t* to, int size) {
  auto n = static_cast<byte_stream*>(opaque)->read(to, size);
  return n == 0 ? AVERROR_EOF : n < 0 ? AVERROR(-n) : n;
}

std::int64_t seek_bytes(void* opaque, std::int64_t offset, int whence) {
  auto& s = *static_cast<byte_stream*>(opaque);
  whence &= ~AVSEEK_FORCE;
  if (whence == AVSEEK_SIZE)
    return s.size();
  auto base = whence == SEEK_CUR ? s.position() : whence == SEEK_END ? s.size() : 0;
  return base + offset < 0 ? AVERROR(EINVAL) : s.seek(base + offset);
}

int refuse_open(AVFormatContext*, AVIOContext**, const char*, int, AVDictionary**) {
  return AVERROR(EPERM);
}

/// The whole of `size` bytes, in as many calls as it takes. False with errno.
template <class Call, class Byte>
bool transfer(Call call, int fd, Byte* bytes, std::size_t size) {
  while (size > 0) {
    auto n = call(fd, bytes, size);
    if (n == 0)
      errno = EPIPE; // the daemon has gone
    if (n == 0 || (n < 0 && errno != EINTR))
      return false;
    if (n > 0)
      bytes += n, size -= static_cast<std::size_t>(n);
  }
  return true;
}

/// As pread, from a socket. read and write: the sandbox has no sendto.
ssize_t ask_range(int fd, void* to, range_ask ask) {
  const auto question = to_wire(ask);
  unsigned char head[4];
  if (!transfer(::write, fd, question.data(), question.size())
      || !transfer(::read, fd, head, sizeof head))
    return -1;
  const auto count = static_cast<std::int32_t>(from_little_endian<4>(head));
  if (count < 0 || static_cast<std::uint32_t>(count) > ask.size) {
    errno = count < 0 && count != INT32_MIN ? -count : EPROTO;
    return -1;
  }
  auto bytes = static_cast<unsigned char*>(to);
  return transfer(::read, fd, bytes, static_cast<std::size_t>(count)) ? count : -1;
}

/// The source as the daemon handed it over.
result<byte_stream::piece> piece_of(int fd) {
  struct stat s {};
  if (::fstat(fd, &s) != 0)
    return fail_errno(errno, "the source");
  if (!S_ISSOCK(s.st_mode))
    return byte_stream::piece{"", fd, s.st_size};
  unsigned char size[8];
  if (auto n = ask_range(fd, size, source_size_ask); n != sizeof size)
    return fail_errno(n < 0 ? errno : EPROTO, "the size of the source");
  return byte_stream::piece{"", fd, static_cast<std::int64_t>(from_little_endian<8>(size)),
                            byte_stream::access::socket};
}

bool matches(const AVInputFormat& f, const char* list) {
  return av_match_list(f.name, list, ',');
}

/// Has the MP4 a `moov`? Walks the top-level boxes only.
bool has_moov(byte_stream& s) {
  std::array<std::uint8_t, 16> head;
  for (std::int64_t at = 0; at + 8 <= s.size();) {
    s.seek(at);
    if (s.read(head.data(), 16) < 8)
      break;
    std::uint64_t size = std::uint64_t{head[0]} << 24 | head[1] << 16 | head[2] << 8 | head[3];
    if (std::memcmp(&head[4], "moov", 4) == 0)
      return at + static_cast<std::int64_t>(size) <= s.size();
    if (size == 1)
      for (int i = 0; i < 8; ++i)
        size = size << 8 | head[static_cast<std::size_t>(8 + i)];
    if (size < 8 || size > static_cast<std::uint64_t>(s.size()))
      break;
    at += static_cast<std::int64_t>(size);
  }
  return false;
}

stream_kind kind_of(AVMediaType t) {
  switch (t) {
  case AVMEDIA_TYPE_VIDEO: return stream_kind::video;
  case AVMEDIA_TYPE_AUDIO: return stream_kind::audio;
  case AVMEDIA_TYPE_SUBTITLE: return stream_kind::subtitle;
  default: return stream_kind::data;
  }
}

std::string text_of(const char* text) { return text ? text : ""; }

int rotation_of(const AVStream& s) {
  auto matrix = av_stream_get_side_data(&s, AV_PKT_DATA_DISPLAYMATRIX, nullptr);
  if (!matrix)
    return 0;
  // The matrix turns counter-clockwise; negated it is what brings it upright.
  auto angle = -av_display_rotation_get(reinterpret_cast<const std::int32_t*>(matrix));
  if (!std::isfinite(angle))
    return 0;
  return static_cast<int>(std::lround(angle / 90) * 90 % 360 + 360) % 360;
}

std::string rfc6381(const AVCodecParameters& p) {
  if (p.codec_id == AV_CODEC_ID_H264 && p.extradata_size >= 4 && p.extradata[0] == 1)
    return fmt::format("avc1.{:02x}{:02x}{:02x}", p.extradata[1], p.extradata[2],
                       p.extradata[3]);
  if (p.codec_id == AV_CODEC_ID_AAC)
    return fmt::format("mp4a.40.{}", p.profile >= 0 ? p.profile + 1 : 2);
  return p.codec_id == AV_CODEC_ID_MP3 ? "mp4a.40.34" : "";
}

void describe_video(const AVStream& s, stream_info& out) {
  const auto& p = *s.codecpar;
  out.width = p.width;
  out.height = p.height;
  auto sar = s.sample_aspect_ratio.num > 0 ? s.sample_aspect_ratio : p.sample_aspect_ratio;
  if (sar.num > 0 && sar.den > 0)
    out.sample_aspect = av::ratio(sar);
  out.rotation = rotation_of(s);
  auto format = static_cast<AVPixelFormat>(p.format);
  out.pixel_format = text_of(av_get_pix_fmt_name(format));
  if (auto d = av_pix_fmt_desc_get(format))
    out.bit_depth = d->comp[0].depth;
  auto rate = s.avg_frame_rate.num > 0 && s.avg_frame_rate.den > 0 ? s.avg_frame_rate
                                                                   : s.r_frame_rate;
  if (rate.num > 0 && rate.den > 0)
    out.frame_rate = av::ratio(rate);
  out.interlaced = p.field_order > AV_FIELD_PROGRESSIVE;
  out.color_range = text_of(av_color_range_name(p.color_range));
  out.color_primaries = text_of(av_color_primaries_name(p.color_primaries));
  out.color_transfer = text_of(av_color_transfer_name(p.color_trc));
  out.color_space = text_of(av_color_space_name(p.color_space));
  out.hdr = p.color_trc == AVCOL_TRC_SMPTE2084 || p.color_trc == AVCOL_TRC_ARIB_STD_B67;
}

void describe_audio(const AVStream& s, stream_info& out) {
  const auto& p = *s.codecpar;
  out.sample_rate = p.sample_rate;
  out.channels = p.ch_layout.nb_channels;
  char layout[128] = {};
  if (out.channels > 0 && av_channel_layout_describe(&p.ch_layout, layout, sizeof layout) > 0)
    out.channel_layout = layout;
}

stream_info describe_stream(const AVStream& s) {
  const auto& p = *s.codecpar;
  stream_info out;
  out.index = s.index;
  // What nobody can decode is data: nothing is planned on it.
  out.kind = avcodec_find_decoder(p.codec_id) ? kind_of(p.codec_type) : stream_kind::data;
  out.codec = avcodec_get_name(p.codec_id);
  out.profile = text_of(avcodec_profile_name(p.codec_id, p.profile));
  out.codec_tag = rfc6381(p);
  out.time_base = av::ratio(s.time_base);
  out.start_pts = s.start_time == AV_NOPTS_VALUE ? 0 : s.start_time;
  out.duration_pts = s.duration == AV_NOPTS_VALUE ? 0 : s.duration;
  out.bitrate = p.bit_rate;
  if (auto language = av_dict_get(s.metadata, "language", nullptr, 0))
    out.language = language->value;
  out.attached_picture = s.disposition & AV_DISPOSITION_ATTACHED_PIC;
  if (out.kind == stream_kind::video)
    describe_video(s, out);
  else if (out.kind == stream_kind::audio)
    describe_audio(s, out);
  return out;
}

} // namespace

// ---- byte_stream ---------------------------------------------------------------

byte_stream::byte_stream(std::vector<piece> pieces, std::function<void(std::int64_t)> on_read)
    : pieces_(std::move(pieces)), on_read_(std::move(on_read)) {
  for (const auto& p : pieces_) {
    begins_.push_back(total_);
    total_ += p.size;
  }
}

byte_stream::~byte_stream() {
  if (open_fd_ >= 0)
    ::close(open_fd_);
}

int byte_stream::descriptor_of(std::size_t i) {
  if (pieces_[i].path.empty())
    return pieces_[i].fd;
  if (i != open_piece_) {
    if (open_fd_ >= 0)
      ::close(open_fd_);
    open_fd_ = ::open(pieces_[i].path.c_str(), O_RDONLY | O_CLOEXEC);
    open_piece_ = i;
  }
  return open_fd_;
}

int byte_stream::read(std::uint8_t* to, int size) {
  if (position_ >= total_)
    return 0;
  auto i = static_cast<std::size_t>(
      std::upper_bound(begins_.begin(), begins_.end(), position_) - begins_.begin() - 1);
  auto fd = descriptor_of(i);
  auto offset = position_ - begins_[i];
  auto wanted = std::min<std::int64_t>(size, pieces_[i].size - offset);
  auto n = pieces_[i].how == access::socket
               ? ask_range(fd, to, {static_cast<std::uint64_t>(offset),
                                    static_cast<std::uint32_t>(wanted)})
               : ::pread(fd, to, static_cast<std::size_t>(wanted), offset);
  if (n < 0)
    return -(failed_ = errno);
  position_ += n;
  if (on_read_ && n > 0)
    on_read_(n);
  return static_cast<int>(n);
}

// ---- source -----------------------------------------------------------------------

result<source> source::open(work& w) {
  if (!w.has_source())
    return fail(errc::internal, "the request has no source");
  FM_TRY(auto piece, piece_of(w.source_fd()));
  source out;
  out.bytes_ = std::make_unique<byte_stream>(
      std::vector<byte_stream::piece>{std::move(piece)},
      [&p = w.progress()](std::int64_t n) { p.read(n); });
  FM_CHECK(out.open_format(w.request().source_name));
  return out;
}

result<source> source::open(std::vector<byte_stream::piece> pieces, std::string name) {
  for (auto& p : pieces) {
    struct stat s {};
    if (p.fd < 0 && ::stat(p.path.c_str(), &s) != 0)
      return fail_errno(errno, p.path);
    if (p.fd < 0)
      p.size = s.st_size;
  }
  source out;
  out.bytes_ = std::make_unique<byte_stream>(std::move(pieces));
  FM_CHECK(out.open_format(name));
  return out;
}

result<const AVInputFormat*> source::recognise(const std::string& name) {
  if (bytes_->size() == 0)
    return fail(errc::input_incomplete, "{}: the file is empty (0 bytes)", name);
  std::string head(std::min<std::int64_t>(bytes_->size(), 4096), '\0');
  auto n = bytes_->read(reinterpret_cast<std::uint8_t*>(head.data()), int(head.size()));
  if (n < 0)
    return fail_errno(-n, name);
  if (is_playlist(head))
    return fail(errc::input_refused,
                "{}: this is a playlist that points at other media, which is not followed; "
                "give the media file itself", name);
  bytes_->seek(0);
  const AVInputFormat* found = nullptr;
  auto score = av_probe_input_buffer2(io_.get(), &found, "", nullptr, 0, 0);
  if (bytes_->failed_errno())
    return fail_errno(bytes_->failed_errno(), name);
  if (score >= 0 && found && matches(*found, formats_of_references))
    return fail(errc::input_refused, "{}: the format `{}` points at other files and is refused",
                name, found->name);
  if (score < 0 || !found || !matches(*found, formats_allowed))
    return fail(errc::input_not_media, "{}: this is not a media file of a known format", name);
  return found;
}

result<void> source::open_format(const std::string& name) {
  auto buffer = static_cast<unsigned char*>(av_malloc(io_buffer_bytes));
  if (!buffer)
    return fail(errc::no_memory, "no memory to read {}", name);
  io_.reset(avio_alloc_context(buffer, io_buffer_bytes, 0, bytes_.get(), read_bytes, nullptr,
                               seek_bytes));
  FM_TRY(auto format, recognise(name));
  auto context = avformat_alloc_context();
  if (!context)
    return fail(errc::no_memory, "no memory to read {}", name);
  context->pb = io_.get();
  context->flags |= AVFMT_FLAG_CUSTOM_IO;
  context->io_open = refuse_open;
  context->max_streams = limits::source_streams_max;
  context->format_whitelist = av_strdup(formats_allowed);
  context->protocol_whitelist = av_strdup("");
  auto opened = avformat_open_input(&context, "", format, nullptr); // frees on failure
  if (opened < 0 && bytes_->failed_errno())
    return fail_errno(bytes_->failed_errno(), name);
  if (opened < 0 && matches(*format, "mov") && !has_moov(*bytes_))
    return fail(errc::input_incomplete,
                "{}: the file is truncated: its index (the `moov` box) is missing or cut off",
                name);
  if (opened < 0)
    return av::fail_av(opened, errc::input_incomplete,
                       fmt::format("{}: the {} header cannot be read", name, format->name));
  format_.reset(context);
  FM_CHECK(refuse_excess(name));
  FM_CHECK(av::check(avformat_find_stream_info(context, nullptr),
                     fmt::format("{}: no stream can be read", name), errc::input_incomplete));
  FM_CHECK(refuse_excess(name));
  if (context->nb_streams == 0)
    return fail(errc::input_incomplete, "{}: the file holds no stream", name);
  return {};
}

result<void> source::refuse_excess(const std::string& name) {
  if (format_->nb_streams > static_cast<unsigned>(limits::source_streams_max))
    return fail(errc::input_refused, "{}: {} streams; the limit is {}", name,
                format_->nb_streams, limits::source_streams_max);
  if (format_->duration != AV_NOPTS_VALUE
      && static_cast<double>(format_->duration) / AV_TIME_BASE > limits::source_seconds_max)
    return fail(errc::input_refused, "{}: it claims {:.0f} s; the limit is {:.0f} s", name,
                static_cast<double>(format_->duration) / AV_TIME_BASE,
                limits::source_seconds_max);
  for (unsigned i = 0; i < format_->nb_streams; ++i) {
    const auto& p = *format_->streams[i]->codecpar;
    if (p.width > limits::source_dimension_max || p.height > limits::source_dimension_max
        || std::int64_t{p.width} * p.height > limits::source_pixels_max)
      return fail(errc::input_refused,
                  "{}: it claims pictures of {}x{}; the limit is {} pixels and {} per side",
                  name, p.width, p.height, limits::source_pixels_max,
                  limits::source_dimension_max);
  }
  return {};
}

result<AVStream*> source::checked_stream(int index) {
  if (index < 0 || index >= static_cast<int>(format_->nb_streams))
    return fail(errc::input_changed, "the source has no stream {}", index);
  return format_->streams[index];
}

void source::select(std::initializer_list<int> streams) noexcept {
  for (unsigned i = 0; i < format_->nb_streams; ++i)
    format_->streams[i]->discard =
        std::find(streams.begin(), streams.end(), int(i)) == streams.end() ? AVDISCARD_ALL
                                                                           : AVDISCARD_DEFAULT;
}

result<bool> source::read(AVPacket& packet) {
  constexpr int damaged_reads_max = 1000; // in a row: then nothing follows
  for (int i = 0; i < damaged_reads_max; ++i) {
    av_packet_unref(&packet);
    auto n = av_read_frame(format_.get(), &packet);
    if (n >= 0 && format_->streams[packet.stream_index]->discard >= AVDISCARD_ALL)
      continue;
    if (n >= 0)
      return true;
    if (bytes_->failed_errno())
      return fail_errno(bytes_->failed_errno(), "reading the source");
    if (n == AVERROR_EOF)
      return false;
    broken_ = true;
    if (n != AVERROR_INVALIDDATA && n != AVERROR(EAGAIN))
      return false;
  }
  return false;
}

media_info describe(source& s) {
  auto& f = s.format();
  media_info out;
  out.container = f.iformat->name;
  out.size = s.bytes().size();
  if (f.duration != AV_NOPTS_VALUE && f.duration > 0)
    out.duration = static_cast<double>(f.duration) / AV_TIME_BASE;
  if (out.duration > 0)
    out.bitrate = static_cast<std::int64_t>(static_cast<double>(out.size) * 8 / out.duration);
  for (unsigned i = 0; i < f.nb_streams; ++i)
    out.streams.push_back(describe_stream(*f.streams[i]));
  return out;
}

} // namespace framemill
