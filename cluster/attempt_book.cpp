#include "cluster/attempt_book.hpp"

#include <algorithm>
#include <utility>

namespace framemill {

namespace {

bool is_it(const std::optional<assign_attempt>& order, shard_id shard, std::uint32_t epoch) {
  return order && order->shard == shard && order->epoch == epoch;
}

attempt_outcome not_started(std::uint32_t epoch, errc code, std::string why) {
  attempt_outcome out;
  out.epoch = epoch;
  out.failure = error{code, std::move(why), {}};
  out.exit = "not started";
  return out;
}

held_attempt held_of(const assign_attempt& order, std::optional<watermark> mark = {}) {
  return {order.shard, order.epoch, order.slot, false, std::move(mark)};
}

} // namespace

attempt_book::attempt_book(std::uint32_t slots) : slots_(slots) {}

attempt_book::actions attempt_book::assigned(assign_attempt order) {
  actions out;
  if (auto* known = find_ended(order.shard, order.epoch)) {
    tell_again(out, *known);
    return out;
  }
  if (is_superseded(order.shard, order.epoch))
    return out; // held already, or late
  supersede(out, order);
  if (order.slot >= slots_.size()) {
    auto why =
        fmt::format("this node has {} slots, none of number {}", slots_.size(), order.slot);
    end(out, order, not_started(order.epoch, errc::lease_lost, std::move(why)));
    return out;
  }
  auto& slot = slots_[order.slot];
  if (slot.at_work)
    wait(out, slot, std::move(order));
  else
    start(out, slot, std::move(order));
  return out;
}

/// Is this epoch of the shard, or a newer one, known of?
bool attempt_book::is_superseded(shard_id shard, std::uint32_t epoch) const {
  auto is_newer = [&](const std::optional<assign_attempt>& order) {
    return order && order->shard == shard && order->epoch >= epoch;
  };
  return std::any_of(slots_.begin(), slots_.end(),
                     [&](const auto& s) {
                       return (!s.forsaken && is_newer(s.at_work)) || is_newer(s.waiting);
                     })
         || std::any_of(ended_.begin(), ended_.end(), [&](const kept& k) {
              return k.outcome.shard == shard && k.outcome.outcome.epoch >= epoch;
            });
}

/// Older epochs of the same shard are nobody's wish any more, in any slot.
void attempt_book::supersede(actions& out, const assign_attempt& order) {
  for (std::uint32_t i = 0; i < slots_.size(); ++i) {
    auto& slot = slots_[i];
    if (slot.at_work && !slot.forsaken && slot.at_work->shard == order.shard)
      out.push_back(kill_attempt{order.shard, slot.at_work->epoch, i});
    if (slot.waiting && slot.waiting->shard == order.shard)
      drop_waiting(out, slot, errc::lease_lost, "another attempt took its place");
  }
}

void attempt_book::start(actions& out, slot_state& slot, assign_attempt order) {
  slot.mark.reset();
  slot.at_work = order;
  out.push_back(start_attempt{std::move(order)});
}

void attempt_book::wait(actions& out, slot_state& slot, assign_attempt order) {
  if (slot.waiting)
    drop_waiting(out, slot, errc::lease_lost, "another attempt took its place");
  slot.waiting = std::move(order);
}

void attempt_book::drop_waiting(actions& out, slot_state& slot, errc code, std::string why) {
  auto order = *std::exchange(slot.waiting, std::nullopt);
  end(out, order, not_started(order.epoch, code, std::move(why)));
}

/// A stop may overtake its order: it is remembered as ended, and never starts.
attempt_book::actions attempt_book::stop(shard_id shard, std::uint32_t epoch) {
  actions out;
  for (std::uint32_t i = 0; i < slots_.size(); ++i) {
    if (!slots_[i].forsaken && is_it(slots_[i].at_work, shard, epoch)) {
      out.push_back(kill_attempt{shard, epoch, i});
      return out;
    }
    if (is_it(slots_[i].waiting, shard, epoch)) {
      drop_waiting(out, slots_[i], errc::cancelled, "stopped before it began");
      return out;
    }
  }
  if (auto* known = find_ended(shard, epoch)) {
    tell_again(out, *known);
  } else if (!is_superseded(shard, epoch)) {
    assign_attempt unheard;
    unheard.shard = shard;
    end(out, unheard, not_started(epoch, errc::cancelled, "stopped before it came"));
  }
  return out;
}

attempt_book::actions attempt_book::ended(std::uint32_t index, attempt_outcome outcome) {
  actions out;
  if (index >= slots_.size())
    return out;
  auto& slot = slots_[index];
  if (!slot.at_work || slot.at_work->epoch != outcome.epoch)
    return out; // a late word of an earlier attempt
  const auto order = *std::exchange(slot.at_work, std::nullopt);
  slot.mark.reset();
  if (!std::exchange(slot.forsaken, false))
    end(out, order, std::move(outcome));
  if (slot.waiting)
    start(out, slot, *std::exchange(slot.waiting, std::nullopt));
  return out;
}

void attempt_book::end(actions& out, const assign_attempt& order, attempt_outcome outcome) {
  ended_.push_back({{order.shard, std::move(outcome)}, order.slot, false});
  out.push_back(tell_outcome{ended_.back().outcome});
  if (ended_.size() > ended_max)
    forget_one();
}

/// The oldest that was noted; if none was, the oldest: the coordinator finds
/// that it is not held, and breaks its lease.
void attempt_book::forget_one() {
  auto noted =
      std::find_if(ended_.begin(), ended_.end(), [](const kept& k) { return k.noted; });
  ended_.erase(noted != ended_.end() ? noted : ended_.begin());
}

attempt_book::kept* attempt_book::find_ended(shard_id shard, std::uint32_t epoch) {
  auto entry = std::find_if(ended_.begin(), ended_.end(), [&](const kept& k) {
    return k.outcome.shard == shard && k.outcome.outcome.epoch == epoch;
  });
  return entry != ended_.end() ? &*entry : nullptr;
}

void attempt_book::tell_again(actions& out, const kept& known) {
  if (!known.noted)
    out.push_back(tell_outcome{known.outcome});
}

void attempt_book::noted(shard_id shard, std::uint32_t epoch) {
  auto* known = find_ended(shard, epoch);
  if (!known)
    return;
  known->noted = true;
  known->outcome.outcome = {};
  known->outcome.outcome.epoch = epoch;
}

attempt_book::actions attempt_book::welcomed() const {
  actions out;
  for (const auto& k : ended_)
    tell_again(out, k);
  return out;
}

attempt_book::actions attempt_book::beat() {
  return ++beats_ % tell_again_beats == 0 ? welcomed() : actions{};
}

void attempt_book::moved(std::uint32_t slot, const watermark& mark) {
  if (slot < slots_.size() && slots_[slot].at_work)
    slots_[slot].mark = mark;
}

attempt_book::actions attempt_book::forsake() {
  actions out;
  ended_.clear();
  for (std::uint32_t i = 0; i < slots_.size(); ++i) {
    auto& slot = slots_[i];
    slot.waiting.reset();
    if (slot.at_work && !std::exchange(slot.forsaken, true))
      out.push_back(kill_attempt{slot.at_work->shard, slot.at_work->epoch, i});
  }
  return out;
}

std::vector<held_attempt> attempt_book::held() const {
  std::vector<held_attempt> out;
  for (const auto& s : slots_) {
    if (s.at_work && !s.forsaken)
      out.push_back(held_of(*s.at_work, s.mark));
    if (s.waiting)
      out.push_back(held_of(*s.waiting));
  }
  for (auto k = ended_.rbegin(); k != ended_.rend(); ++k)
    if (!k->noted)
      out.push_back({k->outcome.shard, k->outcome.outcome.epoch, k->slot, true, std::nullopt});
  return out;
}

bool attempt_book::empty() const {
  return std::none_of(slots_.begin(), slots_.end(),
                      [](const auto& s) { return s.at_work || s.waiting; })
         && std::all_of(ended_.begin(), ended_.end(), [](const kept& k) { return k.noted; });
}

std::vector<std::optional<held_attempt>> by_slot(std::vector<held_attempt> held,
                                                 std::size_t slots) {
  std::vector<std::optional<held_attempt>> out(slots);
  for (auto& h : held)
    if (h.slot < slots && (!h.ended || !out[h.slot]))
      out[h.slot] = std::move(h);
  return out;
}

} // namespace framemill
