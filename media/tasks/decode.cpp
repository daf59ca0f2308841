#include "media/branches.hpp"
#include "media/glyphs.hpp"
#include "media/tasks/tasks.hpp"
#include "media/video_decoder.hpp"

#include <algorithm>
#include <filesystem>
#include <limits>

namespace framemill::tasks {
namespace {

constexpr auto the_beginning = std::numeric_limits<std::int64_t>::min();

/// One decode for all outputs of a step.
class fused_decode {
public:
  fused_decode(const decode_step& step, work& w) : step_(step), work_(w) {}

  result<void> run() {
    FM_CHECK(load_index());
    FM_TRY(frame_, av::make_frame());
    FM_CHECK(open_decoder());
    FM_CHECK(position());
    FM_CHECK(open_branches());
    look_beyond();
    for (auto more = have_first_; more && !is_over();) {
      FM_CHECK(take(*frame_));
      FM_TRY(more, decoder_->next(*frame_));
    }
    return finish();
  }

private:
  bool is_exact() const noexcept { return !step_.index_file.empty(); }
  const std::string& name() const noexcept { return work_.request().source_name; }

  result<void> load_index() {
    if (!is_exact())
      return {};
    FM_TRY(auto path, work_.find(step_.index_file));
    FM_TRY(auto bytes, read_file(path));
    FM_TRY(index_, decode_index(bytes));
    const auto& pts = step_.key_frames_only ? key_frames() : index_.pts;
    auto first = std::lower_bound(pts.begin(), pts.end(), step_.begin);
    if (step_.key_frames_only && first != pts.begin()
        && (first == pts.end() || *first != step_.begin))
      --first; // picks snap to the key frame before
    planned_.assign(first, std::upper_bound(first, pts.end(), step_.end));
    if (planned_.empty())
      return fail(errc::internal, "no picture of the index lies in [{}, {}]", step_.begin,
                  step_.end);
    return {};
  }

  const std::vector<std::int64_t>& key_frames() {
    if (keys_.empty())
      for (const auto& p : index_.access_points)
        keys_.push_back(p.pts);
    return keys_;
  }

  result<void> open_decoder() {
    FM_TRY(auto s, source::open(work_));
    FM_TRY(decoder_, video_decoder::open(std::move(s), step_.stream,
                                         step_.key_frames_only ? decode_extent::key_frames
                                                               : decode_extent::all_frames,
                                         std::max(step_.threads, 1)));
    return {};
  }

  // ---- getting to the start (performance notes R3, R4) -----------------------------

  /// Seeks, and checks by the first decoded picture that nothing planned was
  /// jumped over; each attempt starts further back, the last at the beginning.
  result<void> position() {
    const auto start = starting_point();
    if (start.pts == the_beginning)
      return first_frame();
    FM_CHECK(decoder_->prime());
    if (decoder_->seeks_positions() && start.position >= 0
        && decoder_->seek_position(start.position)) {
      FM_CHECK(first_frame());
      if (starts_right())
        return {};
    }
    for (auto target : {start.pts, earlier(2), earlier(10)}) {
      if (!decoder_->seek(target))
        continue;
      FM_CHECK(first_frame());
      if (starts_right())
        return {};
    }
    work_.warn("seeking in the source is not exact; it was decoded from the beginning");
    FM_CHECK(open_decoder());
    return first_frame();
  }

  /// bwdif wants a picture before the first: then one access point earlier.
  access_point starting_point() const {
    const auto& points = index_.access_points;
    if (!step_.deinterlace || !is_exact() || step_.start.pts == the_beginning)
      return step_.start;
    auto at = std::lower_bound(points.begin(), points.end(), step_.start.pts,
                               [](const auto& p, std::int64_t t) { return p.pts < t; });
    return at == points.begin() ? access_point{the_beginning, -1} : *(at - 1);
  }

  std::int64_t earlier(double seconds) {
    const auto tb = decoder_->stream().time_base;
    return step_.start.pts - static_cast<std::int64_t>(seconds * tb.den / tb.num);
  }

  result<void> first_frame() {
    FM_TRY(have_first_, decoder_->next(*frame_));
    return {};
  }

  bool starts_right() const {
    if (!have_first_)
      return false;
    if (!is_exact())
      return frame_->pts <= step_.begin;
    if (step_.key_frames_only || frame_->pts > planned_.front())
      return frame_->pts <= planned_.front();
    return std::binary_search(index_.pts.begin(), index_.pts.end(), frame_->pts);
  }

  // ---- branches --------------------------------------------------------------------

  void check_letters(const std::vector<overlay>& marks) {
    for (const auto& o : marks)
      if (auto missing = missing_glyphs(o.font, o.text); !missing.empty())
        work_.warn(fmt::format("the font {} of a text watermark has no `{}`: boxes are drawn "
                               "instead; choose another FontType",
                               std::filesystem::path{o.font}.filename().string(), missing));
  }

  result<void> open_branches() {
    auto& s = decoder_->stream();
    auto rate = s.avg_frame_rate.num > 0 ? s.avg_frame_rate : s.r_frame_rate;
    const auto first = s.start_time == AV_NOPTS_VALUE ? 0 : s.start_time;
    const decode_frame d{step_, is_exact() ? &index_ : nullptr, av::ratio(s.time_base),
                         av::ratio(rate), is_exact() ? index_.pts.front() : first};
    for (const auto& v : step_.videos) {
      check_letters(v.overlays);
      FM_TRY(auto b, make_branch(v, d, work_));
      branches_.push_back(std::move(b));
    }
    for (const auto& p : step_.pictures) {
      check_letters(p.overlays);
      FM_TRY(auto b, make_branch(p, d, work_));
      branches_.push_back(std::move(b));
    }
    return {};
  }

  /// Pictures past the window that only witness the seam there.
  void look_beyond() {
    if (!is_exact())
      return;
    last_shown_ = planned_.back();
    auto until = last_shown_;
    for (const auto& b : branches_)
      until = std::max(until, b->sees_until());
    const auto& pts = index_.pts;
    planned_.insert(planned_.end(), std::upper_bound(pts.begin(), pts.end(), last_shown_),
                    std::upper_bound(pts.begin(), pts.end(), until));
  }

  bool is_over() const {
    const auto done = [](const auto& b) { return b->is_done(); };
    if (std::all_of(branches_.begin(), branches_.end(), done))
      return !is_exact() || seen_ == planned_.size();
    // bwdif looks at one picture more
    return is_exact() && seen_ == planned_.size() && (!step_.deinterlace || after_ > 0);
  }

  // ---- each picture ------------------------------------------------------------------

  result<void> take(AVFrame& frame) {
    const auto tb = decoder_->stream().time_base;
    work_.progress().decoded(av::seconds(frame.pts, tb));
    FM_CHECK(account(frame));
    last_end_ = frame.pts + std::max<std::int64_t>(frame.pkt_duration, 1);
    if (!step_.deinterlace)
      return hand_out(frame);
    FM_CHECK(deinterlacer_.push(&frame));
    return hand_out_deinterlaced();
  }

  /// The pictures within the window must be the planned ones, one by one.
  result<void> account(const AVFrame& frame) {
    if (!is_exact() || frame.pts < planned_.front())
      return {};
    if (step_.key_frames_only) { // decoders differ in what is a key frame
      seen_ = frame.pts >= planned_.back() ? planned_.size() : seen_;
      return {};
    }
    if (seen_ == planned_.size()) {
      ++after_;
      return {};
    }
    if (frame.pts != planned_[seen_])
      return fail(errc::input_damaged,
                  "{}: the picture at {} ticks decoded where the index has {}; the source is "
                  "damaged or its index is not exact",
                  name(), frame.pts, planned_[seen_]);
    ++seen_;
    return {};
  }

  bool in_window(const AVFrame& frame) const {
    return !is_exact() || (frame.pts >= planned_.front() && frame.pts <= last_shown_);
  }

  result<void> hand_out(const AVFrame& frame) {
    if (frame.pts >= step_.start.pts)
      for (auto& b : branches_)
        FM_CHECK(b->see(frame));
    if (!in_window(frame))
      return {};
    handed_out_ = true;
    for (auto& b : branches_)
      if (!b->is_done())
        FM_CHECK(b->take(frame));
    return {};
  }

  result<void> hand_out_deinterlaced() {
    while (true) {
      FM_TRY(auto frame, deinterlacer_.pull());
      if (!frame)
        return {};
      FM_CHECK(hand_out(*frame));
    }
  }

  result<void> finish() {
    if (step_.deinterlace) {
      FM_CHECK(deinterlacer_.push(nullptr));
      FM_CHECK(hand_out_deinterlaced());
    }
    if (decoder_->failed_packets() > 0)
      work_.warn(
          fmt::format("{} packets of the video did not decode", decoder_->failed_packets()));
    if (!handed_out_)
      return fail(errc::input_damaged, "{}: no picture of the video stream {} can be decoded",
                  name(), step_.stream);
    if (is_exact() && !step_.key_frames_only && seen_ != planned_.size())
      return fail(errc::input_damaged,
                  "{}: {} of {} planned pictures decoded; the one at {} ticks is missing",
                  name(), seen_, planned_.size(), planned_[seen_]);
    for (auto& b : branches_)
      FM_CHECK(b->finish(end()));
    return {};
  }

  /// Where the last handed picture ends: the next of the index, or its duration.
  std::int64_t end() const {
    if (!is_exact())
      return last_end_;
    auto next = std::upper_bound(index_.pts.begin(), index_.pts.end(), last_shown_);
    return next == index_.pts.end() ? last_shown_ + index_.last_duration : *next;
  }

  const decode_step& step_;
  work& work_;
  packet_index index_;
  std::vector<std::int64_t> keys_;
  std::vector<std::int64_t> planned_;
  std::int64_t last_shown_ = 0; ///< the window's end: what follows in planned_ witnesses
  std::size_t seen_ = 0; ///< of planned_
  int after_ = 0;        ///< pictures past the planned ones
  bool have_first_ = false, handed_out_ = false;
  std::int64_t last_end_ = 0;
  std::optional<video_decoder> decoder_;
  av::frame_ptr frame_;
  deinterlacer deinterlacer_;
  std::vector<std::unique_ptr<branch>> branches_;
};

} // namespace

result<void> run(const decode_step& step, work& w) {
  w.progress().enter(work_phase::decoding);
  return fused_decode{step, w}.run();
}

} // namespace framemill::tasks
