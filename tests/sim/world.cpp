#include "tests/sim/world.hpp"

#include <algorithm>

namespace framemill::sim {

std::uint64_t random::next() {
  auto x = state_ += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

microseconds random::between(microseconds from, microseconds to) {
  return from + microseconds{below(static_cast<std::uint64_t>((to - from).count()) + 1)};
}

world::world(std::uint64_t seed, rule broken_rule, bool traces)
    : dice(seed), breaks(broken_rule), traces_(traces) {}

void world::after(microseconds delay, process* owner, std::function<void()> what) {
  events_.push_back(
      {now_ + delay, ++sequence_, owner, owner ? owner->life : 0, std::move(what)});
  std::push_heap(events_.begin(), events_.end());
}

bool world::step() {
  if (events_.empty())
    return false;
  std::pop_heap(events_.begin(), events_.end());
  auto e = std::move(events_.back());
  events_.pop_back();
  now_ = e.when;
  ++steps_;
  if (e.owner && (e.owner->life != e.life || !e.owner->is_up))
    return true;
  if (e.owner && e.owner->is_frozen)
    e.owner->stalled.push_back(std::move(e.what));
  else
    e.what();
  return true;
}

void world::begin(process& p) {
  ++p.life;
  p.is_up = true;
  p.is_frozen = false;
  p.stalled.clear();
}

void world::end(process& p) {
  ++p.life;
  p.is_up = false;
  p.stalled.clear();
}

void world::thaw(process& p) {
  if (!p.is_frozen)
    return;
  p.is_frozen = false;
  for (auto& what : std::exchange(p.stalled, {}))
    after(0us, &p, std::move(what));
}

void world::write(std::string line) {
  auto seconds = static_cast<double>(now_.us % 1'000'000'000) / 1e6;
  trace_.push_back(fmt::format("{:>9.4f} {}", seconds, line));
}

void actor::post(std::function<void()> message) {
  // A thread is nearly always free; now and then none is for a while.
  auto latency = world_.dice.one_in(40) ? world_.dice.between(1us, 8ms)
                                        : world_.dice.between(1us, 40us);
  worked_off_ = std::max(worked_off_, world_.now() + latency);
  world_.after(worked_off_ - world_.now(), &process_, [this, m = std::move(message)] {
    if (!is_dead_)
      m();
  });
}

void actor::post_after(microseconds delay, std::function<void()> message) {
  world_.after(delay, &process_, [this, m = std::move(message)]() mutable {
    if (!is_dead_)
      post(std::move(m));
  });
}

void actor::watch(actor& whom, std::function<void()> down) {
  if (whom.is_dead_)
    post(std::move(down));
  else
    whom.watchers_.emplace_back(this, std::move(down));
}

void actor::quit() {
  is_dead_ = true;
  for (auto& [who, down] : std::exchange(watchers_, {}))
    who->post(std::move(down));
}

} // namespace framemill::sim
