#include "cluster/shard_pace.hpp"

#include "cluster/hedging.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace framemill {

namespace {

constexpr double silent_seconds_min = 1; ///< four beats
constexpr double still_seconds_min = 5;  ///< watermarks move several times a second

double seconds_between(timestamp from, timestamp to) {
  return std::max(0.0, static_cast<double>((to - from).count()) / 1e6);
}

const attempt_mark* mark_of(const attempt_sights& sights, const shard_record& shard,
                            const attempt_record& attempt) {
  auto found = sights.marks.find({shard.id.index, attempt.epoch});
  return found == sights.marks.end() ? nullptr : &found->second;
}

attempt_standing standing_of(const attempt_record& a, const std::string& own_node,
                             bool is_here, const told_attempt* told) {
  if (a.failure)
    return attempt_standing::failed;
  if (a.finished)
    return attempt_standing::done;
  if (a.node == own_node)
    return attempt_standing::at_work;
  if (!is_here)
    return attempt_standing::away;
  if (told == nullptr)
    return attempt_standing::unheard;
  if (told->held)
    return told->ended ? attempt_standing::ended : attempt_standing::at_work;
  return told->when ? attempt_standing::untold : attempt_standing::unheard;
}

attempt_view view_of(timestamp now, const run_record& run, const shard_record& shard,
                     const attempt_record& a, const attempt_sights& sights) {
  attempt_view out;
  out.epoch = a.epoch;
  out.node = a.node;
  out.hedge = a.hedge;
  out.failure = a.failure;
  out.started = a.started;
  out.seconds = seconds_between(a.started, a.finished ? a.finished : now);
  const auto node = sights.told.find(a.node);
  const auto is_here = node != sights.told.end();
  const told_attempt* told = nullptr;
  if (is_here)
    if (auto word = node->second.find({shard.id.index, a.epoch}); word != node->second.end()) {
      told = &word->second;
      out.told = told->when;
    }
  out.standing = standing_of(a, sights.own_node, is_here, told);
  const auto* live = mark_of(sights, shard, a);
  auto mark = live ? std::optional{live->mark} : a.last_watermark;
  out.moved = live ? live->moved : timestamp{};
  if (out.standing == attempt_standing::at_work)
    out.still_seconds = seconds_between(live ? live->moved : a.started, now);
  out.frames_planned = planned_frames(shard.request);
  if (!mark)
    return out;
  out.frames = mark->frames_encoded;
  out.fraction = fraction_at(*mark, run, shard);
  if (out.seconds > 0) {
    out.frames_per_second = static_cast<double>(out.frames) / out.seconds;
    out.speed = out.frames_planned > 0 ? 0 : mark->source_seconds / out.seconds;
  }
  return out;
}

/// Cost per second; of two attempts the faster one. 0 = it shows none.
double rate_of(timestamp now, const run_record& run, const shard_record& shard,
               const attempt_sights& sights) {
  double best = 0;
  auto note = [&](const attempt_record& a, timestamp end, double fraction) {
    if (auto seconds = seconds_between(a.started, end); seconds > 0)
      best = std::max(best, shard.cost * fraction / seconds);
  };
  if (shard.state == shard_state::done) {
    if (const auto* made = maker_of(shard))
      note(*made, made->finished, 1);
  } else if (shard.state == shard_state::leased) {
    for (const auto& a : shard.attempts)
      if (const auto* mark = a.finished ? nullptr : mark_of(sights, shard, a))
        note(a, now, fraction_at(mark->mark, run, shard));
  }
  return best;
}

std::vector<double> rates_of_others(timestamp now, const run_record& run,
                                    const std::vector<shard_record>& shards,
                                    const shard_record& shard, const attempt_sights& sights) {
  std::vector<double> out;
  for (const auto& s : shards)
    if (s.id != shard.id && are_siblings(s, shard))
      if (auto rate = rate_of(now, run, s, sights); rate > 0)
        out.push_back(rate);
  return out;
}

/// What keeps it, of one that is at work.
std::string fares(timestamp now, const attempt_view& a, const shard_pace& of) {
  std::string out;
  if (a.told && seconds_between(a.told, now) >= silent_seconds_min)
    out += fmt::format(", as it last told {:.1f} s ago", seconds_between(a.told, now));
  if (a.still_seconds >= still_seconds_min)
    out += fmt::format(", {} for {:.1f} s", a.moved ? "and has not moved" : "and has shown nothing",
                       a.still_seconds);
  if (of.usual_seconds <= 0)
    return out;
  const auto others = of.others == 1 ? std::string{"the other shard"}
                                     : fmt::format("the median of {} other shards", of.others);
  if (a.pace > 0)
    return out + fmt::format(": {:.2f} times as fast as {} of its stage", a.pace, others);
  return out + fmt::format(": {:.1f} s so far, by {} of its stage it takes {:.1f} s", a.seconds,
                           others, of.usual_seconds);
}

} // namespace

shard_pace pace_of(timestamp now, const run_record& run, const std::vector<shard_record>& shards,
                   const shard_record& shard, const attempt_sights& sights) {
  shard_pace out;
  for (const auto& a : shard.attempts)
    out.attempts.push_back(view_of(now, run, shard, a, sights));
  auto rates = rates_of_others(now, run, shards, shard, sights);
  if (rates.empty())
    return out;
  auto middle = rates.begin() + std::ssize(rates) / 2;
  std::nth_element(rates.begin(), middle, rates.end());
  out.others = std::ssize(rates);
  out.usual_seconds = shard.cost / *middle;
  for (auto& a : out.attempts)
    if (a.seconds > 0)
      a.pace = shard.cost * a.fraction / a.seconds / *middle;
  return out;
}

std::string sentence(timestamp now, const attempt_view& a, const shard_pace& of) {
  auto what = fmt::format("attempt {}{}", a.epoch, a.hedge ? " (a hedge)" : "");
  const auto ago = [now](timestamp t) { return seconds_between(t, now); };
  switch (a.standing) {
    case attempt_standing::at_work:
      return fmt::format("{} is at work on {}{}", what, a.node, fares(now, a, of));
    case attempt_standing::unheard:
      return fmt::format("{} was given to {} {:.1f} s ago, which has not told of it yet", what,
                         a.node, ago(a.started));
    case attempt_standing::untold:
      return fmt::format("{} was given to {}, which has not told of it since {} ({:.1f} s ago)",
                         what, a.node, to_iso8601(a.told), ago(a.told));
    case attempt_standing::ended:
      return fmt::format("{} has ended on {}; its outcome is not in the books yet", what, a.node);
    case attempt_standing::away:
      return fmt::format("{} was given to {}, which is not here: nobody knows whether it goes on",
                         what, a.node);
    case attempt_standing::failed:
      return fmt::format("{} failed on {}: {}", what, a.node, a.failure->message);
    case attempt_standing::done: return fmt::format("{} is done", what);
  }
  return what;
}

} // namespace framemill
