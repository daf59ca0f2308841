#include "tests/sim/coordinator.hpp"

#include "storage/records.hpp"

namespace framemill::sim {

namespace {

constexpr const char* replaced_sentence = "the object was replaced by a newer generation";

std::chrono::milliseconds revive_delay(int restarts) {
  return std::min(std::chrono::milliseconds{100} * (1 << std::min(restarts, 9)),
                  std::chrono::milliseconds{30'000});
}

} // namespace

// ---- What the actors share -----------------------------------------------------------------

void services::pin(run_id run, const std::string& sha256) {
  ++pin_counts[sha256];
  pins[run].push_back(sha256);
}

void services::release_artifacts(run_id run) {
  auto all = pins.extract(run);
  if (all.empty())
    return;
  for (const auto& sha : all.mapped())
    if (--pin_counts[sha] == 0)
      discard(sha);
}

void services::discard(const std::string& sha256) {
  auto pinned = pin_counts.find(sha256);
  if (pinned == pin_counts.end() || pinned->second == 0)
    on.disks.artifacts.erase(sha256);
}

// ---- COORDINATOR ---------------------------------------------------------------------------

run_keeper::run_keeper(services& s) : actor(s.on.w, s.self), services_(s) {
  auto check = [&](const result<void>& r) {
    if (!r)
      world_.violate("{}", r.error().message);
  };
  check(scan_records<workflow_record>(s.store, family::workflows, "", "",
                                      [&](workflow_record w) {
                                        definitions_.load(std::move(w));
                                        return true;
                                      }));
  constexpr std::string_view prefix = "counter/";
  check(s.store.scan(family::meta, prefix, prefix_end(prefix), [&](auto key, auto value) {
    definitions_.load_counter(key.substr(prefix.size()),
                              std::stoull(std::string{value}, nullptr, 16));
    return true;
  }));
  std::vector<run_id> replaced;
  check(s.store.scan(family::live_runs, "", "", [&](std::string_view key, auto) {
    auto run = find_record<run_record>(s.store, family::runs, key);
    if (!run || !*run)
      world_.violate("live run {} cannot be read", key);
    remember(**run);
    auto line = find_record<object_record>(
        s.store, family::objects, keys::object((*run)->object.bucket, (*run)->object.key));
    if (line && *line && (*line)->object.generation != (*run)->object.generation)
      replaced.push_back((*run)->id);
    return true;
  }));
  for (const auto& [id, object] : object_of_run_)
    spawn_run(id);
  for (auto id : replaced)
    cancel(id, replaced_sentence);
}

/// What is being booked already, or is not so here, is left out: a scan tells it
/// again.
void run_keeper::book(const std::vector<settled_report>& reports, const std::string& node,
                      const std::function<void(bool)>& done) {
  changes all;
  std::vector<run_id> replaced;
  std::vector<std::string> told;
  for (const auto& report : reports) {
    auto key = keys::object(report.object.bucket, report.object.key);
    if (!node.empty() && services_.on.disks.inputs.at(report.object.key).object != report.object
        && world_.breaks != rule::placing)
      continue;
    if (!being_booked_.insert(report.object.key).second && world_.breaks != rule::booking)
      continue;
    told.push_back(report.object.key);
    auto known = find_record<object_record>(services_.store, family::objects, key);
    auto d = decide_ingest(services_.clock(), report, *known, definitions_,
                           [&](const std::string& k) {
                             auto found = services_.store.find(family::run_keys, k);
                             return found && found->has_value();
                           });
    if (d.replaces)
      if (auto old = runs_of_object_.find(key); old != runs_of_object_.end())
        replaced.insert(replaced.end(), old->second.begin(), old->second.end());
    auto add = [](auto& to, auto& from) { to.insert(to.end(), from.begin(), from.end()); };
    add(all.objects, d.record.objects);
    add(all.runs, d.record.runs);
    add(all.run_keys, d.record.run_keys);
    add(all.counters, d.record.counters);
    add(all.events, d.record.events);
  }
  auto started = all.runs;
  services_.books->commit(std::move(all), [this, started, replaced, told,
                                           done](const result<void>& written) {
    post([this, started, replaced, told, done, r = written.has_value()] {
      for (const auto& key : told)
        being_booked_.erase(key);
      done(r);
      if (!r)
        return;
      for (const auto& run : started)
        remember(run);
      for (auto id : replaced)
        cancel(id, replaced_sentence);
      for (const auto& run : started)
        spawn_run(run.id);
    });
  });
}

void run_keeper::remember(const run_record& run) {
  auto key = keys::object(run.object.bucket, run.object.key);
  runs_of_object_[key].insert(run.id);
  object_of_run_[run.id] = std::move(key);
}

void run_keeper::spawn_run(run_id run) {
  if (live_.contains(run))
    return;
  auto* who = services_.spawn<workflow_shell>(run);
  live_[run] = who;
  watch(*who, [this, who] { on_run_down(who); });
  if (auto late = late_.extract(run); !late.empty())
    for (auto& [attempt, m] : late.mapped())
      give_late(who, std::move(m));
}

/// A WORKFLOW died before its run ended.
void run_keeper::on_run_down(workflow_shell* who) {
  auto run = who->run();
  auto entry = live_.find(run);
  if (entry == live_.end() || entry->second != who)
    return;
  live_.erase(entry);
  post_after(revive_delay(restarts_[run]++), [this, run] {
    if (restarts_.contains(run))
      spawn_run(run);
  });
}

void run_keeper::run_ended(run_id run) {
  live_.erase(run);
  restarts_.erase(run);
  if (auto object = object_of_run_.extract(run); !object.empty())
    runs_of_object_[object.mapped()].erase(run);
}

void run_keeper::cancel(run_id id, std::string why) {
  if (!live_.contains(id)) {
    auto run = find_record<run_record>(services_.store, family::runs, keys::of(id));
    if (!run || !*run || is_terminal((*run)->state))
      return;
    spawn_run(id);
  }
  live_.at(id)->post([to = live_.at(id), why = std::move(why)] { to->cancel(why); });
}

/// Its run records it, now or when it is there again. Of a run that has ended
/// only the files are left.
void run_keeper::late(late_outcome m) {
  auto entry = live_.find(m.shard.run);
  auto run = find_record<run_record>(services_.store, family::runs, keys::of(m.shard.run));
  if (entry != live_.end()) {
    give_late(entry->second, std::move(m));
  } else if (run && *run && !is_terminal((*run)->state)) {
    late_[m.shard.run].insert_or_assign({m.shard.index, m.outcome.epoch}, std::move(m));
  } else {
    m.noted();
    for (const auto& f : m.outcome.result.files)
      services_.discard(f.sha256);
  }
}

void run_keeper::give_late(workflow_shell* to, late_outcome m) {
  to->post([to, m = std::move(m)]() mutable {
    to->attempt_ended(m.shard.index, std::move(m.outcome), std::move(m.noted));
  });
}

std::string run_keeper::restlessness() const {
  return live_.empty() ? "" : fmt::format("{} runs are live", live_.size());
}

bool run_keeper::knows_all_inputs() const {
  for (const auto& [key, input] : services_.on.disks.inputs) {
    auto line = find_record<object_record>(services_.store, family::objects,
                                           keys::object(input.object.bucket, key));
    if (!line || !*line || (*line)->object != input.object)
      return false;
  }
  return true;
}

// ---- PUBLISHER --------------------------------------------------------------------------

bool publisher_shell::already_there(const publish_order& order, const std::string& key,
                                    const result_file& file) const {
  if (world_.breaks == rule::publishing)
    return false;
  auto line = find_record<object_record>(services_.store, family::objects,
                                         keys::object("out", key));
  if (!line || !*line || !(*line)->origin || (*line)->origin->run != order.run.id)
    return false;
  const auto& there = services_.on.disks.outputs;
  auto now = there.find(key);
  return now != there.end() && now->second.first == (*line)->object.generation
         && now->second.first.size == static_cast<std::uint64_t>(file.size);
}

/// One order at a time: the actor waits for its commit.
void publisher_shell::publish(publish_order o) {
  if (is_busy_) {
    queue_.push_back(std::move(o));
    return;
  }
  is_busy_ = true;
  auto order = std::make_shared<publish_order>(std::move(o));
  const auto& object = order->run.object;
  if (services_.on.disks.inputs.at(object.key).object.generation != object.generation)
    return answer(*order, fail(errc::input_changed, "{} was replaced", object.key));
  std::vector<target> targets;
  changes ledger;
  for (std::size_t i = 0; i < order->job.items.size(); ++i) {
    target t{order->files[i].at(0), order->job.items[i].key, {}, false};
    t.is_there = already_there(*order, t.key, t.file);
    if (!t.is_there && !services_.on.disks.artifacts.contains(t.file.sha256)) {
      const auto* run = services_.on.facts.find(order->run.id);
      if (!is_terminal(run->run.state))
        world_.violate("{} is published from artifact {}, which is not there", t.key,
                       t.file.sha256);
      return answer(*order, fail(errc::not_found, "the run has ended"));
    }
    if (!t.is_there) {
      t.made.size = static_cast<std::uint64_t>(t.file.size);
      t.made.inode = world_.dice.next() >> 12;
      object_record line;
      line.object = {"out", t.key, t.made};
      line.origin = object_origin{order->run.id, order->run.lineage};
      ledger.objects.push_back(std::move(line));
    }
    targets.push_back(std::move(t));
  }
  if (ledger.objects.empty())
    return rename(order, std::move(targets), 0);
  services_.books->commit(std::move(ledger), [this, order, targets](result<void> r) {
    post([this, order, targets, r] {
      if (r)
        rename(order, targets, 0);
      else
        answer(*order, failure{r.error()});
    });
  });
}

void publisher_shell::rename(std::shared_ptr<publish_order> order, std::vector<target> targets,
                             std::size_t next) {
  if (next < targets.size()) {
    const auto& t = targets[next];
    if (!t.is_there) {
      services_.on.facts.published(order->run.id, order->job.index, t.key);
      services_.on.disks.outputs[t.key] = {t.made, t.file.sha256};
    }
    return post_after(world_.dice.between(10us, 3ms),
                      [this, order, targets = std::move(targets), next]() mutable {
                        rename(order, std::move(targets), next + 1);
                      });
  }
  std::vector<published_file> files;
  for (const auto& t : targets) {
    published_file f;
    f.object = {"out", t.key, t.made};
    f.role = "media";
    f.size = t.file.size;
    files.push_back(std::move(f));
  }
  answer(*order, std::move(files));
}

void publisher_shell::answer(const publish_order& order,
                             result<std::vector<published_file>> files) {
  order.reply_to->post([to = order.reply_to, job = order.job.index, files = std::move(files)] {
    to->publish_done(job, files);
  });
  is_busy_ = false;
  if (queue_.empty())
    return;
  auto next = std::move(queue_.front());
  queue_.pop_front();
  publish(std::move(next));
}

// ---- The process ------------------------------------------------------------------------

coordinator::coordinator(stage s) : stage_(s), door_(s, process_) {
  process_.name = "coordinator";
}

void store_door::commit(write_batch batch, done_fn done) {
  auto seen = std::make_shared<write_batch>(batch);
  stage_.disks.store.commit(std::move(batch),
                            [this, seen, done = std::move(done)](result<void> r) {
                              if (r)
                                stage_.facts.became_durable(*seen);
                              else // a run begins again, or what was decided waits
                                stage_.facts.coordinator_disturbed(1s);
                              done(std::move(r));
                            });
  sync_later();
}

/// Batches that wait together share one fsync.
void store_door::sync_later() {
  if (is_syncing_ || stage_.disks.store.waiting() == 0)
    return;
  is_syncing_ = true;
  auto n = stage_.disks.store.waiting();
  auto takes = stage_.disks.store_is_slow ? stage_.w.dice.between(5ms, 80ms)
                                          : stage_.w.dice.between(50us, 3ms);
  stage_.w.after(takes, &process_, [this, n] {
    stage_.disks.store.sync(n);
    is_syncing_ = false;
    sync_later();
  });
}

void coordinator::start() {
  if (process_.is_up)
    return;
  world::begin(process_);
  began_ = stage_.w.now();
  auto term = stage_.disks.store.find(family::meta, "cluster/term");
  auto last = term && *term ? std::stoull(**term, nullptr, 16) : 0;
  services_ = std::make_unique<services>(services{stage_, process_, door_, {}, last + 1, {}});
  write_batch batch;
  batch.put(family::meta, "cluster/term", keys::number(services_->term));
  stage_.disks.store.commit(std::move(batch), [](const result<void>&) {});
  stage_.disks.store.sync();
  stage_.w.note("COORDINATOR: starts, term {}", services_->term);
  auto books = journal::open(door_);
  if (!books)
    stage_.w.violate("{}", books.error().message);
  services_->books = std::move(*books);
  services_->scheduler = services_->spawn<scheduler_shell>();
  services_->publisher = services_->spawn<publisher_shell>();
  services_->members = services_->spawn<membership_shell>();
  services_->keeper = services_->spawn<run_keeper>();
  services_->placer = services_->spawn<placer_shell>();
  services_->members->post([to = services_->members] { to->introduce_placer(); });
}

void coordinator::crash() {
  if (!process_.is_up)
    return;
  stage_.w.note("COORDINATOR: CRASH, {} batches are lost", stage_.disks.store.waiting());
  world::end(process_);
  stage_.net.close_hub();
  stage_.disks.store.crash();
  stage_.disks.store.fail_next(0, {});
  door_.forget_sync();
  services_.reset();
}

void coordinator::freeze() {
  if (!process_.is_up || process_.is_frozen)
    return;
  stage_.w.note("COORDINATOR: FROZEN");
  world::freeze(process_);
}

void coordinator::thaw() {
  if (!process_.is_up || !process_.is_frozen)
    return;
  stage_.w.note("COORDINATOR: thawed");
  stage_.facts.coordinator_disturbed();
  stage_.w.thaw(process_);
}

void coordinator::refuse_commits(std::size_t n) {
  if (process_.is_up)
    stage_.disks.store.fail_next(n, {errc::no_space, "the disk is full", {}});
}

} // namespace framemill::sim
