#include "storage/settle.hpp"

#include <algorithm>

namespace framemill {

namespace {

constexpr std::uint64_t gibibyte = 1ull << 30;

double seconds(microseconds d) { return static_cast<double>(d.count()) / 1e6; }

} // namespace

// ---- what counts -----------------------------------------------------------

microseconds settle_machine::quiet(const entry& e) const {
  const auto growth =
      std::chrono::seconds{std::min<std::uint64_t>(e.generation.size / gibibyte, 1'000'000)};
  return std::min<microseconds>(options_.quiet_min + growth, options_.quiet_max);
}

/// By its mtime, which a skewed clock may have put in the future: then that says
/// nothing, and the span has to do.
microseconds settle_machine::age_of_content(const entry& e) const {
  const auto age = e.last_look - timestamp{e.generation.mtime_ns / 1000};
  return age < microseconds::zero() ? microseconds::max() : age;
}

bool settle_machine::is_closed_and_quiet(const entry& e) const {
  return e.closed_seen && e.last_look - *e.closed_seen >= options_.quiet_after_close;
}

bool settle_machine::is_stable(const entry& e) const {
  return e.looks >= options_.stable_scans && e.last_look - e.quiet_since >= quiet(e) &&
         age_of_content(e) >= options_.quiet_min;
}

std::vector<std::string> settle_machine::evidence(const entry& e) const {
  std::vector<std::string> out;
  if (is_closed_and_quiet(e))
    out.push_back(fmt::format("closed after writing or renamed in, then unchanged for {:.3f} s",
                              seconds(e.last_look - *e.closed_seen)));
  if (is_stable(e))
    out.push_back(fmt::format("size and time unchanged for {:.1f} s over {} looks",
                              seconds(e.last_look - e.quiet_since), e.looks));
  if (e.has_writer)
    out.emplace_back("not open for writing");
  return out;
}

std::string settle_machine::waiting_for(const entry& e) const {
  if (e.settled)
    return "being taken up";
  if (e.has_writer.value_or(false))
    return "a process has it open for writing";
  if (e.closed_seen)
    return fmt::format("quiet for {} ms after it was closed",
                       options_.quiet_after_close.count());
  return fmt::format("unchanged for {:.1f} s over {} looks (now {})", seconds(quiet(e)),
                     options_.stable_scans, e.looks);
}

// ---- when to look ----------------------------------------------------------

/// The earliest, if nothing changes.
timestamp settle_machine::settles_at(const entry& e) const {
  if (e.closed_seen)
    return *e.closed_seen + options_.quiet_after_close;
  auto at = e.quiet_since + quiet(e);
  if (const auto age = age_of_content(e); age < options_.quiet_min)
    at = std::max(at, e.last_look + (options_.quiet_min - age));
  return at;
}

/// Looks are spread evenly over the span; the last one is at its end.
timestamp settle_machine::look_after(const entry& e) const {
  if (e.has_writer.value_or(false))
    return e.last_look + options_.quiet_min / 4;
  const auto end = settles_at(e);
  const int left = std::max(options_.stable_scans - e.looks, 1);
  const auto step = e.closed_seen ? end - e.last_look : (end - e.last_look) / left;
  return e.last_look + std::max<microseconds>(step, std::chrono::milliseconds{1});
}

// ---- events ----------------------------------------------------------------

void settle_machine::begin_span(entry& e, timestamp now) const {
  e.quiet_since = now;
  e.looks = 0;
  if (e.closed_seen)
    e.closed_seen = now;
}

void settle_machine::observe(timestamp now, std::string_view key, const generation& g,
                             bool closed, std::optional<bool> has_writer) {
  auto i = objects_.find(key);
  const bool is_new = i == objects_.end();
  if (is_new)
    i = objects_.emplace(std::string{key}, entry{.first_seen = now}).first;
  else
    unschedule(i);
  auto& e = i->second;
  if (is_new || e.generation != g) {
    e.generation = g;
    e.last_change = now;
    e.closed_seen.reset();
    begin_span(e, now);
  } else if (now < e.last_look) {
    begin_span(e, now); // the clock was set back: spans over it mean nothing
  }
  if (closed && !e.closed_seen)
    e.closed_seen = now;
  last_now_ = now;
  e.has_writer = has_writer;
  if (has_writer.value_or(false))
    begin_span(e, now);
  ++e.looks;
  e.last_look = now;
  schedule(i);
}

void settle_machine::schedule(entry_map::iterator i) {
  auto& e = i->second;
  e.settled = !e.has_writer.value_or(false) && (is_closed_and_quiet(e) || is_stable(e));
  if (e.settled) {
    settled_.insert(i->first);
    return;
  }
  e.next_look = look_after(e);
  looks_.emplace(e.next_look, i->first);
}

void settle_machine::unschedule(entry_map::iterator i) {
  settled_.erase(i->first);
  looks_.erase({i->second.next_look, i->first});
}

void settle_machine::gone(std::string_view key) {
  const auto i = objects_.find(key);
  if (i == objects_.end())
    return;
  unschedule(i);
  objects_.erase(i);
}

std::vector<settle_machine::settled_object> settle_machine::take_settled(timestamp now) {
  std::vector<settled_object> out;
  for (auto s = settled_.begin(); s != settled_.end();) {
    const auto i = objects_.find(*s);
    if (now < i->second.last_look) { // set back since: the next look begins a new span
      ++s;
      continue;
    }
    out.push_back({i->first, i->second.generation, evidence(i->second), i->second.first_seen});
    s = settled_.erase(s);
    objects_.erase(i);
  }
  return out;
}

std::optional<timestamp> settle_machine::next_look() const {
  if (!settled_.empty()) // left by a clock that was set back
    return objects_.find(*settled_.begin())->second.last_look;
  return looks_.empty() ? std::nullopt : std::optional{looks_.begin()->first};
}

std::vector<std::string> settle_machine::due(timestamp now) const {
  std::vector<std::string> keys;
  for (auto i = looks_.begin(); i != looks_.end() && i->first <= now; ++i)
    keys.emplace_back(i->second);
  if (now >= last_now_)
    return keys;
  for (const auto& [key, e] : objects_) // set back: what was planned is far away
    if (e.last_look > now && (e.settled || e.next_look > now))
      keys.push_back(key);
  return keys;
}

std::vector<settle_machine::settling_view> settle_machine::settling(timestamp now) const {
  std::vector<settling_view> out;
  for (const auto& [key, e] : objects_)
    out.push_back({key, e.generation, e.first_seen, e.last_change,
                   std::max(settles_at(e) - now, microseconds::zero()), waiting_for(e)});
  return out;
}

} // namespace framemill
