#include "cluster/progress_meter.hpp"

#include <algorithm>
#include <limits>

namespace framemill {

namespace {

constexpr auto open_end = std::numeric_limits<std::int64_t>::max();

/// `mark`: of the attempt that is at it; null when none has spoken.
double fraction_of(const run_record& run, const shard_record& shard, const watermark* mark) {
  if (shard.state == shard_state::done)
    return 1;
  return mark ? fraction_at(*mark, run, shard) : 0;
}

std::string phase_of(const run_record& run, const std::vector<job_record>& jobs,
                     const std::vector<shard_record>& shards) {
  if (run.state != run_state::processing)
    return std::string{to_string(run.state)};
  auto leased = [&](auto wanted) {
    return std::any_of(shards.begin(), shards.end(), [&](const auto& s) {
      return s.state == shard_state::leased && wanted(s.role);
    });
  };
  if (leased([](auto r) { return r == shard_role::decode || r == shard_role::whole; }))
    return "encoding";
  if (leased([](auto r) { return r == shard_role::audio; }))
    return "audio";
  if (leased([](auto r) { return r == shard_role::join; }))
    return "joining";
  auto publishing = std::any_of(jobs.begin(), jobs.end(),
                                [](const auto& j) { return j.state == job_state::publishing; });
  return publishing ? "publishing" : "queued";
}

} // namespace

std::int64_t planned_frames(const media_request& request) {
  std::int64_t frames = 0;
  for (const auto& s : request.steps)
    if (const auto* d = std::get_if<decode_step>(&s)) {
      for (const auto& v : d->videos) {
        if (v.last == open_end)
          return 0;
        frames += v.last - v.first;
      }
      for (const auto& p : d->pictures)
        frames += static_cast<std::int64_t>(p.picks.size());
    }
  return frames;
}

/// Of what it works on: its source, or of all where it has none of its own.
double seconds_of(const run_record& run, const shard_record& shard) {
  double all = 0, own = 0;
  for (std::uint32_t i = 0; i < run.source_count(); ++i)
    if (const auto& media = run.media_of(i)) {
      all += media->duration;
      own = i == shard.source ? media->duration : own;
    }
  return shard.request.source_bytes > 0 ? own : all;
}

double fraction_at(const watermark& mark, const run_record& run, const shard_record& shard) {
  if (auto planned = planned_frames(shard.request); planned > 0)
    return std::min(1.0, static_cast<double>(mark.frames_encoded) / static_cast<double>(planned));
  const auto seconds = seconds_of(run, shard);
  return seconds > 0 ? std::min(1.0, mark.source_seconds / seconds) : 0;
}

void progress_meter::moved(timestamp now, std::uint32_t shard, const watermark& w,
                           std::uint32_t epoch) {
  if (!first_move_ && (w.frames_encoded > 0 || w.source_seconds > 0))
    first_move_ = now;
  auto [entry, is_first] = live_.try_emplace({shard, epoch}, attempt_mark{w, now});
  if (!is_first && entry->second.mark != w)
    entry->second = {w, now};
}

void progress_meter::ended(std::uint32_t shard, std::uint32_t epoch) {
  live_.erase({shard, epoch});
}

const watermark* progress_meter::furthest(const shard_record& shard) const {
  auto first = live_.lower_bound({shard.id.index, 0});
  auto last = live_.lower_bound({shard.id.index + 1, 0});
  if (shard.state != shard_state::leased || first == last)
    return nullptr;
  auto further = [](const auto& a, const auto& b) {
    return std::pair{a.second.mark.frames_encoded, a.second.mark.source_seconds}
           < std::pair{b.second.mark.frames_encoded, b.second.mark.source_seconds};
  };
  return &std::max_element(first, last, further)->second.mark;
}

double progress_meter::fraction(const run_record& run, const shard_record& shard,
                                std::uint32_t epoch) const {
  auto entry = live_.find({shard.id.index, epoch});
  return entry == live_.end() ? 0 : fraction_at(entry->second.mark, run, shard);
}

run_progress progress_meter::measure(timestamp now, const run_record& run,
                                     const std::vector<job_record>& jobs,
                                     const std::vector<shard_record>& shards) {
  run_progress out;
  out.run = run.id;
  out.state = run.state;
  out.phase = phase_of(run, jobs, shards);
  auto seconds = run.media ? run.media->duration : 0;
  double total = 0, done = 0, source_done = 0, source_cost = 0;
  std::vector<std::pair<double, double>> per_job(jobs.size());
  for (const auto& shard : shards) {
    if (shard.state == shard_state::cancelled || shard.role == shard_role::probe)
      continue;
    const auto* mark = furthest(shard);
    auto part = fraction_of(run, shard, mark);
    total += shard.cost;
    done += shard.cost * part;
    if (shard.role == shard_role::decode || shard.role == shard_role::whole) {
      source_cost += shard.cost;
      source_done += shard.cost * part;
    }
    for (auto j : shard.jobs)
      if (j < per_job.size()) {
        per_job[j].first += shard.cost * part;
        per_job[j].second += shard.cost;
      }
    out.frames_planned += planned_frames(shard.request);
    if (mark)
      out.frames_encoded += mark->frames_encoded;
    else if (shard.state == shard_state::done)
      out.frames_encoded += planned_frames(shard.request);
  }
  // The last percent is publishing.
  auto fraction = total > 0 ? 0.99 * done / total : 0;
  shown_ = run.state == run_state::succeeded ? 1 : std::max(shown_, fraction);
  out.fraction = shown_;
  jobs_shown_.resize(jobs.size(), 0);
  for (std::size_t j = 0; j < jobs.size(); ++j) {
    auto part = per_job[j].second > 0 ? 0.99 * per_job[j].first / per_job[j].second : 0;
    jobs_shown_[j] = jobs[j].state == job_state::succeeded ? 1 : std::max(jobs_shown_[j], part);
  }
  out.jobs = jobs_shown_;
  if (first_move_ && now > first_move_ && shown_ > 0.005 && shown_ < 1) {
    auto elapsed = static_cast<double>((now - first_move_).count()) / 1e6;
    if (source_cost > 0)
      out.speed = source_done / source_cost * seconds / elapsed;
    auto left = elapsed * (1 - shown_) / shown_;
    out.eta_low = left * 0.85;
    out.eta_high = left * (1.15 + 0.5 * (1 - shown_)); // wider while little is known
  }
  return out;
}

} // namespace framemill
