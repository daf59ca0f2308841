#include "media/muxer.hpp"
#include "media/packet_file.hpp"
#include "media/tasks/tasks.hpp"
#include "media/timeline.hpp"
#include "media/verify.hpp"

#include <optional>

namespace framemill::tasks {
namespace {

/// One stream on its way to the output; from the source or from a packet file.
struct copied_track {
  int output = -1;
  AVRational clock{1, 1};
  std::optional<packet_reader> file; ///< else from the source
  int source = -1;
  std::optional<timeline> times; ///< of source video: made anew
  std::size_t number = 0;
  std::int64_t last_dts = AV_NOPTS_VALUE;
};

/// Copies packets; the earliest shown one lands at output time 0.
class remuxing {
public:
  remuxing(const remux_step& step, work& w) : step_(step), work_(w) {}

  result<void> run() {
    FM_CHECK(survey());
    FM_CHECK(open());
    FM_CHECK(copy());
    FM_TRY(auto files, muxer_->files());
    FM_TRY(auto verified, verify_contract(files, step_.container, step_.contract, {}, work_));
    result_file main;
    main.name = files.front();
    main.media = std::move(verified.info);
    if (video_.output >= 0)
      main.frames = static_cast<std::int64_t>(video_.number);
    work_.described.push_back(std::move(main));
    return {};
  }

private:
  bool copies_video() const { return step_.video_file.empty() && step_.video_stream >= 0; }
  bool copies_audio() const { return step_.audio_file.empty() && step_.audio_stream >= 0; }

  result<source> open_source() {
    FM_TRY(auto s, source::open(work_));
    s.select(
        {copies_video() ? step_.video_stream : -1, copies_audio() ? step_.audio_stream : -1});
    return s;
  }

  /// First pass: all presentation times of the video, and the common begin.
  result<void> survey() {
    if (!copies_video() && !copies_audio())
      return {};
    FM_TRY(auto s, open_source());
    FM_TRY(auto packet, av::make_packet());
    std::vector<std::int64_t> pts;
    std::int64_t end = 0;
    while (true) {
      FM_TRY(auto more, s.read(*packet));
      if (!more)
        break;
      FM_CHECK(survey_packet(*packet, s, pts, end));
    }
    if (copies_video() && pts.empty())
      return fail(errc::input_damaged, "the video stream holds no picture");
    if (!pts.empty()) {
      FM_TRY(video_.times, timeline::make(std::move(pts), end));
    }
    return {};
  }

  result<void> survey_packet(const AVPacket& p, source& s, std::vector<std::int64_t>& pts,
                             std::int64_t& end) {
    if (p.pts == AV_NOPTS_VALUE
        || (p.dts == AV_NOPTS_VALUE && p.stream_index != step_.video_stream))
      return fail(errc::input_damaged,
                  "stream {} has packets without times and cannot be copied", p.stream_index);
    if (p.flags & AV_PKT_FLAG_DISCARD)
      return {};
    const auto us = av_rescale_q(p.pts, s.stream(p.stream_index).time_base, {1, AV_TIME_BASE});
    begin_us_ = begin_us_ ? std::min(*begin_us_, us) : us;
    if (p.stream_index == step_.video_stream && copies_video()) {
      pts.push_back(p.pts);
      end = std::max(end, p.pts + p.duration);
    }
    return {};
  }

  result<void> open() {
    FM_TRY(auto m, muxer::open({step_.name, step_.container, step_.hls_seconds, step_.hls_fmp4,
                                step_.segment_pattern},
                               work_));
    muxer_.emplace(std::move(m));
    if (copies_video() || copies_audio()) {
      FM_TRY(auto s, open_source());
      source_.emplace(std::move(s));
    }
    FM_CHECK(add(video_, step_.video_file, copies_video() ? step_.video_stream : -1));
    FM_CHECK(add(audio_, step_.audio_file, copies_audio() ? step_.audio_stream : -1));
    return muxer_->start();
  }

  result<void> add(copied_track& t, const std::string& file, int stream) {
    if (!file.empty()) {
      FM_TRY(auto path, work_.find(file));
      FM_TRY(t.file, packet_reader::open_whole(path));
      FM_TRY(auto parameters, parameters_of(t.file->head()));
      t.clock = av::ratio(t.file->head().time_base);
      FM_TRY(t.output,
             muxer_->add_stream(*parameters, t.clock, av::ratio(t.file->head().frame_rate)));
      return {};
    }
    if (stream < 0)
      return {};
    FM_TRY(auto s, source_->checked_stream(stream));
    t.source = stream;
    t.clock = s->time_base;
    FM_TRY(t.output, muxer_->add_stream(*s->codecpar, t.clock, s->avg_frame_rate));
    return {};
  }

  /// Source packets in file order; packets of files when their time has come.
  result<void> copy() {
    FM_TRY(auto packet, av::make_packet());
    while (source_) {
      FM_TRY(auto more, source_->read(*packet));
      if (!more)
        break;
      if (packet->flags & AV_PKT_FLAG_DISCARD)
        continue;
      auto& t = packet->stream_index == video_.source ? video_ : audio_;
      restamp(t, *packet);
      FM_CHECK(copy_file_until(packet->dts, t.clock));
      FM_CHECK(write(t, *packet));
    }
    FM_CHECK(copy_file_until(INT64_MAX / 4, {1, 1}));
    return muxer_->finish();
  }

  void restamp(copied_track& t, AVPacket& p) {
    const auto begin = av_rescale_q(begin_us_.value_or(0), {1, AV_TIME_BASE}, t.clock);
    if (t.times && t.number < t.times->size()) {
      p.dts = t.times->dts(t.number);
      p.duration = t.times->duration(t.number);
    }
    p.pts -= begin;
    p.dts -= begin;
  }

  result<void> write(copied_track& t, AVPacket& p) {
    if (t.last_dts != AV_NOPTS_VALUE && p.dts <= t.last_dts)
      return fail(errc::input_damaged,
                  "the times of a stream do not rise; it cannot be copied");
    t.last_dts = p.dts;
    ++t.number;
    return muxer_->write(p, t.output);
  }

  result<void> copy_file_until(std::int64_t dts, AVRational clock) {
    for (auto* t : {&video_, &audio_})
      if (t->file)
        FM_CHECK(copy_track_until(*t, dts, clock));
    return {};
  }

  result<void> copy_track_until(copied_track& t, std::int64_t dts, AVRational clock) {
    FM_TRY(auto packet, av::make_packet());
    while (t.last_dts == AV_NOPTS_VALUE || av_compare_ts(t.last_dts, t.clock, dts, clock) < 0) {
      FM_TRY(auto more, t.file->next(*packet));
      if (!more) {
        t.file.reset();
        return {};
      }
      FM_CHECK(write(t, *packet));
    }
    return {};
  }

  const remux_step& step_;
  work& work_;
  std::optional<std::int64_t> begin_us_;
  std::optional<source> source_;
  std::optional<muxer> muxer_;
  copied_track video_, audio_;
};

} // namespace

result<void> run(const remux_step& step, work& w) {
  w.progress().enter(work_phase::assembling);
  return remuxing{step, w}.run();
}

} // namespace framemill::tasks
