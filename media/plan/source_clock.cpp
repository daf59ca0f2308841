#include "media/plan/source_clock.hpp"

#include <algorithm>
#include <cmath>

namespace framemill {
namespace {

double start_of(const stream_info& s) { return seconds_of(s.start_pts, s.time_base); }

std::int64_t first_picture(const stream_info& video, const packet_index& index) {
  return index.pts.empty() ? video.start_pts : index.pts.front();
}

constexpr double seconds_max = 1e8; // what people write must not overflow ticks

std::int64_t to_ticks(double seconds, const rational& time_base) {
  return std::llround(std::clamp(seconds, -seconds_max, seconds_max) *
                      static_cast<double>(time_base.den) / static_cast<double>(time_base.num));
}

double known_duration(const media_info& media, const stream_info* stream) {
  if (media.duration > 0)
    return media.duration;
  return stream ? std::max(0.0, seconds_of(stream->duration_pts, stream->time_base)) : 0;
}

source_clock picture_clock(const media_info& media, const packet_index& index, bool exact) {
  const auto* video = media.video();
  const auto* audio = media.audio();
  source_clock t{index.time_base, first_picture(*video, index)};
  auto lead = audio ? seconds_of(t.zero, t.time_base) - start_of(*audio) : 0;
  if (lead > lead_seconds_max)
    t.zero = to_ticks(start_of(*audio), t.time_base);
  t.duration = known_duration(media, video);
  if (exact && !index.pts.empty()) {
    t.end = index.pts.back() + std::max<std::int64_t>(index.last_duration, 1);
    t.duration = seconds_of(t.end - t.zero, t.time_base);
  }
  return t;
}

/// An offset in seconds after zero.
result<double> resolve_offset(const source_clock& t, double offset, double if_zero,
                              const char* field) {
  if (!std::isfinite(offset))
    return fail_field(errc::invalid_argument, field, "the offset is not a number");
  if (offset == 0)
    return if_zero;
  if (offset > 0)
    return offset;
  if (t.duration <= 0)
    return fail_field(errc::invalid_argument, field,
                      "{} s before the end: the source does not say how long it is", -offset);
  return std::max(0.0, t.duration + offset);
}

} // namespace

double seconds_of(std::int64_t ticks, const rational& time_base) {
  return static_cast<double>(ticks) * static_cast<double>(time_base.num) /
         static_cast<double>(time_base.den);
}

source_clock make_source_clock(const media_info& media, const packet_index* index, bool exact) {
  if (index && media.video())
    return picture_clock(media, *index, exact);
  source_clock t;
  const auto* audio = media.audio();
  t.zero = audio ? to_ticks(start_of(*audio), t.time_base) : 0;
  t.duration = known_duration(media, audio);
  return t;
}

std::int64_t ticks_at(const source_clock& t, double seconds) {
  return t.zero + to_ticks(seconds, t.time_base);
}

result<clip> resolve_clip(const source_clock& t, double start, double end) {
  FM_TRY(auto from, resolve_offset(t, start, 0, "StartTimeOffset"));
  FM_TRY(auto to, resolve_offset(t, end, INFINITY, "EndTimeOffset"));
  if (t.duration > 0 && from >= t.duration)
    return fail_field(errc::invalid_argument, "StartTimeOffset",
                      "the clip starts at {} s, but the source ends at {:.3f} s", from,
                      t.duration);
  if (to <= from)
    return fail_field(errc::invalid_argument, "EndTimeOffset",
                      "the clip ends at {} s, not after its start at {} s", to, from);
  auto to_end = to == INFINITY || (t.duration > 0 && to >= t.duration);
  clip c;
  c.whole = from == 0 && to_end;
  c.origin = ticks_at(t, from);
  c.end = to_end ? t.end : ticks_at(t, to);
  c.begin_seconds = seconds_of(c.origin, t.time_base);
  c.end_seconds = to_end ? 0 : seconds_of(c.end, t.time_base);
  c.length = to_end ? std::max(0.0, t.duration - from) : to - from;
  return c;
}

} // namespace framemill
