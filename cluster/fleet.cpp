#include "cluster/fleet.hpp"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <tuple>

namespace framemill {

namespace {

constexpr auto unlimited = std::numeric_limits<std::int64_t>::max();

std::int64_t amount(std::int64_t given) {
  return given == 0 ? unlimited : given;
}

std::int64_t left(std::int64_t amount, std::int64_t reserved) {
  return amount == unlimited ? unlimited : amount - reserved;
}

std::int64_t value_of(const std::map<std::string, std::int64_t>& all, const std::string& key) {
  auto entry = all.find(key);
  return entry == all.end() ? 0 : entry->second;
}

void add(fleet_node& n, const reservation& r, std::int64_t sign) {
  n.reserved.memory_bytes += sign * r.size.memory_bytes;
  n.reserved.scratch_bytes += sign * r.size.scratch_bytes;
  n.reserved.cores += sign * r.size.cores;
  if (r.size.sessions > 0)
    n.sessions_reserved[r.device] += sign * r.size.sessions;
}

template <class T>
bool contains(const std::vector<T>& all, const T& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

fleet_node::spot member_spot(fleet_node& n) {
  return {amount(n.facts.memory_bytes), 0, &n};
}

} // namespace

scheduler_node offered_by(std::string name, const node_facts& facts) {
  scheduler_node n;
  n.name = std::move(name);
  n.told = !facts.version.empty();
  n.cores = facts.cores;
  n.memory_bytes = facts.memory_bytes;
  n.scratch_bytes = facts.scratch_bytes;
  if (facts.scratch_total_bytes > 0) {
    n.scratch_bytes =
        std::max<std::int64_t>(facts.scratch_total_bytes - facts.scratch_floor_bytes, 1);
    n.scratch_left = facts.scratch_bytes - facts.scratch_floor_bytes;
  }
  n.fingerprint = facts.fingerprint;
  for (const auto& device : facts.devices) {
    auto sessions = facts.device_sessions.find(device);
    n.devices[device] = sessions == facts.device_sessions.end() ? 1 : sessions->second;
  }
  for (const auto& b : facts.buckets)
    n.buckets.push_back(b.name);
  return n;
}

bool is_scratch_news(std::int64_t told, std::int64_t now) {
  constexpr std::int64_t much = 64 << 20;
  return (told > 0) != (now > 0) || std::abs(told - now) > std::max(much, told / 16);
}

bool room::holds(const room& r) const {
  return memory_bytes >= r.memory_bytes && cores >= r.cores && sessions >= r.sessions
         && (r.scratch_bytes == 0 || scratch_bytes >= r.scratch_bytes);
}

bool fleet_node::spot::operator<(const spot& o) const {
  return std::tie(o.memory_bytes, busy, node->facts.name)
         < std::tie(memory_bytes, o.busy, o.node->facts.name);
}

bool fleet_node::is_at_scratch_floor() const {
  return facts.scratch_left && *facts.scratch_left <= 0;
}

room fleet_node::total(const std::string& device) const {
  return {amount(facts.memory_bytes), amount(facts.scratch_bytes), amount(facts.cores),
          device.empty() ? unlimited : value_of(facts.devices, device)};
}

room fleet_node::free(const std::string& device) const {
  auto out = total(device);
  out.memory_bytes = left(out.memory_bytes, reserved.memory_bytes);
  // What runs has written some of what it reserved: counted twice, so that what
  // is left is never too much.
  out.scratch_bytes = left(std::min(out.scratch_bytes, facts.scratch_left.value_or(unlimited)),
                           reserved.scratch_bytes);
  out.cores = left(out.cores, reserved.cores);
  out.sessions = left(out.sessions, value_of(sessions_reserved, device));
  return out;
}

bool fleet_node::is_in(const node_group& g) const {
  return std::find(groups.begin(), groups.end(), &g) != groups.end();
}

bool node_group::has_room(const room& r, const std::vector<std::string>& but) const {
  for (const auto& m : members) {
    if (m.memory_bytes < r.memory_bytes)
      return false; // those that follow have less
    if (m.node->total(must.device).holds(r) && !contains(but, m.node->facts.name))
      return true;
  }
  return false;
}

bool node_group::has_others(const std::vector<std::string>& but) const {
  return std::any_of(members.begin(), members.end(),
                     [&](const auto& m) { return !contains(but, m.node->facts.name); });
}

std::vector<hindrance> lacking(const scheduler_node& n, const requirement& must) {
  std::vector<hindrance> out;
  if (!must.fingerprint.empty() && n.fingerprint != must.fingerprint)
    out.push_back(hindrance::other_fingerprint);
  if (!must.device.empty() && !n.devices.contains(must.device))
    out.push_back(hindrance::no_device);
  if (!must.bucket.empty() && !contains(n.buckets, must.bucket))
    out.push_back(hindrance::no_mount);
  if (!std::includes(n.labels.begin(), n.labels.end(), must.labels.begin(), must.labels.end()))
    out.push_back(hindrance::no_label);
  if (!n.takes_work)
    out.push_back(hindrance::takes_no_work);
  return out;
}

// ---- Nodes and slots -----------------------------------------------------------------

void fleet::set_node(scheduler_node facts) {
  auto& n = nodes_[facts.name];
  leave_groups(n);
  n.facts = std::move(facts);
  n.told = n.facts.told;
  enter_groups(n);
}

fleet_node* fleet::set_scratch_left(const std::string& name, std::int64_t bytes) {
  auto* n = find(name);
  if (n)
    n->facts.scratch_left = bytes;
  return n;
}

void fleet::remove_node(const std::string& name) {
  auto entry = nodes_.find(name);
  if (entry == nodes_.end())
    return;
  leave_groups(entry->second);
  for (auto w : entry->second.slots) {
    slots_.erase(w);
    busy_.erase(w);
  }
  nodes_.erase(entry);
}

void fleet::add_slot(const worker_slot& w, const std::optional<reservation>& use) {
  remove_slot(w.key);
  auto [entry, is_new] = nodes_.try_emplace(w.node);
  auto& n = entry->second;
  if (is_new) {
    n.facts.name = w.node;
    n.facts.takes_work = false;
    n.facts.why_not = "has not told yet what it has";
  }
  leave_groups(n);
  n.slots.insert(w.key);
  n.idle.insert(w.key);
  slots_[w.key] = &n;
  enter_groups(n);
  if (!use)
    return;
  occupy(n, w.key, *use);
}

std::string fleet::remove_slot(worker_key w) {
  release(w);
  auto entry = slots_.extract(w);
  if (entry.empty())
    return {};
  auto& n = *entry.mapped();
  auto name = n.facts.name;
  leave_groups(n);
  n.slots.erase(w);
  n.idle.erase(w);
  enter_groups(n);
  if (n.slots.empty() && !n.told)
    nodes_.erase(name);
  return name;
}

worker_key fleet::reserve(fleet_node& n, const reservation& r) {
  auto w = *n.idle.begin();
  occupy(n, w, r);
  return w;
}

void fleet::occupy(fleet_node& n, worker_key w, const reservation& r) {
  n.idle.erase(w);
  add(n, r, 1);
  busy_[w] = r;
  refile(n);
}

fleet_node* fleet::release(worker_key w) {
  auto use = busy_.extract(w);
  if (use.empty())
    return nullptr;
  auto& n = *slots_.at(w);
  add(n, use.mapped(), -1);
  n.idle.insert(w);
  refile(n);
  return &n;
}

void fleet::keep_free(fleet_node& n, bool kept) {
  n.kept_free = kept;
  refile(n);
}

fleet_node* fleet::find(const std::string& name) {
  auto entry = nodes_.find(name);
  return entry == nodes_.end() ? nullptr : &entry->second;
}

// ---- Groups --------------------------------------------------------------------------

node_group& fleet::join(const requirement& must) {
  auto [entry, is_new] = groups_.try_emplace(must);
  auto& g = entry->second;
  ++g.users;
  if (!is_new)
    return g;
  g.must = must;
  for (auto& [name, n] : nodes_)
    enter(n, g);
  return g;
}

void fleet::leave(node_group& g) {
  if (--g.users > 0 || groups_.size() <= groups_kept_max)
    return;
  for (const auto& m : g.members)
    std::erase(m.node->groups, &g);
  groups_.erase(requirement{g.must});
}

void fleet::enter(fleet_node& n, node_group& g) {
  if (n.slots.empty() || !lacking(n.facts, g.must).empty())
    return;
  g.members.insert(member_spot(n));
  n.groups.push_back(&g);
  if (n.offered)
    g.idle.insert(*n.offered);
}

void fleet::enter_groups(fleet_node& n) {
  for (auto& [must, g] : groups_)
    enter(n, g);
  refile(n);
}

void fleet::leave_groups(fleet_node& n) {
  for (auto* g : n.groups) {
    g->members.erase(member_spot(n));
    if (n.offered)
      g->idle.erase(*n.offered);
  }
  n.groups.clear();
  n.offered.reset();
}

/// Its place in each group's `idle` follows what is free there now. An idle slot
/// without a core is of no use to anybody.
void fleet::refile(fleet_node& n) {
  if (n.offered)
    for (auto* g : n.groups)
      g->idle.erase(*n.offered);
  n.offered.reset();
  auto free = n.free({});
  if (n.idle.empty() || n.kept_free || free.cores < 1)
    return;
  n.offered = {free.memory_bytes, n.busy(), &n};
  for (auto* g : n.groups)
    g->idle.insert(*n.offered);
}

} // namespace framemill
