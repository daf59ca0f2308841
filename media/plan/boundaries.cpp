#include "media/plan/boundaries.hpp"

#include "core/limits.hpp"
#include "media/plan/frame_grid.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <queue>
#include <random>

namespace framemill {
namespace {

// What else costs, in seconds of the source's work. Measured with 1080p to 720p and
// 360p (bench/README.md); the ratios hardly change with the size.
constexpr double of_a_start = 0.5;   ///< process, seek, witnesses, the seam in the joins
constexpr double of_decoding = 0.3;  ///< a second that is decoded and not encoded
constexpr double of_audio = 0.03;    ///< a second of sound
constexpr double share_of_bytes = 1.0 / 3; ///< of the work, what goes with the source's bytes
constexpr double wrong_by = 0.1; ///< of a piece's work, how much more or less it may be
constexpr int chances = 64;      ///< how often that is drawn, to compare rows

// Shares of the whole, each cut into as many equal pieces as there are slots.
using wave_shares = std::vector<double>;
const std::vector<wave_shares> waves{{1},          {.75, .25},     {2. / 3, 1. / 3},      {.5, .5},
                                     {.5, .25, .25}, {.5, .3, .2}, {.25, .25, .25, .25}};

struct point {
  double x, y;
};

/// A line through points that rise in both; outside of them it is level.
class curve {
public:
  explicit curve(std::vector<point> points) : points_(std::move(points)) {}
  double y_at(double x) const { return between(x, &point::x, &point::y); }
  double x_at(double y) const { return between(y, &point::y, &point::x); }

private:
  double between(double at, double point::*from, double point::*to) const {
    const auto b = std::upper_bound(points_.begin(), points_.end(), at,
                                    [from](double v, const point& p) { return v < p.*from; });
    if (b == points_.begin())
      return (*b).*to;
    const auto a = std::prev(b);
    if (b == points_.end())
      return (*a).*to;
    return (*a).*to + (at - (*a).*from) / ((*b).*from - (*a).*from) * ((*b).*to - (*a).*to);
  }
  std::vector<point> points_;
};

/// Where in the file the source is at a time; nothing where that does not rise.
std::optional<curve> bytes_of(const source_facts& source) {
  std::vector<point> out;
  auto add = [&](std::int64_t pts, std::int64_t position) {
    const bool rises = position >= 0 && (out.empty() || double(position) > out.back().y);
    out.push_back({double(pts), double(position)});
    return rises;
  };
  for (const auto& p : source.index->access_points)
    if (!add(p.pts, p.position))
      return std::nullopt;
  if (out.size() < 2)
    return std::nullopt;
  // The file may end in an index as long as the last GOP: that one is as long as they
  // are on the average.
  const auto end = double(source.index->pts.back() + source.index->last_duration);
  const auto &first = out.front(), &last = out.back();
  out.push_back({end, last.y + (last.y - first.y) / (last.x - first.x) * (end - last.x)});
  return curve{std::move(out)};
}

/// How the work is spread over the span: a second of it is what a second of the source
/// takes on the average.
class work_clock {
public:
  work_clock(const source_span& s, const source_facts& source)
      : total_(seconds_of(s.end - s.begin, source.clock.time_base)),
        line_(work_over(s, source, total_)) {}

  double total() const noexcept { return total_; }
  double work_before(std::int64_t ticks) const { return line_.y_at(double(ticks)); }
  std::int64_t ticks_at(double work) const { return std::llround(line_.x_at(work)); }

private:
  static curve work_over(const source_span& s, const source_facts& source, double total) {
    const auto begin = double(s.begin), end = double(s.end);
    const auto bytes = bytes_of(source);
    const auto first = bytes ? bytes->y_at(begin) : 0, last = bytes ? bytes->y_at(end) : 0;
    std::vector<point> out{{begin, 0}};
    auto add = [&](double ticks) {
      const auto time = (ticks - begin) / (end - begin);
      const auto size = last > first ? (bytes->y_at(ticks) - first) / (last - first) : time;
      out.push_back({ticks, total * (share_of_bytes * size + (1 - share_of_bytes) * time)});
    };
    for (const auto& p : source.index->access_points)
      if (p.pts > s.begin && p.pts < s.end)
        add(double(p.pts));
    add(end);
    return curve{std::move(out)};
  }

  double total_;
  curve line_;
};

/// Seconds of the shortest piece that is asked for; snapping may take a quarter.
double least_length(double total, const plan_options& o) {
  // Some shards are kept for the probe, the audio and the joins.
  const auto decode_shards_max = o.shards_max - o.shards_max / 16 - 8;
  return std::max(o.shard_seconds_min, total / (0.75 * decode_shards_max));
}

/// Ticks that are decoded only to get to the frame at `ticks`.
std::int64_t wasted(std::int64_t ticks, const packet_index& index) {
  const auto* start = access_before(shown_at(ticks, index), index);
  return ticks - (start ? start->pts : index.pts.front());
}

/// The first rendition that is being made at `ticks`; all are cut at its key
/// frames, so that in the common case they are cut at one picture.
const rendition* leading_rendition(std::int64_t ticks, const shared_work& work,
                                   const packet_index& index) {
  for (const auto& v : work.videos)
    if (auto k = frame_at(v.what, ticks, index); k > 0 && k < v.what.frames)
      return &v.what;
  return nullptr;
}

double unit_seconds(const rendition& r) {
  const auto& fps = r.output.grid.fps;
  return fps.num > 0 ? static_cast<double>(r.unit * fps.den) / static_cast<double>(fps.num)
                     : r.unit_seconds;
}

std::int64_t unit_ticks(const rendition& r, const packet_index& index) {
  return static_cast<std::int64_t>(unit_seconds(r) * index.time_base.den
                                   / static_cast<double>(index.time_base.num));
}

/// Moves a boundary to the key frame within `reach` that costs least: soon
/// after an access point of the source, and not far from where it was wanted.
std::int64_t snapped(std::int64_t wanted, std::int64_t reach, const shared_work& work,
                     const packet_index& index) {
  constexpr std::int64_t candidates_max = 32, nearness = 8;
  const auto* r = leading_rendition(wanted, work, index);
  if (!r)
    return wanted;
  const auto step = std::max({unit_ticks(*r, index), reach / (candidates_max / 2), std::int64_t{1}});
  auto best = std::pair{INT64_MAX, wanted};
  for (auto at = wanted - reach / step * step; at <= wanted + reach; at += step) {
    const auto k = frame_at(*r, at, index);
    if (k <= 0 || k >= r->frames)
      continue;
    const auto pts =
        index.pts[static_cast<std::size_t>(source_of(k, r->output.grid, index))];
    best = std::min(best, {wasted(pts, index) + std::abs(pts - wanted) / nearness, pts});
  }
  return best.second;
}

/// Finds one row of boundaries, and what it would take.
class cutter {
public:
  cutter(const source_span& s, const shared_work& work, const source_facts& source,
         const plan_options& o)
      : span_(s), work_(work), index_(*source.index), clock_(s, source), options_(o),
        least_(least_length(clock_.total(), o)) {}

  /// Each piece is a slot's share of what is left, divided by `taper`.
  std::vector<std::int64_t> row(double taper) const {
    const auto total = clock_.total();
    std::vector<std::int64_t> out;
    for (double at = 0;;) {
      const auto length = std::clamp((total - at) / (taper * options_.slots), least_,
                                     std::max(options_.shard_seconds_max, least_));
      if (total - at - length < least_ / 2)
        return out;
      const auto wanted = clock_.ticks_at(at + length);
      const auto reach = (wanted - clock_.ticks_at(at)) / 4;
      const auto cut = snapped(wanted, reach, work_, index_);
      if (cut > (out.empty() ? span_.begin : out.back())) {
        out.push_back(cut);
        at = std::max(at, clock_.work_before(cut));
      } else {
        at += length; // a GOP longer than the piece
      }
    }
  }

  /// Every slot takes a piece of each wave. Those of a wave are as equal as key frames
  /// allow, longer ones first: who is done later takes one of the next that is shorter.
  /// Nothing where pieces would be too short or too long.
  std::optional<std::vector<std::int64_t>> row(const wave_shares& shares) const {
    constexpr double upward = 3. / 8; // of the key frames' distance: more is rounded up
    std::vector<std::int64_t> out;
    double at = 0, end = 0;
    for (double share : shares) {
      end += share * clock_.total();
      for (int left = options_.slots; left > 0; --left) {
        const auto length = (end - at) / left;
        if (length < 0.75 * least_ || length > options_.shard_seconds_max)
          return std::nullopt;
        const auto wanted = clock_.ticks_at(at + length);
        const auto bias = std::llround(upward * double(unit_at(wanted)));
        const auto cut = snapped(wanted + bias, (wanted - clock_.ticks_at(at)) / 4, work_, index_);
        if (cut <= (out.empty() ? span_.begin : out.back()))
          return std::nullopt;
        if (cut >= span_.end || clock_.total() - clock_.work_before(cut) < least_ / 2)
          return out;
        out.push_back(cut);
        at = clock_.work_before(cut);
      }
    }
    return out;
  }

  /// When the last slot may be expected to be done.
  double expected_end_of(const std::vector<std::int64_t>& row) const {
    double sum = 0;
    for (int i = 1; i <= chances; ++i)
      sum += end_of(row, std::minstd_rand{static_cast<std::uint32_t>(i)});
    return sum / chances;
  }

private:
  /// The same if each takes the next piece as soon as it can, and their work is as wrong
  /// as chance will have it; sound comes first.
  double end_of(const std::vector<std::int64_t>& row, std::minstd_rand chance) const {
    std::uniform_real_distribution<double> factor{1 - wrong_by, 1 + wrong_by};
    std::priority_queue<double, std::vector<double>, std::greater<>> slots;
    for (int i = 0; i < options_.slots; ++i)
      slots.push(i == 0 && !work_.audios.empty() ? of_a_start + of_audio * clock_.total() : 0);
    double end = 0;
    for (std::size_t i = 0; i <= row.size(); ++i) {
      const auto last = i == row.size() ? clock_.total() : clock_.work_before(row[i]);
      const auto first = i == 0 ? 0 : clock_.work_before(row[i - 1]);
      const auto waste = i == 0 ? 0 : seconds_of(wasted(row[i - 1], index_), index_.time_base);
      const auto done =
          slots.top() + of_a_start + factor(chance) * (last - first) + of_decoding * waste;
      slots.pop();
      slots.push(done);
      end = std::max(end, done);
    }
    return end;
  }

  /// Ticks from key frame to key frame of what leads there.
  std::int64_t unit_at(std::int64_t ticks) const {
    const auto* r = leading_rendition(ticks, work_, index_);
    return r ? unit_ticks(*r, index_) : 0;
  }

  const source_span& span_;
  const shared_work& work_;
  const packet_index& index_;
  const work_clock clock_;
  const plan_options& options_;
  const double least_;
};

} // namespace

std::vector<std::int64_t> boundaries(const source_span& s, const shared_work& work,
                                     const source_facts& source, const plan_options& options) {
  const cutter c{s, work, source, options};
  constexpr std::size_t many = 64; // then a piece more or less at the end matters little
  auto best = c.row(1);
  auto end = c.expected_end_of(best);
  auto consider = [&](std::vector<std::int64_t> row) {
    if (auto e = c.expected_end_of(row); e < end) {
      best = std::move(row);
      end = e;
    }
  };
  for (int sixteenths = 17; sixteenths <= 40 && best.size() < many; ++sixteenths)
    consider(c.row(sixteenths / 16.0));
  for (const auto& shares : waves)
    if (auto row = c.row(shares))
      consider(std::move(*row));
  return best;
}

double wasted_seconds(const std::vector<std::int64_t>& ticks, const packet_index& index) {
  double out = 0;
  for (auto t : ticks)
    out += seconds_of(wasted(t, index), index.time_base);
  return out;
}

} // namespace framemill
