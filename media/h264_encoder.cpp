#include "media/h264_encoder.hpp"

namespace framemill {
namespace {

void set_rate(AVCodecContext& c, av::options& o, const h264_settings& s) {
  const auto bits = std::int64_t{s.kbps} * 1000;
  if (s.control == rate_control::crf || s.control == rate_control::capped_crf)
    o.set("crf", fmt::format("{:.2f}", s.crf));
  else
    c.bit_rate = bits;
  if (s.control == rate_control::capped_crf) {
    c.rc_max_rate = bits;
    c.rc_buffer_size = static_cast<int>(std::min<std::int64_t>(2 * bits, INT32_MAX));
  }
  if (s.control == rate_control::cbr) {
    c.rc_max_rate = c.rc_min_rate = bits;
    c.rc_buffer_size = static_cast<int>(std::min<std::int64_t>(bits, INT32_MAX));
    o.set("nal-hrd", "cbr");
  }
}

void set_format(AVCodecContext& c, const h264_encoder::format& f) {
  c.width = f.width;
  c.height = f.height;
  c.pix_fmt = AV_PIX_FMT_YUV420P;
  c.time_base = f.time_base;
  c.framerate = f.frame_rate;
  c.sample_aspect_ratio = {1, 1};
  c.color_range = static_cast<AVColorRange>(f.colours.range);
  c.color_primaries = static_cast<AVColorPrimaries>(f.colours.primaries);
  c.color_trc = static_cast<AVColorTransferCharacteristic>(f.colours.transfer);
  c.colorspace = static_cast<AVColorSpace>(f.colours.matrix);
}

} // namespace

result<h264_encoder> h264_encoder::open(const h264_settings& s, const format& f) {
  constexpr std::int64_t gop_max = 1 << 20;
  auto encoder = avcodec_find_encoder_by_name(codec_name);
  if (!encoder)
    return fail(errc::unsupported, "this libavcodec has no libx264");
  h264_encoder out;
  FM_TRY(out.codec_, av::make_codec(encoder));
  auto& c = *out.codec_;
  set_format(c, f);
  c.gop_size = static_cast<int>(f.gop > 0 ? std::min(f.gop, gop_max) : gop_max);
  c.thread_count = s.threads;
  c.flags |= AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_CLOSED_GOP | AV_CODEC_FLAG_BITEXACT;
  if (s.bframes >= 0)
    c.max_b_frames = s.bframes;
  av::options o{{"preset", s.preset},
                {"forced-idr", "1"},
                {"x264-params", fmt::format("{}:scenecut={}", byte_settings, s.scenecut ? 40 : 0)}};
  if (!s.profile.empty())
    o.set("profile", s.profile);
  if (!s.level.empty())
    o.set("level", s.level);
  set_rate(c, o, s);
  FM_CHECK(av::check(avcodec_open2(&c, encoder, o.pass()), "cannot start the H.264 encoder",
                     errc::invalid_argument));
  FM_CHECK(o.all_used("libx264"));
  return out;
}

result<void> h264_encoder::push(AVFrame* frame, frame_role role) {
  if (frame)
    frame->pict_type = role == frame_role::key ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;
  FM_CHECK(av::check(avcodec_send_frame(codec_.get(), frame), "encoding a picture"));
  return {};
}

result<bool> h264_encoder::next(AVPacket& packet) {
  av_packet_unref(&packet);
  auto n = avcodec_receive_packet(codec_.get(), &packet);
  if (n == AVERROR(EAGAIN) || n == AVERROR_EOF)
    return false;
  FM_CHECK(av::check(n, "encoding a picture"));
  return true;
}

} // namespace framemill
