#include "media/packet_file.hpp"
#include "media/source.hpp"
#include "media/tasks/tasks.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

namespace framemill::tasks {
namespace {

constexpr auto no_end = std::numeric_limits<std::int64_t>::max();
constexpr int channels_max = 6; ///< the AAC encoder has no layout of 7

int nearest_rate(const AVCodec& encoder, int wanted) {
  constexpr int rate_max = 48000; // players stop there
  int best = 0;
  for (auto r = encoder.supported_samplerates; r && *r; ++r)
    if (*r <= rate_max && (!best || std::abs(*r - wanted) < std::abs(best - wanted)))
      best = *r;
  return best ? best : wanted;
}

/// Decoded sound → the output's rate, channels and clock → encoder → packet file.
class audio_branch {
public:
  audio_branch(const audio_output& output, work& w) : output_(output), work_(w) {}

  /// `at` is the frame's begin on the source's clock, in its own samples.
  result<void> take(const AVFrame& frame, std::int64_t at) {
    if (is_done())
      return {};
    if (!encoder_)
      FM_CHECK(start(frame));
    const auto begin = std::llround(output_.begin * frame.sample_rate);
    if (at + frame.nb_samples <= begin)
      return {};
    if (!graph_ || !fits(frame))
      FM_CHECK(rebuild(frame));
    FM_TRY(auto in, av::share(frame));
    in->pts = at - begin;
    FM_CHECK(av::check(av_buffersrc_add_frame_flags(source_, in.get(), 0), "resampling"));
    return drain();
  }

  result<void> finish() {
    if (!encoder_)
      return fail(errc::input_damaged, "no sound of the source can be decoded");
    FM_CHECK(close_graph());
    if (produced_ == 0 && limit_ != no_end)
      FM_CHECK(fill_with_silence());
    if (produced_ == 0)
      return fail(errc::input_no_audio,
                  "the sound ends before {:.3f} s, where the output begins", output_.begin);
    FM_CHECK(encode(nullptr));
    stream_foot foot;
    foot.end = produced_;
    return writer_->finish(foot);
  }

  bool is_done() const noexcept { return produced_ >= limit_; }

private:
  result<void> start(const AVFrame& like) {
    auto encoder = avcodec_find_encoder_by_name(output_.codec == "mp3" ? "libmp3lame" : "aac");
    if (!encoder || (output_.codec != "mp3" && output_.codec != "aac"))
      return fail(errc::unsupported, "there is no audio encoder `{}`", output_.codec);
    FM_TRY(encoder_, av::make_codec(encoder));
    auto& c = *encoder_;
    auto channels = output_.channels > 0 ? output_.channels : like.ch_layout.nb_channels;
    channels = std::clamp(channels, 1, output_.codec == "mp3" ? 2 : channels_max);
    av_channel_layout_default(&c.ch_layout, channels);
    c.sample_rate = nearest_rate(*encoder, output_.sample_rate > 0 ? output_.sample_rate
                                                                   : like.sample_rate);
    c.sample_fmt = AV_SAMPLE_FMT_FLTP;
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

  bool fits(const AVFrame& f) const noexcept {
    return f.sample_rate == rate_ && f.format == format_
           && f.ch_layout.nb_channels == channels_;
  }

  result<void> rebuild(const AVFrame& like) {
    FM_CHECK(close_graph());
    char layout[128] = {};
    av_channel_layout_describe(&encoder_->ch_layout, layout, sizeof layout);
    FM_TRY(auto g, av::graph_builder::make());
    FM_TRY(source_, g.sound_source(like));
    // Gaps and overlaps beyond 0.1 s are filled or cut, nothing is stretched;
    // the first sample lies at output time `produced_`.
    FM_CHECK(g.add("aresample", {{"sample_rate", std::to_string(encoder_->sample_rate)},
                                 {"async", "1"},
                                 {"out_sample_fmt", "fltp"},
                                 {"out_chlayout", layout},
                                 {"rematrix_maxval", "1"}, // mixing down never clips
                                 {"first_pts", std::to_string(produced_)}}));
    FM_CHECK(g.add("aformat", {{"sample_fmts", "fltp"},
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

  result<void> close_graph() {
    if (!graph_)
      return {};
    FM_CHECK(av::check(av_buffersrc_close(source_, 0, 0), "resampling"));
    FM_CHECK(drain());
    graph_.reset();
    return {};
  }

  result<void> drain() {
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

  result<void> encode(AVFrame* frame) {
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

  result<void> fill_with_silence() {
    FM_TRY(auto frame, av::make_frame());
    while (!is_done()) {
      av_frame_unref(frame.get());
      frame->nb_samples = std::max(encoder_->frame_size, 1);
      frame->format = encoder_->sample_fmt;
      frame->sample_rate = encoder_->sample_rate;
      FM_CHECK(av::check(av_channel_layout_copy(&frame->ch_layout, &encoder_->ch_layout),
                         "silence"));
      FM_CHECK(av::check(av_frame_get_buffer(frame.get(), 0), "silence"));
      av_samples_set_silence(frame->extended_data, 0, frame->nb_samples,
                             frame->ch_layout.nb_channels, AVSampleFormat(frame->format));
      FM_CHECK(encode(frame.get()));
    }
    return {};
  }

  const audio_output& output_;
  work& work_;
  av::codec_ptr encoder_;
  av::packet_ptr packet_;
  std::optional<packet_writer> writer_;
  av::graph_ptr graph_;
  AVFilterContext* source_ = nullptr;
  AVFilterContext* sink_ = nullptr;
  int rate_ = 0, format_ = -1, channels_ = 0;
  std::int64_t limit_ = no_end; ///< output samples
  std::int64_t produced_ = 0;   ///< output samples given to the encoder
};

/// Decodes one audio stream front to back.
class audio_decode {
public:
  audio_decode(const audio_step& step, work& w) : step_(step), work_(w) {
    for (const auto& o : step.outputs)
      branches_.emplace_back(o, w);
  }

  result<void> run() {
    FM_TRY(auto s, source::open(work_));
    source_.emplace(std::move(s));
    FM_CHECK(open_codec());
    FM_CHECK(skip_to_begin());
    while (!drained_ && !all_done()) {
      FM_CHECK(feed());
      FM_CHECK(receive());
    }
    if (failed_ > 0)
      work_.warn(fmt::format("{} packets of the audio did not decode", failed_));
    for (auto& b : branches_)
      FM_CHECK(b.finish());
    return {};
  }

private:
  result<void> open_codec() {
    FM_TRY(stream_, source_->checked_stream(step_.stream));
    auto decoder = avcodec_find_decoder(stream_->codecpar->codec_id);
    if (!decoder || stream_->codecpar->codec_type != AVMEDIA_TYPE_AUDIO)
      return fail(errc::input_no_audio, "{}: there is no decoder for the audio codec {}",
                  work_.request().source_name, avcodec_get_name(stream_->codecpar->codec_id));
    source_->select({step_.stream});
    FM_TRY(codec_, av::make_codec(decoder));
    FM_CHECK(av::check(avcodec_parameters_to_context(codec_.get(), stream_->codecpar),
                       "codec parameters"));
    codec_->pkt_timebase = stream_->time_base;
    codec_->thread_count = 1;
    FM_CHECK(av::check(avcodec_open2(codec_.get(), decoder, nullptr),
                       "cannot start the audio decoder", errc::input_damaged));
    FM_TRY(packet_, av::make_packet());
    FM_TRY(frame_, av::make_frame());
    return {};
  }

  /// Containers with an index of true times allow to jump near the begin.
  result<void> skip_to_begin() {
    double begin = branches_.empty() ? 0 : step_.outputs.front().begin;
    for (const auto& o : step_.outputs)
      begin = std::min(begin, o.begin);
    if (begin < 5 || !av_match_list(source_->format_name(), "mov,matroska", ','))
      return {};
    const auto target =
        std::llround((begin - 2) * stream_->time_base.den / stream_->time_base.num);
    FM_CHECK(
        av::check(av_seek_frame(&source_->format(), step_.stream, target, AVSEEK_FLAG_BACKWARD),
                  "cannot seek in the source", errc::input_damaged));
    return {};
  }

  result<void> feed() {
    FM_TRY(auto more, source_->read(*packet_));
    drained_ = !more;
    auto n = avcodec_send_packet(codec_.get(), more ? packet_.get() : nullptr);
    failed_ += n < 0 && n != AVERROR_EOF;
    return {};
  }

  result<void> receive() {
    while (true) {
      av_frame_unref(frame_.get());
      auto n = avcodec_receive_frame(codec_.get(), frame_.get());
      if (n == AVERROR(EAGAIN) || n == AVERROR_EOF)
        return {};
      if (n == AVERROR(ENOMEM))
        return fail(errc::no_memory, "no memory to decode sound");
      if (n < 0) {
        ++failed_;
        return {};
      }
      FM_CHECK(hand_out());
    }
  }

  result<void> hand_out() {
    auto& f = *frame_;
    if (f.sample_rate <= 0 || f.ch_layout.nb_channels <= 0)
      return {};
    if (f.ch_layout.order == AV_CHANNEL_ORDER_UNSPEC)
      av_channel_layout_default(&f.ch_layout, f.ch_layout.nb_channels);
    const AVRational samples{1, f.sample_rate};
    const auto at = begin_of(f, samples);
    next_ = at + f.nb_samples;
    rate_ = f.sample_rate;
    work_.progress().decoded(av::seconds(at, samples));
    for (auto& b : branches_)
      FM_CHECK(b.take(f, at));
    return {};
  }

  /// Where a frame begins, in its samples. Containers round times to their
  /// ticks; a frame that follows its predecessor to within one is continuous.
  std::int64_t begin_of(const AVFrame& f, AVRational samples) const {
    const auto expected = rate_ > 0 ? av_rescale_q(next_, AVRational{1, rate_}, samples) : 0;
    if (f.best_effort_timestamp == AV_NOPTS_VALUE)
      return expected;
    const auto stated = av_rescale_q(f.best_effort_timestamp, stream_->time_base, samples);
    const auto tick = av_rescale_q(1, stream_->time_base, samples) + 1;
    return rate_ > 0 && std::abs(stated - expected) <= tick ? expected : stated;
  }

  bool all_done() const {
    return std::all_of(branches_.begin(), branches_.end(),
                       [](const auto& b) { return b.is_done(); });
  }

  const audio_step& step_;
  work& work_;
  std::vector<audio_branch> branches_;
  std::optional<source> source_;
  AVStream* stream_ = nullptr; ///< of source_
  av::codec_ptr codec_;
  av::packet_ptr packet_;
  av::frame_ptr frame_;
  std::int64_t failed_ = 0, next_ = 0;
  int rate_ = 0;
  bool drained_ = false;
};

} // namespace

result<void> run(const audio_step& step, work& w) {
  w.progress().enter(work_phase::audio);
  return audio_decode{step, w}.run();
}

} // namespace framemill::tasks
