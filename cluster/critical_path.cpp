#include "cluster/critical_path.hpp"

#include <algorithm>
#include <set>

namespace framemill {

namespace {

class walk {
public:
  walk(const run_record& run, const std::vector<job_record>& jobs,
       const std::vector<shard_record>& shards)
      : run_(run), jobs_(jobs), shards_(shards), at_(run.finished) {}

  std::vector<critical_step> path() && {
    auto next = last_of_run();
    while (next.attempt) {
      pass_wait(next);
      pass(next);
      next = before(next);
    }
    step(run_.created, "waited to begin", "");
    std::reverse(path_.begin(), path_.end());
    return std::move(path_);
  }

private:
  struct place {
    const shard_record* shard = nullptr;
    const attempt_record* attempt = nullptr;
    std::string wait; ///< what the time from its end on was spent with
  };

  /// From `begin` to where we are; nothing when that is no time.
  void step(timestamp begin, std::string what, std::string node) {
    begin = std::clamp(begin, run_.created, std::max(at_, run_.created)); // clocks may be set back
    if (begin >= at_)
      return;
    auto seconds = static_cast<double>((at_ - begin).count()) / 1e6;
    path_.push_back({std::move(what), std::move(node), begin, at_, seconds});
    at_ = begin;
  }

  void pass_wait(const place& p) { step(p.attempt->finished, p.wait, ""); }

  void pass(const place& p) {
    seen_.insert(p.attempt);
    auto what = fmt::format("shard {} ({})", p.shard->id.index, to_string(p.shard->role));
    if (const auto& e = p.attempt->failure)
      what += fmt::format(", attempt {} failed: {}", p.attempt->epoch, e->message);
    step(p.attempt->started, std::move(what), p.attempt->node);
  }

  /// The latest attempt of `shard` that had ended by now and that `counts`.
  template <class Counts>
  void offer(place& best, const shard_record& shard, const std::string& wait, Counts counts) {
    for (const auto& a : shard.attempts)
      if (a.finished && a.finished <= at_ && !seen_.contains(&a) && counts(a)
          && (!best.attempt || a.finished > best.attempt->finished))
        best = {&shard, &a, wait};
  }
  static bool any(const attempt_record&) { return true; }
  static bool succeeded(const attempt_record& a) { return !a.failure; }
  static bool failed(const attempt_record& a) { return a.failure.has_value(); }

  /// What the run ended with: a publication when it came to that, else what was
  /// told last.
  place last_of_run() {
    place best;
    if (const auto* job = last_published()) {
      step(job->finished, "ended", "");
      for (const auto& item : job->items)
        if (item.shard < shards_.size())
          offer(best, shards_[item.shard], fmt::format("publishing job {}", job->index),
                succeeded);
    }
    if (!best.attempt)
      for (const auto& s : shards_)
        offer(best, s, run_.state == run_state::succeeded ? "published" : "ended", any);
    return best;
  }

  /// The job that ended last, if that is what ended the run.
  const job_record* last_published() const {
    const job_record* last = nullptr;
    for (const auto& j : jobs_)
      if (!last || j.finished > last->finished)
        last = &j;
    return last && last->state == job_state::succeeded ? last : nullptr;
  }

  place before(const place& p) {
    if (p.attempt->hedge)
      pass_slow(p);
    place best;
    const auto plan = std::string{"waited for the plan and a slot"};
    for (auto need : p.shard->needs)
      if (need < shards_.size())
        offer(best, shards_[need],
              shards_[need].role == shard_role::probe ? plan : "waited for a slot", succeeded);
    if (p.shard->role != shard_role::probe)
      for (const auto& s : shards_)
        if (s.role == shard_role::probe)
          offer(best, s, plan, succeeded);
    offer(best, *p.shard, "waited to try again", failed);
    if (run_.plan_revision > 0 && p.shard->role != shard_role::probe)
      for (const auto& s : shards_) // damage made a second plan
        offer(best, s, plan, [](const auto& a) {
          return a.failure && a.failure->code == errc::input_damaged;
        });
    return best;
  }

  /// A second attempt began because the first was slow: until then that worked.
  void pass_slow(const place& p) {
    for (const auto& a : p.shard->attempts)
      if (a.started < p.attempt->started && a.finished > p.attempt->started)
        step(a.started,
             fmt::format("shard {} ({}), attempt {} was slow", p.shard->id.index,
                         to_string(p.shard->role), a.epoch),
             a.node);
  }

  const run_record& run_;
  const std::vector<job_record>& jobs_;
  const std::vector<shard_record>& shards_;
  timestamp at_; ///< all after this is told
  std::set<const attempt_record*> seen_;
  std::vector<critical_step> path_;
};

} // namespace

std::vector<critical_step> critical_path(const run_record& run,
                                         const std::vector<job_record>& jobs,
                                         const std::vector<shard_record>& shards) {
  if (!is_terminal(run.state) || run.finished <= run.created)
    return {};
  return walk{run, jobs, shards}.path();
}

} // namespace framemill
