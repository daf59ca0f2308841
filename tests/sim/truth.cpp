#include "tests/sim/truth.hpp"

#include "cluster/blame.hpp"
#include "cluster/run_machine.hpp"
#include "core/codec.hpp"
#include "tests/support/reachable.hpp"

#include <algorithm>

namespace framemill::sim {

namespace {

/// Longer than any word between two actors takes.
constexpr microseconds word_takes_at_most{250'000};

template <class Record>
Record decoded(const world& w, const std::string& bytes) {
  auto r = decode<Record>(bytes);
  if (!r)
    w.violate("a record that was written cannot be read: {}", r.error().message);
  return std::move(*r);
}

std::string name_of(shard_id s, std::uint32_t epoch) {
  return fmt::format("shard {}/{} epoch {}", s.run.value, s.index, epoch);
}

} // namespace

// ---- The store ---------------------------------------------------------------------

void truth::became_durable(const write_batch& batch) {
  for (const auto& op : batch.operations()) { // events last, as the JOURNAL writes them
    if (!op.value)
      continue;
    switch (op.family) {
      case family::runs: run_written(decoded<run_record>(world_, *op.value)); break;
      case family::jobs: job_written(decoded<job_record>(world_, *op.value)); break;
      case family::shards: shard_written(decoded<shard_record>(world_, *op.value)); break;
      case family::nodes: node_written(decoded<node_record>(world_, *op.value)); break;
      case family::meta:
        if (op.key.starts_with("service/"))
          service_written(decoded<service_record>(world_, *op.value));
        break;
      case family::events: told(decoded<event_record>(world_, *op.value)); break;
      default: break;
    }
  }
}

void truth::run_written(run_record r) {
  auto& known = runs_[r.id];
  if (is_terminal(known.run.state) && known.run.id && known.run.state != r.state)
    world_.violate("run {} was {} and is {}", r.id.value, to_string(known.run.state),
                   to_string(r.state));
  if (!known.run.fingerprint.empty() && r.fingerprint.empty())
    ++seen.rebuilt;
  known.run = std::move(r);
}

void truth::job_written(job_record j) {
  auto& known = runs_[j.run].jobs;
  auto before = known.find(j.index);
  auto was_publishing = before != known.end() && before->second.state == job_state::publishing;
  if (j.state == job_state::succeeded && !was_publishing
      && !(before != known.end() && before->second.state == job_state::succeeded))
    world_.violate("job {}/{} succeeded without having been publishing", j.run.value, j.index);
  if (j.state == job_state::succeeded)
    for (const auto& f : j.outputs)
      if (publications(f.object.key) == 0)
        world_.violate("job {}/{} succeeded, but {} was never published", j.run.value, j.index,
                       f.object.key);
  known.insert_or_assign(j.index, std::move(j));
}

void truth::shard_written(shard_record s) {
  auto& r = runs_[s.id.run];
  auto entry = r.shards.find(s.id.index);
  const auto* before = entry == r.shards.end() ? nullptr : &entry->second;
  auto from = before ? before->state : shard_state::blocked;
  if (!test::is_reachable(from, s.state))
    world_.violate("shard {}/{} went from {} to {}", s.id.run.value, s.id.index,
                   to_string(from), to_string(s.state));
  auto epoch = before ? before->epoch : 0;
  if (s.epoch < epoch || s.epoch > epoch + 1)
    world_.violate("shard {}/{} went from epoch {} to {}", s.id.run.value, s.id.index, epoch,
                   s.epoch);
  check_attempts(r, s);
  for (const auto& a : s.attempts)
    check_ended(r, before, s, a);
  if (s.state == shard_state::done)
    check_result(r, before, s);
  r.shards.insert_or_assign(s.id.index, std::move(s));
}

/// A lease is one live attempt, or two of different nodes.
void truth::check_attempts(const real_run& r, const shard_record& s) const {
  std::set<std::string> at_it;
  std::size_t live = 0, hedges = 0;
  for (std::size_t i = 0; i < s.attempts.size(); ++i) {
    const auto& a = s.attempts[i];
    if (a.epoch != i + 1)
      world_.violate("{} stands at place {}", name_of(s.id, a.epoch), i);
    hedges += a.hedge;
    if (a.finished)
      continue;
    ++live;
    at_it.insert(a.node);
    if (encodes(s.role) && a.fingerprint != r.run.fingerprint && !is_terminal(r.run.state))
      world_.violate("{} is leased under build `{}`, the run's is `{}`", name_of(s.id, a.epoch),
                     a.fingerprint, r.run.fingerprint);
  }
  if (s.attempts.size() != s.epoch)
    world_.violate("shard {}/{} has {} attempts, but epoch {}", s.id.run.value, s.id.index,
                   s.attempts.size(), s.epoch);
  auto most = hedges > 0 ? 2U : 1U;
  if (s.state == shard_state::leased ? live < 1 || live > most : live != 0)
    world_.violate("shard {}/{} is {} with {} live attempts", s.id.run.value, s.id.index,
                   to_string(s.state), live);
  if (at_it.size() != live || hedges > 1)
    world_.violate("shard {}/{} is hedged {} times, on {} nodes", s.id.run.value, s.id.index,
                   hedges, at_it.size());
}

/// What the books say of an ended attempt is what its own node said.
void truth::check_ended(const real_run& r, const shard_record* before, const shard_record& s,
                        const attempt_record& a) {
  auto is_news = !before || before->attempts.size() < a.epoch
                 || !before->attempts[a.epoch - 1].finished;
  if (a.peak_rss_bytes != 0) { // the serial of who said so
    const auto& real = attempts_.at(static_cast<std::size_t>(a.peak_rss_bytes) - 1);
    if (real.shard != s.id || real.epoch != a.epoch || real.node != a.node)
      world_.violate("the outcome of {} on {} was booked for {} on {}",
                     name_of(real.shard, real.epoch), real.node, name_of(s.id, a.epoch),
                     a.node);
  }
  if (is_news && a.epoch > (before ? before->epoch : 0)) {
    leased_.emplace(std::pair{s.id, a.epoch}, world_.now());
    ++seen.attempts;
    seen.hedged += a.hedge;
  }
  if (!is_news || !a.finished || !a.failure)
    return;
  ++seen.retried;
  auto loses_build = encodes(s.role) && r.run.fingerprint.empty();
  auto is_given_up = a.failure->code == errc::cancelled && s.state == shard_state::ready
                     && !loses_build;
  seen.broken += a.failure->code == errc::lease_lost;
  if (a.failure->code == errc::lease_lost || is_given_up)
    check_cause(s, a);
}

/// A node that is here, in the same life, and was never away for long keeps its
/// leases, over restarts of the coordinator too.
void truth::check_cause(const shard_record& s, const attempt_record& a) const {
  auto started = started_.find({s.id, a.epoch});
  auto node = nodes_.find(a.node);
  if (started == started_.end() || node == nodes_.end())
    return; // its order was lost on the way
  const auto& real = attempts_.at(static_cast<std::size_t>(started->second) - 1);
  const auto& n = node->second;
  auto is_excused = std::max(n.trouble, calm_since_) + word_takes_at_most
                    >= leased_.at({s.id, a.epoch});
  if (real.boot != n.boot || n.is_leaving || idle_since_.contains(a.node) || is_excused)
    return;
  world_.violate("the lease of {} was broken without cause: {} was here all the time: {}",
                 name_of(s.id, a.epoch), a.node, a.failure->message);
}

void truth::check_result(const real_run& r, const shard_record* before,
                         const shard_record& s) const {
  if (before && before->state == shard_state::done && before->made_by == s.made_by)
    return;
  auto was_live = before && before->state == shard_state::leased && s.made_by > 0
                  && s.made_by <= before->attempts.size()
                  && !before->attempts[s.made_by - 1].finished;
  if (!was_live)
    world_.violate("an outcome of {} was accepted, which had no live lease",
                   name_of(s.id, s.made_by));
  auto started = started_.find({s.id, s.made_by});
  if (started == started_.end())
    world_.violate("{} is done, but nobody worked on it", name_of(s.id, s.made_by));
  const auto& real = attempts_.at(static_cast<std::size_t>(started->second) - 1);
  if (real.files.empty() || real.failure || real.files != s.files)
    world_.violate("{} is done with files that it did not make", name_of(s.id, s.made_by));
  if (encodes(s.role) && real.fingerprint != r.run.fingerprint)
    world_.violate("{} was encoded by build `{}`, the run's is `{}`", name_of(s.id, s.made_by),
                   real.fingerprint, r.run.fingerprint);
}

void truth::node_written(node_record n) {
  world_.note("BOOKS: {} is {}", n.name, to_string(n.mode));
  if (n.mode == node_mode::active)
    woken(n.name);
  if (n.mode != node_mode::active)
    idle_since_.emplace(n.name, world_.now());
  books_of_nodes_.insert_or_assign(n.name, std::move(n));
}

/// Each placement has an epoch of its own.
void truth::service_written(service_record s) {
  world_.note("BOOKS: {} is on `{}`, epoch {}: {}", s.service.name, s.host, s.epoch, s.reason);
  if (s.epoch < watcher_.epoch || (s.epoch == watcher_.epoch && s.host != watcher_.host))
    world_.violate("the watcher went from epoch {} on `{}` to epoch {} on `{}`", watcher_.epoch,
                   watcher_.host, s.epoch, s.host);
  seen.moved += watcher_.epoch > 0 && s.host != watcher_.host;
  watcher_ = std::move(s);
}

void truth::host_told(const std::string& node, std::uint64_t epoch) const {
  const bool is_booked = epoch < watcher_.epoch
                         || (epoch == watcher_.epoch && node == watcher_.host);
  if (!is_booked)
    world_.violate("{} was told to watch under epoch {}, which is not in the books", node,
                   epoch);
}

/// One node speaks for the bucket.
void truth::heard_from(const std::string& node, std::uint64_t epoch) {
  ++seen.found_elsewhere;
  if (node != watcher_.host || epoch != watcher_.epoch)
    world_.violate("{} was heard as the watcher of epoch {}, but epoch {} is on {}", node, epoch,
                   watcher_.epoch, watcher_.host);
}

/// Each transition of a run is told, is in the table, and its end is told once.
void truth::told(const event_record& e) {
  seen.refused += e.type == "shard.refused";
  seen.quarantined += e.type == "input.quarantined";
  if (e.type == "shard.differs")
    world_.violate("run {}: {}", e.run.value, e.message);
  if (e.type != "run.state")
    return;
  auto& at = told_.try_emplace(e.run, run_state::waiting).first->second;
  auto to = run_state::waiting;
  while (to_string(to) != e.state)
    to = static_cast<run_state>(static_cast<int>(to) + 1);
  if (!may_become(at, to))
    world_.violate("run {} was told to go from {} to {}", e.run.value, to_string(at),
                   to_string(to));
  at = to;
  if (!is_terminal(to))
    return;
  auto& r = runs_.at(e.run);
  if (++r.endings > 1)
    world_.violate("run {} was told to end twice", e.run.value);
  if (to == run_state::succeeded)
    check_outputs(r);
}

/// What goes into one output was encoded by one build.
void truth::check_outputs(const real_run& r) const {
  for (const auto& [index, job] : r.jobs) {
    std::set<std::uint32_t> parts;
    for (const auto& item : job.items)
      parts.insert(item.shard);
    std::set<std::string> builds;
    for (auto s = r.shards.rbegin(); s != r.shards.rend(); ++s) {
      if (!parts.contains(s->first))
        continue;
      parts.insert(s->second.needs.begin(), s->second.needs.end());
      if (encodes(s->second.role) && s->second.made_by > 0) {
        auto serial = started_.at({s->second.id, s->second.made_by});
        builds.insert(attempts_.at(static_cast<std::size_t>(serial) - 1).fingerprint);
      }
    }
    if (builds.size() > 1)
      world_.violate("output of job {}/{} mixes {} encoder builds", r.run.id.value, index,
                     builds.size());
  }
}

const real_run* truth::find(run_id run) const {
  auto r = runs_.find(run);
  return r == runs_.end() ? nullptr : &r->second;
}

const shard_record* truth::find(shard_id shard) const {
  const auto* r = find(shard.run);
  if (!r)
    return nullptr;
  auto s = r->shards.find(shard.index);
  return s == r->shards.end() ? nullptr : &s->second;
}

const attempt_record* truth::find(shard_id shard, std::uint32_t epoch) const {
  const auto* s = find(shard);
  return s && epoch > 0 && epoch <= s->attempts.size() ? &s->attempts[epoch - 1] : nullptr;
}

const node_record* truth::find_node(const std::string& name) const {
  auto n = books_of_nodes_.find(name);
  return n == books_of_nodes_.end() ? nullptr : &n->second;
}

// ---- Nodes ---------------------------------------------------------------------------

std::int64_t truth::attempt_started(real_attempt a) {
  const auto* booked = find(a.shard, a.epoch);
  if (!booked)
    world_.violate("{} was started on {}, but its lease is not durable",
                   name_of(a.shard, a.epoch), a.node);
  if (booked->node != a.node)
    world_.violate("{} was started on {}, but leased to {}", name_of(a.shard, a.epoch), a.node,
                   booked->node);
  auto serial = static_cast<std::int64_t>(attempts_.size()) + 1;
  if (!started_.emplace(std::pair{a.shard, a.epoch}, serial).second)
    world_.violate("{} was started a second time, on {}", name_of(a.shard, a.epoch), a.node);
  attempts_.push_back(std::move(a));
  return serial;
}

void truth::attempt_succeeded(std::int64_t serial, std::vector<result_file> files) {
  attempts_.at(static_cast<std::size_t>(serial) - 1).files = std::move(files);
}

void truth::attempt_failed(std::int64_t serial, errc code) {
  attempts_.at(static_cast<std::size_t>(serial) - 1).failure = code;
}

std::set<std::string> truth::nodes_with_strikes(run_id run) const {
  std::set<std::string> out;
  for (const auto& a : attempts_)
    if (a.shard.run == run && a.failure && may_blame_input(*a.failure))
      out.insert(a.node);
  return out;
}

// ---- The coordinator -------------------------------------------------------------------

void truth::coordinator_disturbed(microseconds lasts) {
  calm_since_ = std::max(calm_since_, world_.now() + lasts);
}

/// An order leaves for a node.
void truth::assigned(const std::string& node, shard_id shard, std::uint32_t epoch) {
  const auto* booked = find(shard, epoch);
  if (!booked)
    world_.violate("{} was sent to {} before its lease was durable", name_of(shard, epoch),
                   node);
  if (booked->node != node)
    world_.violate("{} was sent to {}, but leased to {}", name_of(shard, epoch), node,
                   booked->node);
  const auto* record = find_node(node);
  if (!record || (record->mode == node_mode::removed && is_known_to_be_idle(node)))
    world_.violate("{} was sent to {}, which was removed", name_of(shard, epoch), node);
}

/// Shall it take no work, and has the word had the time to get around?
bool truth::is_known_to_be_idle(const std::string& node) const {
  auto since = idle_since_.find(node);
  return since != idle_since_.end()
         && world_.now() - std::max(since->second, calm_since_) > word_takes_at_most;
}

void truth::woken(const std::string& node) {
  if (idle_since_.erase(node) > 0)
    nodes_[node].trouble = world_.now();
}

void truth::granted(const std::string& node) {
  if (is_known_to_be_idle(node))
    world_.violate("{} was given new work, but is {}", node,
                   to_string(find_node(node)->mode));
}

/// The node may forget the outcome: nothing in the books still waits for it.
void truth::noted(shard_id shard, std::uint32_t epoch) {
  const auto* r = find(shard.run);
  if (!r || is_terminal(r->run.state))
    return;
  if (const auto* a = find(shard, epoch); a && !a->finished)
    world_.violate("{} may be forgotten by {}, but its outcome is not in the books",
                   name_of(shard, epoch), a->node);
}

void truth::published(run_id run, std::uint32_t job, const std::string& key) {
  const auto& r = runs_.at(run);
  if (!is_terminal(r.run.state) // one that was cancelled meanwhile
      && r.jobs.at(job).state != job_state::publishing)
    world_.violate("{} is published by job {}/{}, which is not publishing by the books", key,
                   run.value, job);
  if (++publications_[key] > 1)
    world_.violate("{} was published twice", key);
}

int truth::publications(const std::string& key) const {
  auto n = publications_.find(key);
  return n == publications_.end() ? 0 : n->second;
}

} // namespace framemill::sim
