#include "media/seams.hpp"

#include <algorithm>
#include <cstdlib>

namespace framemill {
namespace {

/// Containers round times, up and down.
constexpr std::int64_t rounding = 2;

/// Decodes up to `last` and keeps what is shown from `first` on; nothing when
/// decoding began only after `first`.
result<std::vector<small_frame>> frames_between(video_decoder& d, std::int64_t first,
                                                std::int64_t last) {
  shrinker shrink{{}};
  std::vector<small_frame> out;
  FM_TRY(auto frame, av::make_frame());
  d.hurry_to(first);
  while (out.empty() || out.back().pts < last) {
    FM_TRY(auto more, d.next(*frame));
    if (!more || (out.empty() && frame->pts > first + 2 * rounding))
      break;
    if (frame->pts < first)
      continue;
    FM_TRY(auto luma, shrink(*frame));
    out.push_back({frame->pts, std::move(luma)});
  }
  return out;
}

const witness* find(const std::vector<witness>& all, std::int64_t source) {
  auto at = std::lower_bound(all.begin(), all.end(), source,
                             [](const witness& w, std::int64_t s) { return w.source < s; });
  return at == all.end() || at->source != source ? nullptr : &*at;
}

/// Pictures with less contrast than that are as good as plain.
constexpr double plain_variance = 64;

/// Holds a frame, made small, against all that the source showed there.
void measure(seam_frame& f, const std::string& made, const std::vector<witness>& all) {
  const auto* own = find(all, f.source);
  if (!own || made.size() != own->luma.size())
    return;
  const auto difference = distance(made, own->luma);
  const auto error = squared_distance(made, own->luma);
  f.psnr = psnr(error);
  f.nearest = error <= std::max(variance(own->luma), plain_variance);
  for (const auto& other : all) {
    if (other.source == own->source)
      continue;
    if (other.luma.size() != made.size()) {
      f.nearest = false;
      continue;
    }
    const auto d = distance(made, other.luma);
    f.nearest = f.nearest && !(difference > d + 0.25 && difference > 1.25 * d);
    f.other_psnr = std::max(f.other_psnr, psnr(squared_distance(made, other.luma)));
  }
}

/// Those of the other shard count; where it has none of the frames before it,
/// because it began to decode with its own first, those of the shard itself.
const std::vector<witness>& witnesses_of_end(const seam& s) {
  const bool known =
      std::all_of(s.before.begin(), s.before.end(),
                  [&](const shown_frame& f) { return find(s.of_after, f.source); });
  return known ? s.of_after : s.of_before;
}

} // namespace

seam_check::seam_check(const seam_list& seams, AVStream& stream, std::string name)
    : seams_(seams), clock_(stream.time_base),
      start_(stream.start_time == AV_NOPTS_VALUE ? 0 : stream.start_time),
      name_(std::move(name)) {}

void seam_check::pass(const key_place& key) {
  while (keys_.size() < seams_.list.size()
         && begin_of(seams_.list[keys_.size()]) + rounding < key.pts)
    keys_.push_back(last_key_);
  last_key_ = key;
}

result<void> seam_check::run(video_decoder& decoder,
                             const std::function<result<video_decoder>()>& open) {
  keys_.resize(seams_.list.size(), last_key_);
  for (std::size_t i = 0; i < keys_.size(); ++i)
    FM_CHECK(check(seams_.list[i], keys_[i], decoder, open));
  return {};
}

/// Seeks further and further back until nothing of the seam is jumped over.
result<void> seam_check::check(const seam& s, const key_place& key, video_decoder& decoder,
                               const std::function<result<video_decoder>()>& open) {
  const auto first = begin_of(s) - rounding, last = output_ticks(s.after.back().pts) - rounding;
  for (auto seconds : {0, 2, 10}) {
    if (!decoder.seek(key, seconds))
      continue;
    FM_TRY(auto frames, frames_between(decoder, first, last));
    if (!frames.empty())
      return compare(s, frames);
  }
  FM_TRY(auto from_the_beginning, open());
  FM_TRY(auto frames, frames_between(from_the_beginning, first, last));
  return compare(s, frames);
}

/// Of the first frame that is compared; a start is a key frame itself.
std::int64_t seam_check::begin_of(const seam& s) const {
  const auto& first = s.sides == seam_sides::both ? s.before : s.after;
  return output_ticks(first.front().pts);
}

/// Presentation in the finished file; its own begin may not be 0.
std::int64_t seam_check::output_ticks(std::int64_t pts) const {
  return start_ + av_rescale_q(pts, av::ratio(seams_.time_base), clock_);
}

result<void> seam_check::compare(const seam& s, const std::vector<small_frame>& made) {
  seam_frame f;
  f.seam = f.frame = s.frame;
  if (s.sides == seam_sides::both) {
    f.frame -= static_cast<std::int64_t>(s.before.size());
    FM_CHECK(compare_side(s.before, f, witnesses_of_end(s), made));
  }
  f.frame = s.frame;
  return compare_side(s.after, f, s.of_before, made);
}

/// Both frames of one side lose: the shard shows other frames than planned.
result<void> seam_check::compare_side(const std::vector<shown_frame>& side, seam_frame f,
                                      const std::vector<witness>& witnesses,
                                      const std::vector<small_frame>& made) {
  bool is_right = false;
  for (const auto& shown : side) {
    const auto want = output_ticks(shown.pts); // the nearest is meant
    auto m = std::min_element(made.begin(), made.end(), [&](const auto& a, const auto& b) {
      return std::abs(a.pts - want) < std::abs(b.pts - want);
    });
    frames_.push_back(f);
    frames_.back().source = shown.source;
    if (m != made.end())
      measure(frames_.back(), m->luma, witnesses);
    is_right |= frames_.back().nearest;
    ++f.frame;
  }
  if (is_right)
    return {};
  return fail(errc::input_damaged,
              "{}: at the seam near frame {} the pictures are not those of the source at "
              "their times",
              name_, side.front().pts);
}

} // namespace framemill
