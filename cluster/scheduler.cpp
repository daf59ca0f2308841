#include "cluster/scheduler.hpp"

#include <algorithm>
#include <bit>
#include <tuple>

namespace framemill {

namespace {

/// Like sizes have one level: an octave, or a quarter of one.
int octave_of(std::int64_t bytes) {
  return static_cast<int>(std::bit_width(static_cast<std::uint64_t>(bytes)));
}

int quarter_octave_of(std::int64_t bytes) {
  auto octave = octave_of(bytes);
  return octave < 3 ? static_cast<int>(bytes)
                    : 4 * octave + static_cast<int>(bytes >> (octave - 3) & 3);
}

/// Which of a few queues those stand in that avoid these nodes; 0 = none is
/// avoided. (Had each list a queue of its own, failures would make them many.)
std::uint32_t avoid_lane_of(const std::vector<std::string>& avoid) {
  constexpr std::uint32_t lanes = 8;
  std::uint32_t hash = 2166136261; // FNV-1a
  for (const auto& name : avoid)
    for (unsigned char c : name)
      hash = (hash ^ c) * 16777619;
  return avoid.empty() ? 0 : 1 + hash % lanes;
}

std::vector<std::string> sorted(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

} // namespace

room size_of(const shard_offer& o) {
  auto amount = [](std::int64_t given) { return std::max<std::int64_t>(given, 0); };
  return {amount(o.memory_bytes), amount(o.scratch_bytes), std::max<std::int64_t>(o.cores, 1),
          o.device.empty() ? 0 : amount(o.sessions)};
}

// ---- Nodes and workers -----------------------------------------------------------------

void scheduler::set_node(scheduler_node n) {
  auto name = n.name;
  fleet_.set_node(std::move(n));
  drop_void_claim(name);
  note_change();
}

void scheduler::remove_node(const std::string& name) {
  if (auto entry = claims_.find(fleet_.find(name)); entry != claims_.end())
    drop_claim(*entry->second);
  fleet_.remove_node(name);
  note_change();
}

void scheduler::set_scratch_left(const std::string& node, std::int64_t bytes) {
  auto* n = fleet_.find(node);
  auto had = n ? n->facts.scratch_left : std::nullopt;
  if (n && (n = fleet_.set_scratch_left(node, bytes)) && had && bytes > *had)
    note_room(*n);
}

void scheduler::add_worker(const worker_slot& w, const std::optional<reservation>& use) {
  remove_worker(w.key);
  fleet_.add_slot(w, use);
  note_change();
}

void scheduler::remove_worker(worker_key w) {
  drop_void_claim(fleet_.remove_slot(w));
  note_change();
}

void scheduler::release(worker_key w) {
  if (auto* n = fleet_.release(w))
    note_room(*n);
}

bool scheduler::has_node(const std::string& name) const {
  return fleet_.nodes().contains(name);
}

std::size_t scheduler::idle_workers() const {
  std::size_t sum = 0;
  for (const auto& spot : fleet_.everybody().idle)
    sum += spot.node->idle.size();
  return sum;
}

std::int64_t scheduler::cores_of_widest() const {
  std::int64_t most = 0;
  for (const auto& [name, n] : fleet_.nodes())
    if (!n.slots.empty())
      most = std::max(most, n.total({}).cores);
  return most;
}

bool scheduler::has_idle_elsewhere(const std::vector<std::string>& nodes) const {
  const auto& idle = fleet_.everybody().idle;
  return std::any_of(idle.begin(), idle.end(), [&](const auto& spot) {
    return std::find(nodes.begin(), nodes.end(), spot.node->facts.name) == nodes.end();
  });
}

// ---- Offers ----------------------------------------------------------------------------

bool scheduler::by_place::operator()(offers::iterator a, offers::iterator b) const {
  auto place = [](const offers::value_type& o) {
    return std::tie(o.second.band, o.second.after_serial, o.second.since_us, o.first);
  };
  return place(*a) < place(*b);
}

/// `w` has its size and what it avoids.
scheduler::line& scheduler::line_of(const shard_offer& o, const waiting& w) {
  needs need{&fleet_.join({o.fingerprint, o.device, {}, o.labels}),
             quarter_octave_of(w.size.memory_bytes),
             octave_of(w.size.scratch_bytes),
             w.size.cores,
             w.size.sessions,
             avoid_lane_of(w.avoid)};
  auto [entry, is_new] = queues_.try_emplace(need);
  auto& q = entry->second;
  q.need = need;
  if (is_new)
    ++fresh_;
  else
    fleet_.leave(*need.able); // it is in the group already
  auto& l = q.lines[o.workflow];
  l.of = &q;
  l.workflow = o.workflow;
  l.account = &shares_[o.workflow];
  return l;
}

/// Required are the labels of both, where the node must be liked.
void scheduler::join_better(waiting& w, const shard_offer& o) {
  auto liked = o.labels;
  liked.insert(o.preferred_labels.begin(), o.preferred_labels.end());
  if (!o.preferred_labels.empty())
    w.liked = &fleet_.join({o.fingerprint, o.device, {}, liked});
  if (!o.bucket.empty())
    w.near = &fleet_.join({o.fingerprint, o.device, o.bucket, o.labels});
  if (w.liked && w.near)
    w.liked_near = &fleet_.join({o.fingerprint, o.device, o.bucket, std::move(liked)});
}

void scheduler::offer(shard_offer o) {
  withdraw(o.id);
  join_in(o.workflow);
  waiting w;
  w.band = o.since.us / options_.ageing_step.count() - o.priority;
  w.since_us = o.since.us;
  w.size = size_of(o);
  w.cost = o.cost > 0 ? o.cost : 0;
  w.charge = w.cost / (o.weight > 0 ? o.weight : 1);
  w.after_serial = !o.first;
  join_better(w, o);
  w.near_node = std::move(o.near_node);
  w.avoid = sorted(std::move(o.avoid_nodes));
  w.in = &line_of(o, w);
  auto at = offers_.emplace(o.id, std::move(w)).first;
  auto& l = *at->second.in;
  l.places.insert(at);
  if (*l.places.begin() == at)
    list(l);
}

bool scheduler::withdraw(shard_id id) {
  auto at = offers_.find(id);
  if (at == offers_.end())
    return false;
  remove(at);
  return true;
}

void scheduler::withdraw_run(run_id run) {
  for (auto at = offers_.lower_bound({run, 0}); at != offers_.end() && at->first.run == run;)
    remove(at++);
}

void scheduler::remove(offers::iterator at) {
  auto& l = *at->second.in;
  auto was_first = *l.places.begin() == at;
  if (was_first)
    l.places.erase(l.places.begin());
  else
    l.places.erase(at);
  leave(l.workflow);
  for (auto* better : {at->second.liked_near, at->second.liked, at->second.near})
    if (better)
      fleet_.leave(*better);
  offers_.erase(at);
  if (l.places.empty())
    drop(l);
  else if (was_first)
    list(l);
}

void scheduler::drop(line& l) {
  auto& q = *l.of;
  q.order.erase({*l.listed, &l});
  q.lines.erase(std::uint64_t{l.workflow});
  if (q.lines.empty())
    drop(q);
  else
    list(q);
}

void scheduler::drop(queue& q) {
  drop_claim(q);
  front_.erase({*q.listed, &q});
  set_stuck(q, true); // and not counted
  auto* able = q.need.able;
  queues_.erase(needs{q.need});
  fleet_.leave(*able);
}

// ---- Ranks -----------------------------------------------------------------------------

scheduler::offers::iterator scheduler::first_of(const queue& q) {
  return *q.order.begin()->second->places.begin();
}

scheduler::rank scheduler::rank_of(const line& l) {
  const auto& [id, w] = **l.places.begin();
  return {w.band, w.after_serial, l.account->used, w.since_us, id};
}

void scheduler::list(line& l) {
  auto& q = *l.of;
  if (l.listed)
    q.order.erase({*l.listed, &l});
  l.listed = rank_of(l);
  q.order.emplace(*l.listed, &l);
  list(q);
}

bool scheduler::list(queue& q) {
  const auto& best = q.order.begin()->first;
  if (q.listed == best)
    return false;
  if (q.listed)
    front_.erase({*q.listed, &q});
  if (q.listed && q.listed->id != best.id)
    set_stuck(q, false); // another is its first
  q.listed = best;
  front_.emplace(best, &q);
  return true;
}

/// Makes the listed rank of a queue that has come to the front the true one.
bool scheduler::settle(queue& q) {
  for (auto* l = q.order.begin()->second; *l->listed != rank_of(*l);
       l = q.order.begin()->second) {
    q.order.erase(q.order.begin());
    l->listed = rank_of(*l);
    q.order.emplace(*l->listed, l);
  }
  return list(q);
}

// ---- Shares ----------------------------------------------------------------------------

/// A workflow that comes back from idleness must not spend what it "saved".
void scheduler::join_in(std::uint64_t workflow) {
  auto& s = shares_[workflow];
  if (s.waiting++ > 0)
    return;
  s.used = std::max(s.used, levels_.empty() ? level_ : levels_.begin()->first);
  levels_.emplace(s.used, workflow);
}

void scheduler::leave(std::uint64_t workflow) {
  auto& s = shares_.at(workflow);
  if (--s.waiting == 0)
    levels_.erase({s.used, workflow});
}

/// Of one that waits.
void scheduler::charge(std::uint64_t workflow, double cost) {
  auto& s = shares_.at(workflow);
  levels_.erase({s.used, workflow});
  level_ = s.used;
  s.used += cost;
  levels_.emplace(s.used, workflow);
}

// ---- Where a shard may go ----------------------------------------------------------------

const std::string& scheduler::device_of(const waiting& w) {
  return w.in->of->need.able->must.device;
}

scheduler::terms scheduler::terms_of(const waiting& w) {
  const auto& able = *w.in->of->need.able;
  if (able.has_room(w.size, w.avoid))
    return {};
  if (able.has_room(w.size, {}))
    return {.elsewhere = false};
  return {.elsewhere = able.has_others(w.avoid), .alone = true};
}

bool scheduler::may_use(const waiting& w, const fleet_node& n, terms t) {
  return !t.elsewhere || !std::binary_search(w.avoid.begin(), w.avoid.end(), n.facts.name);
}

bool scheduler::fits(const waiting& w, const fleet_node& n, terms t) {
  if (!t.alone)
    return n.free(device_of(w)).holds(w.size);
  return n.busy() == 0 && (w.size.scratch_bytes == 0 || !n.is_at_scratch_floor());
}

/// If nothing ran there.
bool scheduler::could_fit(const waiting& w, const fleet_node& n, terms t) {
  return may_use(w, n, t) && (t.alone || n.total(device_of(w)).holds(w.size));
}

fleet_node* scheduler::first_fit(const node_group& g, const waiting& w, terms t) {
  for (const auto& spot : g.idle) {
    if (!t.alone && spot.memory_bytes < w.size.memory_bytes)
      return nullptr; // those that follow have less
    if (may_use(w, *spot.node, t) && fits(w, *spot.node, t))
      return spot.node;
  }
  return nullptr;
}

fleet_node* scheduler::near_fit(const waiting& w, terms t) {
  auto* n = w.near_node.empty() ? nullptr : fleet_.find(w.near_node);
  auto can = n && n->offered && n->is_in(*w.in->of->need.able) && may_use(w, *n, t)
             && fits(w, *n, t);
  return can ? n : nullptr;
}

/// For the first of the queue. Null: none can take it now.
fleet_node* scheduler::pick_node(const queue& q) {
  const auto& w = first_of(q)->second;
  auto t = terms_of(w);
  if (q.claim && !q.claim->idle.empty() && may_use(w, *q.claim, t) && fits(w, *q.claim, t))
    return q.claim;
  if (auto* n = near_fit(w, t))
    return n;
  for (const auto* better : {w.liked_near, w.liked, w.near})
    if (auto* n = better ? first_fit(*better, w, t) : nullptr)
      return n;
  return first_fit(*q.need.able, w, t);
}

// ---- What has changed since the last decision ----------------------------------------------

void scheduler::set_stuck(queue& q, bool stuck) {
  fresh_ += q.is_stuck;
  fresh_ -= stuck;
  q.is_stuck = stuck;
}

/// There is more room at the node than there was.
void scheduler::note_room(fleet_node& n) {
  if (roomier_.size() < roomier_max)
    roomier_.push_back(&n);
  else
    all_changed_ = true;
}

/// Nodes came, went, or are not what they were.
void scheduler::note_change() {
  roomier_.clear();
  all_changed_ = true;
}

/// Can anything go that could not at the last decision?
bool scheduler::has_news() const {
  if (fleet_.everybody().idle.empty() && claims_.empty())
    return false;
  return fresh_ > 0 || all_changed_
         || std::any_of(roomier_.begin(), roomier_.end(),
                        [](const auto* n) { return n->offered || n->kept_free; });
}

/// False: it could not go at the last look, and nothing has changed for it.
bool scheduler::is_worth_a_look(const queue& q) const {
  if (!q.is_stuck || all_changed_)
    return true;
  const auto& w = first_of(q)->second;
  return std::any_of(roomier_.begin(), roomier_.end(), [&](const auto* n) {
    auto is_open = n == q.claim || (n->offered && n->is_in(*q.need.able));
    return is_open && (n->busy() == 0 || n->free(device_of(w)).holds(w.size));
  });
}

// ---- Deciding ------------------------------------------------------------------------------

shard_grant scheduler::reserve(queue& q, fleet_node& n, timestamp now) {
  auto at = first_of(q);
  const auto& w = at->second;
  auto worker = fleet_.reserve(n, {at->first, w.size, device_of(w), w.cost, now});
  shard_grant g{at->first, worker, n.facts.name};
  drop_claim(q);
  q.passes = 0;
  charge(w.in->workflow, w.charge);
  remove(at);
  return g;
}

/// One pass from the best queue on: what cannot go now cannot go after further
/// grants either, and no queue's rank gets better. But a node that is no longer
/// kept free is open to all.
std::vector<shard_grant> scheduler::decide(timestamp now) {
  std::vector<shard_grant> grants;
  std::vector<queue*> passed;
  auto begin_anew = [&] {
    passed.clear();
    return front_.begin();
  };
  auto at = front_.begin();
  while (at != front_.end() && has_news()) {
    ++looked_;
    auto& q = *at->second;
    std::pair<rank, queue*> here{at->first, nullptr};
    if (settle(q)) {
      at = front_.lower_bound(here);
    } else if (auto* n = is_worth_a_look(q) ? pick_node(q) : nullptr) {
      auto reopens = q.claim != nullptr;
      grants.push_back(reserve(q, *n, now));
      count_pass(passed, *n);
      at = reopens ? begin_anew() : front_.lower_bound(here);
    } else if (q.claim && q.claim->busy() == 0) {
      drop_claim(q); // it is empty, and of no use to it after all
      at = begin_anew();
    } else {
      set_stuck(q, true);
      passed.push_back(&q);
      ++at;
    }
  }
  roomier_.clear();
  all_changed_ = false;
  return grants;
}

/// A node that is wanted whole is rarely free of itself where nodes are few.
int scheduler::passes_max(const queue& q) const {
  auto nodes = std::min<std::size_t>(q.need.able->members.size(), 1000);
  return std::min(options_.passes_max, options_.passes_per_node * static_cast<int>(nodes));
}

/// Someone was granted `n`; the first that was passed by and could have used it
/// lacked only the room.
void scheduler::count_pass(const std::vector<queue*>& passed, const fleet_node& n) {
  for (auto* q : passed) {
    const auto& w = first_of(*q)->second;
    if (q->claim || !n.is_in(*q->need.able) || !could_fit(w, n, terms_of(w)))
      continue;
    if (++q->passes >= passes_max(*q))
      claim(*q);
    return;
  }
}

/// Keeps the node free that has the most room already.
void scheduler::claim(queue& q) {
  const auto& w = first_of(q)->second;
  auto t = terms_of(w);
  std::optional<fleet_node::spot> best;
  for (const auto& member : q.need.able->members) {
    auto& n = *member.node;
    fleet_node::spot spot{n.free({}).memory_bytes, n.busy(), &n};
    if (!n.kept_free && could_fit(w, n, t) && (!best || spot < *best))
      best = spot;
  }
  if (!best)
    return;
  q.claim = best->node;
  claims_[q.claim] = &q;
  fleet_.keep_free(*q.claim, true);
}

void scheduler::drop_claim(queue& q) {
  if (!q.claim)
    return;
  claims_.erase(q.claim);
  fleet_.keep_free(*q.claim, false);
  note_room(*q.claim);
  q.claim = nullptr;
}

/// The node takes no work any more, or lacks what it was kept free for.
void scheduler::drop_void_claim(const std::string& node) {
  auto* n = fleet_.find(node);
  auto entry = claims_.find(n);
  if (entry != claims_.end() && !n->is_in(*entry->second->need.able))
    drop_claim(*entry->second);
}

} // namespace framemill
