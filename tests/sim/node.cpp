#include "tests/sim/node.hpp"

#include "core/codec.hpp"
#include "tests/sim/truth.hpp"

namespace framemill::sim {

namespace {

constexpr microseconds silence_max{3'000'000};
constexpr int deliveries_max = 40;
constexpr microseconds scan_every{300'000};
constexpr microseconds delivery_rests{250'000};
constexpr std::uint64_t say_again_beats = 8;
const service_id watcher{bucket_watcher_kind, "in"};

error failure_named(errc code) { return {code, std::string{to_string(code)}, {}}; }

} // namespace

node::node(stage s, std::string name, node_facts its)
    : facts(std::move(its)), stage_(s), name_(std::move(name)), key_("key of " + name_) {
  process_.name = name_;
}

// ---- Its life --------------------------------------------------------------------------

void node::start() {
  if (process_.is_up || is_outcast_)
    return;
  world::begin(process_);
  boot_ = fmt::format("{}.{}", name_, process_.life);
  book_.emplace(static_cast<std::uint32_t>(facts.slots));
  services_.emplace(static_cast<std::uint64_t>(stage_.w.now().us));
  watch_.reset();
  waiting_.clear();
  slots_.assign(static_cast<std::size_t>(facts.slots), {});
  term_ = sequence_ = 0;
  is_connected_ = is_welcome_ = is_leaving_ = false;
  heard_ = uptime();
  facts.self_test = self_test;
  auto& real = stage_.facts.node(name_);
  real.boot = boot_;
  real.is_leaving = false;
  stage_.w.note("{}: starts ({}, {} slots, build {})", name_, boot_, facts.slots,
                facts.fingerprint);
  stage_.net.open_link(name_, key_, process_, *this);
  stage_.w.after(beat_every, &process_, [this] { beat(); });
}

void node::end_life() {
  world::end(process_);
  stage_.facts.node(name_).boot.clear();
  stage_.net.close_link(name_);
}

void node::crash() {
  if (!process_.is_up)
    return;
  stage_.w.note("{}: CRASH", name_);
  end_life();
}

void node::stop_in_order() {
  if (!process_.is_up)
    return;
  stage_.w.note("{}: is stopped in order", name_);
  is_leaving_ = true;
  stage_.facts.node(name_).is_leaving = true;
  say(node_leaving{});
}

void node::freeze() {
  if (process_.is_up && !process_.is_frozen) {
    stage_.w.note("{}: FROZEN", name_);
    world::freeze(process_);
  }
}

void node::thaw() {
  if (process_.is_up && process_.is_frozen) {
    stage_.w.note("{}: thawed", name_);
    stage_.w.thaw(process_);
  }
}

bool node::is_quiet() const {
  return !process_.is_up || (book_->empty() && is_welcome_);
}

void node::lose_worker(std::uint32_t index) {
  if (!process_.is_up || process_.is_frozen || index >= slots_.size())
    return;
  auto& s = slots_[index];
  if (!s.job)
    return;
  stage_.w.note("{}: the TASK WORKER of slot {} dies", name_, index);
  ++s.child;
  finish(index, error{errc::worker_crashed, "the worker died", {}});
}

// ---- NODE AGENT: speaking --------------------------------------------------------------

void node::say(cluster_message word) {
  envelope e;
  e.sender = name_;
  e.term = term_;
  e.sequence = ++sequence_;
  e.body = std::move(word);
  stage_.net.send_to_hub(name_, encode(e));
}

void node::say_hello() {
  say(node_hello{name_, boot_, facts, book_->held(), is_leaving_});
}

void node::beat() {
  if (is_welcome_) {
    say(node_beat{book_->held(), facts.scratch_bytes, services_->hosted()});
    act(book_->beat());
  } else if (is_connected_) {
    say_hello(); // the first may be lost on the way
  }
  if (is_welcome_ && ++beats_ % say_again_beats == 0)
    act(services_->unanswered());
  if (is_leaving_ && book_->empty())
    return end_life();
  if (uptime() - heard_ > silence_max) {
    heard_ = uptime();
    stage_.net.reconnect(name_);
  }
  stage_.w.after(beat_every, &process_, [this] { beat(); });
}

void node::act(const attempt_book::actions& actions) {
  for (const auto& a : actions)
    std::visit([&](const auto& what) { act_on(what); }, a);
}

void node::act_on(const start_attempt& a) {
  stage_.w.after(20us, &process_, [this, order = a.order] { execute(order.slot, order); });
}

void node::act_on(const kill_attempt& a) {
  stage_.w.after(20us, &process_, [this, a] {
    auto& s = slots_.at(a.slot);
    if (s.job && s.job->shard == a.shard && s.job->epoch == a.epoch)
      stop_child(a.slot);
  });
}

void node::act_on(const tell_outcome& a) {
  if (is_welcome_)
    say(a.outcome);
}

// ---- NODE AGENT: hearing ---------------------------------------------------------------

void node::on_up(connection_key) {
  heard_ = uptime();
  sequence_ = 0;
  is_connected_ = true;
  is_welcome_ = false;
  say_hello();
}

void node::on_gone(connection_key) { is_connected_ = is_welcome_ = false; }

void node::on_frame(connection_key, const std::string& frame) {
  auto e = decode<envelope>(frame);
  if (!e)
    stage_.w.violate("{} cannot read a frame: {}", name_, e.error().message);
  if (e->term < term_)
    return; // a coordinator of the past
  term_ = e->term;
  heard_ = uptime();
  std::visit([&](const auto& body) { hear(body); }, e->body);
}

void node::hear(const node_welcome&) {
  is_welcome_ = true;
  act(book_->welcomed());
  if (std::exchange(books_term_, term_) != term_ && watch_)
    watch_->forget();
  act(services_->unanswered());
  if (is_leaving_)
    say(node_leaving{});
}

void node::hear(const node_refused& m) {
  stage_.w.note("{}: refused{}: {}", name_, m.final ? " for good" : "", m.reason);
  if (!m.final)
    return;
  is_outcast_ = true;
  end_life();
}

void node::hear(const assign_attempt& m) {
  if (is_leaving_) {
    attempt_outcome refused;
    refused.epoch = m.epoch;
    refused.failure = error{errc::lease_lost, fmt::format("node {} is stopping", name_), {}};
    refused.exit = "not started";
    return say(node_outcome{m.shard, std::move(refused)});
  }
  auto actions = book_->assigned(m);
  if (stage_.w.breaks == rule::idempotence && actions.empty() && m.slot < slots_.size())
    actions.push_back(start_attempt{m});
  act(actions);
}

void node::hear(const stop_held& m) { act(book_->stop(m.shard, m.epoch)); }

void node::hear(const outcome_noted& m) { book_->noted(m.shard, m.epoch); }

void node::hear(const node_order& m) {
  node_report report;
  report.order = m.order;
  if (self_test.empty())
    report.text = "passed";
  else
    report.failure = error{errc::contract_broken, self_test, {}};
  say(std::move(report));
}

// ---- SERVICE HOST and BUCKET WATCHER ------------------------------------------------------

void node::hear(const host_service& m) { act(services_->ordered(m)); }

void node::hear(const end_service& m) { act(services_->ended(m)); }

void node::hear(const service_answer& m) {
  if (!services_->answered(m))
    return;
  auto what = decode<watch_answer>(m.payload);
  if (auto who = waiting_.extract(m.number); what && !who.empty())
    who.mapped()(*what);
}

void node::act(const service_book::actions& actions) {
  for (const auto& a : actions)
    std::visit([&](const auto& what) { act_on(what); }, a);
}

void node::act_on(const begin_service& a) {
  stage_.w.note("{}: watches, epoch {}", name_, a.order.epoch);
  watch_.emplace(stage_.disks);
  watch_epoch_ = a.order.epoch;
  scan(watch_epoch_);
}

void node::act_on(const cease_service& a) {
  stage_.w.note("{}: watches no more, epoch {}", name_, a.epoch);
  watch_.reset();
  waiting_.clear();
}

void node::act_on(const say_word& a) {
  if (is_welcome_)
    say(a.word);
}

void node::say(const watch_word& word, const std::string& topic,
               std::function<void(const watch_answer&)> answered) {
  auto said = services_->said(watcher, watch_epoch_, encode(word), topic);
  if (!said)
    stage_.w.violate("{} has a watcher that it does not host", name_);
  if (said->replaced)
    waiting_.erase(*said->replaced);
  waiting_[said->word.number] = std::move(answered);
  act_on(say_word{said->word});
}

void node::scan(std::uint64_t epoch) {
  if (!watch_ || watch_epoch_ != epoch)
    return;
  (void)services_->told_problem(watcher, epoch, mount_is_gone ? "its mount is gone" : "");
  auto asked = mount_is_gone ? watch_question{} : watch_->scan();
  if (!asked.found.empty())
    say(asked, "question", [this, asked](const watch_answer& a) {
      if (!watch_)
        return;
      auto reports = watch_->found(asked, std::get<watch_unbooked>(a), uptime());
      if (!reports.reports.empty())
        say(reports, "", [this, reports](const watch_answer&) {
          if (watch_)
            watch_->told(reports);
        });
    });
  stage_.w.after(scan_every, &process_, [this, epoch] { scan(epoch); });
}

/// Who waited for answers is gone; what it said is answered to nobody.
void node::lose_watcher() {
  if (!process_.is_up || process_.is_frozen || !watch_)
    return;
  stage_.w.note("{}: its BUCKET WATCHER dies", name_);
  waiting_.clear();
  watch_.emplace(stage_.disks);
}

// ---- TASK WORKER -----------------------------------------------------------------------

/// For the child that is there now.
void node::later(microseconds delay, std::uint32_t index, void (node::*what)(std::uint32_t)) {
  stage_.w.after(delay, &process_, [this, index, what, child = slots_[index].child] {
    if (slots_[index].child == child && slots_[index].job)
      (this->*what)(index);
  });
}

void node::execute(std::uint32_t index, assign_attempt order) {
  auto& s = slots_.at(index);
  if (s.job && stage_.w.breaks != rule::idempotence)
    stage_.w.violate("slot {} of {} was given two attempts at once", index, name_);
  ++s.child;
  s.is_running = s.is_stopping = false;
  s.serial = stage_.facts.attempt_started(
      {order.shard, order.epoch, name_, boot_, facts.fingerprint, {}, {}});
  stage_.w.note("{}: slot {} begins {}/{} epoch {}", name_, index, order.shard.run.value,
                order.shard.index, order.epoch);
  s.job = std::move(order);
  later(stage_.w.dice.between(500us, 20ms), index, &node::fetch);
}

/// Inputs are handed over before the child starts; the way may be blocked.
void node::fetch(std::uint32_t index) {
  auto& s = slots_[index];
  const auto& order = *s.job;
  if (!stage_.net.reaches(name_) && (order.source || !order.inputs.empty())) {
    if (is_welcome_ && stage_.w.dice.one_in(40)) // else the coordinator is awaited
      return finish(index, failure_named(errc::unavailable));
    return later(delivery_rests, index, &node::fetch);
  }
  for (const auto& f : order.inputs) {
    if (stage_.disks.artifacts.contains(f.sha256))
      continue;
    const auto* lease = stage_.facts.find(order.shard, order.epoch);
    const auto* run = stage_.facts.find(order.shard.run);
    if (lease && !lease->finished && !is_terminal(run->run.state))
      stage_.w.violate("{} was handed artifact {}, which is not there", name_, f.sha256);
    return finish(index, failure_named(errc::artifact_lost));
  }
  if (order.source
      && stage_.disks.inputs.at(order.source->key).object.generation
             != order.source->generation)
    return finish(index, failure_named(errc::input_changed));
  run_child(index);
}

void node::run_child(std::uint32_t index) {
  auto& s = slots_[index];
  s.is_running = true;
  if (s.is_stopping)
    return stop_child(index);
  auto takes = stage_.w.dice.between(10ms, 250ms) * slowness;
  if (takes > 2 * beat_every)
    stage_.w.after(takes / 3, &process_, [this, index, child = s.child] {
      if (slots_[index].child != child || !slots_[index].job)
        return;
      watermark mark;
      mark.frames_encoded = 1;
      book_->moved(index, mark);
    });
  later(takes, index, &node::child_ended);
}

void node::stop_child(std::uint32_t index) {
  auto& s = slots_[index];
  s.is_stopping = true;
  if (!s.is_running)
    return; // heard when its inputs are there, or delivered
  ++s.child;
  finish(index, error{errc::cancelled, "stopped by request", {}});
}

std::optional<error> node::failure_of_child(const slot& s) {
  const auto& order = *s.job;
  const auto& shard = *stage_.facts.find(order.shard);
  const auto& run = stage_.facts.find(order.shard.run)->run;
  const auto& nature = stage_.disks.inputs.at(run.object.key).nature;
  auto is_probe = shard.role == shard_role::probe;
  auto decodes = !is_probe && shard.role != shard_role::join;
  if ((is_probe && nature.is_poison_to_probes) || (decodes && nature.is_poison))
    return failure_named(errc::worker_crashed);
  if (nature.damages_index && shard.role == shard_role::decode)
    return failure_named(errc::input_damaged);
  if (breaks_children && stage_.w.dice.one_in(2))
    return failure_named(errc::worker_crashed);
  if (disk_is_full)
    return failure_named(errc::no_space);
  if (!is_probe && order.memory_bytes < nature.memory_bytes)
    return failure_named(errc::no_memory);
  if (stage_.w.dice.one_in(400))
    return failure_named(stage_.w.dice.one_in(2) ? errc::worker_killed : errc::timed_out);
  return std::nullopt;
}

/// Equal requests make equal bytes where the encoder's build is equal.
std::vector<result_file> node::files_of(const assign_attempt& order) const {
  const auto& shard = *stage_.facts.find(order.shard);
  auto name = fmt::format("{}/{}", order.shard.run.value, order.shard.index);
  if (shard.role != shard_role::probe && shard.role != shard_role::join)
    name += "/" + facts.fingerprint;
  for (const auto& f : order.inputs)
    if (shard.role == shard_role::join)
      name += "+" + f.sha256;
  result_file file;
  file.name = shard.role == shard_role::probe ? "index" : "out";
  file.size = static_cast<std::int64_t>(name.size());
  file.sha256 = std::move(name);
  return {std::move(file)};
}

void node::child_ended(std::uint32_t index) {
  auto& s = slots_[index];
  s.is_running = false;
  if (auto failure = failure_of_child(s))
    return finish(index, std::move(failure));
  auto files = files_of(*s.job);
  stage_.facts.attempt_succeeded(s.serial, files);
  deliver(index, std::move(files), 0);
}

/// Results are with the coordinator before the outcome is told.
void node::deliver(std::uint32_t index, std::vector<result_file> files, int tries) {
  auto takes = stage_.net.reaches(name_) ? stage_.w.dice.between(300us, 15ms) : delivery_rests;
  stage_.w.after(takes, &process_,
                 [this, index, files = std::move(files), tries, child = slots_[index].child] {
                   if (slots_[index].child != child || !slots_[index].job)
                     return;
                   if (stage_.net.reaches(name_)) {
                     for (const auto& f : files)
                       stage_.disks.artifacts.insert(f.sha256);
                     return finish(index, std::nullopt, files);
                   }
                   if (tries >= deliveries_max)
                     return finish(index, failure_named(errc::unavailable));
                   deliver(index, files, is_welcome_ ? tries + 1 : tries);
                 });
}

void node::finish(std::uint32_t index, std::optional<error> failure,
                  std::vector<result_file> files) {
  auto& s = slots_[index];
  attempt_outcome out;
  out.epoch = s.job->epoch;
  out.exit = failure ? "exit 1" : "exit 0";
  out.result.peak_rss_bytes = s.serial; // tells the checkers whose it is
  out.result.files = std::move(files);
  out.failure = std::move(failure);
  if (out.failure)
    stage_.facts.attempt_failed(s.serial, out.failure->code);
  stage_.w.note("{}: slot {} ends {}/{} epoch {}: {}", name_, index, s.job->shard.run.value,
                s.job->shard.index, out.epoch, out.failure ? out.failure->message : "done");
  s.job.reset();
  s.is_running = false;
  stage_.w.after(20us, &process_, [this, index, out = std::move(out)]() mutable {
    act(book_->ended(index, std::move(out)));
  });
}

} // namespace framemill::sim
