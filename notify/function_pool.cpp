#include "notify/function_pool.hpp"

#include "core/limits.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace framemill {

function_pool::actions function_pool::on_call(timestamp, call c) {
  actions out;
  auto& queue = waiting_[c.function];
  if (queue.size() >= limits::function_calls_waiting_max) {
    out.push_back(
        refuse{c.id, fmt::format("{} calls of {} wait already", queue.size(), c.function)});
    return out;
  }
  auto& newest = newest_[c.function];
  newest = std::max(newest, c.version);
  queue.push_back(std::move(c));
  dispatch(out);
  return out;
}

function_pool::actions function_pool::on_call_ended(timestamp now, process_id id, fitness how) {
  actions out;
  auto found = processes_.find(id);
  if (found == processes_.end() || found->second.state != state::busy)
    return out;
  auto& p = found->second;
  const bool is_worn = p.calls >= limits::function_calls_per_process_max;
  if (how == fitness::unfit || !p.is_warm || p.is_old || is_worn) {
    halt(id, p, out);
  } else {
    p.state = state::idle;
    p.idle_since = now;
  }
  dispatch(out);
  return out;
}

function_pool::actions function_pool::on_gone(timestamp, process_id id) {
  actions out;
  processes_.erase(id);
  dispatch(out);
  return out;
}

function_pool::actions function_pool::on_version(timestamp, const std::string& function,
                                                 std::uint64_t version) {
  actions out;
  for (auto& [id, p] : processes_)
    if (p.function == function && p.version != version) {
      p.is_old = true;
      if (p.state == state::idle)
        halt(id, p, out);
    }
  if (version != 0) {
    newest_[function] = version;
    return out;
  }
  newest_.erase(function);
  if (auto queue = waiting_.extract(function); !queue.empty())
    for (const auto& c : queue.mapped())
      out.push_back(refuse{c.id, "function " + function + " was deleted"});
  return out;
}

function_pool::actions function_pool::on_tick(timestamp now) {
  actions out;
  for (auto& [id, p] : processes_)
    if (p.state == state::idle && now - p.idle_since >= microseconds{limits::function_idle_max})
      halt(id, p, out);
  return out;
}

std::optional<timestamp> function_pool::wake() const {
  std::optional<timestamp> out;
  for (const auto& [id, p] : processes_)
    if (p.state == state::idle)
      out = std::min(out.value_or(p.idle_since + microseconds{limits::function_idle_max}),
                     p.idle_since + microseconds{limits::function_idle_max});
  return out;
}

/// The oldest call of each function that can be placed, the longest waiting one
/// first, until none can.
void function_pool::dispatch(actions& out) {
  std::vector<std::pair<call_id, std::string>> order;
  for (const auto& [function, queue] : waiting_)
    order.emplace_back(queue.empty() ? 0 : queue.front().id, function);
  std::ranges::sort(order);
  for (const auto& [id, function] : order) {
    auto& queue = waiting_[function];
    while (!queue.empty() && place(queue.front(), out))
      queue.pop_front();
    if (queue.empty())
      waiting_.erase(function);
  }
}

bool function_pool::place(const call& c, actions& out) {
  if (busy(c.function) >= c.concurrency)
    return false;
  for (auto& [id, p] : processes_)
    if (p.state == state::idle && p.function == c.function && p.version == c.version) {
      p.state = state::busy;
      ++p.calls;
      out.push_back(give{id, c.id});
      return true;
    }
  if (processes_.size() < static_cast<std::size_t>(options_.processes_max)) {
    auto id = ++last_process_;
    auto newest = newest_.find(c.function);
    const bool is_old = newest == newest_.end() || newest->second != c.version;
    processes_[id] = {c.function, c.version, c.is_warm, is_old, state::busy, 1, {}};
    out.push_back(start{id, c.id});
    return true;
  }
  // Room is made by the one that has been idle longest.
  auto oldest = processes_.end();
  for (auto p = processes_.begin(); p != processes_.end(); ++p)
    if (p->second.state == state::idle
        && (oldest == processes_.end() || p->second.idle_since < oldest->second.idle_since))
      oldest = p;
  if (oldest != processes_.end() && !is_stopping_one())
    halt(oldest->first, oldest->second, out);
  return false;
}

void function_pool::halt(process_id id, process& p, actions& out) {
  p.state = state::stopping;
  out.push_back(stop{id});
}

int function_pool::busy(const std::string& function) const {
  return static_cast<int>(std::ranges::count_if(processes_, [&](const auto& entry) {
    return entry.second.function == function && entry.second.state == state::busy;
  }));
}

bool function_pool::is_stopping_one() const {
  return std::ranges::any_of(processes_,
                             [](const auto& p) { return p.second.state == state::stopping; });
}

std::size_t function_pool::idle() const {
  return static_cast<std::size_t>(std::ranges::count_if(
      processes_, [](const auto& p) { return p.second.state == state::idle; }));
}

std::size_t function_pool::waiting() const {
  std::size_t out = 0;
  for (const auto& [function, queue] : waiting_)
    out += queue.size();
  return out;
}

} // namespace framemill
