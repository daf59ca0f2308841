#include "media/picture_filter.hpp"
#include "media/verify.hpp"
#include "media/video_decoder.hpp"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <map>
#include <optional>

namespace framemill {
namespace {

// Frames are compared as small luma pictures: encoding noise averages out,
// a shift by one frame of anything that moves does not.
constexpr int width = 64, height = 36;

struct small_picture {
  std::int64_t pts = 0;
  std::vector<std::uint8_t> luma;
};

/// Mean absolute difference of two small pictures.
double distance(const small_picture& a, const small_picture& b) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < a.luma.size(); ++i)
    sum += std::abs(int{a.luma[i]} - int{b.luma[i]});
  return static_cast<double>(sum) / static_cast<double>(a.luma.size());
}

class shrinker {
public:
  explicit shrinker(picture_recipe first)
      : first_(std::move(first)), second_([] {
          picture_recipe r;
          r.geometry = {width, height, width, height, fill_mode::stretch};
          return r;
        }()) {}

  result<small_picture> operator()(const AVFrame& frame) {
    FM_TRY(auto whole, first_.apply(frame, 0));
    FM_TRY(auto small, second_.apply(*whole, 0));
    small_picture out{frame.pts, {}};
    for (int y = 0; y < height; ++y) {
      auto row = small->data[0] + std::ptrdiff_t{y} * small->linesize[0];
      out.luma.insert(out.luma.end(), row, row + width);
    }
    return out;
  }

private:
  picture_filter first_, second_;
};

/// Decodes [first, last] of a stream and one frame more on each side.
class window {
public:
  window(std::int64_t first, std::int64_t last, picture_recipe recipe)
      : first_(first), last_(last), shrink_(std::move(recipe)) {}

  /// Nothing when decoding began only after the window did.
  result<std::vector<small_picture>> read(video_decoder& d, deinterlacer* fields) {
    FM_TRY(auto frame, av::make_frame());
    for (bool started = false; !is_over(); started = true) {
      FM_TRY(auto more, d.next(*frame));
      if (!started && more && frame->pts > first_)
        return std::vector<small_picture>{};
      if (fields) {
        FM_CHECK(fields->push(more ? frame.get() : nullptr));
        FM_CHECK(take_all(*fields));
      } else if (more) {
        FM_CHECK(take(*frame));
      }
      if (!more)
        break;
    }
    return std::move(out_);
  }

private:
  bool is_over() const { return !out_.empty() && out_.back().pts > last_; }

  result<void> take_all(deinterlacer& fields) {
    while (true) {
      FM_TRY(auto frame, fields.pull());
      if (!frame)
        return {};
      FM_CHECK(take(*frame));
    }
  }

  result<void> take(const AVFrame& frame) {
    if (frame.pts < first_) {
      FM_TRY(before_, av::share(frame));
      return {};
    }
    if (before_)
      FM_CHECK(keep(*before_));
    before_.reset();
    return is_over() ? result<void>{} : keep(frame);
  }

  result<void> keep(const AVFrame& frame) {
    FM_TRY(auto small, shrink_(frame));
    out_.push_back(std::move(small));
    return {};
  }

  std::int64_t first_, last_;
  shrinker shrink_;
  av::frame_ptr before_;
  std::vector<small_picture> out_;
};

picture_recipe as_made(const shard_origin& o) {
  picture_recipe r;
  r.geometry = o.geometry;
  r.rotation = o.rotation;
  r.tonemap = o.tonemap;
  return r;
}

picture_recipe as_is(const shard_origin& o) {
  picture_recipe r;
  r.geometry = {o.geometry.width, o.geometry.height, o.geometry.width, o.geometry.height,
                fill_mode::stretch};
  return r;
}

class seam_check {
public:
  seam_check(const std::vector<std::string>& files, rational time_base, work& w)
      : files_(files), time_base_(av::ratio(time_base)), work_(w) {}

  result<void> run(const seam& s) {
    if (s.before.empty() || s.after.empty() || s.origin.stream < 0)
      return {};
    FM_TRY(auto made, output_frames(s));
    FM_TRY(auto original, source_frames(s));
    FM_CHECK(side(s.before, made, original));
    return side(s.after, made, original);
  }

private:
  result<std::vector<small_picture>> output_frames(const seam& s) {
    FM_TRY(auto file, open_output(files_, work_));
    const auto info = describe(file);
    if (!info.video())
      return fail(errc::contract_broken, "{}: there is no video", files_.front());
    const auto stream = info.video()->index;
    const auto& st = file.stream(stream);
    start_ = st.start_time == AV_NOPTS_VALUE ? 0 : st.start_time;
    clock_ = st.time_base;
    const auto first = output_ticks(s.before.front().pts),
               last = output_ticks(s.after.back().pts);
    auto reopen = [&] { return open_output(files_, work_); };
    return frames_between(reopen, stream, first, first, last, as_is(s.origin), false);
  }

  /// Presentation in the finished file; its own begin may not be 0.
  std::int64_t output_ticks(std::int64_t pts) const {
    return start_ + av_rescale_q(pts, time_base_, clock_);
  }

  result<std::vector<small_picture>> source_frames(const seam& s) {
    const auto first = std::min(s.before.front().source, s.after.front().source);
    const auto last = std::max(s.before.back().source, s.after.back().source);
    auto reopen = [&] { return source::open(work_); };
    return frames_between(reopen, s.origin.stream, s.origin.before, first, last,
                          as_made(s.origin), s.origin.deinterlace);
  }

  /// Seeks further and further back until nothing of the window is jumped over.
  template <class Open>
  result<std::vector<small_picture>>
  frames_between(Open open, int stream, std::int64_t from, std::int64_t first,
                 std::int64_t last, const picture_recipe& recipe, bool deinterlace) {
    constexpr auto the_beginning = std::numeric_limits<std::int64_t>::min();
    for (auto seconds : {0, 2, 10, -1}) {
      FM_TRY(auto file, open());
      FM_TRY(auto d, video_decoder::open(std::move(file), stream, decode_extent::all_frames));
      const auto tb = d.stream().time_base;
      const auto back = av_rescale_q(std::max(seconds, 0), {1, 1}, tb);
      if (from != the_beginning && seconds >= 0 && !d.seek(from - back))
        continue;
      deinterlacer fields;
      FM_TRY(auto out, window(first, last, recipe).read(d, deinterlace ? &fields : nullptr));
      if (!out.empty())
        return out;
    }
    return std::vector<small_picture>{};
  }

  /// Both frames of one side lose: the shard shows other frames than planned.
  result<void> side(const std::vector<shown_frame>& shown,
                    const std::vector<small_picture>& made,
                    const std::vector<small_picture>& original) {
    std::size_t lost = 0;
    for (const auto& f : shown)
      lost += !wins(f, made, original);
    if (lost == shown.size())
      return fail(errc::contract_broken,
                  "{}: at the seam near frame {} the pictures are not those of the source at "
                  "their times",
                  files_.front(), shown.front().pts);
    return {};
  }

  bool wins(const shown_frame& f, const std::vector<small_picture>& made,
            const std::vector<small_picture>& original) const {
    // Containers round times: the nearest within half an output tick or so.
    const auto want = output_ticks(f.pts);
    auto m = std::min_element(made.begin(), made.end(), [&](const auto& a, const auto& b) {
      return std::abs(a.pts - want) < std::abs(b.pts - want);
    });
    auto n = std::find_if(original.begin(), original.end(),
                          [&](const auto& p) { return p.pts == f.source; });
    if (m == made.end() || n == original.end())
      return false;
    const auto own = distance(*m, *n);
    auto beats = [&](const small_picture& other) {
      const auto d = distance(*m, other);
      return own > d + 0.25 && own > 1.25 * d;
    };
    if (n != original.begin() && beats(*(n - 1)))
      return false;
    return n + 1 == original.end() || !beats(*(n + 1));
  }

  const std::vector<std::string>& files_;
  AVRational time_base_;
  work& work_;
  std::int64_t start_ = 0;
  AVRational clock_{1, 1};
};

} // namespace

result<void> verify_seams(const std::vector<std::string>& files, const std::vector<seam>& seams,
                          rational output_time_base, work& w) {
  if (!w.has_source())
    return {};
  seam_check check{files, output_time_base, w};
  for (const auto& s : seams)
    FM_CHECK(check.run(s));
  return {};
}

} // namespace framemill
