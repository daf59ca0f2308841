#include "media/plan/decode.hpp"

#include "media/plan/frame_grid.hpp"

#include <algorithm>

namespace framemill {
namespace {

/// A gap that is cheaper to decode than to seek over.
constexpr double gap_seconds_max = 1;

/// A wish as the presentation ordinals it needs: a rendition, or one picture.
struct piece {
  std::int64_t begin = 0, end = 0; ///< inclusive
  std::size_t output = 0;
  std::optional<picture_pick> pick;
};

/// Pieces that one decode serves.
struct stretch {
  std::int64_t begin = 0, end = 0;
  std::vector<piece> pieces;
};

std::int64_t pts_at(std::int64_t ordinal, const packet_index& index) {
  return index.pts[static_cast<std::size_t>(ordinal)];
}

std::vector<piece> pieces_of(const decode_wish& wish, const packet_index& index) {
  std::vector<piece> out;
  for (std::size_t i = 0; i < wish.videos.size(); ++i) {
    const auto& v = wish.videos[i];
    out.push_back(
        {source_of(v.first, v.grid, index), source_of(v.last - 1, v.grid, index), i, {}});
  }
  for (std::size_t i = 0; i < wish.pictures.size(); ++i)
    for (const auto& p : wish.pictures[i].picks) {
      auto at = shown_at(p.ticks, index);
      out.push_back({at, at, i, p});
    }
  std::stable_sort(out.begin(), out.end(),
                   [](const piece& a, const piece& b) { return a.begin < b.begin; });
  return out;
}

bool joins(const stretch& s, const piece& p, const packet_index& index) {
  const auto* start = access_before(p.begin, index);
  auto gap = (start ? start->pts : index.pts.front()) - pts_at(s.end, index);
  return seconds_of(gap, index.time_base) < gap_seconds_max;
}

std::vector<stretch> stretches_of(const decode_wish& wish, const packet_index& index) {
  std::vector<stretch> out;
  for (auto& p : pieces_of(wish, index)) {
    if (out.empty() || !joins(out.back(), p, index))
      out.push_back({p.begin, p.end, {}});
    out.back().end = std::max(out.back().end, p.end);
    out.back().pieces.push_back(p);
  }
  return out;
}

/// The beginning when that is where decoding starts anyway: no seek.
access_point start_of(std::int64_t ordinal, const packet_index& index) {
  const auto* a = access_before(ordinal, index);
  if (!a || a == index.access_points.data())
    return {INT64_MIN, -1};
  return *a;
}

decode_step common_step(const source_facts& source) {
  decode_step s;
  s.stream = source.video->index;
  s.start = {INT64_MIN, -1};
  s.begin = INT64_MIN;
  s.end = INT64_MAX;
  s.deinterlace = source.deinterlace;
  s.tonemap = source.tonemap;
  s.bt709 = source.bt709;
  s.rotation = source.video->rotation;
  return s;
}

/// The pictures of `wish` with the picks that fall into this stretch.
std::vector<picture_output> pictures_of(const stretch& s, std::size_t number,
                                        const decode_wish& wish) {
  std::vector<picture_output> out;
  for (std::size_t i = 0; i < wish.pictures.size(); ++i) {
    auto p = wish.pictures[i];
    p.picks.clear();
    for (const auto& piece : s.pieces)
      if (piece.pick && piece.output == i)
        p.picks.push_back(*piece.pick);
    if (p.picks.empty())
      continue;
    if (p.format == "raw" && number > 0)
      p.name += fmt::format(".{}", number);
    std::stable_sort(p.picks.begin(), p.picks.end(),
                     [](const auto& a, const auto& b) { return a.ticks < b.ticks; });
    out.push_back(std::move(p));
  }
  return out;
}

decode_step step_of(const stretch& s, std::size_t number, const decode_wish& wish,
                    const source_facts& source) {
  auto step = common_step(source);
  step.start = start_of(s.begin, *source.index);
  step.begin = pts_at(s.begin, *source.index);
  step.end = pts_at(s.end, *source.index);
  step.index_file = "index";
  for (const auto& piece : s.pieces)
    if (!piece.pick)
      step.videos.push_back(wish.videos[piece.output]);
  step.pictures = pictures_of(s, number, wish);
  return step;
}

std::int64_t longest_gop(const packet_index& index) {
  auto last = index.pts.back() + index.last_duration;
  std::int64_t longest = 0;
  for (auto i = index.access_points.size(); i-- > 0; last = index.access_points[i].pts)
    longest = std::max(longest, last - index.access_points[i].pts);
  return longest;
}

} // namespace

std::vector<decode_step> decode_steps(const decode_wish& wish, const source_facts& source) {
  if (wish.videos.empty() && wish.pictures.empty())
    return {};
  if (!source.exact) {
    auto step = common_step(source);
    step.videos = wish.videos;
    step.pictures = wish.pictures;
    return {step};
  }
  std::vector<decode_step> out;
  for (const auto& s : stretches_of(wish, *source.index))
    out.push_back(step_of(s, out.size(), wish, source));
  return out;
}

bool keys_suffice(const shared_work& work, const source_facts& source) {
  if (!source.exact || !work.videos.empty() || work.pictures.empty() ||
      source.index->access_points.empty())
    return false;
  auto gop = seconds_of(longest_gop(*source.index), source.index->time_base);
  return std::all_of(work.pictures.begin(), work.pictures.end(), [&](const auto& p) {
    return p.sprite_interval > 0 && gop <= p.sprite_interval;
  });
}

decode_step key_frame_step(const decode_wish& wish, const source_facts& source) {
  auto step = common_step(source);
  step.key_frames_only = true;
  step.begin = INT64_MAX;
  step.end = INT64_MIN;
  step.pictures = wish.pictures;
  for (auto& p : step.pictures)
    for (auto& pick : p.picks) {
      const auto* key = access_before(shown_at(pick.ticks, *source.index), *source.index);
      pick.ticks = key ? key->pts : source.index->access_points.front().pts;
      step.begin = std::min(step.begin, pick.ticks);
      step.end = std::max(step.end, pick.ticks);
    }
  return step;
}

} // namespace framemill
