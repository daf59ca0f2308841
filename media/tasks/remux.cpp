#include "media/muxer.hpp"
#include "media/packet_file.hpp"
#include "media/tasks/tasks.hpp"
#include "media/timeline.hpp"
#include "media/verify.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

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

std::int64_t ticks(double seconds, AVRational clock) {
  return std::llround(seconds * clock.den / clock.num);
}

bool is_before(double end, std::int64_t pts, AVRational clock) {
  return end == 0 || pts < ticks(end, clock);
}

/// A time on the source's clock.
struct moment {
  std::int64_t ticks = 0;
  AVRational clock{1, 1};
  bool is_after(std::int64_t pts, AVRational of_pts) const {
    return av_compare_ts(ticks, clock, pts, of_pts) > 0;
  }
};

/// What of the source is copied, as the first pass found it.
struct source_range {
  std::optional<moment> begin;          ///< what is shown before is not copied
  std::int64_t first = 0, last = -1;    ///< packets of the video, in decoding order
  std::vector<std::int64_t> pts;        ///< of those
  std::int64_t end = 0;                 ///< where the last one's frame ends
  std::int64_t sounds = 0;              ///< packets
  std::optional<std::int64_t> begin_us; ///< the earliest time of all
};

/// Finds the range in one pass over the source's packets.
class range_survey {
public:
  /// `video`: the stream that is copied; −1 = sound alone.
  range_survey(const remux_step& step, int video)
      : step_(step), video_(video), ends_before_begin_(step.begin != 0) {}

  void take(const AVPacket& p, AVRational clock) {
    if (p.stream_index == video_)
      take_picture(p, clock);
    else
      take_sound(p, clock);
  }

  /// Did the pass begin before the range? After a jump into the source it must have.
  bool saw_before() const { return video_ >= 0 ? range_.first > 0 : passed_ > 0; }

  result<source_range> finish(const std::string& name) && {
    if (video_ >= 0 && seen_ == 0)
      return fail(errc::input_damaged, "the video stream holds no picture");
    if (step_.begin == 0 && step_.end == 0)
      return std::move(range_);
    range_.pts.resize(kept_);
    const bool holds = video_ >= 0 ? kept_ > 0 && !ends_before_begin_ : range_.sounds > 0;
    if (!holds)
      return fail(errc::invalid_argument, "{}: it has nothing between {:.3f} s and {}", name,
                  step_.begin, step_.end == 0 ? "its end" : fmt::format("{:.3f} s", step_.end));
    return std::move(range_);
  }

private:
  void shown_at(const AVPacket& p, AVRational clock) {
    const auto us = av_rescale_q(p.pts, clock, {1, AV_TIME_BASE});
    range_.begin_us = range_.begin_us ? std::min(*range_.begin_us, us) : us;
  }

  /// A key frame at or before the begin is a better first frame than all before it.
  void take_picture(const AVPacket& p, AVRational clock) {
    const auto number = seen_++;
    const auto begin = ticks(step_.begin, clock);
    const bool key = p.flags & AV_PKT_FLAG_KEY;
    if (step_.begin != 0 && (number == 0 || (key && p.pts <= begin)))
      begin_with(p, number, clock);
    const auto end = p.pts + std::max<std::int64_t>(p.duration, 1);
    ends_before_begin_ = ends_before_begin_ && end <= begin;
    if (range_.begin && p.pts < range_.begin->ticks)
      return; // refers to pictures that are not copied
    range_.pts.push_back(p.pts);
    last_end_ = std::max(last_end_, p.pts + p.duration);
    if (!is_before(step_.end, p.pts, clock))
      return;
    shown_at(p, clock);
    range_.last = number;
    range_.end = last_end_;
    kept_ = range_.pts.size();
  }

  void begin_with(const AVPacket& p, std::int64_t number, AVRational clock) {
    range_ = {};
    range_.begin = moment{p.pts, clock};
    range_.first = number;
    kept_ = 0;
    last_end_ = 0;
  }

  void take_sound(const AVPacket& p, AVRational clock) {
    if (video_ < 0 && step_.begin != 0)
      range_.begin = moment{ticks(step_.begin, clock), clock};
    const bool before = range_.begin && range_.begin->is_after(p.pts, clock);
    passed_ += before;
    if (before || !is_before(step_.end, p.pts, clock))
      return;
    ++range_.sounds;
    shown_at(p, clock);
  }

  const remux_step& step_;
  int video_;
  bool ends_before_begin_; ///< the video
  source_range range_;
  std::size_t kept_ = 0;      ///< of range_.pts: up to the last before the end
  std::int64_t last_end_ = 0; ///< of all in range_.pts
  std::int64_t seen_ = 0;     ///< packets of the video
  std::int64_t passed_ = 0;   ///< packets of sound before the begin
};

/// Tells when all streams have passed the end: nothing that follows is shown before it.
class end_watch {
public:
  end_watch(double end, std::set<int> streams) : end_(end), streams_(std::move(streams)) {}
  void pass(const AVPacket& p, AVRational clock) {
    if (end_ != 0 && p.dts != AV_NOPTS_VALUE && p.dts >= ticks(end_, clock))
      streams_.erase(p.stream_index);
  }
  bool is_over() const noexcept { return streams_.empty(); }

private:
  double end_;
  std::set<int> streams_; ///< that have not
};

/// Copies packets; the earliest shown one lands at output time 0.
class remuxing {
public:
  remuxing(const remux_step& step, work& w)
      : step_(step), work_(w), jumps_(step.begin >= jump_seconds) {}

  result<void> run() {
    if (step_.end != 0 && step_.end <= step_.begin)
      return fail(errc::invalid_argument,
                  "the end at {:.3f} s does not lie after the begin at {:.3f} s", step_.end,
                  step_.begin);
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
  static constexpr double jump_seconds = 10; ///< most groups of pictures are shorter

  bool copies_video() const { return step_.video_file.empty() && step_.video_stream >= 0; }
  bool copies_audio() const { return step_.audio_file.empty() && step_.audio_stream >= 0; }

  std::set<int> copied_streams() const {
    std::set<int> out;
    if (copies_video())
      out.insert(step_.video_stream);
    if (copies_audio())
      out.insert(step_.audio_stream);
    return out;
  }

  result<source> open_source() {
    FM_TRY(auto s, source::open(work_));
    s.select(
        {copies_video() ? step_.video_stream : -1, copies_audio() ? step_.audio_stream : -1});
    jumps_ = jumps_ && av_match_list(s.format_name(), "mov,matroska", ',');
    if (!jumps_ || jump(s))
      return s;
    jumps_ = false;
    return open_source();
  }

  /// To well before the begin, where the container has an index of true times.
  result<void> jump(source& s) const {
    const auto stream = copies_video() ? step_.video_stream : step_.audio_stream;
    FM_TRY(auto found, s.checked_stream(stream));
    const auto target = ticks(step_.begin - jump_seconds, found->time_base);
    FM_CHECK(av::check(av_seek_frame(&s.format(), stream, target, AVSEEK_FLAG_BACKWARD),
                       "cannot seek in the source", errc::input_damaged));
    return {};
  }

  /// First pass: what is copied, with all presentation times of the video.
  result<void> survey() {
    if (!copies_video() && !copies_audio())
      return {};
    range_survey found{step_, copies_video() ? step_.video_stream : -1};
    FM_CHECK(read_all(found));
    if (jumps_ && !found.saw_before()) {
      jumps_ = false;
      return survey();
    }
    FM_TRY(range_, std::move(found).finish(work_.request().source_name));
    if (copies_video()) {
      FM_TRY(video_.times, timeline::make(std::move(range_.pts), range_.end));
    }
    return {};
  }

  result<void> read_all(range_survey& found) {
    FM_TRY(auto s, open_source());
    FM_TRY(auto packet, av::make_packet());
    end_watch watch{step_.end, copied_streams()};
    while (!watch.is_over()) {
      FM_TRY(auto more, s.read(*packet));
      if (!more)
        break;
      FM_CHECK(check_times(*packet));
      const auto clock = s.stream(packet->stream_index).time_base;
      watch.pass(*packet, clock);
      if (!(packet->flags & AV_PKT_FLAG_DISCARD))
        found.take(*packet, clock);
    }
    return {};
  }

  result<void> check_times(const AVPacket& p) const {
    if (p.pts == AV_NOPTS_VALUE
        || (p.dts == AV_NOPTS_VALUE && p.stream_index != step_.video_stream))
      return fail(errc::input_damaged,
                  "stream {} has packets without times and cannot be copied", p.stream_index);
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
    end_watch watch{step_.end, copied_streams()};
    while (source_ && !watch.is_over()) {
      FM_TRY(auto more, source_->read(*packet));
      if (!more)
        break;
      auto& t = packet->stream_index == video_.source ? video_ : audio_;
      watch.pass(*packet, t.clock);
      if (!is_in_range(*packet, t.clock))
        continue;
      restamp(t, *packet);
      FM_CHECK(copy_file_until(packet->dts, t.clock));
      FM_CHECK(write(t, *packet));
    }
    FM_CHECK(copy_file_until(INT64_MAX / 4, {1, 1}));
    return muxer_->finish();
  }

  bool is_in_range(const AVPacket& p, AVRational clock) {
    if (p.flags & AV_PKT_FLAG_DISCARD)
      return false;
    const bool picture = p.stream_index == video_.source;
    const auto number = picture ? seen_++ : 0;
    if (range_.begin && range_.begin->is_after(p.pts, clock))
      return false;
    return picture ? number >= range_.first && number <= range_.last
                   : is_before(step_.end, p.pts, clock);
  }

  void restamp(copied_track& t, AVPacket& p) {
    const auto begin = av_rescale_q(range_.begin_us.value_or(0), {1, AV_TIME_BASE}, t.clock);
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
  bool jumps_; ///< the source is not read from its start
  source_range range_;
  std::optional<source> source_;
  std::optional<muxer> muxer_;
  copied_track video_, audio_;
  std::int64_t seen_ = 0; ///< packets of the source's video
};

} // namespace

result<void> run(const remux_step& step, work& w) {
  w.progress().enter(work_phase::assembling);
  return remuxing{step, w}.run();
}

} // namespace framemill::tasks
