#include "cluster/hedging.hpp"

#include <algorithm>

namespace framemill {

namespace {

double seconds_between(timestamp from, timestamp to) {
  return static_cast<double>((to - from).count()) / 1e6;
}

/// Seconds per unit of cost that the finished siblings took; nullopt without any.
std::optional<double> median_pace(const shard_record& shard,
                                  const std::vector<shard_record>& shards) {
  std::vector<double> paces;
  for (const auto& s : shards)
    if (s.state == shard_state::done && s.cost > 0 && are_siblings(s, shard))
      if (const auto* made = maker_of(s))
        paces.push_back(seconds_between(made->started, made->finished) / s.cost);
  if (paces.empty())
    return std::nullopt;
  auto middle = paces.begin() + std::ssize(paces) / 2;
  std::nth_element(paces.begin(), middle, paces.end());
  return *middle;
}

/// By its own rate so far. Who shows nothing is expected to take as long again,
/// and no less than a sibling would.
double seconds_left(double elapsed, double fraction, double usual) {
  if (fraction <= 0)
    return std::max(elapsed, usual - elapsed);
  return elapsed * (1 - fraction) / fraction;
}

bool is_alone_at_it(const shard_record& shard) {
  auto tried = [](const auto& a) { return a.hedge; };
  return shard.state == shard_state::leased && !shard.attempts.empty()
         && !shard.attempts.back().finished
         && std::none_of(shard.attempts.begin(), shard.attempts.end(), tried);
}

} // namespace

bool are_siblings(const shard_record& a, const shard_record& b) {
  return a.role == b.role && a.role != shard_role::probe && a.jobs == b.jobs
         && a.source == b.source && splices(a.request) == splices(b.request);
}

const attempt_record* maker_of(const shard_record& shard) {
  for (const auto& a : shard.attempts)
    if (a.epoch == shard.made_by)
      return &a;
  return nullptr;
}

std::optional<std::uint32_t>
straggler(timestamp now, const run_record& run, const std::vector<shard_record>& shards,
          const progress_meter& meter, hedging_policy policy) {
  auto waits = [](const auto& s) { return s.state == shard_state::ready; };
  if (std::any_of(shards.begin(), shards.end(), waits))
    return std::nullopt; // an idle node has better things to do
  std::optional<std::uint32_t> slowest;
  double longest = 0;
  for (const auto& s : shards) {
    auto pace = is_alone_at_it(s) ? median_pace(s, shards) : std::nullopt;
    if (!pace)
      continue;
    const auto& attempt = s.attempts.back();
    auto usual = *pace * s.cost;
    auto left = seconds_left(seconds_between(attempt.started, now),
                             meter.fraction(run, s, attempt.epoch), usual);
    if (left >= std::max(policy.slowdown_min * usual, policy.left_seconds_min)
        && left > longest) {
      slowest = s.id.index;
      longest = left;
    }
  }
  return slowest;
}

} // namespace framemill
