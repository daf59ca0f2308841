#include "media/packet_file.hpp"

#include "core/limits.hpp"

#include <cerrno>
#include <cstring>

namespace framemill {
namespace {

constexpr std::int32_t packet_bytes_max = 256 << 20;

std::string length_of(std::size_t size) {
  std::string out(4, '\0');
  for (std::size_t i = 0; i < 4; ++i)
    out[i] = static_cast<char>(size >> 8 * i & 0xff);
  return out;
}

/// What the foot's checksum is, after all bytes before it.
std::string sealed(digest all_before, stream_foot foot) {
  foot.sha256.clear();
  all_before.add(encode(foot));
  return all_before.finish();
}

} // namespace

// ---- writing ---------------------------------------------------------------------

packet_writer::packet_writer(std::FILE* file) : file_(file, std::fclose) {}

result<packet_writer> packet_writer::create(const std::string& path, const stream_head& head) {
  auto file = std::fopen(path.c_str(), "wbe");
  if (!file)
    return fail_errno(errno, path);
  packet_writer out{file};
  FM_CHECK(out.put_record(head));
  return out;
}

result<void> packet_writer::put(std::string_view bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) != bytes.size())
    return fail_errno(errno, "writing a packet file");
  sha_.add(bytes);
  return {};
}

result<void> packet_writer::put_record(const packet_record& record) {
  auto body = encode(record);
  FM_CHECK(put(length_of(body.size())));
  return put(body);
}

result<void> packet_writer::add(const AVPacket& p) {
  FM_CHECK(put_record(packet_head{p.pts, p.dts, p.duration, p.flags, p.size}));
  ++packets_;
  return put({reinterpret_cast<const char*>(p.data), static_cast<std::size_t>(p.size)});
}

result<void> packet_writer::finish(stream_foot foot) {
  foot.packets = packets_;
  foot.sha256 = sealed(std::exchange(sha_, digest{digest_kind::sha256}), foot);
  FM_CHECK(put_record(foot));
  if (std::fflush(file_.get()) != 0)
    return fail_errno(errno, "writing a packet file");
  return {};
}

// ---- reading ---------------------------------------------------------------------

packet_reader::packet_reader(std::FILE* file, std::string path)
    : file_(file, std::fclose), path_(std::move(path)) {}

result<packet_reader> packet_reader::open(const std::string& path) {
  auto file = std::fopen(path.c_str(), "rbe");
  if (!file)
    return fail_errno(errno, path);
  packet_reader out{file, path};
  FM_TRY(auto first, out.record());
  auto head = std::get_if<stream_head>(&first);
  if (!head)
    return fail(errc::corrupt, "{}: not a packet file", path);
  out.head_ = std::move(*head);
  return out;
}

result<packet_reader> packet_reader::open_whole(const std::string& path) {
  FM_TRY(auto first, open(path));
  FM_CHECK(first.drain());
  return open(path);
}

result<void> packet_reader::drain() {
  packet_head unused;
  while (!at_end_)
    FM_CHECK(next(unused));
  return {};
}

result<void> packet_reader::take(char* to, std::size_t size) {
  if (std::fread(to, 1, size, file_.get()) != size)
    return fail(errc::corrupt, "{}: the packet file is torn", path_);
  return {};
}

result<packet_record> packet_reader::record() {
  char length[4];
  FM_CHECK(take(length, 4));
  std::size_t size = 0;
  for (std::size_t i = 0; i < 4; ++i)
    size |= std::size_t{static_cast<unsigned char>(length[i])} << 8 * i;
  if (size > limits::message_bytes_max)
    return fail(errc::corrupt, "{}: a record of {} bytes", path_, size);
  std::string body(size, '\0');
  FM_CHECK(take(body.data(), size));
  auto decoded = decode<packet_record>(body);
  if (!decoded)
    return fail(errc::corrupt, "{}: {}", path_, decoded.error().message);
  auto& out = *decoded;
  if (!std::holds_alternative<stream_foot>(out)) {
    sha_.add({length, 4});
    sha_.add(body);
  }
  return std::move(out);
}

result<bool> packet_reader::end(stream_foot foot) {
  const auto hash = sealed(std::exchange(sha_, digest{digest_kind::sha256}), foot);
  if (foot.packets != packets_ || foot.sha256 != hash)
    return fail(errc::corrupt, "{}: the packets do not match their checksum", path_);
  foot_ = std::move(foot);
  at_end_ = true;
  return false;
}

result<bool> packet_reader::next(packet_head& head) {
  FM_TRY(auto r, record());
  if (auto foot = std::get_if<stream_foot>(&r))
    return end(std::move(*foot));
  auto p = std::get_if<packet_head>(&r);
  if (!p || p->size < 0 || p->size > packet_bytes_max)
    return fail(errc::corrupt, "{}: not a packet", path_);
  head = *p;
  pending_.resize(static_cast<std::size_t>(p->size));
  FM_CHECK(take(pending_.data(), pending_.size()));
  sha_.add(pending_);
  ++packets_;
  return true;
}

result<bool> packet_reader::next(AVPacket& packet) {
  packet_head head;
  FM_TRY(auto more, next(head));
  if (!more)
    return false;
  av_packet_unref(&packet);
  FM_CHECK(av::check(av_new_packet(&packet, head.size), "a packet"));
  std::memcpy(packet.data, pending_.data(), pending_.size());
  packet.pts = head.pts;
  packet.dts = head.dts;
  packet.duration = head.duration;
  packet.flags = head.flags;
  return true;
}

// ---- parameters --------------------------------------------------------------------

result<av::parameters_ptr> parameters_of(const stream_head& h) {
  av::parameters_ptr out{avcodec_parameters_alloc()};
  auto descriptor = avcodec_descriptor_get_by_name(h.codec.c_str());
  if (!out || !descriptor)
    return fail(errc::internal, "no codec named {}", h.codec);
  out->codec_type = descriptor->type;
  out->codec_id = descriptor->id;
  out->bit_rate = h.bit_rate;
  out->profile = h.profile;
  out->level = h.level;
  out->extradata = static_cast<std::uint8_t*>(
      av_mallocz(h.extradata.size() + AV_INPUT_BUFFER_PADDING_SIZE));
  if (!out->extradata)
    return fail(errc::no_memory, "no memory for codec parameters");
  std::memcpy(out->extradata, h.extradata.data(), h.extradata.size());
  out->extradata_size = static_cast<int>(h.extradata.size());
  if (descriptor->type == AVMEDIA_TYPE_VIDEO) {
    out->format = AV_PIX_FMT_YUV420P;
    out->width = h.width;
    out->height = h.height;
    out->sample_aspect_ratio = {1, 1};
    out->color_range = static_cast<AVColorRange>(h.colours.range);
    out->color_primaries = static_cast<AVColorPrimaries>(h.colours.primaries);
    out->color_trc = static_cast<AVColorTransferCharacteristic>(h.colours.transfer);
    out->color_space = static_cast<AVColorSpace>(h.colours.matrix);
  } else {
    out->format = out->codec_id == AV_CODEC_ID_PCM_S16LE ? AV_SAMPLE_FMT_S16 : AV_SAMPLE_FMT_FLTP;
    out->sample_rate = h.sample_rate;
    out->frame_size = h.frame_samples;
    out->initial_padding = h.initial_padding;
    FM_CHECK(av::check(av_channel_layout_from_string(&out->ch_layout, h.channel_layout.c_str()),
                       "the channel layout"));
    out->bits_per_coded_sample = av_get_bits_per_sample(out->codec_id); // 0 but for PCM
    out->block_align = out->bits_per_coded_sample / 8 * out->ch_layout.nb_channels;
  }
  return out;
}

result<stream_head> head_of(const AVCodecContext& c) {
  stream_head h;
  h.codec = avcodec_get_name(c.codec_id);
  h.time_base = av::ratio(c.time_base);
  h.frame_rate = av::ratio(c.framerate);
  h.extradata.assign(reinterpret_cast<const char*>(c.extradata),
                     static_cast<std::size_t>(c.extradata_size));
  h.bit_rate = c.bit_rate;
  h.profile = c.profile;
  h.level = c.level;
  h.width = c.width;
  h.height = c.height;
  h.colours = {c.color_range, c.color_primaries, c.color_trc, c.colorspace};
  h.sample_rate = c.sample_rate;
  h.frame_samples = c.frame_size;
  h.initial_padding = c.initial_padding;
  if (c.codec_type == AVMEDIA_TYPE_AUDIO) {
    char layout[128] = {};
    FM_CHECK(av::check(av_channel_layout_describe(&c.ch_layout, layout, sizeof layout),
                       "the channel layout"));
    h.channel_layout = layout;
  }
  return h;
}

} // namespace framemill
