// What the SCHEDULER answers to "why does it wait?", from the predicates by
// which it decides.
#include "cluster/scheduler.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <queue>
#include <tuple>

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
    case hindrance::takes_no_work:
      return "takes no work" + (n.facts.why_not.empty() ? "" : ": " + n.facts.why_not);
    case hindrance::failed_there: return "failed there before";
    case hindrance::no_slots: return "no slot has joined";
    case hindrance::slots_busy:
      return n.slots.size() == 1 ? "its slot is busy"
                                 : fmt::format("all {} slots are busy", n.slots.size());
    case hindrance::memory_reserved:
      return fmt::format("needs {}, {} free", mib(w.size.memory_bytes),
                         mib(n.free().memory_bytes));
    case hindrance::scratch_reserved:
      return fmt::format("needs {} of scratch, {} free", mib(w.size.scratch_bytes),
                         mib(n.free().scratch_bytes));
    case hindrance::not_alone: return "larger than any node: waits until nothing runs there";
    case hindrance::kept_free: return "kept free for a shard that was passed by";
  }
  return {};
}

/// Of several nodes, whose figures differ.
std::string common_sentence(hindrance h, const wanted& w) {
  switch (h) {
    case hindrance::no_label: return fmt::format("no label {}", label_missing(nullptr, w.must));
    case hindrance::too_little_memory:
      return fmt::format("needs {}, they have less", mib(w.size.memory_bytes));
    case hindrance::too_little_scratch:
      return fmt::format("needs {} of scratch, they have less", mib(w.size.scratch_bytes));
    case hindrance::takes_no_work: return "take no work";
    case hindrance::slots_busy: return "all slots are busy";
    case hindrance::memory_reserved:
      return fmt::format("needs {}, less is free", mib(w.size.memory_bytes));
    case hindrance::scratch_reserved:
      return fmt::format("needs {} of scratch, less is free", mib(w.size.scratch_bytes));
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

} // namespace

/// Empty: by `pick_node`, the shard may begin there if it is the first of its
/// queue.
std::vector<hindrance> scheduler::hindrances(const waiting& w, const fleet_node& n) {
  const auto& q = *w.in->of;
  auto t = terms_of(q.need, w);
  auto out = lacking(n.facts, q.need.able->must);
  if (!may_use(q.need, n, t))
    out.push_back(hindrance::failed_there);
  if (n.slots.empty())
    out.push_back(hindrance::no_slots);
  else if (n.idle.empty())
    out.push_back(hindrance::slots_busy);
  if (!fits(w, n, t)) {
    auto total = n.total(), free = n.free();
    if (t.alone)
      out.push_back(hindrance::not_alone);
    else if (free.memory_bytes < w.size.memory_bytes)
      out.push_back(total.memory_bytes < w.size.memory_bytes ? hindrance::too_little_memory
                                                              : hindrance::memory_reserved);
    if (!t.alone && free.scratch_bytes < w.size.scratch_bytes)
      out.push_back(total.scratch_bytes < w.size.scratch_bytes ? hindrance::too_little_scratch
                                                               : hindrance::scratch_reserved);
  }
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
  requirement must{o.fingerprint, o.device, {}, o.labels};
  room size{o.memory_bytes, o.scratch_bytes};
  by_hindrance by;
  for (const auto& [name, n] : fleet_.nodes()) {
    auto why_not = lacking(n.facts, must);
    std::erase(why_not, hindrance::takes_no_work);
    if (n.total().memory_bytes < size.memory_bytes)
      why_not.push_back(hindrance::too_little_memory);
    if (n.total().scratch_bytes < size.scratch_bytes)
      why_not.push_back(hindrance::too_little_scratch);
    if (why_not.empty() || !n.told)
      return {};
    by[why_not.front()].push_back(&n);
  }
  return summary(by, {must, size});
}

/// What goes before it if there were one slot that could take all: by bands,
/// and in a band each workflow's shards when its share has come to them.
std::vector<const scheduler::waiting*> scheduler::ahead_of(offers::const_iterator me) const {
  auto group = [](const waiting& w) { return std::pair{w.band, w.after_serial}; };
  std::map<std::uint64_t, std::vector<offers::const_iterator>> by_workflow;
  for (auto at = offers_.begin(); at != offers_.end(); ++at)
    if (group(at->second) <= group(me->second))
      by_workflow[at->second.in->workflow].push_back(at);
  std::vector<std::pair<rank, const waiting*>> turns;
  for (auto& [workflow, theirs] : by_workflow) {
    auto used = shares_.at(workflow).used;
    std::sort(theirs.begin(), theirs.end(), [](auto a, auto b) {
      return std::tie(a->second.band, a->second.after_serial, a->second.since_us, a->first)
             < std::tie(b->second.band, b->second.after_serial, b->second.since_us, b->first);
    });
    for (auto at : theirs) {
      const auto& w = at->second;
      turns.push_back({{w.band, w.after_serial, used, w.since_us, at->first}, &w});
      used += w.charge;
    }
  }
  std::sort(turns.begin(), turns.end());
  std::vector<const waiting*> out;
  for (const auto& [turn, w] : turns) {
    if (w == &me->second)
      break;
    out.push_back(w);
  }
  return out;
}

/// Gives what runs and what is ahead to its nodes' slots, each to the one that
/// is free first. What may go elsewhere too counts in part.
std::optional<timestamp>
scheduler::expected_start(const waiting& w, const std::vector<const waiting*>& ahead,
                          timestamp now) const {
  std::set<const fleet_node*> mine;
  std::priority_queue<double, std::vector<double>, std::greater<>> free_at;
  for (const auto& member : w.in->of->need.able->members) {
    mine.insert(member.node);
    for (auto slot : member.node->slots) {
      auto use = fleet_.reservations().find(slot);
      free_at.push(use == fleet_.reservations().end()
                       ? 0
                       : std::max(0.0, use->second.cost
                                           - static_cast<double>((now - use->second.since).count())
                                                 / 1e6));
    }
  }
  if (free_at.empty())
    return std::nullopt;
  std::map<const node_group*, double> part_of;
  auto part = [&](const node_group& g) {
    auto [entry, is_new] = part_of.try_emplace(&g, 0);
    double here = 0, all = 0;
    for (auto m = g.members.begin(); is_new && m != g.members.end(); ++m) {
      all += static_cast<double>(m->node->slots.size());
      here += mine.contains(m->node) ? static_cast<double>(m->node->slots.size()) : 0;
    }
    if (all > 0)
      entry->second = here / all;
    return entry->second;
  };
  for (const auto* other : ahead) {
    auto first = free_at.top();
    free_at.pop();
    free_at.push(first + other->cost * part(*other->in->of->need.able));
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
  for (const auto& [name, n] : fleet_.nodes()) {
    auto& verdict = out.nodes.emplace_back(node_objections{name, {}});
    for (auto h : hindrances(w, n))
      verdict.why_not.push_back(sentence(h, n, {w.in->of->need.able->must, w.size}));
  }
  out.expected_start = expected_start(w, ahead, now);
  return out;
}

} // namespace framemill
