#include "cluster/blame.hpp"

#include <algorithm>
#include <utility>

namespace framemill {

bool may_blame_input(errc code) noexcept {
  switch (code) {
    case errc::worker_crashed:
    case errc::worker_hung:
    case errc::no_memory:
    case errc::contract_broken:
    case errc::internal: return true;
    default: return false;
  }
}

bool may_blame_node(errc code) noexcept {
  return may_blame_input(code) || code == errc::io_failed || code == errc::corrupt;
}

namespace {

std::string sentence_of(const strike& s) {
  return fmt::format("shard {} of run {}, attempt {} on {}: {} ({})", s.shard.index,
                     s.shard.run.value, s.epoch, s.node, s.failure.message,
                     to_string(s.failure.code));
}

/// Too little memory was foreseen for the shard: it is given more next time.
bool is_first_hunger(const std::vector<strike>& all, const strike& s) {
  return s.failure.code == errc::no_memory
         && std::none_of(all.begin(), all.end(), [&](const strike& other) {
              return other.shard == s.shard && other.node != s.node
                     && other.failure.code == errc::no_memory;
            });
}

} // namespace

blame_matrix::blame_matrix(timestamp now, std::vector<input_blame> inputs,
                           std::vector<node_blame> nodes, options o)
    : options_(o) {
  for (auto& b : inputs)
    inputs_[key_of(b.input)] = std::move(b.strikes);
  for (auto& b : nodes) {
    auto& account = nodes_[b.node];
    for (const auto& c : b.counts)
      account.counts[key_of(c.input)] = c.when;
    account.successes = b.successes;
    account.doubted = b.doubted;
    account.cordons = std::move(b.cordons);
  }
  forget_old(now);
}

blame_matrix::verdicts blame_matrix::ended(timestamp now, const attempt_report& r) {
  return r.failure ? failed(now, r) : succeeded(now, r);
}

blame_matrix::verdicts blame_matrix::failed(timestamp now, const attempt_report& r) {
  forget_old(now);
  if (!may_blame_node(r.failure->code) || is_excused(now, r.node))
    return {};
  add_strike(now, r);
  return may_blame_input(r.failure->code) ? judge_input(r.input) : verdicts{};
}

/// One strike per shard and node: an attempt told twice is one, and so is a
/// shard that failed there again.
void blame_matrix::add_strike(timestamp now, const attempt_report& r) {
  auto& all = inputs_[key_of(r.input)];
  std::erase_if(all, [&](const strike& s) { return s.node == r.node && s.shard == r.shard; });
  if (all.size() >= options_.strikes_per_input_max)
    all.erase(all.begin());
  all.push_back({r.node, r.shard, r.epoch, *r.failure, now});
  touched_inputs_.insert(key_of(r.input));
  if (inputs_.size() > options_.inputs_max)
    forget_longest_quiet();
}

blame_matrix::verdicts blame_matrix::judge_input(const object_ref& input) const {
  auto entry = inputs_.find(key_of(input));
  if (entry == inputs_.end())
    return {};
  std::map<std::string, const strike*> newest;
  for (const auto& s : entry->second)
    if (may_blame_input(s.failure.code) && !is_first_hunger(entry->second, s))
      newest[s.node] = &s;
  if (newest.size() < options_.nodes_per_input)
    return {};
  quarantine_input q{input, {}, {}};
  for (const auto& [node, s] : newest) {
    q.strikes.push_back(*s);
    q.report += (q.report.empty() ? "" : "; ") + sentence_of(*s);
  }
  return {std::move(q)};
}

/// What one node could not do and another could says something of the first.
blame_matrix::verdicts blame_matrix::succeeded(timestamp now, const attempt_report& r) {
  pardon(r.node);
  auto entry = inputs_.find(key_of(r.input));
  if (entry == inputs_.end())
    return {};
  strikes explained;
  std::erase_if(entry->second, [&](const strike& s) {
    if (s.shard == r.shard && s.node != r.node)
      explained.push_back(s);
    return s.shard == r.shard;
  });
  touched_inputs_.insert(entry->first);
  if (entry->second.empty())
    inputs_.erase(entry);
  verdicts out;
  for (const auto& s : explained) {
    if (is_excused(now, s.node))
      continue;
    touch(s.node).counts[key_of(r.input)] = s.when;
    for (auto& v : judge_node(now, s))
      out.push_back(std::move(v));
  }
  return out;
}

void blame_matrix::pardon(const std::string& node) {
  auto entry = nodes_.find(node);
  if (entry == nodes_.end() || entry->second.counts.empty())
    return;
  auto& account = touch(node);
  if (++account.successes < options_.successes_per_pardon)
    return;
  account.successes = 0;
  account.counts.erase(
      std::min_element(account.counts.begin(), account.counts.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; }));
}

blame_matrix::verdicts blame_matrix::judge_node(timestamp now, const strike& last) {
  forget_old(now);
  auto entry = nodes_.find(last.node);
  if (entry == nodes_.end() || entry->second.counts.size() < options_.inputs_per_node)
    return {};
  auto reason = fmt::format("{} inputs failed here and succeeded elsewhere; the last: {}",
                            entry->second.counts.size(), sentence_of(last));
  doubt(now, last.node);
  return {cordon_node{last.node, std::move(reason)}};
}

void blame_matrix::doubt(timestamp now, const std::string& node) {
  auto& account = touch(node);
  account.doubted = now;
  account.counts.clear();
  account.successes = 0;
  account.cordons.push_back(now);
  if (account.cordons.size() > options_.cordons_max)
    account.cordons.erase(account.cordons.begin());
  drop_strikes_of(node);
}

blame_matrix::verdicts blame_matrix::self_test(timestamp now, const std::string& node,
                                               const std::string& failure) {
  forget_old(now);
  const bool was_doubted = in_doubt(node);
  if (!failure.empty()) {
    auto reason = fmt::format("self-test failed: {}", failure);
    if (was_doubted)
      return {keep_cordoned{node, std::move(reason)}};
    doubt(now, node);
    return {cordon_node{node, std::move(reason)}};
  }
  if (was_doubted && nodes_.at(node).cordons.size() >= options_.cordons_max)
    return {keep_cordoned{
        node, fmt::format("it passes its self-test, but was cordoned {} times within {} hours",
                          nodes_.at(node).cordons.size(), options_.cordons_window.count())}};
  if (was_doubted)
    touch(node).doubted.reset();
  return {readmit_node{node}};
}

void blame_matrix::release(const object_ref& input) {
  if (inputs_.erase(key_of(input)) > 0)
    touched_inputs_.insert(key_of(input));
}

void blame_matrix::forget(const std::string& node) {
  if (nodes_.erase(node) > 0)
    touched_nodes_.insert(node);
  drop_strikes_of(node);
}

bool blame_matrix::in_doubt(const std::string& node) const {
  auto entry = nodes_.find(node);
  return entry != nodes_.end() && entry->second.doubted.has_value();
}

/// Doubt excuses inputs only as long as anything is remembered: a node that an
/// operator put back to work must not be above suspicion for ever.
bool blame_matrix::is_excused(timestamp now, const std::string& node) const {
  return in_doubt(node) && now - *nodes_.at(node).doubted <= options_.window;
}

blame_matrix::account& blame_matrix::touch(const std::string& node) {
  touched_nodes_.insert(node);
  return nodes_[node];
}

template <class Predicate>
void blame_matrix::drop_strikes(Predicate is_void) {
  for (auto& [key, all] : inputs_)
    if (std::erase_if(all, is_void) > 0)
      touched_inputs_.insert(key);
  std::erase_if(inputs_, [](const auto& entry) { return entry.second.empty(); });
}

void blame_matrix::drop_strikes_of(const std::string& node) {
  drop_strikes([&](const strike& s) { return s.node == node; });
}

void blame_matrix::forget_old(timestamp now) {
  drop_strikes([&](const strike& s) { return now - s.when > options_.window; });
  for (auto& [node, a] : nodes_) {
    auto gone =
        std::erase_if(a.counts, [&](const auto& c) { return now - c.second > options_.window; });
    gone +=
        std::erase_if(a.cordons, [&](timestamp t) { return now - t > options_.cordons_window; });
    if (gone > 0)
      touched_nodes_.insert(node);
  }
  std::erase_if(nodes_, [](const auto& entry) {
    const auto& a = entry.second;
    return a.counts.empty() && a.cordons.empty() && !a.doubted;
  });
}

void blame_matrix::forget_longest_quiet() {
  auto quiet = std::min_element(inputs_.begin(), inputs_.end(), [](const auto& a, const auto& b) {
    return a.second.back().when < b.second.back().when;
  });
  touched_inputs_.insert(quiet->first);
  inputs_.erase(quiet);
}

// ---- The books -------------------------------------------------------------------------

blame_matrix::input_key blame_matrix::key_of(const object_ref& input) {
  return {input.bucket, input.key, input.generation};
}

input_blame blame_matrix::record_of(const input_key& key) const {
  const auto& [bucket, name, generation] = key;
  input_blame out{{bucket, name, generation}, {}};
  if (auto entry = inputs_.find(key); entry != inputs_.end())
    out.strikes = entry->second;
  return out;
}

node_blame blame_matrix::record_of(const std::string& node) const {
  node_blame out;
  out.node = node;
  auto entry = nodes_.find(node);
  if (entry == nodes_.end())
    return out;
  const auto& a = entry->second;
  for (const auto& [key, when] : a.counts)
    out.counts.push_back({record_of(key).input, when});
  out.successes = a.successes;
  out.doubted = a.doubted;
  out.cordons = a.cordons;
  return out;
}

changes blame_matrix::take_changes() {
  changes out;
  for (const auto& key : std::exchange(touched_inputs_, {}))
    out.input_blames.push_back(record_of(key));
  for (const auto& node : std::exchange(touched_nodes_, {}))
    out.node_blames.push_back(record_of(node));
  return out;
}

changes blame_matrix::renewed(changes refused) const {
  for (auto& b : refused.input_blames)
    b = record_of(key_of(b.input));
  for (auto& b : refused.node_blames)
    b = record_of(b.node);
  return refused;
}

} // namespace framemill
