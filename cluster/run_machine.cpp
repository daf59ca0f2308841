#include "cluster/run_machine.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>

namespace framemill {

class run_machine::writer {
public:
  explicit writer(run_machine& m, timestamp now) : machine_(m), now_(now) {}

  void touch(const job_record& job) { jobs_.insert(job.index); }
  void touch(const shard_record& shard) { shards_.insert(shard.id.index); }
  void touch_run() { run_ = true; }
  void act(run_action a) { actions_.push_back(std::move(a)); }
  [[nodiscard]] timestamp now() const { return now_; }

  void tell(std::string type, std::string state, std::string message = {},
            std::optional<std::uint32_t> job = {}) {
    event_record e;
    e.time = now_;
    e.type = std::move(type);
    e.run = machine_.run_.id;
    e.bucket = machine_.run_.object.bucket;
    e.key = machine_.run_.object.key;
    e.job = job;
    e.state = std::move(state);
    e.message = std::move(message);
    events_.push_back(std::move(e));
  }

  step finish() && {
    step out;
    if (run_)
      out.record.runs.push_back(machine_.run_);
    for (auto i : jobs_)
      out.record.jobs.push_back(machine_.jobs_[i]);
    for (auto i : shards_)
      out.record.shards.push_back(machine_.shards_[i]);
    out.record.events = std::move(events_);
    out.actions = std::move(actions_);
    return out;
  }

private:
  run_machine& machine_;
  timestamp now_;
  bool run_ = false;
  std::set<std::uint32_t> jobs_;
  std::set<std::uint32_t> shards_;
  std::vector<event_record> events_;
  std::vector<run_action> actions_;
};

namespace {

template <class State>
void require(State from, State to) {
  if (!may_become(from, to))
    throw std::logic_error(fmt::format("transition {} -> {} is not in the table",
                                       to_string(from), to_string(to)));
}

shard_record probe_shard(const run_record& run, std::uint32_t source) {
  shard_record s;
  s.id = {run.id, source};
  s.role = shard_role::probe;
  s.source = source;
  s.scratch_bytes = limits::probe_scratch_bytes;
  s.request = probe_request(run.object_of(source));
  s.cost = 0.1;
  return s;
}

/// Attempts that ended because the machine around them stopped are nobody's
/// fault and use up no budget.
int counted_attempts(const shard_record& shard) {
  return static_cast<int>(
      std::count_if(shard.attempts.begin(), shard.attempts.end(), [](const auto& a) {
        return a.failure && a.failure->code != errc::cancelled;
      }));
}

bool is_unfinished(const attempt_record& a) { return !a.finished; }

/// Of a leased shard.
bool has_live_attempt(const shard_record& shard) {
  return std::any_of(shard.attempts.begin(), shard.attempts.end(), is_unfinished);
}

bool is_held_on(const shard_record& shard, const std::string& node) {
  return std::any_of(shard.attempts.begin(), shard.attempts.end(),
                     [&](const auto& a) { return is_unfinished(a) && a.node == node; });
}

bool was_hedged(const shard_record& shard) {
  return std::any_of(shard.attempts.begin(), shard.attempts.end(),
                     [](const auto& a) { return a.hedge; });
}

attempt_record* find_attempt(shard_record& shard, std::uint32_t epoch) {
  auto found = std::find_if(shard.attempts.begin(), shard.attempts.end(),
                            [&](const auto& a) { return a.epoch == epoch; });
  return found == shard.attempts.end() ? nullptr : &*found;
}

/// We end it; what it says itself may still come, late.
void close(attempt_record& attempt, timestamp now, std::string why) {
  attempt.finished = now;
  attempt.failure = error{errc::cancelled, std::move(why), {}};
}

void note(attempt_record& attempt, const attempt_outcome& outcome) {
  attempt.exit = outcome.exit;
  attempt.last_watermark = outcome.last_watermark;
  attempt.cpu_seconds = outcome.result.cpu_seconds;
  attempt.peak_rss_bytes = outcome.result.peak_rss_bytes;
  attempt.cpu = outcome.result.cpu;
}

std::map<std::string, std::string> hashes_of(const std::vector<result_file>& files) {
  std::map<std::string, std::string> out;
  for (const auto& f : files)
    out[f.name] = f.sha256;
  return out;
}

bool has_file(const shard_record& shard, const std::string& sha256) {
  return std::any_of(shard.files.begin(), shard.files.end(),
                     [&](const auto& f) { return f.sha256 == sha256; });
}

/// "node a and node b"; for people.
std::string nodes_it_failed_on(const shard_record& shard) {
  std::set<std::string> nodes;
  for (const auto& a : shard.attempts)
    if (a.failure && a.failure->code != errc::cancelled)
      nodes.insert("node " + a.node);
  return nodes.empty() ? "no node yet" : fmt::format("{}", fmt::join(nodes, " and "));
}

/// Learned: reserve more, and let the child have more.
void grow_memory(shard_record& shard) {
  shard.memory_bytes *= 2;
  shard.request.memory_bytes_max *= 2;
}

} // namespace

media_request probe_request(const object_ref& object) {
  media_request r;
  r.source_name = object.key;
  r.source_bytes = static_cast<std::int64_t>(object.generation.size);
  r.steps.push_back(probe_step{});
  r.keep = {"index*"};
  r.memory_bytes_max = limits::probe_memory_bytes_max;
  return r;
}

bool encodes(shard_role role) noexcept {
  return role == shard_role::decode || role == shard_role::audio || role == shard_role::whole;
}

bool is_lost_result(errc code) noexcept {
  return code == errc::artifact_lost || code == errc::corrupt;
}

std::vector<std::string> nodes_to_avoid(const shard_record& shard) {
  std::set<std::string> out;
  for (const auto& a : shard.attempts) {
    auto works = shard.state == shard_state::leased && is_unfinished(a);
    if (works || (a.failure && retry_of(a.failure->code) == retry_class::elsewhere))
      out.insert(a.node);
  }
  return {out.begin(), out.end()};
}

run_machine::run_machine(run_record run, std::vector<job_record> jobs,
                         std::vector<shard_record> shards, retry_policy policy)
    : run_(std::move(run)), jobs_(std::move(jobs)), shards_(std::move(shards)),
      policy_(policy) {}

// ---- Changing state, one kind of record each --------------------------------

void run_machine::set(writer& w, run_state to, timestamp now) {
  require(run_.state, to);
  run_.state = to;
  if (to == run_state::probing && !run_.started)
    run_.started = now;
  if (is_terminal(to))
    run_.finished = now;
  w.touch_run();
  w.tell("run.state", std::string{to_string(to)}, run_.failure ? run_.failure->message : "");
}

void run_machine::set(writer& w, job_record& job, job_state to, timestamp now) {
  require(job.state, to);
  job.state = to;
  if (to == job_state::processing && !job.started)
    job.started = now;
  if (is_terminal(to))
    job.finished = now;
  w.touch(job);
  w.tell("job.state", std::string{to_string(to)}, job.failure ? job.failure->message : "",
         job.index);
}

void run_machine::set(writer& w, shard_record& shard, shard_state to) {
  require(shard.state, to);
  if (hedge_offers_.erase(shard.id.index) > 0)
    w.act(withdraw_shard{shard.id.index}); // of a lease that ends here
  shard.state = to;
  w.touch(shard);
}

// ---- Events -------------------------------------------------------------------

run_machine::step
run_machine::start(timestamp now, const artifact_question& has_artifact,
                   const attempt_question& may_live_on) {
  writer w{*this, now};
  if (finished()) {
    w.act(finish_run{});
    return std::move(w).finish();
  }
  if (run_.cancel_requested)
    return cancel(now, "cancelled by request");
  if (run_.state == run_state::waiting) {
    set(w, run_state::probing, now);
    for (std::uint32_t i = 0; i < run_.source_count(); ++i) {
      shards_.push_back(probe_shard(run_, i));
      set(w, shards_.back(), shard_state::ready);
      w.act(offer_shard{i});
    }
    run_.shard_count = run_.source_count();
    return std::move(w).finish();
  }
  break_leases(w, may_live_on);
  redo_lost(w, has_artifact);
  await_leases(w);
  for (auto& shard : shards_)
    if (shard.state == shard_state::ready)
      offer(w, shard);
  for (auto& job : jobs_)
    if (job.state == job_state::publishing) {
      if (shards_of_job_done(job))
        w.act(publish_job{job.index});
      else
        unpublish(w, job, now);
    }
  if (run_.state == run_state::probing && is_probed())
    w.act(plan_run{run_.plan_revision == 0});
  settle(w, now);
  return std::move(w).finish();
}

run_machine::step run_machine::planned(timestamp now, std::vector<shard_record> shards,
                                       std::vector<job_record> jobs,
                                       std::vector<std::string> warnings) {
  writer w{*this, now};
  if (run_.state != run_state::probing)
    return std::move(w).finish(); // cancelled while the plan was made
  // A second plan is appended: numbers of its shards go on after the first's.
  const auto probes = run_.source_count();
  const auto offset = static_cast<std::uint32_t>(shards_.size() - probes);
  auto moved = [=](std::uint32_t i) { return i < probes ? i : i + offset; };
  // What ended, or is being published, does so under the first plan.
  auto is_settled = [&, known = jobs_.size()](std::uint32_t j) {
    return j < known && jobs_[j].state != job_state::waiting;
  };
  for (auto& shard : shards) {
    std::erase_if(shard.jobs, is_settled);
    shard.id = {run_.id, moved(shard.id.index)};
    for (auto& need : shard.needs)
      need = moved(need);
    shard.state = shard_state::blocked;
    shards_.push_back(std::move(shard));
    w.touch(shards_.back());
  }
  for (auto& job : jobs) {
    if (is_settled(job.index))
      continue;
    for (auto& item : job.items)
      item.shard = moved(item.shard);
    job.run = run_.id;
    auto failure = std::exchange(job.failure, std::nullopt);
    job.state = job_state::waiting;
    if (job.index < jobs_.size())
      jobs_[job.index] = std::move(job);
    else
      jobs_.push_back(std::move(job));
    auto& kept = jobs_[std::min<std::size_t>(job.index, jobs_.size() - 1)];
    w.touch(kept);
    if (failure)
      fail_job(w, kept, *failure, now);
  }
  run_.warnings.insert(run_.warnings.end(), warnings.begin(), warnings.end());
  run_.shard_count = static_cast<std::uint32_t>(shards_.size());
  set(w, run_state::processing, now);
  settle(w, now);
  return std::move(w).finish();
}

run_machine::step run_machine::plan_failed(timestamp now, error e) {
  if (!is_lost_result(e.code) || run_.state != run_state::probing)
    return fail_all(now, std::move(e));
  writer w{*this, now};
  auto made_it = [&](const auto& s) { return has_file(s, e.field); };
  const auto end = shards_.begin() + run_.source_count();
  const bool is_known = std::any_of(shards_.begin(), end, made_it);
  for (auto s = shards_.begin(); s != end && !finished(); ++s)
    if (!is_known || made_it(*s))
      redo(w, *s, e, now);
  return std::move(w).finish();
}

run_machine::step run_machine::granted(timestamp now, std::uint32_t index,
                                       std::uint64_t worker, std::string node,
                                       std::string fingerprint) {
  writer w{*this, now};
  if (!wants_worker(index)) {
    w.act(decline_worker{worker});
    return std::move(w).finish();
  }
  auto& shard = shards_[index];
  auto hedges = shard.state == shard_state::leased;
  if (is_other_build(shard, fingerprint)) {
    w.act(decline_worker{worker});
    w.act(offer_shard{index, {}, hedges}); // offered before the run had a fingerprint
    return std::move(w).finish();
  }
  hedge_offers_.erase(index);
  if (hedges && is_held_on(shard, node)) {
    w.act(decline_worker{worker}); // slow there already
    return std::move(w).finish();
  }
  attempt_record attempt;
  attempt.node = std::move(node);
  attempt.fingerprint = std::move(fingerprint);
  attempt.hedge = hedges;
  lease(w, shard, std::move(attempt), worker, now);
  return std::move(w).finish();
}

run_machine::step run_machine::attempt_finished(timestamp now, std::uint32_t index,
                                                attempt_outcome outcome) {
  writer w{*this, now};
  if (!is_live(index, outcome.epoch)) {
    note_late(w, index, outcome);
    return std::move(w).finish();
  }
  auto& shard = shards_[index];
  auto& attempt = *find_attempt(shard, outcome.epoch);
  attempt.finished = now;
  note(attempt, outcome);
  attempt.failure = outcome.failure ? outcome.failure : outcome.result.failure;
  // What *we* stop is not live any more: somebody else did, and it is to be made.
  if (attempt.failure && attempt.failure->code == errc::cancelled)
    attempt.failure->code = errc::lease_lost;
  w.touch(shard);
  if (attempt.failure) {
    attempt.log = std::move(outcome.log); // of interest only when it failed
    auto e = *attempt.failure;
    attempt_failed(w, shard, e, now);
  } else {
    attempt_succeeded(w, shard, std::move(outcome));
  }
  settle(w, now);
  return std::move(w).finish();
}

run_machine::step run_machine::lease_broken(timestamp now, std::uint32_t index,
                                            std::uint32_t epoch, error e) {
  attempt_outcome outcome;
  outcome.epoch = epoch;
  outcome.failure = std::move(e);
  return attempt_finished(now, index, std::move(outcome));
}

run_machine::step run_machine::hedge(timestamp now, std::uint32_t index) {
  writer w{*this, now};
  if (index < shards_.size() && shards_[index].state == shard_state::leased
      && !was_hedged(shards_[index]) && hedge_offers_.insert(index).second)
    w.act(offer_shard{index, {}, true});
  return std::move(w).finish();
}

run_machine::step run_machine::fingerprint_lost(timestamp now,
                                                const artifact_question& has_artifact) {
  writer w{*this, now};
  auto publishes = [](const auto& job) { return job.state == job_state::publishing; };
  if (finished() || run_.fingerprint.empty()
      || std::any_of(jobs_.begin(), jobs_.end(), publishes))
    return std::move(w).finish();
  run_.warnings.push_back(fmt::format(
      "encoded anew: no node is left with the encoder build {}", run_.fingerprint));
  w.tell("run.fingerprint", "lost", run_.warnings.back());
  run_.fingerprint.clear();
  w.touch_run();
  if (run_.state != run_state::processing)
    return std::move(w).finish(); // the plan to come begins with nothing
  for (auto i : parts_of_live_jobs())
    if (shards_[i].role != shard_role::probe)
      make_anew(w, shards_[i]);
  redo_lost(w, has_artifact);
  for (const auto& shard : shards_)
    if (shard.state == shard_state::ready)
      offer(w, shard); // replaces offers that carry the old fingerprint
  return std::move(w).finish();
}

run_machine::step run_machine::quarantine(timestamp now, std::uint32_t index,
                                          std::string report) {
  writer w{*this, now};
  if (finished() || index >= shards_.size())
    return std::move(w).finish();
  const auto& object = run_.object_of(shards_[index].source);
  auto told = fmt::format(
      "{}/{} is quarantined: what worked on shard {} of it failed on {}; "
      "`framemill run release {}` tries it again: {}",
      object.bucket, object.key, index, nodes_it_failed_on(shards_[index]), run_.id.value,
      report);
  w.tell("input.quarantined", "quarantined", told);
  end_all(w, run_state::failed, error{errc::input_quarantined, std::move(told), {}}, now);
  return std::move(w).finish();
}

run_machine::step run_machine::published(timestamp now, std::uint32_t index,
                                         std::vector<published_file> files) {
  writer w{*this, now};
  if (index < jobs_.size() && jobs_[index].state == job_state::publishing) {
    auto& job = jobs_[index];
    for (const auto& f : files)
      w.tell("output.published", f.role, fmt::format("{}/{}", f.object.bucket, f.object.key),
             index);
    job.outputs = std::move(files);
    set(w, job, job_state::succeeded, now);
    settle(w, now);
  }
  return std::move(w).finish();
}

run_machine::step run_machine::publish_failed(timestamp now, std::uint32_t index, error e) {
  writer w{*this, now};
  if (index < jobs_.size() && jobs_[index].state == job_state::publishing) {
    if (is_lost_result(e.code) && run_.state == run_state::probing)
      unpublish(w, jobs_[index], now); // the second plan makes it anew
    else if (is_lost_result(e.code))
      redo_shards(w, jobs_[index], e, now);
    else if (e.code == errc::input_changed)
      end_all(w, run_state::cancelled, std::move(e), now);
    else
      fail_job(w, jobs_[index], std::move(e), now);
    settle(w, now);
  }
  return std::move(w).finish();
}

run_machine::step run_machine::cancel(timestamp now, std::string why) {
  writer w{*this, now};
  if (!finished()) {
    run_.cancel_requested = true;
    end_all(w, run_state::cancelled, error{errc::cancelled, std::move(why), {}}, now);
  }
  return std::move(w).finish();
}

run_machine::step run_machine::fail_all(timestamp now, error e) {
  writer w{*this, now};
  if (!finished())
    end_all(w, run_state::failed, std::move(e), now);
  return std::move(w).finish();
}

// ---- Consequences ---------------------------------------------------------------

void run_machine::lease(writer& w, shard_record& shard, attempt_record attempt,
                        std::uint64_t worker, timestamp now) {
  if (encodes(shard.role) && run_.fingerprint.empty() && !attempt.fingerprint.empty()) {
    run_.fingerprint = attempt.fingerprint;
    w.touch_run();
  }
  if (shard.state != shard_state::leased)
    set(w, shard, shard_state::leased);
  attempt.epoch = ++shard.epoch;
  attempt.started = now;
  shard.attempts.push_back(std::move(attempt));
  w.touch(shard);
  for (auto j : shard.jobs)
    if (jobs_[j].state == job_state::waiting)
      set(w, jobs_[j], job_state::processing, now);
  w.act(start_shard{shard.id.index, worker, shard.epoch});
}

void run_machine::attempt_failed(writer& w, shard_record& shard, const error& e,
                                 timestamp now) {
  auto index = shard.id.index;
  auto untrusted = e.code == errc::input_damaged && run_.state == run_state::processing
                   && run_.plan_revision == 0 && shard.role != shard_role::probe;
  if (e.code == errc::input_changed) {
    stop_attempts(w, shard, e.message);
    set(w, shard, shard_state::failed);
    end_all(w, run_state::cancelled, e, now); // the newer content gets a run of its own
  } else if (has_live_attempt(shard)) {
    w.tell("shard.retry", "leased",
           fmt::format("shard {}: {}; another attempt is at it", index, e.message));
  } else if (untrusted) {
    replan(w, e, now);
  } else {
    if (is_lost_result(e.code))
      redo_needs(w, shard, e, now);
    if (!is_terminal(shard.state))
      retry_or_fail(w, shard, e, now);
  }
}

void run_machine::attempt_succeeded(writer& w, shard_record& shard, attempt_outcome outcome) {
  stop_attempts(w, shard, fmt::format("superseded: epoch {} was first", outcome.epoch));
  if (const auto* before = find_attempt(shard, shard.made_by))
    compare(w, shard, *before, *find_attempt(shard, outcome.epoch), outcome.result.files);
  shard.files = std::move(outcome.result.files);
  shard.warnings = std::move(outcome.result.warnings);
  shard.made_by = outcome.epoch;
  set(w, shard, shard_state::done);
  w.tell("shard.done", "done",
         fmt::format("shard {} ({})", shard.id.index, to_string(shard.role)));
  if (shard.role == shard_role::probe) {
    run_.media_of(shard.source) = std::move(outcome.result.probe);
    w.touch_run();
    if (run_.state == run_state::probing && is_probed())
      w.act(plan_run{run_.plan_revision == 0});
  }
  offer_readers(w, shard.id.index);
  pass_on_warnings(w, shard);
}

/// An outcome that changes nothing: kept for people, and to see whether two
/// attempts made the same bytes.
void run_machine::note_late(writer& w, std::uint32_t index, const attempt_outcome& outcome) {
  if (index >= shards_.size() || shards_[index].state == shard_state::cancelled)
    return;
  auto& shard = shards_[index];
  w.tell("shard.refused", "late",
         fmt::format("shard {} epoch {}: not the current lease", index, outcome.epoch));
  auto* attempt = find_attempt(shard, outcome.epoch);
  // Only what *we* ended is without an exit.
  if (finished() || !attempt || !attempt->exit.empty() || outcome.exit.empty())
    return;
  note(*attempt, outcome);
  w.touch(shard);
  auto succeeded = !outcome.failure && !outcome.result.failure;
  const auto* maker = find_attempt(shard, shard.made_by);
  if (succeeded && shard.state == shard_state::done && maker)
    compare(w, shard, *maker, *attempt, outcome.result.files);
}

/// Equal requests are encoded to equal bytes wherever the encoder's build is
/// equal: that is what lets any attempt stand in for any other. (Of other CPUs
/// x264 makes equal streams; sound, and pictures that take the slower filters, may
/// differ in a last bit, which says nothing of a node.) `files` are `attempt`'s. (What a join makes follows from its inputs, which have hashes.)
void run_machine::compare(writer& w, const shard_record& shard, const attempt_record& maker,
                          const attempt_record& attempt,
                          const std::vector<result_file>& files) {
  if (!encodes(shard.role) || maker.fingerprint != attempt.fingerprint
      || maker.cpu != attempt.cpu)
    return;
  auto mine = hashes_of(shard.files), others = hashes_of(files);
  for (const auto& [name, sha256] : mine) {
    const auto other = others.find(name);
    auto theirs = other == others.end() ? "nothing" : other->second;
    if (theirs == sha256)
      continue;
    w.tell("shard.differs", "differs",
           fmt::format("shard {}: {} is {} by node {} (epoch {}), {} by node {} (epoch {})",
                       shard.id.index, name, sha256, maker.node, maker.epoch, theirs,
                       attempt.node, attempt.epoch));
    return;
  }
}

void run_machine::pass_on_warnings(writer& w, const shard_record& shard) {
  for (auto j : shard.jobs)
    for (const auto& warning : shard.warnings)
      if (auto& all = jobs_[j].warnings;
          std::find(all.begin(), all.end(), warning) == all.end()) {
        all.push_back(warning);
        w.touch(jobs_[j]);
      }
}

void run_machine::stop_attempts(writer& w, shard_record& shard, std::string why) {
  for (auto& attempt : shard.attempts)
    if (is_live(shard.id.index, attempt.epoch)) {
      w.act(stop_shard{shard.id.index, attempt.epoch});
      close(attempt, w.now(), why);
      w.touch(shard);
    }
}

void run_machine::break_leases(writer& w, const attempt_question& may_live_on) {
  for (auto& shard : shards_) {
    if (shard.state != shard_state::leased)
      continue;
    for (auto& attempt : shard.attempts)
      if (!attempt.finished && !(may_live_on && may_live_on(attempt))) {
        close(attempt, w.now(), "the daemon stopped while this ran");
        w.touch(shard);
      }
    if (!has_live_attempt(shard))
      set(w, shard, shard_state::ready);
  }
}

/// What lives on without its inputs cannot end well: it begins anew after them.
void run_machine::await_leases(writer& w) {
  for (auto& shard : shards_) {
    if (shard.state != shard_state::leased)
      continue;
    if (!needs_done(shard)) {
      stop_attempts(w, shard, "its inputs were lost");
      set(w, shard, shard_state::ready);
    }
    for (const auto& attempt : shard.attempts)
      if (is_live(shard.id.index, attempt.epoch))
        w.act(await_lease{shard.id.index, attempt.epoch});
  }
}

/// Back to where nothing is made of it yet; nobody is offered it here.
void run_machine::make_anew(writer& w, shard_record& shard) {
  if (shard.state == shard_state::ready)
    w.act(withdraw_shard{shard.id.index});
  if (shard.state != shard_state::leased && shard.state != shard_state::done)
    return;
  stop_attempts(w, shard, "no node of its encoder build is left");
  shard.files.clear();
  shard.made_by = 0;
  set(w, shard, shard_state::ready);
}

/// Finished shards that somebody still has to read, and whose files are gone.
/// Readers come after what they read, so that one pass backwards finds all.
void run_machine::redo_lost(writer& w, const artifact_question& has_artifact) {
  std::set<std::uint32_t> read;
  if (run_.state == run_state::probing)
    for (std::uint32_t i = 0; i < run_.source_count(); ++i)
      read.insert(i); // by the planner
  for (const auto& job : jobs_)
    if (!is_terminal(job.state))
      for (const auto& item : job.items)
        read.insert(item.shard);
  for (auto i = static_cast<std::uint32_t>(shards_.size()); i-- > 0;) {
    auto& shard = shards_[i];
    auto is_here = [&](const auto& f) { return has_artifact(f.sha256); };
    if (shard.state == shard_state::done && read.contains(i)
        && !std::all_of(shard.files.begin(), shard.files.end(), is_here))
      set(w, shard, shard_state::ready);
    if (!is_terminal(shard.state))
      read.insert(shard.needs.begin(), shard.needs.end());
  }
}

/// A ready shard whose inputs are being made again is offered when they are
/// done.
void run_machine::offer(writer& w, const shard_record& shard,
                        std::chrono::milliseconds delay) {
  if (needs_done(shard))
    w.act(offer_shard{shard.id.index, delay});
}

void run_machine::offer_readers(writer& w, std::uint32_t index) {
  for (const auto& shard : shards_)
    if (shard.state == shard_state::ready
        && std::find(shard.needs.begin(), shard.needs.end(), index) != shard.needs.end())
      offer(w, shard);
}

void run_machine::drop(writer& w, shard_record& shard) {
  if (shard.state != shard_state::leased)
    w.act(withdraw_shard{shard.id.index});
  stop_attempts(w, shard, "not wanted any more");
  set(w, shard, shard_state::cancelled);
}

/// The job goes back to where its shards are made.
void run_machine::unpublish(writer& w, job_record& job, timestamp now) {
  set(w, job, job_state::processing, now);
  if (run_.state == run_state::probing)
    await_plan(w, job, now);
}

/// The job begins anew under the second plan.
void run_machine::await_plan(writer& w, job_record& job, timestamp now) {
  if (job.state == job_state::processing)
    set(w, job, job_state::waiting, now);
  job.items.clear();
  w.touch(job);
}

void run_machine::retry_or_fail(writer& w, shard_record& shard, const error& e,
                                timestamp now) {
  auto identity = std::hash<shard_id>{}(shard.id);
  if (e.code == errc::no_memory)
    grow_memory(shard);
  if (auto delay = policy_.next(e.code, counted_attempts(shard), identity)) {
    set(w, shard, shard_state::ready);
    w.tell("shard.retry", "ready",
           fmt::format("shard {}: {}; again in {} ms", shard.id.index, e.message,
                       delay->count()));
    offer(w, shard, *delay);
    return;
  }
  fail_shard(w, shard, e, now);
}

void run_machine::fail_shard(writer& w, shard_record& shard, const error& e, timestamp now) {
  set(w, shard, shard_state::failed);
  w.tell("shard.failed", std::string{to_string(e.code)}, e.message);
  if (shard.role == shard_role::probe)
    return end_all(w, run_state::failed, e, now);
  for (auto j : shard.jobs)
    fail_job(w, jobs_[j], e, now);
}

/// The artifacts of a job do not have their hashes any more: make them again.
void run_machine::redo_shards(writer& w, job_record& job, const error& e, timestamp now) {
  unpublish(w, job, now);
  for (const auto& item : job.items)
    redo(w, shards_[item.shard], e, now);
}

/// What a shard was handed is lost: made again first. Whatever it reads, when the
/// error does not name what it was.
void run_machine::redo_needs(writer& w, const shard_record& reader, const error& e,
                             timestamp now) {
  auto makes_it = [&](std::uint32_t need) { return has_file(shards_[need], e.field); };
  auto is_known = std::any_of(reader.needs.begin(), reader.needs.end(), makes_it);
  for (auto need : reader.needs)
    if (!finished() && (!is_known || makes_it(need)))
      redo(w, shards_[need], e, now);
}

void run_machine::redo(writer& w, shard_record& shard, const error& e, timestamp now) {
  if (shard.state != shard_state::done)
    return;
  auto* maker = find_attempt(shard, shard.made_by);
  if (!maker) // of records that were written before there was more than one live attempt
    maker = &shard.attempts.back();
  maker->failure = e; // uses up budget, so this cannot go on for ever
  set(w, shard, shard_state::ready);
  if (counted_attempts(shard) < policy_.attempts_max)
    offer(w, shard);
  else
    fail_shard(w, shard, e, now);
}

void run_machine::fail_job(writer& w, job_record& job, error e, timestamp now) {
  if (is_terminal(job.state))
    return;
  job.failure = std::move(e);
  set(w, job, job_state::failed, now);
}

void run_machine::replan(writer& w, const error& e, timestamp now) {
  for (auto& shard : shards_)
    if (shard.role != shard_role::probe && !is_terminal(shard.state))
      drop(w, shard);
  for (auto& job : jobs_)
    if (job.state == job_state::waiting || job.state == job_state::processing)
      await_plan(w, job, now);
  ++run_.plan_revision;
  run_.warnings.push_back(fmt::format("planned anew in one piece: {}", e.message));
  set(w, run_state::probing, now);
  if (is_probed())
    w.act(plan_run{false});
}

void run_machine::settle(writer& w, timestamp now) {
  if (run_.state != run_state::processing)
    return;
  drop_unwanted(w);
  for (auto& shard : shards_) {
    if (shard.state != shard_state::blocked || !needs_done(shard))
      continue;
    set(w, shard, shard_state::ready);
    offer(w, shard);
  }
  for (auto& job : jobs_)
    if (!is_terminal(job.state) && job.state != job_state::publishing
        && shards_of_job_done(job)) {
      if (job.state == job_state::waiting)
        set(w, job, job_state::processing, now);
      set(w, job, job_state::publishing, now);
      w.act(publish_job{job.index});
    }
  auto ended = [](const auto& job) { return is_terminal(job.state); };
  if (!std::all_of(jobs_.begin(), jobs_.end(), ended))
    return;
  auto failed = std::find_if(jobs_.begin(), jobs_.end(),
                             [](const auto& j) { return j.state != job_state::succeeded; });
  if (failed != jobs_.end())
    run_.failure = failed->failure;
  end(w, failed == jobs_.end() ? run_state::succeeded : run_state::failed, now);
}

void run_machine::drop_unwanted(writer& w) {
  for (auto& shard : shards_)
    if (!is_terminal(shard.state) && !is_wanted(shard))
      drop(w, shard);
}

void run_machine::end_all(writer& w, run_state to, error e, timestamp now) {
  run_.failure = e;
  auto cancelled = to == run_state::cancelled;
  for (auto& job : jobs_)
    if (!is_terminal(job.state)) {
      job.failure = e;
      set(w, job, cancelled ? job_state::cancelled : job_state::failed, now);
    }
  end(w, to, now);
}

void run_machine::end(writer& w, run_state to, timestamp now) {
  for (auto& shard : shards_)
    if (!is_terminal(shard.state))
      drop(w, shard);
  set(w, to, now);
  w.act(finish_run{});
}

bool run_machine::is_live(std::uint32_t index, std::uint32_t epoch) const {
  if (index >= shards_.size() || shards_[index].state != shard_state::leased)
    return false;
  const auto& all = shards_[index].attempts;
  return std::any_of(all.begin(), all.end(), [&](const auto& a) {
    return a.epoch == epoch && is_unfinished(a);
  });
}

/// Not those of a former plan, which are nobody's any more.
std::set<std::uint32_t> run_machine::parts_of_live_jobs() const {
  std::set<std::uint32_t> out;
  for (const auto& job : jobs_)
    if (!is_terminal(job.state))
      for (const auto& item : job.items)
        out.insert(item.shard);
  for (auto i = static_cast<std::uint32_t>(shards_.size()); i-- > 0;)
    if (out.contains(i)) // needs come before what reads them
      out.insert(shards_[i].needs.begin(), shards_[i].needs.end());
  return out;
}

bool run_machine::wants_worker(std::uint32_t index) const {
  if (index >= shards_.size() || !needs_done(shards_[index]))
    return false;
  return shards_[index].state == shard_state::ready || hedge_offers_.contains(index);
}

bool run_machine::is_other_build(const shard_record& shard,
                                 const std::string& fingerprint) const {
  return encodes(shard.role) && !run_.fingerprint.empty() && fingerprint != run_.fingerprint;
}

bool run_machine::is_probed() const {
  return std::all_of(shards_.begin(), shards_.begin() + run_.source_count(),
                     [](const auto& s) { return s.state == shard_state::done; });
}

bool run_machine::needs_done(const shard_record& shard) const {
  return std::all_of(shard.needs.begin(), shard.needs.end(), [&](std::uint32_t i) {
    return shards_[i].state == shard_state::done;
  });
}

bool run_machine::shards_of_job_done(const job_record& job) const {
  return std::all_of(job.items.begin(), job.items.end(), [&](const auto& item) {
    return shards_[item.shard].state == shard_state::done;
  });
}

bool run_machine::is_wanted(const shard_record& shard) const {
  if (shard.role == shard_role::probe)
    return true;
  return std::any_of(shard.jobs.begin(), shard.jobs.end(),
                     [&](auto j) { return !is_terminal(jobs_[j].state); });
}

} // namespace framemill
