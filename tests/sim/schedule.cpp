#include "tests/sim/schedule.hpp"

#include "core/limits.hpp"

#include <algorithm>

namespace framemill::sim {

namespace {

constexpr microseconds look_every{50'000};
constexpr microseconds peace_lasts_at_most{240'000'000};

workflow_spec some_workflow() {
  workflow_spec s;
  s.name = "w";
  s.trigger.bucket = "in";
  s.trigger.dir = "/";
  activity a;
  a.transcode.emplace().definition = 100020;
  s.activities.push_back(std::move(a));
  s.scheduling.device = "gpu";
  return s;
}

} // namespace

schedule::schedule(std::uint64_t seed, rule broken_rule, bool traces)
    : world_(seed, broken_rule, traces), facts_(world_), net_(world_),
      stage_{world_, facts_, net_, disks_}, coordinator_(stage_) {}

// ---- The beginning -----------------------------------------------------------------------

void schedule::run() {
  define_workflow();
  static constexpr const char* places[] = {"coordinator", "any", "any", "n0"};
  disks_.watch = places[world_.dice.below(4)];
  coordinator_.start();
  build_cluster();
  land_inputs();
  choose_faults();
  later(look_every, [this] { look_at_nodes(); });
  run_until(world_.now() + world_.dice.between(1200ms, 5s));
  heal();
  auto healed = world_.now();
  while (!restlessness().empty()) {
    if (world_.now() - healed > peace_lasts_at_most)
      world_.violate("no end {} s after all faults: {}",
                     peace_lasts_at_most.count() / 1'000'000, restlessness());
    nurse();
    run_until(world_.now() + 200ms);
  }
  check_end();
}

void schedule::define_workflow() {
  catalog definitions;
  auto books = journal::open(disks_.store);
  auto made = definitions.create_workflow(world_.now(), some_workflow());
  if (!books || !made)
    world_.violate("{}", books ? made.error().message : books.error().message);
  auto id = workflow_id{made->id};
  (*books)->commit(std::move(made->record), [](const result<void>&) {});
  auto enabled = definitions.set_enabled(world_.now(), {id}, true);
  (*books)->commit(std::move(*enabled), [](const result<void>&) {});
  disks_.store.sync();
}

void schedule::build_cluster() {
  auto& dice = world_.dice;
  auto count = 1 + std::min(dice.below(6), dice.below(6));
  auto is_mixed = dice.one_in(4);
  net_.set_latency(dice.one_in(4) ? 8ms : 800us);
  for (std::uint64_t i = 0; i < count; ++i) {
    node_facts f;
    f.version = "sim";
    f.cores = f.slots = static_cast<std::int32_t>(1 + dice.below(3));
    f.memory_bytes = 250 * static_cast<std::int64_t>(1 + dice.below(4));
    f.scratch_bytes = std::int64_t{1} << 30;
    f.devices = {"gpu"};
    f.device_sessions = {{"gpu", static_cast<std::int64_t>(1 + i % 2)}};
    f.fingerprint = is_mixed && dice.one_in(2) ? "B" : "A";
    f.service_kinds = {bucket_watcher_kind};
    if (!dice.one_in(4))
      f.buckets.push_back({"in", "its sentinel"});
    nodes_.push_back(std::make_unique<node>(stage_, fmt::format("n{}", i), std::move(f)));
    enrol(*nodes_.back());
  }
}

input_nature schedule::some_nature() {
  auto& dice = world_.dice;
  input_nature n;
  n.is_poison = dice.one_in(10);
  n.is_poison_to_probes = dice.one_in(30);
  n.damages_index = dice.one_in(12);
  n.memory_bytes = dice.one_in(10) ? 350 : 0;
  n.jobs = static_cast<std::uint32_t>(1 + dice.below(2));
  n.pieces = static_cast<std::uint32_t>(1 + dice.below(4));
  n.has_audio = dice.one_in(2);
  n.has_joins = !dice.one_in(3);
  return n;
}

void schedule::land_inputs() {
  for (auto i = 1 + world_.dice.below(4); i-- > 0;)
    later(world_.dice.between(0ms, 1500ms), [this, key = fmt::format("in{}.mp4", i)] {
      machines::input in{{"in", key, {}}, some_nature()};
      in.object.generation.size = 1000;
      in.object.generation.mtime_ns = 1;
      disks_.inputs.emplace(key, std::move(in));
    });
}

// ---- Faults ------------------------------------------------------------------------------

/// Each seed has faults of some kinds only, so that rare mixes come up too.
void schedule::choose_faults() {
  static constexpr fault all[] = {
      &schedule::cut_connection,    &schedule::cut_connection,   &schedule::block_one_way,
      &schedule::block_both_ways,   &schedule::crash_node,       &schedule::crash_node,
      &schedule::freeze_node,       &schedule::slow_node,        &schedule::fill_disk,
      &schedule::break_children,    &schedule::kill_worker,      &schedule::jumble_frames,
      &schedule::stop_node,         &schedule::upgrade_node,     &schedule::crash_coordinator,
      &schedule::crash_coordinator, &schedule::crash_coordinator, &schedule::freeze_coordinator,
      &schedule::skew_coordinator,  &schedule::refuse_commits,   &schedule::slow_store,
      &schedule::cancel_run,        &schedule::replace_input,    &schedule::cordon_node,
      &schedule::drain_node,        &schedule::remove_node,      &schedule::label_node,
      &schedule::kill_watcher,      &schedule::lose_mount};
  for (auto f : all)
    if (world_.dice.one_in(4))
      faults_.push_back(f);
  if (!faults_.empty())
    later(world_.dice.between(100ms, 600ms), [this] { next_fault(); });
}

void schedule::next_fault() {
  if (is_healed_)
    return;
  ++faults_told_;
  (this->*world_.dice.pick(faults_))();
  later(world_.dice.between(5ms, 700ms), [this] { next_fault(); });
}

microseconds schedule::a_while() {
  return world_.dice.one_in(3) ? world_.dice.between(1s, 6s) : world_.dice.between(5ms, 900ms);
}

void schedule::later(microseconds delay, std::function<void()> what) {
  world_.after(delay, nullptr, std::move(what));
}

void schedule::cut_connection() { net_.cut(some_node().name()); }

void schedule::block_one_way() {
  auto& n = some_node();
  net_.block(n.name(), world_.dice.one_in(2) ? direction::to_hub : direction::to_node);
  later(a_while(), [this, &n] { net_.heal(n.name()); });
}

void schedule::block_both_ways() {
  auto& n = some_node();
  net_.block(n.name(), direction::to_hub);
  net_.block(n.name(), direction::to_node);
  later(a_while(), [this, &n] { net_.heal(n.name()); });
}

void schedule::crash_node() {
  auto& n = some_node();
  n.crash();
  later(a_while(), [&n] { n.start(); });
}

void schedule::freeze_node() {
  auto& n = some_node();
  n.freeze();
  later(a_while(), [&n] { n.thaw(); });
}

void schedule::slow_node() {
  auto& n = some_node();
  n.slowness = static_cast<int>(2 + world_.dice.below(60));
  later(a_while(), [&n] { n.slowness = 1; });
}

void schedule::fill_disk() {
  auto& n = some_node();
  n.disk_is_full = true;
  later(a_while(), [&n] { n.disk_is_full = false; });
}

void schedule::break_children() {
  auto& n = *nodes_.front();
  n.breaks_children = true;
  n.self_test = world_.dice.one_in(2) ? "no picture" : "";
  later(a_while(), [&n] {
    n.breaks_children = false;
    n.self_test.clear();
  });
}

void schedule::kill_worker() {
  some_node().lose_worker(static_cast<std::uint32_t>(world_.dice.below(3)));
}

/// What `link.send` and `link.receive` do when they are armed.
void schedule::jumble_frames() {
  auto& n = some_node();
  net_.jumble(n.name(), world_.dice.one_in(2) ? direction::to_hub : direction::to_node,
              world_.dice.one_in(2) ? jumbling::duplicate : jumbling::reorder);
  later(a_while(), [this, &n] { net_.heal(n.name()); });
}

void schedule::kill_watcher() { some_node().lose_watcher(); }

void schedule::lose_mount() {
  auto& n = some_node();
  n.mount_is_gone = true;
  later(a_while(), [&n] { n.mount_is_gone = false; });
}

void schedule::stop_node() {
  auto& n = some_node();
  if (!n.is_frozen())
    n.stop_in_order();
  later(a_while(), [&n] {
    n.crash(); // systemd loses its patience
    n.start();
  });
}

void schedule::upgrade_node() {
  auto& n = some_node();
  n.crash();
  n.facts.fingerprint = world_.dice.one_in(2) ? "B" : "A";
  n.facts.slots = static_cast<std::int32_t>(1 + world_.dice.below(3));
  later(a_while(), [&n] { n.start(); });
}

void schedule::crash_coordinator() {
  coordinator_.crash();
  later(world_.dice.between(1ms, 1500ms), [this] { coordinator_.start(); });
}

void schedule::freeze_coordinator() {
  coordinator_.freeze();
  later(a_while(), [this] { coordinator_.thaw(); });
}

void schedule::skew_coordinator() {
  facts_.coordinator_disturbed();
  disks_.clock_skew = world_.dice.between(-100s, 100s);
}

void schedule::refuse_commits() {
  coordinator_.refuse_commits(1 + world_.dice.below(3));
}

void schedule::slow_store() {
  disks_.store_is_slow = true;
  later(a_while(), [this] { disks_.store_is_slow = false; });
}

void schedule::cancel_run() {
  if (facts_.runs().empty() || !coordinator_.is_up())
    return;
  auto run = std::next(facts_.runs().begin(),
                       static_cast<std::ptrdiff_t>(world_.dice.below(facts_.runs().size())));
  cancelled_.insert(run->first);
  auto* keeper = coordinator_.life().keeper;
  keeper->post([keeper, id = run->first] { keeper->cancel(id, "a user's word"); });
}

void schedule::replace_input() {
  if (disks_.inputs.empty())
    return;
  auto in = std::next(disks_.inputs.begin(),
                      static_cast<std::ptrdiff_t>(world_.dice.below(disks_.inputs.size())));
  ++in->second.object.generation.mtime_ns;
  world_.note("BUCKET: {} is replaced", in->first);
}

void schedule::ask_members(std::function<void(membership_shell&)> what) {
  if (!coordinator_.is_up())
    return;
  auto* members = coordinator_.life().members;
  members->post([members, what = std::move(what)] { what(*members); });
}

void schedule::cordon_node() {
  auto name = some_node().name();
  auto mode = world_.dice.one_in(2) ? node_mode::cordoned : node_mode::paused;
  ask_members([=](membership_shell& m) { m.set_mode(name, mode); });
  later(a_while(), [this, name] {
    ask_members([=](membership_shell& m) { m.set_mode(name, node_mode::active); });
  });
}

void schedule::drain_node() {
  auto name = some_node().name();
  auto deadline = world_.dice.one_in(2) ? std::optional{world_.dice.between(10ms, 600ms)}
                                        : std::nullopt;
  ask_members([=](membership_shell& m) { m.set_mode(name, node_mode::draining, deadline); });
  later(a_while(), [this, name] {
    ask_members([=](membership_shell& m) { m.set_mode(name, node_mode::active); });
  });
}

void schedule::remove_node() {
  auto& n = some_node();
  ask_members([name = n.name()](membership_shell& m) { m.remove(name); });
  later(a_while(), [this, &n] { enrol(n); });
}

void schedule::label_node() {
  auto name = some_node().name();
  ask_members([name, value = std::to_string(world_.dice.below(9))](membership_shell& m) {
    m.set_labels(name, {{"rack", value}});
  });
}

/// A token, and the machine that uses it.
void schedule::enrol(node& n) {
  join_token_record t;
  t.id = fmt::format("t{}", ++tokens_);
  t.secret_sha256 = std::string(64, 'a');
  t.expires = world_.now() + microseconds{3'600'000'000};
  ask_members([this, t, &n](membership_shell& m) {
    m.add_token(t);
    m.enrol(t.id, n.name(), n.key(), [this, &n](const result<void>& r) {
      if (!r)
        return;
      n.enrolled();
      later(1ms, [&n] { n.start(); });
    });
  });
}

/// When was there last a reason to believe that a node is lost?
void schedule::look_at_nodes() {
  later(look_every, [this] { look_at_nodes(); });
  if (!coordinator_.is_up())
    return;
  for (const auto& n : nodes_) {
    auto& whole = last_whole_[n->name()];
    if (n->is_up() && !n->is_frozen() && net_.is_whole(n->name()))
      whole = world_.now();
    whole = std::max(whole, facts_.node(n->name()).heard);
    auto is_restart = coordinator_.began() > whole;
    auto gap = world_.now() - std::max(whole, coordinator_.began());
    if (gap > (is_restart ? microseconds{4'000'000} : microseconds{300'000}))
      facts_.node(n->name()).trouble = world_.now();
  }
}

// ---- The end -----------------------------------------------------------------------------

void schedule::run_until(timestamp until) {
  bool is_over = false;
  later(until - world_.now(), [&] { is_over = true; });
  while (!is_over && world_.step()) {
  }
}

void schedule::heal() {
  world_.note("---- all faults end ----");
  is_healed_ = true;
  net_.heal_all();
  disks_.store_is_slow = false;
  disks_.store.fail_next(0, {});
  facts_.coordinator_disturbed();
  disks_.clock_skew = {};
  coordinator_.thaw();
  coordinator_.start();
  for (const auto& n : nodes_) {
    n->disk_is_full = n->breaks_children = n->mount_is_gone = false;
    n->self_test.clear();
    n->slowness = 1;
    n->thaw();
  }
}

/// The operator's daily round.
void schedule::nurse() {
  for (const auto& n : nodes_) {
    const auto* record = facts_.find_node(n->name());
    if (!record || record->mode == node_mode::removed || n->is_outcast())
      enrol(*n);
    else if (record->mode != node_mode::active)
      ask_members([name = n->name()](membership_shell& m) {
        m.set_mode(name, node_mode::active);
      });
    n->start();
  }
}

std::string schedule::restlessness() {
  if (!coordinator_.is_up())
    return "the coordinator is down";
  auto& life = coordinator_.life();
  if (!life.keeper->knows_all_inputs())
    return "an input without a run";
  for (const auto& [id, r] : facts_.runs())
    if (!is_terminal(r.run.state))
      return fmt::format("run {} is {}", id.value, to_string(r.run.state));
  if (auto why = life.keeper->restlessness(); !why.empty())
    return why;
  if (auto why = life.members->restlessness(); !why.empty())
    return why;
  if (auto why = life.placer->restlessness(); !why.empty())
    return why;
  const auto& s = life.scheduler->core();
  if (s.busy() + s.ready() > 0)
    return fmt::format("{} slots are reserved, {} shards wait", s.busy(), s.ready());
  for (const auto& n : nodes_) {
    if (!n->is_up() || !n->is_quiet())
      return fmt::format("{} has something to tell", n->name());
    if (n->watches() && n->name() != life.placer->core().services().at(0).record.host)
      return fmt::format("{} watches, and should not", n->name());
  }
  return "";
}

void schedule::check_end() {
  std::set<std::pair<std::string, std::int64_t>> objects;
  for (const auto& [id, r] : facts_.runs()) {
    auto object = std::pair{r.run.object.key, r.run.object.generation.mtime_ns};
    if (!objects.insert(object).second)
      world_.violate("{} has two runs", r.run.object.key);
    if (r.endings != 1)
      world_.violate("run {} has {} events of its end", id.value, r.endings);
    check_run(r);
  }
  for (const auto& [key, in] : disks_.inputs)
    if (!objects.contains({key, in.object.generation.mtime_ns}))
      world_.violate("{} has no run", key);
}

/// As it would have ended without faults, or a fault must explain it.
void schedule::check_run(const real_run& r) {
  const auto& input = disks_.inputs.at(r.run.object.key);
  auto is_stopped = cancelled_.contains(r.run.id)
                    || input.object.generation != r.run.object.generation;
  switch (r.run.state) {
    case run_state::succeeded:
      if (input.nature.is_poison || input.nature.is_poison_to_probes)
        world_.violate("run {} of a poison input succeeded", r.run.id.value);
      ++seen_.succeeded;
      return check_outputs(r);
    case run_state::cancelled:
      if (!is_stopped)
        world_.violate("run {} was cancelled by nobody: {}", r.run.id.value,
                       r.run.failure ? r.run.failure->message : "");
      ++seen_.cancelled;
      return;
    default:
      ++seen_.failed;
      if (input.nature.is_poison || input.nature.is_poison_to_probes)
        return;
      if (!is_excused(r))
        world_.violate("run {} failed without cause: {}", r.run.id.value,
                       r.run.failure ? r.run.failure->message : "");
      ++seen_.excused;
  }
}

/// A shard used up its attempts, or its input looked guilty on two nodes.
bool schedule::is_excused(const real_run& r) const {
  for (const auto& [index, s] : r.shards) {
    auto counted = std::count_if(s.attempts.begin(), s.attempts.end(), [](const auto& a) {
      return a.failure && a.failure->code != errc::cancelled;
    });
    if (s.state == shard_state::failed && counted >= limits::shard_attempts_max)
      return true;
  }
  return r.run.failure && r.run.failure->code == errc::input_quarantined
         && facts_.nodes_with_strikes(r.run.id).size() >= 2;
}

void schedule::check_outputs(const real_run& r) const {
  for (const auto& [index, job] : r.jobs)
    for (const auto& item : job.items) {
      auto there = disks_.outputs.find(item.key);
      if (there == disks_.outputs.end())
        world_.violate("{} of run {} is not there", item.key, r.run.id.value);
      if (there->second.second != r.shards.at(item.shard).files.at(0).sha256)
        world_.violate("{} is not what shard {} of run {} made", item.key, item.shard,
                       r.run.id.value);
    }
}

schedule::sights schedule::seen() const {
  auto out = seen_;
  out.steps = world_.steps();
  out.runs = facts_.runs().size();
  out.faults = faults_told_;
  out.seconds = static_cast<std::uint64_t>(world_.now().us - 1'700'000'000'000'000) / 1'000'000;
  out.facts = facts_.seen;
  return out;
}

// ---- Seeds -------------------------------------------------------------------------------

std::string try_seed(std::uint64_t seed, rule broken_rule, schedule::sights& seen) {
  schedule s{seed, broken_rule, false};
  std::string wrong;
  try {
    s.run();
  } catch (const std::exception& e) { // `broken`, or a core that says that it is
    wrong = e.what();
  }
  auto now = s.seen();
  auto add = [](std::uint64_t& to, std::uint64_t n) { to += n; };
  add(seen.steps, now.steps), add(seen.runs, now.runs), add(seen.succeeded, now.succeeded);
  add(seen.failed, now.failed), add(seen.cancelled, now.cancelled);
  add(seen.faults, now.faults), add(seen.seconds, now.seconds), add(seen.excused, now.excused);
  add(seen.facts.attempts, now.facts.attempts), add(seen.facts.refused, now.facts.refused);
  add(seen.facts.hedged, now.facts.hedged), add(seen.facts.broken, now.facts.broken);
  add(seen.facts.adopted, now.facts.adopted), add(seen.facts.rebuilt, now.facts.rebuilt);
  add(seen.facts.quarantined, now.facts.quarantined);
  add(seen.facts.moved, now.facts.moved);
  add(seen.facts.found_elsewhere, now.facts.found_elsewhere);
  add(seen.facts.retried, now.facts.retried);
  return wrong;
}

std::vector<std::string> trace_of(std::uint64_t seed, rule broken_rule) {
  schedule s{seed, broken_rule, true};
  try {
    s.run();
  } catch (const std::exception& e) {
    auto out = s.trace();
    out.push_back(e.what());
    return out;
  }
  return s.trace();
}

} // namespace framemill::sim
