#include "cluster/scheduler.hpp"

#include <algorithm>
#include <limits>

namespace framemill {

void scheduler::add_worker(worker_slot w) {
  release(w.key); // one that joins again has lost what it had
  idle_.insert(w.key);
  workers_[w.key] = std::move(w);
}

void scheduler::remove_worker(worker_key w) {
  release(w);
  idle_.erase(w);
  workers_.erase(w);
}

/// A workflow that comes back from idleness must not spend what it "saved".
void scheduler::join_in(share& s) {
  if (s.waiting++ > 0)
    return;
  auto least = std::numeric_limits<double>::max();
  for (const auto& [id, other] : shares_)
    if (other.waiting > 0 && &other != &s)
      least = std::min(least, other.used);
  s.used = std::max(s.used, least == std::numeric_limits<double>::max() ? level_ : least);
}

void scheduler::offer(shard_offer o) {
  withdraw(o.id);
  join_in(shares_[o.workflow]);
  lines_[needs_of(o)].places.insert(place_of(o));
  offers_.emplace(o.id, std::move(o));
}

bool scheduler::withdraw(shard_id id) {
  auto entry = offers_.find(id);
  if (entry == offers_.end())
    return false;
  const auto& o = entry->second;
  auto waiting = lines_.find(needs_of(o));
  waiting->second.places.erase(place_of(o));
  if (waiting->second.places.empty())
    lines_.erase(waiting);
  --shares_[o.workflow].waiting;
  offers_.erase(entry);
  return true;
}

void scheduler::withdraw_run(run_id run) {
  auto entry = offers_.lower_bound({run, 0});
  while (entry != offers_.end() && entry->first.run == run)
    withdraw((entry++)->first);
}

void scheduler::release(worker_key w) {
  auto entry = busy_.find(w);
  if (entry == busy_.end())
    return;
  memory_reserved_ -= entry->second.memory_bytes;
  busy_.erase(entry);
  if (workers_.contains(w))
    idle_.insert(w);
}

scheduler::needs scheduler::needs_of(const shard_offer& o) {
  return {o.workflow, o.memory_bytes, o.avoid_node};
}

scheduler::place scheduler::place_of(const shard_offer& o) const {
  return {o.since.us / options_.ageing_step.count() - o.priority, !o.first, o.since.us, o.id};
}

scheduler::rank scheduler::rank_of(const lines::value_type& l) const {
  const auto& first = *l.second.places.begin();
  return {first.band, first.after_serial, shares_.at(l.first.workflow).used, first.since_us,
          first.id};
}

bool scheduler::fits(std::int64_t memory_bytes) const {
  if (options_.memory_bytes == 0 || busy_.empty())
    return true; // alone, it may try whatever it was predicted to need
  return memory_reserved_ + memory_bytes <= options_.memory_bytes;
}

std::optional<worker_key> scheduler::pick_worker(const std::string& avoid_node) const {
  for (auto key : idle_)
    if (workers_.at(key).node != avoid_node)
      return key;
  auto elsewhere = std::any_of(workers_.begin(), workers_.end(), [&](const auto& entry) {
    return entry.second.node != avoid_node;
  });
  if (elsewhere || idle_.empty())
    return std::nullopt; // another node will be free
  return *idle_.begin();
}

std::optional<shard_grant> scheduler::next_grant() {
  std::optional<shard_grant> best;
  rank best_rank, passed_rank;
  line* passed = nullptr; // the first of those that lack memory
  for (auto& l : lines_) {
    auto r = rank_of(l);
    if (best && r > best_rank)
      continue;
    if (!fits(l.first.memory_bytes)) {
      if (!passed || r < passed_rank)
        std::tie(passed, passed_rank) = std::tuple{&l.second, r};
    } else if (auto worker = pick_worker(l.first.avoid_node)) {
      best = {std::get<shard_id>(r), *worker, workers_.at(*worker).node};
      best_rank = r;
    }
  }
  if (!best || !passed || best_rank < passed_rank)
    return best;
  if (passed->passes >= options_.passes_max)
    return std::nullopt; // what runs will end and make room
  ++passed->passes;
  return best;
}

void scheduler::reserve(const shard_grant& g) {
  const auto& o = offers_.at(g.shard);
  auto& used = shares_[o.workflow].used;
  level_ = used;
  used += o.cost;
  idle_.erase(g.worker);
  busy_[g.worker] = {g.shard, o.memory_bytes};
  memory_reserved_ += o.memory_bytes;
  lines_.at(needs_of(o)).passes = 0;
  withdraw(g.shard);
}

std::vector<shard_grant> scheduler::decide(timestamp) {
  std::vector<shard_grant> grants;
  while (!idle_.empty()) {
    auto next = next_grant();
    if (!next)
      break;
    reserve(*next);
    grants.push_back(std::move(*next));
  }
  return grants;
}

std::string scheduler::why_waiting(shard_id id) const {
  auto entry = offers_.find(id);
  if (entry == offers_.end())
    return {};
  if (workers_.empty())
    return "no worker has joined";
  if (idle_.empty())
    return fmt::format("all {} slots are busy", workers_.size());
  const auto& o = entry->second;
  if (!fits(o.memory_bytes))
    return fmt::format("needs {} MiB, {} of {} MiB are reserved", o.memory_bytes >> 20,
                       memory_reserved_ >> 20, options_.memory_bytes >> 20);
  if (!pick_worker(o.avoid_node))
    return fmt::format("failed on node {}; waits for another", o.avoid_node);
  return "others that have waited longer go first";
}

} // namespace framemill
