#include "actors/run_explainer.hpp"

#include "cluster/critical_path.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace framemill {

namespace {

std::string why_blocked(const run_books& books, const shard_record& shard) {
  std::string open;
  for (auto need : shard.needs)
    if (books.shards[need].state != shard_state::done)
      open += fmt::format("{}{}", open.empty() ? "" : ", ", need);
  return "waits for the results of shard " + open;
}

/// Of a leased one: what is known of those that should be at it.
std::string why_leased(const shard_pace& pace, timestamp now) {
  std::string out;
  for (const auto& a : pace.attempts)
    if (a.standing != attempt_standing::failed && a.standing != attempt_standing::done)
      out += (out.empty() ? "" : "; ") + sentence(now, a, pace);
  return out;
}

bool has_hedge_at_it(const shard_record& shard) {
  return std::any_of(shard.attempts.begin(), shard.attempts.end(),
                     [](const auto& a) { return a.hedge && !a.finished; });
}

shard_explanation explain_shard(const run_books& books, const shard_record& shard,
                                const attempt_sights& sights, timestamp now) {
  shard_explanation out;
  out.shard = shard.id.index;
  out.role = shard.role;
  out.state = shard.state;
  out.pace = pace_of(now, books.run, books.shards, shard, sights);
  if (shard.state == shard_state::leased) {
    out.node = shard.attempts.back().node;
    out.why = why_leased(out.pace, now);
    out.hedge = has_hedge_at_it(shard) ? hedge_state::begun : hedge_state::none;
  } else if (shard.state == shard_state::blocked) {
    out.why = why_blocked(books, shard);
  } else if (!shard.attempts.empty() && shard.attempts.back().failure) {
    out.why = "failed: " + shard.attempts.back().failure->message;
  } else {
    out.why = "is about to be queued";
  }
  return out;
}

void add_place(shard_explanation& to, queue_explanation place) {
  to.needs = std::move(place.needs);
  to.queue_position = static_cast<std::int64_t>(place.position);
  to.expected_start = place.expected_start.value_or(timestamp{});
  for (auto& n : place.nodes) {
    auto takes_it = n.why_not.empty();
    if (n.preferred)
      n.why_not.insert(n.why_not.begin(), "preferred");
    to.nodes.push_back({n.node, takes_it, fmt::format("{}", fmt::join(n.why_not, "; "))});
  }
}

} // namespace

std::map<std::string, std::map<attempt_key, told_attempt>> told_of(const membership_state& m,
                                                                   run_id run) {
  std::map<std::string, std::map<attempt_key, told_attempt>> out;
  for (const auto& [name, node] : m.nodes) {
    auto& told = out[name];
    for (const auto& [shard, place] : node.places)
      if (shard.run == run)
        told[{shard.index, place.epoch}].when = place.told;
    for (const auto& h : node.held)
      if (h.shard.run == run) {
        auto& t = told[{h.shard.index, h.epoch}];
        t.held = true;
        t.ended = h.ended;
      }
  }
  return out;
}

run_explanation explain_books(const run_books& books, const attempt_sights& sights,
                              timestamp now) {
  const auto& run = books.run;
  run_explanation out;
  out.run = run.id;
  out.state = run.state;
  if (is_terminal(run.state))
    out.critical_path = critical_path(run, books.jobs, books.shards);
  for (const auto& s : books.shards)
    if (!is_terminal(s.state))
      out.shards.push_back(explain_shard(books, s, sights, now));
  if (run.failure)
    out.why = run.failure->message;
  else if (run.state == run_state::waiting)
    out.why = "waits to be admitted";
  else if (is_terminal(run.state))
    out.why = fmt::format("took {:.1f} s from its creation",
                          static_cast<double>((run.finished - run.created).count()) / 1e6);
  else
    out.why = fmt::format("{} of {} shards are not done", out.shards.size(), books.shards.size());
  return out;
}

void add_queue(run_explanation& to, const scheduler& queue, timestamp now) {
  for (auto& s : to.shards) {
    const bool hedges = s.state == shard_state::leased;
    if (!hedges && s.state != shard_state::ready)
      continue;
    auto place = queue.explain({to.run, s.shard}, now);
    if (!place)
      continue;
    if (hedges) {
      s.hedge = hedge_state::waiting;
      s.why += "; a second attempt (a hedge) waits: " + place->why;
    } else {
      s.why = place->why;
    }
    add_place(s, std::move(*place));
  }
}

} // namespace framemill
