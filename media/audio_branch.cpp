#include "media/audio_branch.hpp"

#include <algorithm>
#include <cmath>

namespace framemill {
namespace {

constexpr int channels_max = 6; ///< the AAC encoder has no layout of 7
constexpr int silent_samples = 1024; ///< of a frame, where the encoder has no size of its own

struct audio_codec {
  const char* name; ///< of an audio_output
  const char* encoder;
};
constexpr audio_codec codecs[] = {
    {"aac", "aac"}, {"mp3", "libmp3lame"}, {"pcm_s16le", "pcm_s16le"}};

const char* encoder_named(const std::string& codec) {
  for (const auto& c : codecs)
    if (codec == c.name)
      return c.encoder;
  return nullptr;
}

int nearest_rate(const AVCodec& encoder, int wanted) {
  constexpr int rate_max = 48000; // players stop there
  int best = 0;
  for (auto r = encoder.supported_samplerates; r && *r; ++r)
    if (*r <= rate_max && (!best || std::abs(*r - wanted) < std::abs(best - wanted)))
      best = *r;
  return best ? best : wanted;
}

} // namespace

std::vector<const char*> audio_encoder_names() {
  std::vector<const char*> out;
  for (const auto& c : codecs)
    out.push_back(c.encoder);
  return out;
}

result<void> audio_branch::take(const AVFrame& frame) {
  if (is_done())
    return {};
  if (!encoder_)
    FM_CHECK(start(frame));
  const auto begin = std::llround(output_.begin * frame.sample_rate);
  if (frame.pts + frame.nb_samples <= begin)
    return {};
  if (!graph_ || !fits(frame))
    FM_CHECK(rebuild(frame));
  FM_TRY(auto in, av::share(frame));
  in->pts = frame.pts - begin;
  FM_CHECK(av::check(av_buffersrc_add_frame_flags(source_, in.get(), 0), "resampling"));
  return drain();
}

result<void> audio_branch::finish() {
  if (!encoder_)
    return fail(errc::input_damaged, "no sound of the source can be decoded");
  FM_CHECK(close_graph());
  if (produced_ == 0 && limit_ != no_end)
    FM_CHECK(fill_with_silence());
  if (produced_ == 0)
    return fail(errc::input_no_audio, "the sound ends before {:.3f} s, where the output begins",
                output_.begin);
  FM_CHECK(encode(nullptr));
  stream_foot foot;
  foot.end = produced_;
  return writer_->finish(foot);
}

result<void> audio_branch::start(const AVFrame& like) {
  auto name = encoder_named(output_.codec);
  auto encoder = name ? avcodec_find_encoder_by_name(name) : nullptr;
  if (!encoder)
    return fail(errc::unsupported, "there is no audio encoder `{}`", output_.codec);
  FM_TRY(encoder_, av::make_codec(encoder));
  auto& c = *encoder_;
  auto channels = output_.channels > 0 ? output_.channels : like.ch_layout.nb_channels;
  channels = std::clamp(channels, 1, output_.codec == "mp3" ? 2 : channels_max);
  av_channel_layout_default(&c.ch_layout, channels);
  c.sample_rate = nearest_rate(*encoder, output_.sample_rate > 0 ? output_.sample_rate
                                                                 : like.sample_rate);
  c.sample_fmt = output_.codec == "pcm_s16le" ? AV_SAMPLE_FMT_S16 : AV_SAMPLE_FMT_FLTP;
  c.time_base = {1, c.sample_rate};
  c.bit_rate = 1000LL * (output_.kbps > 0 ? output_.kbps : 64 * channels);
  c.thread_count = 1;
  c.flags |= AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_BITEXACT;
  FM_CHECK(av::check(avcodec_open2(&c, encoder, nullptr), "cannot start the audio encoder",
                     errc::invalid_argument));
  if (output_.end > 0)
    limit_ = std::llround((output_.end - output_.begin) * c.sample_rate);
  FM_TRY(packet_, av::make_packet());
  FM_TRY(auto head, head_of(c));
  FM_TRY(writer_, packet_writer::create(work_.output(output_.name), head));
  return {};
}

bool audio_branch::fits(const AVFrame& f) const noexcept {
  return f.sample_rate == rate_ && f.format == format_ && f.ch_layout.nb_channels == channels_;
}

result<void> audio_branch::rebuild(const AVFrame& like) {
  FM_CHECK(close_graph());
  const std::string format = av_get_sample_fmt_name(encoder_->sample_fmt);
  char layout[128] = {};
  av_channel_layout_describe(&encoder_->ch_layout, layout, sizeof layout);
  FM_TRY(auto g, av::graph_builder::make());
  FM_TRY(source_, g.sound_source(like));
  // Gaps and overlaps beyond 0.1 s are filled or cut, nothing is stretched;
  // the first sample lies at output time `produced_`.
  FM_CHECK(g.add("aresample", {{"sample_rate", std::to_string(encoder_->sample_rate)},
                               {"async", "1"},
                               {"out_sample_fmt", format},
                               {"out_chlayout", layout},
                               {"rematrix_maxval", "1"}, // mixing down never clips
                               {"first_pts", std::to_string(produced_)}}));
  FM_CHECK(g.add("aformat", {{"sample_fmts", format},
                             {"sample_rates", std::to_string(encoder_->sample_rate)},
                             {"channel_layouts", layout}}));
  FM_TRY(auto built, g.finish("abuffersink"));
  graph_ = std::move(built.first);
  sink_ = built.second;
  if (encoder_->frame_size > 0)
    av_buffersink_set_frame_size(sink_, static_cast<unsigned>(encoder_->frame_size));
  rate_ = like.sample_rate;
  format_ = like.format;
  channels_ = like.ch_layout.nb_channels;
  return {};
}

result<void> audio_branch::close_graph() {
  if (!graph_)
    return {};
  FM_CHECK(av::check(av_buffersrc_close(source_, 0, 0), "resampling"));
  FM_CHECK(drain());
  graph_.reset();
  return {};
}

result<void> audio_branch::drain() {
  FM_TRY(auto frame, av::make_frame());
  while (!is_done()) {
    av_frame_unref(frame.get());
    auto n = av_buffersink_get_frame(sink_, frame.get());
    if (n == AVERROR(EAGAIN) || n == AVERROR_EOF)
      return {};
    FM_CHECK(av::check(n, "resampling"));
    FM_CHECK(encode(frame.get()));
  }
  return {};
}

result<void> audio_branch::encode(AVFrame* frame) {
  if (frame) {
    frame->nb_samples =
        static_cast<int>(std::min<std::int64_t>(frame->nb_samples, limit_ - produced_));
    frame->pts = produced_;
    produced_ += frame->nb_samples;
  }
  FM_CHECK(av::check(avcodec_send_frame(encoder_.get(), frame), "encoding sound"));
  while (true) {
    av_packet_unref(packet_.get());
    auto n = avcodec_receive_packet(encoder_.get(), packet_.get());
    if (n == AVERROR(EAGAIN) || n == AVERROR_EOF)
      return {};
    FM_CHECK(av::check(n, "encoding sound"));
    FM_CHECK(writer_->add(*packet_));
    work_.progress().wrote(packet_->size);
  }
}

result<void> audio_branch::fill_with_silence() {
  const auto samples = encoder_->frame_size > 0 ? encoder_->frame_size : silent_samples;
  while (!is_done()) {
    FM_TRY(auto frame, av::silence(encoder_->sample_fmt, encoder_->ch_layout,
                                   encoder_->sample_rate, samples));
    FM_CHECK(encode(frame.get()));
  }
  return {};
}

} // namespace framemill
