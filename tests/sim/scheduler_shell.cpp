#include "cluster/shard_work.hpp"
#include "tests/sim/coordinator.hpp"

namespace framemill::sim {

/// Hands out what can be handed out now.
void scheduler_shell::grant() {
  for (auto& g : core_.decide(services_.clock())) {
    auto offered = waiting_.extract(g.shard);
    if (offered.empty())
      continue;
    services_.on.facts.granted(g.node);
    reserved_[g.worker] = {++last_grant_, offered.mapped(), g.node, sizes_[g.shard]};
    check_room(g.node);
    world_.note("SCHEDULER: {}/{} may go to slot {} of {}", g.shard.run.value, g.shard.index,
                g.worker & 0xffff, g.node);
    worker_granted word{g.shard.index, g.worker,          g.node, fingerprints_[g.node],
                        workers_.at(g.worker), last_grant_};
    if (world_.breaks == rule::builds)
      word.fingerprint = "one for all";
    offered.mapped()->post([to = offered.mapped(), word] { to->granted(word); });
  }
}

/// CHECKER: what is reserved at a node is there, unless it is one alone.
void scheduler_shell::check_room(const std::string& node) const {
  room sum;
  int count = 0;
  for (const auto& [worker, r] : reserved_)
    if (r.node == node) {
      sum.memory_bytes += r.size.memory_bytes;
      sum.cores += r.size.cores;
      sum.sessions += r.size.sessions;
      ++count;
    }
  const auto& n = known_.at(node);
  auto check = [&](std::string_view what, std::int64_t reserved, std::int64_t has) {
    if (count > 1 && reserved > has)
      world_.violate("{} of {} are reserved at {}, which has {}", reserved, what, node, has);
  };
  check("bytes of memory", sum.memory_bytes, n.memory_bytes);
  check("cores", sum.cores, n.cores);
  check("sessions", sum.sessions, n.devices.at("gpu"));
}

/// A WORKFLOW died: its offers are void. Workers it was granted are asked.
void scheduler_shell::forget(workflow_shell* who) {
  for (auto i = waiting_.begin(); i != waiting_.end();) {
    auto gone = i->second == who;
    if (gone)
      core_.withdraw(i->first);
    i = gone ? waiting_.erase(i) : std::next(i);
  }
  for (const auto& [worker, r] : reserved_)
    if (r.owner == who)
      workers_.at(worker)->post(
          [w = workers_.at(worker), grant = r.grant] { w->give_back(grant); });
  watched_.erase(who);
  grant();
}

void scheduler_shell::lose_worker(worker_key key) {
  world_.note("SCHEDULER: slot {} is gone", key & 0xffff);
  core_.remove_worker(key);
  workers_.erase(key);
  reserved_.erase(key);
  grant();
}

void scheduler_shell::show_builds() {
  services_.builds.clear();
  for (const auto& [node, build] : fingerprints_)
    services_.builds.insert(build);
}

void scheduler_shell::join(const worker_slot& slot, remote_worker_shell* worker,
                           const std::optional<reservation>& holds) {
  watch(*worker, [this, key = slot.key] { lose_worker(key); });
  world_.note("SCHEDULER: slot {} of {} is there{}", slot.key & 0xffff, slot.node,
              holds ? ", at work" : "");
  workers_[slot.key] = worker;
  const auto& facts = services_.on.facts;
  const auto* held = holds ? facts.find(holds->shard) : nullptr;
  if (holds) // as it is in the books, whatever the slot says of its size
    reserved_[slot.key] = {
        0, nullptr, slot.node,
        held ? reservation_of(facts.find(holds->shard.run)->run, *held).size : room{}};
  core_.add_worker(slot, holds);
  show_builds();
  grant();
}

void scheduler_shell::know(scheduler_node n, bool is_here) {
  world_.note("SCHEDULER: {} is {}, {}", n.name, is_here ? "here" : "away",
              n.takes_work ? "takes work" : n.why_not);
  if (world_.breaks == rule::drain)
    n.takes_work = true;
  if (is_here)
    fingerprints_[n.name] = n.fingerprint;
  else
    fingerprints_.erase(n.name);
  known_[n.name] = n;
  core_.set_node(std::move(n));
  show_builds();
  grant();
}

void scheduler_shell::forget_node(const std::string& name) {
  core_.remove_node(name);
  fingerprints_.erase(name);
  show_builds();
}

void scheduler_shell::idle(worker_key worker, grant_number grant_of) {
  auto entry = reserved_.find(worker);
  if (entry == reserved_.end())
    return;
  if (entry->second.grant != grant_of && world_.breaks != rule::grants)
    return;
  reserved_.erase(entry);
  core_.release(worker);
  grant();
}

void scheduler_shell::offer(shard_offer o, workflow_shell* reply_to, bool is_first_time) {
  if (watched_.insert(reply_to).second)
    watch(*reply_to, [this, reply_to] { forget(reply_to); });
  auto anywhere = o;
  anywhere.fingerprint.clear(); // a lost build is the run's business: it encodes anew
  if (is_first_time)
    if (auto reasons = core_.why_never(anywhere); !reasons.empty())
      return reply_to->post([reply_to, index = o.id.index, reasons] {
        reply_to->work_refused(index, reasons);
      });
  waiting_[o.id] = reply_to;
  sizes_[o.id] = size_of(o);
  core_.offer(std::move(o));
  grant();
}

void scheduler_shell::withdraw(shard_id shard) {
  waiting_.erase(shard);
  core_.withdraw(shard);
}

} // namespace framemill::sim
