#include "media/plan/cut.hpp"

#include "media/plan/boundaries.hpp"
#include "media/plan/cost.hpp"
#include "media/plan/frame_grid.hpp"
#include "media/plan/settings.hpp"

#include <algorithm>
#include <cmath>

namespace framemill {
namespace {

/// Decoding from the access point to the boundary, as a share of the source.
constexpr double waste_max = 0.75;

bool equal_but_name(audio_output a, const audio_output& b) {
  a.name = b.name;
  return a == b;
}

bool equal_picture(const rendition& a, const rendition& b) { return a.output == b.output; }

/// Ticks of `multiple` × `seconds` after the grid's origin, rounded up; whole
/// milliseconds, as is_key_frame counts them.
std::int64_t unit_ticks(std::int64_t multiple, double seconds, const frame_grid& grid,
                        const rational& time_base) {
  __extension__ using wide = __int128;
  auto a = wide{multiple} * std::llround(seconds * 1000) * time_base.den;
  auto b = wide{1000} * time_base.num;
  return grid.origin + static_cast<std::int64_t>((a + b - 1) / b);
}

std::int64_t kept_before(std::int64_t ticks, const frame_grid& grid,
                         const packet_index& index) {
  auto at = [&](std::int64_t t) {
    return std::lower_bound(index.pts.begin(), index.pts.end(), t) - index.pts.begin();
  };
  return at(ticks) - at(grid.origin);
}

source_span encoded_span(const shared_work& work) {
  source_span s;
  for (const auto& v : work.videos) {
    s.begin = std::min(s.begin, v.what.output.grid.origin);
    s.end = std::max(s.end, v.what.output.grid.end);
  }
  return s;
}

std::string why_whole(const shared_work& work, const source_facts& source,
                      const plan_options& options) {
  if (work.videos.empty())
    return "no video is encoded";
  if (!options.allow_sharding)
    return "sharding is off";
  if (!source.exact)
    return "the source's frames are only known as they are decoded";
  if (options.slots < 2)
    return "there is one slot";
  if (source.deinterlace)
    return "deinterlacing needs neighbouring frames";
  if (work.copies_beside_encoding)
    return "audio is copied beside encoded video";
  for (const auto& v : work.videos)
    if (needs_one_encoder(v.what.output.encoder))
      return "average bitrate needs one encoder";
  auto s = encoded_span(work);
  if (seconds_of(s.end - s.begin, source.clock.time_base) < options.shard_source_seconds_min)
    return "it is short";
  if (auto cpu = predict_video(work.videos, source); cpu < options.shard_cpu_seconds_min)
    return fmt::format("it costs {:.1f} CPU seconds, too little to pay for shards", cpu);
  return {};
}

} // namespace

shared_work share(const std::vector<job_draft>& drafts) {
  shared_work out;
  for (const auto& d : drafts) {
    if (d.failure)
      continue;
    if (d.video) {
      auto at = std::find_if(out.videos.begin(), out.videos.end(),
                             [&](const auto& v) { return equal_picture(v.what, *d.video); });
      if (at == out.videos.end())
        at = out.videos.insert(at, {*d.video, {}});
      at->jobs.push_back(d.index);
      at->what.unit = std::max(at->what.unit, d.video->unit);
      at->what.unit_seconds = std::max(at->what.unit_seconds, d.video->unit_seconds);
      out.copies_beside_encoding |= std::holds_alternative<remux_step>(*d.finish);
    }
    if (d.audio) {
      auto at = std::find_if(out.audios.begin(), out.audios.end(),
                             [&](const auto& a) { return equal_but_name(a.what, *d.audio); });
      if (at == out.audios.end())
        at = out.audios.insert(at, {*d.audio, {}});
      at->jobs.push_back(d.index);
    }
    if (d.pictures)
      out.pictures.push_back({*d.pictures, d.index, d.sprite_interval});
  }
  return out;
}

std::int64_t shown_at(std::int64_t ticks, const packet_index& index) {
  auto after = std::upper_bound(index.pts.begin(), index.pts.end(), ticks);
  return std::max<std::int64_t>(after - index.pts.begin() - 1, 0);
}

const access_point* access_before(std::int64_t ordinal, const packet_index& index) {
  auto pts = index.pts[static_cast<std::size_t>(ordinal)];
  auto after =
      std::upper_bound(index.access_points.begin(), index.access_points.end(), pts,
                       [](std::int64_t p, const access_point& a) { return p < a.pts; });
  return after == index.access_points.begin() ? nullptr : &*std::prev(after);
}

std::int64_t frame_at(const rendition& r, std::int64_t ticks, const packet_index& index) {
  const auto& grid = r.output.grid;
  auto steps = [](double x) { return std::max<std::int64_t>(std::llround(x), 0); };
  if (grid.fps.num > 0) {
    auto slot = static_cast<double>(slot_of(ticks, grid, index.time_base));
    return std::min(steps(slot / static_cast<double>(r.unit)) * r.unit, r.frames);
  }
  auto n = steps(seconds_of(ticks - grid.origin, index.time_base) / r.unit_seconds);
  auto at = unit_ticks(n, r.unit_seconds, grid, index.time_base);
  return std::clamp<std::int64_t>(kept_before(at, grid, index), 0, r.frames);
}

std::vector<frame_range> frame_ranges(const rendition& r, const source_cut& cut,
                                      const packet_index& index) {
  std::vector<frame_range> out;
  std::int64_t first = 0;
  for (auto ticks : cut.ticks) {
    auto last = std::max(first, frame_at(r, ticks, index));
    out.push_back({first, last});
    first = last;
  }
  out.push_back({first, r.frames});
  return out;
}

source_cut cut_source(const shared_work& work, const source_facts& source,
                      const plan_options& options) {
  source_cut cut;
  cut.reason = why_whole(work, source, options);
  if (!cut.reason.empty())
    return cut;
  auto s = encoded_span(work);
  auto total = seconds_of(s.end - s.begin, source.clock.time_base);
  cut.ticks = boundaries(s, work, source, options);
  if (wasted_seconds(cut.ticks, *source.index) > waste_max * total)
    return {{}, "its key frames are too far apart"};
  if (cut.ticks.empty())
    cut.reason = "its GOPs are too long";
  return cut;
}

} // namespace framemill
