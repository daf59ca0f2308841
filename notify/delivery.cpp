#include "notify/delivery.hpp"

#include "core/random.hpp"

#include <algorithm>

namespace framemill {

namespace {

/// Tries at once at a sink where nothing has arrived for long.
constexpr std::size_t probes_max = 4;

} // namespace

void delivery_schedule::load(timestamp now, const delivery_brief& d) {
  if (known_.contains(d.event))
    return;
  auto [at, is_new] = lanes_.try_emplace(d.lane);
  auto& l = at->second;
  if (is_new)
    l.number = ++last_lane_;
  if (l.left || (l.failing && l.known >= rules_.known_of_failing)) {
    l.left = std::min(l.left.value_or(d.event), d.event);
    return;
  }
  ++l.known;
  // No later than it could have been put off from now, should the clock have
  // gone back.
  auto latest = now + std::max(rules_.delay_max * 3 / 2, rules_.wish_max);
  known_.emplace(d.event, entry{d.run, at, d.since, std::min(d.next_try, latest), d.attempts});
  auto& line = runs_[d.run];
  line.events.insert(d.event);
  offer_next(line);
}

/// The earliest of a run stands among its lane's offers, unless one of the run
/// is under way.
void delivery_schedule::offer_next(run_line& line) {
  auto next = line.busy || line.events.empty() ? std::optional<event_id>{} : *line.events.begin();
  if (next == line.offered)
    return;
  if (line.offered) {
    const auto& e = known_.at(*line.offered);
    e.lane->second.offered.erase({e.next_try, *line.offered});
    queue(e.lane->second);
  }
  line.offered = next;
  if (next) {
    const auto& e = known_.at(*next);
    e.lane->second.offered.emplace(e.next_try, *next);
    queue(e.lane->second);
  }
}

/// Puts a lane at its place among those that may send, or takes it out.
void delivery_schedule::queue(lane& l) {
  if (l.queued)
    ready_.erase({*l.queued, l.number});
  l.queued.reset();
  if (l.offered.empty() || l.in_flight >= (l.failing ? 1 : rules_.in_flight_per_lane))
    return;
  l.queued = l.offered.begin()->first;
  ready_.emplace(std::pair{*l.queued, l.number}, &l);
}

std::size_t delivery_schedule::limit() const {
  return failed_in_a_row_ < rules_.in_flight_max ? rules_.in_flight_max
                                                 : std::min(probes_max, rules_.in_flight_max);
}

std::vector<event_id> delivery_schedule::due(timestamp now) {
  std::vector<event_id> out;
  while (in_flight_ < limit() && !ready_.empty() && ready_.begin()->first.first <= now) {
    auto& l = *ready_.begin()->second;
    auto event = l.offered.begin()->second;
    auto& e = known_.at(event);
    auto& line = runs_.at(e.run);
    line.busy = event;
    ++l.in_flight;
    ++in_flight_;
    offer_next(line);
    out.push_back(event);
  }
  return out;
}

/// It is in flight no more.
void delivery_schedule::land(entry& e, bool failed) {
  auto& l = e.lane->second;
  --l.in_flight;
  --in_flight_;
  l.failing = failed;
  queue(l);
  failed_in_a_row_ = failed ? failed_in_a_row_ + 1 : 0;
}

timestamp delivery_schedule::next_try_of(timestamp now, event_id event, const entry& e,
                                         const delivery_answer& answer) const {
  auto doublings = std::min<std::uint32_t>(e.attempts - 1, 32);
  auto delay = rules_.delay_max;
  if (rules_.delay_first.count() <= (rules_.delay_max.count() >> doublings))
    delay = rules_.delay_first * (std::int64_t{1} << doublings);
  delay = delay * jitter_per_mille(event.value * 31 + e.attempts) / 1000;
  if (answer.not_before)
    delay = std::max(delay, std::min(*answer.not_before, rules_.wish_max));
  return std::min(now + delay, e.since + rules_.window); // the last try is at its end
}

delivery_outcome delivery_schedule::answered(timestamp now, event_id event,
                                             const delivery_answer& answer) {
  using verdict = delivery_answer::verdict;
  auto& e = known_.at(event);
  land(e, answer.what == verdict::again);
  delivery_outcome out;
  out.event = event;
  if (answer.what == verdict::delivered) {
    e.is_over = true;
    out.what = delivery_outcome::kind::delivered;
    out.attempts = e.attempts;
    return out;
  }
  out.attempts = ++e.attempts;
  out.why = answer.why;
  e.is_over = answer.what == verdict::parked || now - e.since >= rules_.window;
  if (e.is_over)
    out.what = delivery_outcome::kind::dead;
  else
    out.next_try = e.next_try = next_try_of(now, event, e, answer);
  return out;
}

void delivery_schedule::written(event_id event) {
  auto& e = known_.at(event);
  if (e.is_over)
    return remove(event);
  auto& line = runs_.at(e.run);
  line.busy.reset();
  offer_next(line);
}

void delivery_schedule::forget(event_id event) {
  land(known_.at(event), false);
  remove(event);
}

/// One that was under way.
void delivery_schedule::remove(event_id event) {
  const auto e = std::move(known_.extract(event).mapped());
  auto line = runs_.find(e.run);
  line->second.events.erase(event);
  line->second.busy.reset();
  offer_next(line->second);
  if (line->second.events.empty())
    runs_.erase(line);
  --e.lane->second.known;
  forget_if_empty(e.lane);
}

void delivery_schedule::forget_if_empty(lanes::iterator at) {
  auto& l = at->second;
  if (l.known > 0 || l.left)
    return;
  queue(l); // takes it out: it has no offers
  lanes_.erase(at);
}

// ---- What is left in the books -------------------------------------------------------------

/// The last come first, so that of each run the earliest stay.
void delivery_schedule::make_room() {
  const auto has_too_much = [&](const lane& l) {
    return l.failing && l.known > rules_.known_of_failing;
  };
  if (std::none_of(lanes_.begin(), lanes_.end(),
                   [&](const auto& named) { return has_too_much(named.second); }))
    return;
  for (auto next = known_.end(); next != known_.begin();) {
    auto at = std::prev(next);
    const bool is_under_way = runs_.at(at->second.run).busy == at->first;
    if (has_too_much(at->second.lane->second) && !is_under_way)
      leave(at);
    else
      next = at;
  }
}

void delivery_schedule::leave(std::map<event_id, entry>::iterator known) {
  const auto& [event, e] = *known;
  auto& l = e.lane->second;
  l.left = std::min(l.left.value_or(event), event);
  --l.known;
  auto line = runs_.find(e.run);
  line->second.events.erase(event);
  offer_next(line->second);
  if (line->second.events.empty())
    runs_.erase(line);
  known_.erase(known);
}

std::optional<event_id> delivery_schedule::read_again_from() {
  std::optional<event_id> first;
  for (auto next = lanes_.begin(); next != lanes_.end();) {
    auto at = next++;
    auto& l = at->second;
    if (!l.left || l.known > rules_.known_of_failing / 2)
      continue;
    first = std::min(first.value_or(*l.left), *l.left);
    l.left.reset();
    forget_if_empty(at);
  }
  return first;
}

std::optional<timestamp> delivery_schedule::wake_at() const {
  if (ready_.empty() || in_flight_ >= limit())
    return std::nullopt;
  return ready_.begin()->first.first;
}

std::optional<event_id> delivery_schedule::oldest() const {
  return known_.empty() ? std::nullopt : std::optional{known_.begin()->first};
}

} // namespace framemill
