#include "media/audio_decoder.hpp"

#include <cmath>
#include <cstdlib>

namespace framemill {

result<audio_decoder> audio_decoder::open(source s, int stream, const std::string& name) {
  FM_TRY(auto found, s.checked_stream(stream));
  auto decoder = avcodec_find_decoder(found->codecpar->codec_id);
  if (!decoder || found->codecpar->codec_type != AVMEDIA_TYPE_AUDIO)
    return fail(errc::input_no_audio, "{}: there is no decoder for the audio codec {}", name,
                avcodec_get_name(found->codecpar->codec_id));
  s.select({stream});
  audio_decoder out{std::move(s), stream};
  FM_TRY(out.codec_, av::make_codec(decoder));
  FM_CHECK(av::check(avcodec_parameters_to_context(out.codec_.get(), found->codecpar),
                     "codec parameters"));
  out.codec_->pkt_timebase = found->time_base;
  out.codec_->thread_count = 1;
  FM_CHECK(av::check(avcodec_open2(out.codec_.get(), decoder, nullptr),
                     "cannot start the audio decoder", errc::input_damaged));
  FM_TRY(out.packet_, av::make_packet());
  return out;
}

result<void> audio_decoder::skip_to(double seconds) {
  if (seconds < 5 || !av_match_list(source_.format_name(), "mov,matroska", ','))
    return {};
  const auto target = std::llround((seconds - 2) * clock().den / clock().num);
  FM_CHECK(av::check(av_seek_frame(&source_.format(), stream_, target, AVSEEK_FLAG_BACKWARD),
                     "cannot seek in the source", errc::input_damaged));
  return {};
}

result<bool> audio_decoder::next(AVFrame& frame) {
  while (true) {
    av_frame_unref(&frame);
    auto n = avcodec_receive_frame(codec_.get(), &frame);
    if (n == 0 && frame.sample_rate > 0 && frame.ch_layout.nb_channels > 0) {
      stamp(frame);
      return true;
    }
    if (n == 0)
      continue;
    if (n == AVERROR_EOF)
      return false;
    if (n == AVERROR(ENOMEM))
      return fail(errc::no_memory, "no memory to decode sound");
    failed_ += n != AVERROR(EAGAIN);
    if (drained_)
      return false;
    FM_CHECK(feed());
  }
}

result<void> audio_decoder::feed() {
  FM_TRY(auto more, source_.read(*packet_));
  drained_ = !more;
  auto n = avcodec_send_packet(codec_.get(), more ? packet_.get() : nullptr);
  failed_ += n < 0 && n != AVERROR_EOF;
  return {};
}

void audio_decoder::stamp(AVFrame& f) {
  if (f.ch_layout.order == AV_CHANNEL_ORDER_UNSPEC)
    av_channel_layout_default(&f.ch_layout, f.ch_layout.nb_channels);
  f.pts = begin_of(f, {1, f.sample_rate});
  next_ = f.pts + f.nb_samples;
  rate_ = f.sample_rate;
}

/// Containers round times to their ticks; a frame that follows its predecessor to
/// within one is continuous.
std::int64_t audio_decoder::begin_of(const AVFrame& f, AVRational samples) {
  const auto expected = rate_ > 0 ? av_rescale_q(next_, AVRational{1, rate_}, samples) : 0;
  if (f.best_effort_timestamp == AV_NOPTS_VALUE)
    return expected;
  const auto stated = av_rescale_q(f.best_effort_timestamp, clock(), samples);
  const auto tick = av_rescale_q(1, clock(), samples) + 1;
  return rate_ > 0 && std::abs(stated - expected) <= tick ? expected : stated;
}

} // namespace framemill
