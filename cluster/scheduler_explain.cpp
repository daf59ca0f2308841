// What the SCHEDULER answers to "why does it wait?", from the predicates by
// which it decides.
#include "cluster/scheduler.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <queue>
#include <vector>

namespace framemill {

namespace {

/// What is said about: a shard's needs.
struct wanted {
  const requirement& must;
  const room& size;
};

std::string mib(std::int64_t bytes) {
  return fmt::format("{} MiB", std::max<std::int64_t>(bytes, 0) >> 20);
}

std::string label_missing(const fleet_node* n, const requirement& must) {
  for (const auto& label : must.labels)
    if (!n || !n->facts.labels.contains(label.first)
        || n->facts.labels.at(label.first) != label.second)
      return label.first + "=" + label.second;
  return {};
}

std::string cores_text(std::int64_t cores) {
  return fmt::format("{} core{}", cores, cores == 1 ? "" : "s");
}

/// What a shard asks of its node, for people.
std::string needs_text(const wanted& w) {
  std::vector<std::string> out{cores_text(w.size.cores)};
  if (w.size.memory_bytes > 0)
    out.push_back(mib(w.size.memory_bytes));
  if (w.size.scratch_bytes > 0)
    out.push_back(mib(w.size.scratch_bytes) + " of scratch");
  if (!w.must.device.empty())
    out.push_back((w.size.sessions > 0 ? "one session of " : "device ") + w.must.device);
  for (const auto& [key, value] : w.must.labels)
    out.push_back(fmt::format("label {}={}", key, value));
  if (!w.must.fingerprint.empty())
    out.push_back("the encoder build of its run");
  return fmt::format("{}", fmt::join(out, ", "));
}

/// Of one node.
std::string sentence(hindrance h, const fleet_node& n, const wanted& w) {
  switch (h) {
    case hindrance::other_fingerprint: return "another encoder fingerprint";
    case hindrance::no_device: return fmt::format("no device {}", w.must.device);
    case hindrance::no_mount: return fmt::format("bucket {} is not mounted", w.must.bucket);
    case hindrance::no_label: return "no label " + label_missing(&n, w.must);
    case hindrance::too_little_memory:
      return fmt::format("needs {}, it has {}", mib(w.size.memory_bytes),
                         mib(n.facts.memory_bytes));
    case hindrance::too_little_scratch:
      return fmt::format("needs {} of scratch, it has {}", mib(w.size.scratch_bytes),
                         mib(n.facts.scratch_bytes));
    case hindrance::too_few_cores:
      return fmt::format("needs {}, it has {}", cores_text(w.size.cores), n.facts.cores);
    case hindrance::takes_no_work:
      return "takes no work" + (n.facts.why_not.empty() ? "" : ": " + n.facts.why_not);
    case hindrance::failed_there: return "failed there before";
    case hindrance::no_slots: return "no slot has joined";
    case hindrance::slots_busy:
      return n.slots.size() == 1 ? "its slot is busy"
                                 : fmt::format("all {} slots are busy", n.slots.size());
    case hindrance::memory_reserved:
      return fmt::format("needs {}, {} free", mib(w.size.memory_bytes),
                         mib(n.free({}).memory_bytes));
    case hindrance::scratch_reserved:
      return fmt::format("needs {} of scratch, {} free", mib(w.size.scratch_bytes),
                         mib(n.free({}).scratch_bytes));
    case hindrance::scratch_floor: return "its disk is too full for any work";
    case hindrance::cores_busy:
      return fmt::format("needs {}, {} free", cores_text(w.size.cores),
                         std::max<std::int64_t>(n.free({}).cores, 0));
    case hindrance::device_busy:
      return fmt::format("all sessions of device {} are in use", w.must.device);
    case hindrance::not_alone: return "larger than any node: waits until nothing runs there";
    case hindrance::kept_free: return "kept free for a shard that was passed by";
  }
  return {};
}

std::vector<std::string> sentences(const std::vector<hindrance>& all, const fleet_node& n,
                                   const wanted& w) {
  std::vector<std::string> out;
  for (auto h : all)
    out.push_back(sentence(h, n, w));
  return out;
}

/// Of several nodes, whose figures differ.
std::string common_sentence(hindrance h, const wanted& w) {
  switch (h) {
    case hindrance::no_label: return fmt::format("no label {}", label_missing(nullptr, w.must));
    case hindrance::too_little_memory:
      return fmt::format("needs {}, they have less", mib(w.size.memory_bytes));
    case hindrance::too_little_scratch:
      return fmt::format("needs {} of scratch, they have less", mib(w.size.scratch_bytes));
    case hindrance::too_few_cores:
      return fmt::format("needs {}, they have fewer", cores_text(w.size.cores));
    case hindrance::takes_no_work: return "take no work";
    case hindrance::slots_busy: return "all slots are busy";
    case hindrance::memory_reserved:
      return fmt::format("needs {}, less is free", mib(w.size.memory_bytes));
    case hindrance::scratch_reserved:
      return fmt::format("needs {} of scratch, less is free", mib(w.size.scratch_bytes));
    case hindrance::scratch_floor: return "their disks are too full for any work";
    case hindrance::cores_busy:
      return fmt::format("needs {}, fewer are free", cores_text(w.size.cores));
    default: return sentence(h, {}, w);
  }
}

/// Those that lack least come first.
using by_hindrance = std::map<hindrance, std::vector<const fleet_node*>, std::greater<>>;

/// "12 nodes: all slots are busy", "gpu1: takes no work: draining"; each node by
/// the first thing that it lacks.
std::vector<std::string> summary(const by_hindrance& by, const wanted& w) {
  std::vector<std::string> out;
  for (const auto& [h, nodes] : by)
    out.push_back(nodes.size() == 1
                      ? fmt::format("{}: {}", nodes.front()->facts.name,
                                    sentence(h, *nodes.front(), w))
                      : fmt::format("{} nodes: {}", nodes.size(), common_sentence(h, w)));
  return out;
}

using free_times = std::priority_queue<double, std::vector<double>, std::greater<>>;

/// Until each slot of the group is free, if it takes as long as predicted.
std::vector<double> seconds_left(const node_group& g,
                                 const std::map<worker_key, reservation>& reservations,
                                 timestamp now) {
  std::vector<double> out;
  for (const auto& member : g.members)
    for (auto slot : member.node->slots) {
      auto use = reservations.find(slot);
      auto worked = [&] { return static_cast<double>((now - use->second.since).count()) / 1e6; };
      out.push_back(use == reservations.end() ? 0 : std::max(0.0, use->second.cost - worked()));
    }
  return out;
}

/// How much of a group's slots are in another group too, 0..1.
double part_inside(const node_group& g, const node_group& other) {
  double inside = 0, all = 0;
  for (const auto& member : g.members) {
    auto slots = static_cast<double>(member.node->slots.size());
    all += slots;
    inside += member.node->is_in(other) ? slots : 0;
  }
  return all > 0 ? inside / all : 0;
}

} // namespace

namespace {

/// What is too little at a node, in all or now.
void add_shortages(std::vector<hindrance>& out, const room& size, const room& total,
                   const room& free, bool at_scratch_floor) {
  auto judge = [&](std::int64_t room::*what, hindrance for_good, hindrance for_now) {
    if (free.*what < size.*what)
      out.push_back(total.*what < size.*what ? for_good : for_now);
  };
  judge(&room::memory_bytes, hindrance::too_little_memory, hindrance::memory_reserved);
  if (size.scratch_bytes > 0)
    judge(&room::scratch_bytes, hindrance::too_little_scratch,
          at_scratch_floor ? hindrance::scratch_floor : hindrance::scratch_reserved);
  judge(&room::cores, hindrance::too_few_cores, hindrance::cores_busy);
  if (total.sessions >= size.sessions && free.sessions < size.sessions)
    out.push_back(hindrance::device_busy);
}

} // namespace

/// Empty: by `pick_node`, the shard may begin there if it is the first of its
/// queue.
std::vector<hindrance> scheduler::hindrances(const waiting& w, const fleet_node& n) {
  const auto& q = *w.in->of;
  auto t = terms_of(w);
  auto out = lacking(n.facts, q.need.able->must);
  if (!may_use(w, n, t))
    out.push_back(hindrance::failed_there);
  if (n.slots.empty())
    out.push_back(hindrance::no_slots);
  else if (n.idle.empty())
    out.push_back(hindrance::slots_busy);
  if (!t.alone)
    add_shortages(out, w.size, n.total(device_of(w)), n.free(device_of(w)),
                  n.is_at_scratch_floor());
  else if (!fits(w, n, t))
    out.push_back(n.busy() > 0 ? hindrance::not_alone : hindrance::scratch_floor);
  if (n.kept_free && q.claim != &n)
    out.push_back(hindrance::kept_free);
  return out;
}

std::string scheduler::why_waiting(shard_id id) const {
  auto at = offers_.find(id);
  if (at == offers_.end())
    return {};
  if (fleet_.slots() == 0)
    return "no worker has joined";
  const auto& w = at->second;
  by_hindrance by;
  for (const auto& [name, n] : fleet_.nodes()) {
    auto why_not = hindrances(w, n);
    if (why_not.empty())
      return "others go first";
    by[why_not.front()].push_back(&n);
  }
  auto reasons = summary(by, {w.in->of->need.able->must, w.size});
  return fmt::format("{}", fmt::join(reasons, "; "));
}

std::vector<std::string> scheduler::why_never(const shard_offer& o) const {
  constexpr std::size_t nodes_named_max = 8;
  requirement must{o.fingerprint, o.device, {}, o.labels};
  const room size{o.memory_bytes, o.scratch_bytes, 0, o.sessions};
  std::vector<std::string> of_each;
  by_hindrance by;
  for (const auto& [name, n] : fleet_.nodes()) {
    auto why_not = lacking(n.facts, must);
    std::erase(why_not, hindrance::takes_no_work);
    auto total = n.total(o.device);
    add_shortages(why_not, size, total, total, false);
    if (why_not.empty() || !n.told)
      return {};
    by[why_not.front()].push_back(&n);
    if (of_each.size() < nodes_named_max)
      of_each.push_back(fmt::format("{}: {}", name,
                                    fmt::join(sentences(why_not, n, {must, size}), ", ")));
  }
  return of_each.size() == fleet_.nodes().size() ? of_each : summary(by, {must, size});
}

/// What goes before it if there were one slot that could take all: as `decide`
/// goes on, each workflow charged for what goes. At most `explain_ahead_max`.
std::vector<const scheduler::waiting*> scheduler::ahead_of(offers::const_iterator me) const {
  struct cursor {
    rank at; // may flatter, as in `settle`
    const line* of;
    decltype(line::places)::const_iterator next;
    bool operator>(const cursor& o) const { return at > o.at; }
  };
  std::priority_queue<cursor, std::vector<cursor>, std::greater<>> cursors;
  auto shares = shares_;
  auto push = [&](const line& l, decltype(cursor::next) next) {
    if (next == l.places.end())
      return;
    const auto& [id, w] = **next;
    auto used = shares.at(l.workflow).used;
    cursors.push({{w.band, w.after_serial, used, w.since_us, id}, &l, next});
  };
  for (const auto& [need, q] : queues_)
    for (const auto& [workflow, l] : q.lines)
      push(l, l.places.begin());
  std::vector<const waiting*> out;
  while (out.size() < explain_ahead_max) {
    auto best = cursors.top();
    cursors.pop();
    auto& used = shares.at(best.of->workflow).used;
    if (best.at.used == used && *best.next == me)
      break;
    if (best.at.used == used) {
      out.push_back(&(*best.next)->second);
      used += out.back()->charge;
      ++best.next;
    }
    push(*best.of, best.next);
  }
  return out;
}

/// Gives what runs and what is ahead to its nodes' slots, each to the one that
/// is free first. What may go elsewhere too counts in part.
std::optional<timestamp>
scheduler::expected_start(const waiting& w, const std::vector<const waiting*>& ahead,
                          timestamp now) const {
  const auto& able = *w.in->of->need.able;
  free_times free_at{std::greater<>{}, seconds_left(able, fleet_.reservations(), now)};
  if (free_at.empty())
    return std::nullopt;
  std::map<const node_group*, double> parts;
  for (const auto* other : ahead) {
    const auto* theirs = other->in->of->need.able;
    auto [part, is_new] = parts.try_emplace(theirs, 0);
    if (is_new)
      part->second = part_inside(*theirs, able);
    auto first = free_at.top();
    free_at.pop();
    free_at.push(first + other->cost * part->second);
  }
  return now + microseconds{static_cast<std::int64_t>(free_at.top() * 1e6)};
}

std::optional<queue_explanation> scheduler::explain(shard_id id, timestamp now) const {
  auto at = offers_.find(id);
  if (at == offers_.end())
    return std::nullopt;
  const auto& w = at->second;
  auto ahead = ahead_of(at);
  queue_explanation out;
  out.position = ahead.size() + 1;
  out.waiting = offers_.size();
  out.why = why_waiting(id);
  const wanted need{w.in->of->need.able->must, w.size};
  out.needs = needs_text(need);
  for (const auto& [name, n] : fleet_.nodes()) {
    auto is_preferred = w.liked && n.is_in(*w.liked);
    out.nodes.push_back({name, sentences(hindrances(w, n), n, need), is_preferred});
  }
  if (ahead.size() < explain_ahead_max)
    out.expected_start = expected_start(w, ahead, now);
  return out;
}

} // namespace framemill
