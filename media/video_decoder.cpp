#include "media/video_decoder.hpp"

#include "core/limits.hpp"

#include <algorithm>

namespace framemill {
namespace {

result<av::codec_ptr> open_codec(const AVStream& s, decode_extent extent, int threads) {
  auto decoder = avcodec_find_decoder(s.codecpar->codec_id);
  if (!decoder)
    return fail(errc::input_not_media, "there is no decoder for the video codec {}",
                avcodec_get_name(s.codecpar->codec_id));
  FM_TRY(auto c, av::make_codec(decoder));
  FM_CHECK(av::check(avcodec_parameters_to_context(c.get(), s.codecpar), "codec parameters"));
  c->pkt_timebase = s.time_base;
  c->thread_count = threads;
  c->max_pixels = limits::source_pixels_max;
  if (extent == decode_extent::key_frames)
    c->skip_frame = AVDISCARD_NONKEY;
  FM_CHECK(av::check(avcodec_open2(c.get(), decoder, nullptr), "cannot start the video decoder",
                     errc::input_damaged));
  return c;
}

} // namespace

result<video_decoder> video_decoder::open(source s, int stream, decode_extent extent,
                                          int threads) {
  FM_TRY(auto found, s.checked_stream(stream));
  if (found->codecpar->codec_type != AVMEDIA_TYPE_VIDEO)
    return fail(errc::input_changed, "stream {} is not video", stream);
  s.select({stream});
  if (extent == decode_extent::key_frames)
    found->discard = AVDISCARD_NONKEY;
  video_decoder out{std::move(s), stream};
  FM_TRY(out.codec_, open_codec(*found, extent, threads));
  FM_TRY(out.packet_, av::make_packet());
  return out;
}

result<bool> video_decoder::next(AVFrame& frame) {
  while (true) {
    av_frame_unref(&frame);
    auto n = avcodec_receive_frame(codec_.get(), &frame);
    if (n == 0) {
      stamp(frame);
      return true;
    }
    if (n == AVERROR_EOF)
      return false;
    if (n == AVERROR(ENOMEM))
      return fail(errc::no_memory, "no memory to decode a picture");
    if (n != AVERROR(EAGAIN) && drained_)
      return false;
    if (n != AVERROR(EAGAIN))
      ++failed_;
    FM_CHECK(feed());
  }
}

result<void> video_decoder::feed() {
  if (drained_)
    return {};
  FM_TRY(auto more, source_.read(*packet_));
  drained_ = !more;
  if (hurry_to_ != AV_NOPTS_VALUE)
    codec_->skip_frame = packet_->pts < hurry_to_ ? AVDISCARD_NONREF : AVDISCARD_DEFAULT;
  auto n = avcodec_send_packet(codec_.get(), more ? packet_.get() : nullptr);
  if (n == AVERROR(ENOMEM))
    return fail(errc::no_memory, "no memory to decode a packet");
  if (n < 0 && n != AVERROR(EAGAIN) && n != AVERROR_EOF)
    ++failed_;
  return {};
}

result<void> video_decoder::prime() {
  const auto& p = *stream().codecpar;
  return p.codec_id == AV_CODEC_ID_H264 && p.profile == FF_PROFILE_H264_HIGH_444_PREDICTIVE
             ? feed()
             : result<void>{};
}

void video_decoder::stamp(AVFrame& frame) {
  auto pts = frame.best_effort_timestamp != AV_NOPTS_VALUE ? frame.best_effort_timestamp
                                                           : frame.pts;
  const auto known = last_pts_ != AV_NOPTS_VALUE;
  if (frame.pkt_duration > 0)
    last_duration_ = frame.pkt_duration;
  if (pts == AV_NOPTS_VALUE)
    pts = known ? last_pts_ + last_duration_ : 0;
  frame.pts = last_pts_ = pts;
}

result<void> video_decoder::moved_to(int returned) {
  avcodec_flush_buffers(codec_.get());
  drained_ = false;
  last_pts_ = AV_NOPTS_VALUE;
  FM_CHECK(av::check(returned, "cannot seek in the source", errc::input_damaged));
  return {};
}

result<void> video_decoder::seek(std::int64_t pts) {
  return moved_to(av_seek_frame(&source_.format(), stream_, pts, AVSEEK_FLAG_BACKWARD));
}

result<void> video_decoder::seek_position(std::int64_t position) {
  return moved_to(av_seek_frame(&source_.format(), stream_, position, AVSEEK_FLAG_BYTE));
}

result<void> video_decoder::seek(const key_place& key, int seconds_before) {
  if (seconds_before == 0 && seeks_positions() && key.position >= 0)
    return seek_position(key.position);
  return seek(key.dts - av_rescale_q(seconds_before, {1, 1}, stream().time_base));
}

bool video_decoder::seeks_positions() const noexcept {
  return av_match_list(source_.format_name(), "mpegts,mpeg", ',');
}

} // namespace framemill
