#include "cluster/scheduler.hpp"

#include <algorithm>

namespace framemill {

void scheduler::add_worker(worker_slot w) {
  idle_.insert(w.key);
  workers_[w.key] = std::move(w);
}

void scheduler::remove_worker(worker_key w) {
  release(w);
  idle_.erase(w);
  workers_.erase(w);
}

void scheduler::offer(shard_offer o) {
  // A workflow that comes back from idleness must not spend what it "saved".
  if (auto [entry, is_new] = used_.try_emplace(o.workflow, 0.0); is_new) {
    double least = 0;
    bool any = false;
    for (const auto& [id, other] : offers_) {
      auto used = used_[other.workflow];
      least = any ? std::min(least, used) : used;
      any = true;
    }
    used_[o.workflow] = least;
  }
  offers_.insert_or_assign(o.id, std::move(o));
}

bool scheduler::withdraw(shard_id id) { return offers_.erase(id) > 0; }

void scheduler::withdraw_run(run_id run) {
  std::erase_if(offers_, [run](const auto& entry) { return entry.first.run == run; });
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

scheduler::rank scheduler::rank_of(const shard_offer& o, timestamp now) const {
  auto waited = std::max<std::int64_t>(0, (now - o.since).count());
  auto effective = o.priority + waited / options_.ageing_step.count();
  auto used = used_.find(o.workflow);
  return {-effective, !o.first, used == used_.end() ? 0.0 : used->second, o.since.us, o.id};
}

bool scheduler::fits(const shard_offer& o) const {
  if (options_.memory_bytes == 0 || busy_.empty())
    return true; // alone, it may try whatever it was predicted to need
  return memory_reserved_ + o.memory_bytes <= options_.memory_bytes;
}

std::optional<worker_key> scheduler::pick_worker(const shard_offer& o) const {
  for (auto key : idle_)
    if (workers_.at(key).node != o.avoid_node)
      return key;
  auto elsewhere = std::any_of(workers_.begin(), workers_.end(), [&](const auto& entry) {
    return entry.second.node != o.avoid_node;
  });
  if (elsewhere || idle_.empty())
    return std::nullopt; // another node will be free
  return *idle_.begin();
}

std::vector<shard_grant> scheduler::decide(timestamp now) {
  std::vector<shard_grant> grants;
  if (idle_.empty() || offers_.empty())
    return grants;
  std::vector<rank> order;
  order.reserve(offers_.size());
  for (const auto& [id, o] : offers_)
    order.push_back(rank_of(o, now));
  auto compare = std::greater<>{};
  std::make_heap(order.begin(), order.end(), compare);
  while (!idle_.empty() && !order.empty()) {
    std::pop_heap(order.begin(), order.end(), compare);
    auto id = std::get<shard_id>(order.back());
    order.pop_back();
    const auto& o = offers_.at(id);
    auto worker = fits(o) ? pick_worker(o) : std::nullopt;
    if (!worker)
      continue;
    grants.push_back({id, *worker, workers_.at(*worker).node});
    idle_.erase(*worker);
    busy_[*worker] = {id, o.memory_bytes};
    memory_reserved_ += o.memory_bytes;
    used_[o.workflow] += o.cost;
    offers_.erase(id);
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
  if (!fits(entry->second))
    return fmt::format("needs {} MiB, {} of {} MiB are reserved",
                       entry->second.memory_bytes >> 20, memory_reserved_ >> 20,
                       options_.memory_bytes >> 20);
  return fmt::format("failed on node {}; waits for another", entry->second.avoid_node);
}

} // namespace framemill
