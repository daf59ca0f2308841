#include "media/branches.hpp"

#include "media/plan/frame_grid.hpp"
#include "media/witness.hpp"

#include <algorithm>
#include <optional>

namespace framemill {
namespace {

picture_recipe recipe_of(const picture_geometry& geometry, std::vector<overlay> overlays,
                         const decode_frame& d, work& w) {
  for (auto& o : overlays)
    if (!o.image.empty())
      o.image = w.input(o.image);
  picture_recipe r;
  r.geometry = geometry;
  r.overlays = std::move(overlays);
  r.rotation = d.step.rotation;
  r.tonemap = d.step.tonemap;
  r.bt709 = d.step.bt709;
  return r;
}

// ---- video -------------------------------------------------------------------------

class video_branch : public branch {
public:
  video_branch(const video_output& output, const decode_frame& d, work& w)
      : output_(output), source_(d), work_(w),
        time_base_(output_time_base(output.grid, d.time_base)),
        filter_([&] {
          auto r = recipe_of(output.geometry, output.overlays, d, w);
          r.clock = av::ratio(time_base_);
          return r;
        }()),
        shrink_([&] {
          auto r = recipe_of(output.geometry, output.overlays, d, w);
          r.clock = av::ratio(d.time_base);
          return r;
        }()),
        wanted_(d.index ? witnessed_frames(output, *d.index) : std::vector<std::int64_t>{}),
        next_(output.first) {}

  std::int64_t sees_until() const noexcept override {
    return wanted_.empty() ? INT64_MIN : wanted_.back();
  }

  result<void> see(const AVFrame& picture) override {
    if (!std::binary_search(wanted_.begin(), wanted_.end(), picture.pts))
      return {};
    FM_TRY(auto luma, shrink_(picture, picture.pts - output_.grid.origin));
    witnesses_.push_back({picture.pts, std::move(luma)});
    return {};
  }

  result<void> take(const AVFrame& picture) override {
    return has_rate() ? take_on_grid(picture) : take_as_is(picture);
  }

  result<void> finish(std::int64_t end) override {
    if (has_rate())
      FM_CHECK(finish_grid(end));
    if (!encoder_)
      return fail(errc::input_damaged, "no picture of the source falls into the output `{}`",
                  output_.name);
    if (output_.last != open_end && next_ != output_.last)
      return fail(errc::input_damaged,
                  "the output `{}` has frames [{}, {}) where [{}, {}) were planned",
                  output_.name, output_.first, next_, output_.first, output_.last);
    FM_CHECK(encode(nullptr, frame_role::plain));
    return writer_->finish(foot(end));
  }

  bool is_done() const noexcept override { return next_ >= output_.last; }

private:
  static constexpr auto open_end = std::numeric_limits<std::int64_t>::max();

  bool has_rate() const noexcept { return output_.grid.fps.num > 0; }

  /// The held picture is shown until the slot of the next one.
  result<void> take_on_grid(const AVFrame& picture) {
    if (picture.pts >= output_.grid.end)
      return finish_grid(output_.grid.end);
    if (held_)
      FM_CHECK(show_until(slot_of(picture.pts, output_.grid, source_.time_base)));
    FM_TRY(held_, av::share(picture));
    return {};
  }

  result<void> show_until(std::int64_t slot) {
    for (const auto stop = std::min(slot, output_.last); next_ < stop;)
      FM_CHECK(emit(*held_, next_));
    return {};
  }

  result<void> finish_grid(std::int64_t end) {
    if (!held_)
      return {};
    auto stop = output_.last;
    if (stop == open_end)
      stop = std::max<std::int64_t>(
          slot_of(std::min(end, output_.grid.end), output_.grid, source_.time_base), 1);
    return show_until(stop);
  }

  result<void> take_as_is(const AVFrame& picture) {
    const auto& g = output_.grid;
    if (picture.pts < g.origin || picture.pts >= g.end || ordinal(picture.pts) < output_.first
        || is_done())
      return {};
    if (encoder_ && picture.pts - g.origin <= previous_pts_)
      return {}; // inexact sources may step back in time
    return emit(picture, picture.pts - g.origin);
  }

  /// Output number of a picture when frames keep their times.
  std::int64_t ordinal(std::int64_t pts) const {
    if (!source_.index)
      return next_;
    const auto& all = source_.index->pts;
    auto origin = std::lower_bound(all.begin(), all.end(), output_.grid.origin);
    return std::lower_bound(origin, all.end(), pts) - origin;
  }

  /// Frame `next_` of the output, at output time `pts`, shows `picture`.
  result<void> emit(const AVFrame& picture, std::int64_t pts) {
    FM_TRY(auto frame, filter_.apply(picture, pts));
    if (!encoder_)
      FM_CHECK(start(*frame));
    const bool key = next_ == output_.first
                     || is_key_frame(next_, pts, previous_pts(pts), output_, time_base_);
    FM_CHECK(encode(frame.get(), key ? frame_role::key : frame_role::plain));
    note_shown({pts, picture.pts});
    previous_pts_ = pts;
    ++next_;
    work_.progress().encoded();
    return {};
  }

  std::int64_t previous_pts(std::int64_t pts) const noexcept {
    return next_ == output_.first ? pts : previous_pts_;
  }

  result<void> start(const AVFrame& frame) {
    h264_encoder::format f;
    f.width = output_.geometry.width;
    f.height = output_.geometry.height;
    f.time_base = av::ratio(time_base_);
    f.frame_rate = has_rate() ? av::ratio(output_.grid.fps) : av::ratio(source_.frame_rate);
    if (f.frame_rate.num <= 0)
      f.frame_rate = {25, 1};
    f.colours = {AVCOL_RANGE_MPEG, frame.color_primaries, frame.color_trc, frame.colorspace};
    f.gop = has_rate() ? output_.gop : 0;
    FM_TRY(encoder_, h264_encoder::open(output_.encoder, f));
    FM_TRY(auto head, head_of(encoder_->context()));
    FM_TRY(writer_, packet_writer::create(work_.output(output_.name), head));
    FM_TRY(packet_, av::make_packet());
    return {};
  }

  result<void> encode(AVFrame* frame, frame_role role) {
    FM_CHECK(encoder_->push(frame, role));
    while (true) {
      FM_TRY(auto more, encoder_->next(*packet_));
      if (!more)
        return {};
      FM_CHECK(writer_->add(*packet_));
      work_.progress().wrote(packet_->size);
    }
  }

  void note_shown(shown_frame s) {
    if (first_shown_.size() < 2)
      first_shown_.push_back(s);
    if (last_shown_.size() == 2)
      last_shown_.erase(last_shown_.begin());
    last_shown_.push_back(s);
  }

  stream_foot foot(std::int64_t end) {
    stream_foot f;
    f.end = previous_pts_ + 1;
    if (!has_rate())
      f.end = std::max(f.end, std::min(end, output_.grid.end) - output_.grid.origin);
    f.first_shown = first_shown_;
    f.last_shown = last_shown_;
    f.witnesses = std::move(witnesses_);
    return f;
  }

  const video_output& output_;
  const decode_frame source_;
  work& work_;
  rational time_base_;
  picture_filter filter_;
  shrinker shrink_;
  std::vector<std::int64_t> wanted_; ///< source ticks of the witnesses
  std::vector<witness> witnesses_;
  std::optional<h264_encoder> encoder_;
  std::optional<packet_writer> writer_;
  av::packet_ptr packet_;
  av::frame_ptr held_;
  std::int64_t next_; ///< number of the next output frame
  std::int64_t previous_pts_ = 0;
  std::vector<shown_frame> first_shown_, last_shown_;
};

// ---- pictures -----------------------------------------------------------------------

pixel_layout layout_of(const std::string& format) {
  if (format == "jpg")
    return pixel_layout::jpeg;
  return format == "webp" ? pixel_layout::video : pixel_layout::rgb;
}

class picture_branch : public branch {
public:
  picture_branch(const picture_output& output, const decode_frame& d, work& w)
      : output_(output), source_(d), work_(w), filter_([&] {
          auto r = recipe_of(output.geometry, output.overlays, d, w);
          r.layout = layout_of(output.format);
          r.clock = av::ratio(d.time_base);
          return r;
        }()) {}

  result<void> open() {
    FM_CHECK(image_pixel_format(output_.format));
    if (is_raw()) {
      FM_TRY(raw_, raw_writer::create(work_.output(output_.name)));
    }
    return {};
  }

  result<void> take(const AVFrame& picture) override {
    if (held_)
      FM_CHECK(pick_before(picture.pts));
    FM_TRY(held_, av::share(picture));
    return {};
  }

  result<void> finish(std::int64_t) override {
    if (!held_)
      return fail(errc::input_damaged, "no picture of the source falls into `{}`",
                  output_.name);
    FM_CHECK(pick_before(std::numeric_limits<std::int64_t>::max()));
    return is_raw() ? raw_->finish() : result<void>{};
  }

  bool is_done() const noexcept override { return next_ == output_.picks.size(); }

private:
  bool is_raw() const noexcept { return output_.format == "raw"; }

  /// All picks that the held picture answers: it is shown until `pts`.
  result<void> pick_before(std::int64_t pts) {
    for (; next_ < output_.picks.size() && output_.picks[next_].ticks < pts; ++next_)
      FM_CHECK(write(*held_, output_.picks[next_].ordinal));
    return {};
  }

  result<void> write(const AVFrame& picture, std::int64_t ordinal) {
    const auto shown = picture.pts - source_.start;
    FM_TRY(auto frame, filter_.apply(picture, shown));
    work_.progress().encoded();
    if (is_raw())
      return raw_->add(*frame, ordinal);
    FM_TRY(auto bytes, encode_image(*frame, output_.format, output_.quality));
    result_file file;
    file.name = fmt::format("{}.{}", output_.name, ordinal);
    file.width = output_.geometry.width;
    file.height = output_.geometry.height;
    file.time = av::seconds(shown, av::ratio(source_.time_base));
    file.frames = 1;
    FM_CHECK(write_file(work_.output(file.name), bytes));
    work_.progress().wrote(static_cast<std::int64_t>(bytes.size()));
    work_.described.push_back(std::move(file));
    return {};
  }

  const picture_output& output_;
  const decode_frame source_;
  work& work_;
  picture_filter filter_;
  std::optional<raw_writer> raw_;
  av::frame_ptr held_;
  std::size_t next_ = 0;
};

} // namespace

result<std::unique_ptr<branch>> make_branch(const video_output& output, const decode_frame& d,
                                            work& w) {
  return std::make_unique<video_branch>(output, d, w);
}

result<std::unique_ptr<branch>> make_branch(const picture_output& output, const decode_frame& d,
                                            work& w) {
  auto out = std::make_unique<picture_branch>(output, d, w);
  FM_CHECK(out->open());
  return out;
}

} // namespace framemill
