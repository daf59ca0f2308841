#include "cluster/critical_path.hpp"
#include "cluster/progress_meter.hpp"
#include "tests/cluster/run_plans.hpp"
#include "tests/support/reachable.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <random>
#include <set>

// One run on several nodes under random traffic: grants, results, failures of
// every kind, stale and repeated messages, crashes that lose what was not
// written and leave the attempts of other machines going on, nodes that die or
// come back with another build, second attempts beside slow ones, artifacts that
// vanish, publications that fail. Checked after every step; see check_*().

using namespace framemill;
using namespace framemill::test;

namespace {

constexpr int faulty_steps = 150;
constexpr int quiet_steps_max = 5'000;

/// The durable records of one run: what steps wrote, in order.
struct book {
  run_record run;
  std::vector<job_record> jobs;
  std::vector<shard_record> shards;

  template <class Record>
  static void put(std::vector<Record>& into, const Record& r, std::uint32_t index) {
    if (index >= into.size())
      into.resize(index + 1);
    into[index] = r;
  }
  void apply(const changes& c) {
    for (const auto& r : c.runs)
      run = r;
    for (const auto& j : c.jobs)
      put(jobs, j, j.index);
    for (const auto& s : c.shards)
      put(shards, s, s.id.index);
  }
};

template <class State>
State state_named(std::string_view name) {
  for (std::size_t i = 0; i < enum_names<State>::names.size(); ++i)
    if (enum_names<State>::names[i] == name)
      return static_cast<State>(i);
  FAIL("no state named ", name);
  return {};
}

class simulation {
public:
  explicit simulation(std::uint64_t seed) : random_(seed) {
    durable_.run = waiting_run();
    for (auto& n : nodes_)
      n = build_of_choice();
    is_deterministic_ = !one_in(8);
    begin_life();
  }

  void run() {
    for (int i = 0; i < faulty_steps && !is_over(); ++i)
      faulty_step();
    is_quiet_ = true;
    for (int i = 0; !is_over(); ++i) {
      REQUIRE_MESSAGE(i < quiet_steps_max, "the run does not end");
      quiet_step();
    }
    while (!pending_.empty())
      commit_one();
    CHECK(finishes_ == 1);
    CHECK(is_terminal(durable_.run.state));
    check_path();
    begin_life(); // a terminal run that is started again ends again, once
    commit_one();
    CHECK(finishes_ == 1);
  }

  [[nodiscard]] const run_record& outcome() const { return durable_.run; }
  struct sights { int hedged = 0, adopted = 0, superseded = 0, rebuilt = 0, differed = 0; };
  [[nodiscard]] const sights& seen() const { return seen_; }

private:
  struct pending_step {
    changes record;
    std::vector<run_action> actions;
  };
  /// An attempt somebody works on: (shard, epoch) → node.
  using lease_key = std::pair<std::uint32_t, std::uint32_t>;
  static constexpr std::size_t own_node = 0; ///< dies with the coordinator
  using late_message = std::pair<std::uint32_t, attempt_outcome>;

  // ---- Random choices ---------------------------------------------------------

  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  template <class Container>
  auto pick(const Container& c) {
    return *std::next(c.begin(), static_cast<std::ptrdiff_t>(below(c.size())));
  }
  errc any_failure() {
    static constexpr errc codes[] = {errc::worker_crashed,
                                     errc::worker_hung,
                                     errc::worker_killed,
                                     errc::no_memory,
                                     errc::no_space,
                                     errc::io_failed,
                                     errc::input_damaged,
                                     errc::input_damaged,
                                     errc::input_no_audio,
                                     errc::lease_lost,
                                     errc::unavailable,
                                     errc::timed_out,
                                     errc::cancelled,
                                     errc::internal,
                                     errc::contract_broken,
                                     errc::corrupt,
                                     errc::input_changed,
                                     errc::not_found,
                                     errc::busy};
    return codes[below(std::size(codes))];
  }

  std::string build_of_choice() { return one_in(4) ? "build b" : "build a"; }
  static std::string name_of(std::size_t node) { return "node " + std::to_string(node); }

  plan random_plan(bool trust_index) {
    plan p;
    auto jobs = static_cast<std::uint32_t>(1 + below(4));
    jobs = jobs_planned_ = jobs_planned_ ? jobs_planned_ : jobs;
    std::vector<std::uint32_t> all(jobs);
    for (std::uint32_t j = 0; j < jobs; ++j)
      all[j] = j;
    std::vector<std::uint32_t> pieces;
    if (!trust_index || one_in(4)) {
      auto whole = p.add(shard_role::whole, {}, all);
      for (std::uint32_t j = 0; j < jobs; ++j)
        p.add_job({whole});
    } else {
      if (one_in(2))
        pieces.push_back(p.add(shard_role::audio, {}, all));
      for (auto n = 1 + below(4); n-- > 0;)
        pieces.push_back(p.add(shard_role::decode, {0}, all));
      for (std::uint32_t j = 0; j < jobs; ++j) {
        if (one_in(3)) {
          p.add_job({}); // pictures, straight from the pieces
          for (auto i : pieces)
            p.jobs.back().items.push_back({"*", i, "bucket", "key", "picture"});
        } else {
          p.add_job({p.add(shard_role::join, pieces, {j})});
        }
      }
    }
    for (auto& j : p.jobs)
      if (one_in(15))
        j.failure = error{errc::input_no_audio, "no audio", {}};
    return p;
  }

  // ---- Lives --------------------------------------------------------------------

  bool is_over() const { return machine_->finished() && pending_.empty(); }

  /// The machine is built from what was written; all else of it is gone.
  void begin_life() {
    pending_.clear();
    offers_.clear();
    lost_.clear();
    publishing_.clear();
    std::erase_if(running_, [](const auto& r) { return r.second == own_node; });
    finishes_ = finishes_told_ = 0;
    ahead_ = durable_;
    machine_.emplace(durable_.run, durable_.jobs, durable_.shards);
    meter_ = {};
    shown_ = 0;
    take([&] {
      return machine_->start(
          now(),
          has_artifact(),
          [&](const attempt_record& a) { return a.node != name_of(own_node); });
    });
  }

  run_machine::artifact_question has_artifact() const {
    return [this](std::string_view sha256) { return artifacts_.contains(std::string{sha256}); };
  }

  void crash() {
    for (auto i = artifacts_.begin(); i != artifacts_.end();)
      i = one_in(6) ? artifacts_.erase(i) : std::next(i);
    begin_life();
  }

  // ---- One event and its checks ---------------------------------------------------

  timestamp now() { return {++ticks_}; }

  template <class Event>
  const std::vector<run_action>& take(Event event) {
    auto before = ahead_;
    run_machine::step step;
    REQUIRE_NOTHROW(step = event()); // it throws at a transition outside of the table
    ahead_.apply(step.record);
    check_records();
    check_transitions(before, step);
    check_states(step);
    check_progress();
    last_actions_ = step.actions;
    pending_.push_back({std::move(step.record), std::move(step.actions)});
    return last_actions_;
  }

  /// All that changed is written.
  void check_records() {
    REQUIRE(ahead_.run == machine_->run());
    REQUIRE(ahead_.jobs == machine_->jobs());
    REQUIRE(ahead_.shards == machine_->shards());
  }

  /// Runs and jobs tell each transition; each is in the table, none is left out.
  void check_transitions(const book& before, const run_machine::step& step) {
    auto run = before.run.state;
    std::map<std::uint32_t, job_state> jobs;
    for (const auto& j : before.jobs)
      jobs[j.index] = j.state;
    for (const auto& e : step.record.events) {
      if (e.type == "run.state") {
        auto to = state_named<run_state>(e.state);
        REQUIRE(may_become(run, to));
        run = to;
      } else if (e.type == "job.state") {
        auto to = state_named<job_state>(e.state);
        REQUIRE(may_become(jobs[e.job.value()], to));
        jobs[*e.job] = to;
      }
    }
    REQUIRE(run == ahead_.run.state);
    for (const auto& j : ahead_.jobs)
      REQUIRE(jobs[j.index] == j.state);
    for (std::size_t i = 0; i < before.shards.size(); ++i) {
      REQUIRE(is_reachable(before.shards[i].state, ahead_.shards[i].state));
      REQUIRE(ahead_.shards[i].epoch >= before.shards[i].epoch);
      REQUIRE(ahead_.shards[i].epoch <= before.shards[i].epoch + 1);
    }
    for (const auto& e : step.record.events)
      if (e.type == "shard.differs") {
        ++seen_.differed;
        REQUIRE_FALSE(is_deterministic_);
      }
    if (is_terminal(before.run.state)) {
      REQUIRE(step.record.runs.empty());
      REQUIRE(step.record.jobs.empty());
      REQUIRE(step.record.shards.empty());
    }
  }

  void check_states(const run_machine::step& step) {
    for (const auto& p : all_of<publish_job>(step)) {
      for (const auto& item : ahead_.jobs.at(p.job).items)
        REQUIRE(ahead_.shards.at(item.shard).state == shard_state::done);
      check_builds(p.job);
    }
    for (const auto& s : ahead_.shards) {
      auto counted = std::count_if(s.attempts.begin(), s.attempts.end(), [](const auto& a) {
        return a.failure && a.failure->code != errc::cancelled;
      });
      REQUIRE(counted <= 4 * limits::shard_attempts_max);
      REQUIRE(s.attempts.size() == s.epoch);
      check_attempts(s);
      // A file found corrupt after its inputs were let go is two faults at once.
      if (s.state == shard_state::leased && !was_corrupt_)
        REQUIRE(has_inputs(s));
    }
    finishes_told_ += static_cast<int>(all_of<finish_run>(step).size());
    REQUIRE(finishes_told_ == (is_terminal(ahead_.run.state) ? 1 : 0));
    if (!is_terminal(ahead_.run.state))
      return;
    auto succeeded = ahead_.run.state == run_state::succeeded;
    for (const auto& j : ahead_.jobs)
      REQUIRE((succeeded ? j.state == job_state::succeeded : is_terminal(j.state)));
    for (const auto& s : ahead_.shards)
      REQUIRE(is_terminal(s.state));
    REQUIRE(ahead_.run.failure.has_value() != succeeded);
  }

  /// A lease is one live attempt, or two of different nodes.
  void check_attempts(const shard_record& s) {
    std::set<std::string> at_it;
    std::ptrdiff_t live = 0, hedges = 0;
    for (const auto& a : s.attempts) {
      hedges += a.hedge;
      if (a.finished)
        continue;
      ++live;
      at_it.insert(a.node);
      REQUIRE((!encodes(s.role) || a.fingerprint == ahead_.run.fingerprint));
    }
    auto most = std::min<std::ptrdiff_t>(2, hedges + 1);
    REQUIRE(hedges <= 1);
    REQUIRE((s.state == shard_state::leased ? live >= 1 && live <= most : live == 0));
    REQUIRE(std::ssize(at_it) == live);
  }

  /// What goes into one output was encoded by one build.
  void check_builds(std::uint32_t job) {
    std::set<std::uint32_t> parts;
    for (const auto& item : ahead_.jobs.at(job).items)
      parts.insert(item.shard);
    std::set<std::string> builds;
    for (auto i = static_cast<std::uint32_t>(ahead_.shards.size()); i-- > 0;) {
      const auto& s = ahead_.shards[i];
      if (!parts.contains(i))
        continue;
      parts.insert(s.needs.begin(), s.needs.end());
      if (encodes(s.role))
        builds.insert(s.attempts.at(s.made_by - 1).fingerprint);
    }
    REQUIRE(builds.size() <= 1);
  }

  /// By the books, not by what the machine says of itself.
  bool is_live(std::uint32_t shard, std::uint32_t epoch) const {
    if (shard >= ahead_.shards.size() || ahead_.shards[shard].state != shard_state::leased)
      return false;
    const auto& all = ahead_.shards[shard].attempts;
    return epoch <= all.size() && !all[epoch - 1].finished;
  }

  bool has_inputs(const shard_record& s) const {
    return std::all_of(s.needs.begin(), s.needs.end(), [&](auto need) {
      const auto& files = ahead_.shards.at(need).files;
      return std::all_of(files.begin(), files.end(),
                         [&](const auto& f) { return artifacts_.contains(f.sha256); });
    });
  }

  /// The critical path has no gap, and is as long as the run.
  void check_path() {
    auto at = durable_.run.created;
    for (const auto& s : critical_path(durable_.run, durable_.jobs, durable_.shards)) {
      REQUIRE(s.begin == at);
      REQUIRE(s.end > s.begin);
      at = s.end;
    }
    REQUIRE(at == durable_.run.finished);
  }

  void check_progress() {
    auto p = meter_.measure(now(), ahead_.run, ahead_.jobs, ahead_.shards);
    REQUIRE(p.fraction >= shown_);
    REQUIRE(p.fraction <= 1);
    REQUIRE((p.fraction == 1) == (ahead_.run.state == run_state::succeeded));
    shown_ = p.fraction;
  }

  // ---- What steps want done, once they are durable ----------------------------------

  void commit_one() {
    auto step = std::move(pending_.front());
    pending_.pop_front();
    durable_.apply(step.record);
    for (const auto& j : step.record.jobs)
      if (j.state == job_state::succeeded)
        is_published_.insert(j.index);
    for (const auto& a : step.actions)
      std::visit([&](const auto& action) { act(action); }, a);
  }

  void act(const offer_shard& a) { offers_.insert(a.shard); }
  void act(const await_lease& a) {
    ++seen_.adopted;
    if (!running_.contains({a.shard, a.epoch}))
      lost_.insert({a.shard, a.epoch}); // MEMBERSHIP will say so
  }
  void act(const withdraw_shard& a) { offers_.erase(a.shard); }
  void act(const decline_worker&) {}
  void act(const start_shard& a) {
    REQUIRE(machine_->is_live(a.shard, a.epoch) == is_live(a.shard, a.epoch));
    if (!is_live(a.shard, a.epoch))
      return;                                 // stopped meanwhile
    REQUIRE(a.epoch > started_[a.shard]);     // never again the same epoch
    started_[a.shard] = a.epoch;
    running_[{a.shard, a.epoch}] = a.worker % nodes_.size();
  }
  void act(const stop_shard& a) {
    if (one_in(4))
      return; // too late: it ends by itself
    if (running_.erase({a.shard, a.epoch}) > 0)
      late_.emplace_back(a.shard, failure_of(a.epoch, errc::cancelled));
  }
  void act(const plan_run& a) {
    if (machine_->run().state != run_state::probing)
      return;
    REQUIRE(machine_->shards()[0].state == shard_state::done);
    if (!is_quiet_ && one_in(20)) {
      take([&] { return machine_->plan_failed(now(), {errc::unsupported, "no", {}}); });
      return;
    }
    auto p = random_plan(a.trust_index);
    take([&] { return machine_->planned(now(), p.shards, p.jobs, {"a warning"}); });
  }
  void act(const publish_job& a) {
    REQUIRE_FALSE(is_published_.contains(a.job));
    REQUIRE(publishing_.insert(a.job).second); // not twice at once
  }
  void act(const finish_run&) {
    ++finishes_;
    REQUIRE(is_terminal(durable_.run.state));
  }

  // ---- The world ----------------------------------------------------------------------

  /// The number of the worker says which node it is on.
  std::uint64_t worker_on(std::size_t node) {
    workers_ += nodes_.size();
    return workers_ + node;
  }

  void grant(std::uint32_t shard) { grant(shard, below(nodes_.size())); }

  void grant(std::uint32_t shard, std::size_t node) {
    offers_.erase(shard);
    auto worker = worker_on(node);
    auto was = shard < ahead_.shards.size() ? ahead_.shards[shard].state : shard_state::blocked;
    const auto& actions = take([&] {
      return machine_->granted(now(), shard, worker, name_of(node), nodes_[node]);
    });
    if (const auto* start = std::get_if<start_shard>(&actions.at(0))) {
      REQUIRE(actions.size() == 1);
      REQUIRE(start->worker == worker);
      seen_.hedged += was == shard_state::leased;
      meter_.moved(now(), shard, {}, start->epoch);
      return;
    }
    REQUIRE(std::get<decline_worker>(actions[0]).worker == worker);
    REQUIRE(actions.size() <= 2); // offered again when only the build is wrong
    if (actions.size() == 2) {
      REQUIRE(std::get<offer_shard>(actions[1]).shard == shard);
      REQUIRE(nodes_[node] != ahead_.run.fingerprint);
    }
  }

  /// The bytes follow from the request, its inputs and the encoder's build.
  std::string artifact_of(const shard_record& s, const std::string& build) {
    auto out = "artifact " + std::to_string(s.id.index) + " by " + build;
    if (!encodes(s.role))
      for (auto need : s.needs)
        for (const auto& f : ahead_.shards.at(need).files)
          out += " of (" + f.sha256 + ")";
    if (!is_deterministic_)
      out += " #" + std::to_string(++artifacts_made_);
    return out;
  }

  void end_attempt(bool fails) {
    auto [key, node] = pick(running_);
    auto [shard, epoch] = key;
    running_.erase(key);
    const auto& record = ahead_.shards.at(shard);
    auto is_late = !is_live(shard, epoch);
    if (fails && !is_late && one_in(4))
      return break_lease(key);
    auto outcome = failure_of(epoch, any_failure());
    if (!has_inputs(record)) {
      outcome = failure_of(epoch, errc::not_found);
    } else if (!fails) {
      auto sha256 = artifact_of(record, record.attempts.at(epoch - 1).fingerprint);
      artifacts_.insert(sha256);
      outcome = success(epoch, sha256);
    }
    was_corrupt_ = was_corrupt_ || (outcome.failure && outcome.failure->code == errc::corrupt);
    meter_.ended(shard, epoch);
    if (is_late || one_in(5))
      late_.emplace_back(shard, outcome); // comes twice
    if (is_late)
      return;
    seen_.superseded += !fails && record.attempts.back().epoch != epoch;
    take([&] { return machine_->attempt_finished(now(), shard, outcome); });
  }

  void break_lease(lease_key key) {
    auto e = error{errc::worker_killed, "the worker died", {}};
    take([&] { return machine_->lease_broken(now(), key.first, key.second, e); });
  }

  void find_lost() {
    auto key = pick(lost_);
    lost_.erase(key);
    if (!running_.contains(key))
      break_lease(key);
  }

  /// Cut off: its attempts may go on, and tell too late. It comes back with
  /// another build, at times.
  void lose_node() {
    auto node = 1 + below(nodes_.size() - 1);
    std::vector<lease_key> held;
    for (const auto& [key, on] : running_)
      if (on == node)
        held.push_back(key);
    for (auto key : held) {
      if (one_in(2))
        running_.erase(key);
      break_lease(key);
    }
    if (one_in(2))
      nodes_[node] = build_of_choice();
  }

  void hedge() {
    auto shard = static_cast<std::uint32_t>(below(ahead_.shards.size()));
    const auto& actions = take([&] { return machine_->hedge(now(), shard); });
    for (const auto& a : actions) {
      REQUIRE(std::get<offer_shard>(a).hedge);
      REQUIRE(ahead_.shards[shard].state == shard_state::leased);
    }
  }

  void lose_fingerprint() {
    auto before = ahead_;
    take([&] { return machine_->fingerprint_lost(now(), has_artifact()); });
    for (const auto& j : before.jobs)
      REQUIRE(j.state == ahead_.jobs[j.index].state);
    seen_.rebuilt += before.run.fingerprint != ahead_.run.fingerprint;
  }

  void tell_late() {
    auto [shard, outcome] = pick(late_);
    if (is_live(shard, outcome.epoch))
      return; // its own worker will tell
    auto before = ahead_;
    const auto& actions =
        take([&] { return machine_->attempt_finished(now(), shard, outcome); });
    REQUIRE(actions.empty());
    for (std::size_t i = 0; i < before.shards.size(); ++i) {
      REQUIRE(before.shards[i].state == ahead_.shards[i].state);
      REQUIRE(before.shards[i].files == ahead_.shards[i].files);
    }
  }

  void end_publication(bool fails) {
    auto job = pick(publishing_);
    publishing_.erase(job);
    if (fails) {
      auto code = one_in(2) ? errc::corrupt : errc::no_space;
      was_corrupt_ = was_corrupt_ || code == errc::corrupt;
      take([&] { return machine_->publish_failed(now(), job, {code, "failed", {}}); });
      return;
    }
    auto was = machine_->jobs()[job].state;
    take([&] { return machine_->published(now(), job, {published_file{}}); });
    if (was == job_state::publishing)
      REQUIRE(ahead_.jobs[job].state == job_state::succeeded);
    if (one_in(4)) // told twice
      take([&] { return machine_->published(now(), job, {}); });
  }

  void move_watermarks() {
    for (const auto& [key, node] : running_) {
      watermark w;
      w.source_seconds = static_cast<double>(below(100));
      if (is_live(key.first, key.second))
        meter_.moved(now(), key.first, w, key.second);
    }
    check_progress();
  }

  void faulty_step() {
    auto dice = below(112);
    if (dice < 35 && !pending_.empty())
      commit_one();
    else if (dice < 55 && !offers_.empty())
      grant(pick(offers_));
    else if (dice < 57)
      grant(static_cast<std::uint32_t>(below(12))); // an offer of old
    else if (dice < 75 && !running_.empty())
      end_attempt(one_in(3));
    else if (dice < 80 && !late_.empty())
      tell_late();
    else if (dice < 90 && !publishing_.empty())
      end_publication(one_in(3));
    else if (dice < 94)
      move_watermarks();
    else if (dice < 97)
      crash();
    else if (dice >= 109 && !lost_.empty())
      find_lost();
    else if (dice >= 108)
      lose_node();
    else if (dice >= 102 && !ahead_.shards.empty())
      hedge();
    else if (dice == 101 && one_in(3))
      lose_fingerprint();
    else if (dice == 100 && one_in(20))
      quarantine();
    else if (dice == 99 && one_in(10))
      cancel();
  }

  void cancel() {
    if (one_in(2))
      take([&] { return machine_->cancel(now(), "by request"); });
    else
      take([&] { return machine_->fail_all(now(), {errc::input_changed, "replaced", {}}); });
  }

  void quarantine() {
    take([&] { return machine_->quarantine(now(), 0, "signal 11"); });
    REQUIRE(is_terminal(ahead_.run.state));
  }

  /// To a node of the run's build; when there is none any more, under another.
  void grant_fitting(std::uint32_t shard) {
    const auto& build = ahead_.run.fingerprint;
    auto fits = [&](std::size_t n) { return build.empty() || nodes_[n] == build; };
    std::vector<std::size_t> eligible;
    for (std::size_t n = 0; n < nodes_.size(); ++n)
      if (fits(n) || !encodes(ahead_.shards.at(shard).role))
        eligible.push_back(n);
    if (eligible.empty())
      lose_fingerprint();
    else
      grant(shard, pick(eligible));
  }

  /// No faults: whatever is wanted is done.
  void quiet_step() {
    if (!pending_.empty())
      commit_one();
    else if (!lost_.empty())
      find_lost();
    else if (!running_.empty())
      end_attempt(false);
    else if (!publishing_.empty())
      end_publication(false);
    else if (!offers_.empty())
      grant_fitting(pick(offers_));
    else
      FAIL("the run hangs: nothing is left to do");
  }

  std::mt19937_64 random_;
  std::optional<run_machine> machine_;
  book durable_, ahead_; ///< with the steps committed; with all steps
  std::deque<pending_step> pending_;
  std::vector<run_action> last_actions_;

  std::set<std::uint32_t> offers_;
  std::array<std::string, 4> nodes_; ///< their encoder builds
  std::map<lease_key, std::size_t> running_;
  std::set<lease_key> lost_; ///< awaited, and nobody has them
  std::map<std::uint32_t, std::uint32_t> started_; ///< newest epoch a worker ever saw
  std::vector<late_message> late_;
  std::set<std::uint32_t> publishing_, is_published_;
  std::set<std::string> artifacts_;
  std::uint64_t artifacts_made_ = 0, workers_ = 0;
  std::uint32_t jobs_planned_ = 0;
  std::int64_t ticks_ = 2'000'000;

  progress_meter meter_;
  double shown_ = 0;
  int finishes_ = 0, finishes_told_ = 0; ///< of this life
  sights seen_;
  bool is_deterministic_ = true;
  bool is_quiet_ = false, was_corrupt_ = false;
};

} // namespace

TEST_CASE("run_machine: a run keeps its word under random faults") {
  constexpr std::uint64_t seeds = 3'000;
  std::map<run_state, int> ends;
  int replanned = 0;
  simulation::sights seen;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    INFO("replay: simulation{", seed, "}.run()");
    simulation s{seed};
    s.run();
    ++ends[s.outcome().state];
    replanned += s.outcome().plan_revision > 0;
    seen.hedged += s.seen().hedged;
    seen.adopted += s.seen().adopted;
    seen.superseded += s.seen().superseded;
    seen.rebuilt += s.seen().rebuilt;
    seen.differed += s.seen().differed;
  }
  // The story was worth telling: all ends were met, and second plans too.
  CHECK(ends[run_state::succeeded] > 300);
  CHECK(ends[run_state::failed] > 300);
  CHECK(ends[run_state::cancelled] > 5);
  CHECK(replanned > 100);
  CHECK(seen.hedged > 100);
  CHECK(seen.adopted > 100);
  CHECK(seen.superseded > 20);
  CHECK(seen.rebuilt > 20);
  CHECK(seen.differed > 0);
  MESSAGE("succeeded ", ends[run_state::succeeded], ", failed ", ends[run_state::failed],
          ", cancelled ", ends[run_state::cancelled], ", planned anew ", replanned);
  MESSAGE("hedged ", seen.hedged, ", adopted ", seen.adopted, ", overtaken ", seen.superseded,
          ", made anew under another build ", seen.rebuilt, ", differing ", seen.differed);
}
