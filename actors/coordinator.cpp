#include "actors/coordinator.hpp"

#include "actors/fail_points.hpp"
#include "actors/manners.hpp"
#include "actors/placer.hpp"
#include "actors/workflow_actor.hpp"
#include "core/limits.hpp"
#include "core/object_path.hpp"
#include "storage/records.hpp"

#include <caf/all.hpp>
#include <spdlog/spdlog.h>

namespace framemill {

namespace {

using self_ptr = caf::stateful_actor<coordinator_state>*;
constexpr int restarts_max = 20;
constexpr microseconds session_window{3LL * 24 * 3600 * 1'000'000}; // MPS: three days
constexpr const char* replaced_sentence = "the object was replaced by a newer generation";

/// Names of users are bucket and key, never a path of this machine.
failure no_object(const error& e, const std::string& bucket, const std::string& key) {
  auto why = e.code == errc::not_found ? "there is no such object" : e.message;
  return fail_field(e.code, "Object", "{}/{}: {}", bucket, key, why);
}

/// What is known too late costs all the work.
result<void> check_outputs(const node_services& services, const workflow_spec& spec,
                           const std::string& input_bucket) {
  if (auto here = output_buckets(services, spec, input_bucket); !here)
    return fail_field(here.error().code, "OutputStorage", "{}", here.error().message);
  return {};
}

/// As it is in its bucket now.
result<object_ref> find_object(const node_services& services, const std::string& bucket,
                               const std::string& raw_key) {
  FM_TRY(auto* b, services.find_bucket(bucket));
  FM_TRY(auto key, normalize_key(raw_key));
  auto g = b->stat(key);
  if (!g)
    return no_object(g.error(), bucket, key);
  return object_ref{bucket, std::move(key), *g};
}

result<object_ref> find_object(const node_services& services, const edit_clip& clip) {
  if (!clip.input.cos)
    return fail_field(errc::missing_argument, "CosInputInfo", "an object is missing");
  return find_object(services, clip.input.cos->bucket, clip.input.cos->object);
}

/// Of an edit: what it reads beside its first file.
result<std::vector<run_source>> more_sources(const node_services& services,
                                             const workflow_spec& spec) {
  std::vector<run_source> out;
  for (std::size_t i = 1; spec.edit && i < spec.edit->clips.size(); ++i) {
    auto found = find_object(services, spec.edit->clips[i]);
    if (!found)
      return fail_field(found.error().code, fmt::format("FileInfos.{}.InputInfo", i), "{}",
                        found.error().message);
    out.push_back({std::move(*found), {}});
  }
  return out;
}

std::chrono::milliseconds revive_delay(int restarts) {
  return std::min(std::chrono::milliseconds{100} * (1 << std::min(restarts, 9)),
                  std::chrono::milliseconds{30'000});
}

bool has_run_key(const node_services& services, const std::string& key) {
  auto found = services.store->find(family::run_keys, key);
  return found && found->has_value();
}

void merge(changes& into, changes from) {
  auto move_all = [](auto& to, auto& what) {
    to.insert(to.end(), std::make_move_iterator(what.begin()), std::make_move_iterator(what.end()));
  };
  move_all(into.objects, from.objects);
  move_all(into.runs, from.runs);
  move_all(into.run_keys, from.run_keys);
  move_all(into.counters, from.counters);
  move_all(into.events, from.events);
}

/// Why an object that settled on another node cannot run yet: whoever probes and
/// publishes here must see it as it was seen there.
std::string unlike_here(const node_services& services, const settled_batch& m,
                        const settled_report& report) {
  if (m.node.empty() || !report.refused.empty())
    return {};
  const auto& [bucket, key, seen] = report.object;
  auto found = services.find_bucket(bucket);
  auto here = found ? (*found)->stat(key) : result<generation>{failure{found.error()}};
  if (!here)
    return fmt::format("{}/{} of node {} is not seen here: {}", bucket, key, m.node,
                       here.error().message);
  return *here == seen ? "" : fmt::format("{}/{} is not here as node {} saw it", bucket, key, m.node);
}

/// What is being booked already, or is not so here yet, is left out: the next scan
/// tells it again.
void book(coordinator_state& s, settled_batch m) {
  changes all;
  std::vector<run_record> started;
  std::vector<run_id> replaced;
  std::vector<std::string> taken;
  std::string unseen;
  auto now = s.services->clock.now();
  for (const auto& report : m.reports) {
    auto key = keys::object(report.object.bucket, report.object.key);
    if (auto why = unlike_here(*s.services, m, report); !why.empty()) {
      unseen = std::move(why);
      continue;
    }
    if (!s.being_booked.insert(key).second)
      continue;
    taken.push_back(key);
    auto known = find_record<object_record>(*s.services->store, family::objects, key);
    if (!known) {
      spdlog::error("COORDINATOR: {}", known.error().message);
      continue; // the scan tells it again
    }
    auto d = decide_ingest(now, report, *known, s.definitions, [&](const std::string& k) {
      return has_run_key(*s.services, k);
    });
    if (d.replaces)
      if (auto old = s.runs_of_object.find(key); old != s.runs_of_object.end())
        replaced.insert(replaced.end(), old->second.begin(), old->second.end());
    started.insert(started.end(), d.record.runs.begin(), d.record.runs.end());
    merge(all, std::move(d.record));
  }
  s.services->counters.objects_settled += taken.size();
  fail_point("ingest.before");
  s.commit(std::move(all), [&s, m = std::move(m), started = std::move(started),
                            replaced = std::move(replaced), taken = std::move(taken),
                            unseen = std::move(unseen)](const result<void>& r) {
    fail_point("ingest.booked");
    for (const auto& key : taken)
      s.being_booked.erase(key);
    if (r) {
      for (const auto& run : started)
        s.remember(run);
      for (auto id : replaced)
        s.cancel(id, replaced_sentence, {});
      s.admit();
    } else {
      spdlog::error("COORDINATOR: {} objects not booked: {}", taken.size(), r.error().message);
    }
    s.self->send(m.reply_to, batch_booked{m.batch, r.has_value(), unseen});
  });
}

/// The books have a newer generation of its object: its cancellation was lost
/// with the life that booked it.
bool is_replaced(const state_store& store, const run_record& run) {
  auto line = find_record<object_record>(store, family::objects,
                                         keys::object(run.object.bucket, run.object.key));
  return line && *line && (*line)->state == object_state::settled
         && (*line)->object.generation != run.object.generation;
}

/// A WORKFLOW actor died before its run ended.
void on_run_down(coordinator_state& s, const caf::down_msg& down) {
  auto entry = s.run_of.find(down.source);
  if (entry == s.run_of.end())
    return;
  auto run = entry->second;
  s.run_of.erase(entry);
  if (s.live.erase(run) == 0)
    return; // ended in order
  auto& restarts = s.restarts[run];
  auto delay = revive_delay(restarts);
  // A store that refuses (a full disk) is waited for, however long it takes.
  if (down.reason != workflow_store_failed || restarts < restarts_max)
    ++restarts;
  spdlog::warn("COORDINATOR: run {} lost its actor; again in {} ms", run.value, delay.count());
  s.self->delayed_send(s.self, delay, revive_run{run});
}

/// Nobody records it: of a run that has ended only the files are left.
void let_go(coordinator_state& s, const late_outcome& m) {
  if (m.noted)
    m.noted();
  for (const auto& f : m.outcome.result.files)
    if (auto r = s.services->artifacts->discard(
            f.sha256, [&](std::string_view sha) { return s.services->pins.is_pinned(sha); });
        !r)
      spdlog::warn("run {}: {}", m.shard.run.value, r.error().message);
}

void give_late(coordinator_state& s, const caf::actor& run, late_outcome m) {
  s.self->send(run, attempt_ended{m.shard.index, std::move(m.outcome), std::move(m.noted)});
}

/// Restarting did not help: the run ends with what is known.
void give_up(coordinator_state& s, run_id id) {
  auto run = find_record<run_record>(*s.services->store, family::runs, keys::of(id));
  if (!run || !*run) {
    spdlog::error("COORDINATOR: run {} cannot be read", id.value);
    return s.forget(id);
  }
  if (is_terminal((*run)->state))
    return s.forget(id);
  auto& r = **run;
  r.state = run_state::failed;
  r.finished = s.services->clock.now();
  r.failure = error{errc::internal, "the run's actor failed repeatedly; see the daemon's log", {}};
  event_record e;
  e.time = r.finished;
  e.type = "run.state";
  e.run = id;
  e.state = "failed";
  e.message = r.failure->message;
  changes c;
  c.runs.push_back(r);
  c.events.push_back(std::move(e));
  s.commit(std::move(c), [&s, id](const result<void>& status) {
    if (!status)
      return s.self->delayed_send(s.self, revive_delay(restarts_max), revive_run{id});
    ++s.services->counters.runs_failed;
    s.services->release_artifacts(id);
    s.services->progress.erase(id);
    s.forget(id);
  });
}

} // namespace

result<std::set<bucket*>> output_buckets(const node_services& services,
                                         const workflow_spec& spec,
                                         const std::string& input_bucket) {
  std::set<bucket*> out;
  for (const auto& a : spec.activities) {
    const auto place = place_output(a, spec.output_storage, spec.output_dir, input_bucket, "");
    FM_TRY(auto* b, services.find_bucket(place.bucket));
    out.insert(b);
  }
  return out;
}

result<void> load_definitions(const state_store& store, catalog& into) {
  FM_CHECK(scan_records<workflow_record>(store, family::workflows, "", "", [&](workflow_record w) {
    into.load(std::move(w));
    return true;
  }));
  FM_CHECK(scan_records<template_record>(store, family::templates, "", "", [&](template_record t) {
    into.load(std::move(t));
    return true;
  }));
  constexpr std::string_view prefix = "counter/";
  return store.scan(family::meta, prefix, prefix_end(prefix),
                    [&](std::string_view key, std::string_view value) {
                      into.load_counter(key.substr(prefix.size()),
                                        std::stoull(std::string{value}, nullptr, 16));
                      return true;
                    });
}

void coordinator_state::commit(changes c, std::function<void(result<void>)> then) {
  auto token = ++last_token;
  commits.emplace(token, std::move(then));
  auto me = caf::actor_cast<caf::actor>(self);
  services->journal->commit(std::move(c), [me, token](result<void> r) {
    caf::anon_send(me, committed{token, std::move(r)});
  });
}

/// What was not written did not happen: the definitions are read back, once no
/// commit is under way that they would be read without.
void coordinator_state::reload_if_ahead() {
  if (!ahead_of_store || !commits.empty())
    return;
  catalog fresh;
  if (auto r = load_definitions(*services->store, fresh); !r) {
    spdlog::error("COORDINATOR: definitions not read back: {}", r.error().message);
    return;
  }
  definitions = std::move(fresh);
  services->templates.set(definitions.templates());
  ahead_of_store = false;
}

void coordinator_state::remember(const run_record& run) {
  waiting.insert({run.priority, run.id});
  auto key = keys::object(run.object.bucket, run.object.key);
  runs_of_object[key].insert(run.id);
  object_of_run[run.id] = std::move(key);
  ++services->counters.runs_created;
}

/// Its run records it, now or when it is there again. What it cannot read it does
/// not decide on: the node tells it again.
void coordinator_state::take_late(late_outcome m) {
  if (auto to = live.find(m.shard.run); to != live.end())
    return give_late(*this, to->second, std::move(m));
  auto run = find_record<run_record>(*services->store, family::runs, keys::of(m.shard.run));
  if (!run)
    spdlog::error("COORDINATOR: run {}: {}", m.shard.run.value, run.error().message);
  else if (*run && !is_terminal((*run)->state))
    late[m.shard.run].insert_or_assign({m.shard.index, m.outcome.epoch}, std::move(m));
  else
    let_go(*this, m);
}

/// The run has ended.
void coordinator_state::forget(run_id run) {
  live.erase(run);
  restarts.erase(run);
  if (auto told = late.extract(run); !told.empty())
    for (const auto& [attempt, m] : told.mapped())
      let_go(*this, m);
  if (auto object = object_of_run.extract(run); !object.empty()) {
    auto runs = runs_of_object.find(object.mapped());
    runs->second.erase(run);
    if (runs->second.empty())
      runs_of_object.erase(runs);
  }
  admit();
}

void coordinator_state::admit() {
  while (!waiting.empty() && live.size() < limits::live_runs_max) {
    auto next = *waiting.begin();
    waiting.erase(waiting.begin());
    spawn_run(next.run);
  }
}

void coordinator_state::spawn_run(run_id run) {
  if (live.contains(run))
    return;
  workflow_places places{scheduler, publisher, caf::actor_cast<caf::actor>(self), membership};
  auto actor = self->spawn(workflow_actor, services, run, places);
  self->monitor(actor);
  run_of[actor.address()] = run;
  live[run] = actor;
  if (auto told = late.extract(run); !told.empty())
    for (auto& [attempt, m] : told.mapped())
      give_late(*this, actor, std::move(m));
}

void coordinator_state::cancel(run_id id, std::string why, gateway::reply<void> done) {
  if (!live.contains(id)) {
    auto run = find_record<run_record>(*services->store, family::runs, keys::of(id));
    if (done && !run)
      return done(failure{run.error()});
    if (!run || !*run)
      return done ? done(fail_field(errc::not_found, "RunId", "no run {}", id.value)) : void();
    if (is_terminal((*run)->state))
      return done ? done(fail_field(errc::conflict, "RunId", "run {} has ended: {}", id.value,
                                    to_string((*run)->state)))
                  : void();
    waiting.erase({(*run)->priority, id});
    spawn_run(id);
  }
  self->send(live[id], cancel_run{std::move(why), std::move(done)});
}

void coordinator_state::submit(run_request request, gateway::reply<run_id> done) {
  auto object = find_object(*services, request.bucket, request.key);
  if (!object)
    return done(failure{object.error()});
  std::uint32_t revision = 0;
  if (request.workflow) {
    const auto* w = definitions.find(request.workflow);
    if (w == nullptr)
      return done(fail_field(errc::not_found, "WorkflowId", "no workflow {}", request.workflow.value));
    request.spec = changed(w->spec, std::move(request.change));
    revision = w->revision;
    if (auto ok = validate_terms(request.spec); !ok)
      return done(failure{ok.error()});
  } else if (auto ok = validate_call(request.spec, *definitions.templates()); !ok) {
    return done(failure{ok.error()});
  }
  if (auto here = check_outputs(*services, request.spec, request.bucket); !here)
    return done(failure{here.error()});
  auto more = more_sources(*services, request.spec);
  if (!more)
    return done(failure{more.error()});
  auto now = services->clock.now();
  changes c;
  auto run = make_run(now, {definitions.next_run_id()}, run_cause::call, request.workflow, revision,
                      std::move(request.spec), std::move(*object));
  run.more_sources = std::move(*more);
  run.session_id = request.session_id;
  run.session_context = request.session_context;
  if (!request.session_id.empty()) {
    auto earlier = sessions_in_flight.contains(request.session_id);
    auto stored = services->store->find(family::sessions, request.session_id);
    if (!stored)
      return done(failure{stored.error()});
    if (*stored)
      if (auto old = find_record<run_record>(*services->store, family::runs, **stored);
          old && *old && now - (*old)->created < session_window)
        earlier = true;
    if (earlier)
      return done(fail_field(errc::conflict, "SessionId", "SessionId `{}` was used already",
                             request.session_id));
    sessions_in_flight[request.session_id] = run.id;
    c.sessions.emplace_back(request.session_id, run.id);
  }
  c.counters.emplace_back("last_run", definitions.last_run_id());
  c.events.push_back(run_created_event(run));
  c.runs.push_back(run);
  commit(std::move(c), [this, run, done = std::move(done)](const result<void>& r) {
    sessions_in_flight.erase(run.session_id);
    if (!r)
      return done(failure{r.error()});
    remember(run);
    done(run.id);
    admit();
  });
}

void coordinator_state::retry(run_id id, gateway::reply<run_id> done) {
  auto old = find_record<run_record>(*services->store, family::runs, keys::of(id));
  if (!old)
    return done(failure{old.error()});
  if (!*old)
    return done(fail_field(errc::not_found, "RunId", "no run {}", id.value));
  if (!is_terminal((*old)->state))
    return done(fail_field(errc::conflict, "RunId", "run {} has not ended", id.value));
  auto object = find_object(*services, (*old)->object.bucket, (*old)->object.key);
  if (!object)
    return done(failure{object.error()});
  auto more = more_sources(*services, (*old)->spec);
  if (!more)
    return done(failure{more.error()});
  auto run = make_run(services->clock.now(), {definitions.next_run_id()}, run_cause::retry,
                      (*old)->workflow, (*old)->revision, (*old)->spec, std::move(*object));
  run.lineage = (*old)->lineage;
  run.more_sources = std::move(*more);
  changes c;
  c.counters.emplace_back("last_run", definitions.last_run_id());
  c.events.push_back(run_created_event(run));
  c.runs.push_back(run);
  commit(std::move(c), [this, run, done = std::move(done)](const result<void>& r) {
    if (!r)
      return done(failure{r.error()});
    remember(run);
    done(run.id);
    admit();
  });
}

caf::behavior coordinator(self_ptr self, node_services* services, caf::actor scheduler,
                          caf::actor publisher, caf::actor membership) {
  auto& s = self->state;
  s.self = self;
  s.services = services;
  s.scheduler = std::move(scheduler);
  s.publisher = std::move(publisher);
  s.membership = std::move(membership);
  tolerate_strangers(self, "COORDINATOR");
  self->set_down_handler([=](const caf::down_msg& down) { on_run_down(self->state, down); });
  if (auto r = load_definitions(*services->store, s.definitions); !r) {
    spdlog::critical("COORDINATOR: {}", r.error().message);
    self->quit(caf::sec::runtime_error);
    return {};
  }
  services->templates.set(s.definitions.templates());
  std::vector<run_id> replaced;
  auto loaded = services->store->scan(family::live_runs, "", "", [&](std::string_view key, auto) {
    auto run = find_record<run_record>(*services->store, family::runs, key);
    if (!run || !*run) {
      spdlog::critical("COORDINATOR: live run {} cannot be read", key);
      return true;
    }
    s.remember(**run);
    if (is_replaced(*services->store, **run))
      replaced.push_back((*run)->id);
    return true;
  });
  if (!loaded)
    spdlog::critical("COORDINATOR: {}", loaded.error().message);
  // Linked: without it nobody watches.
  s.placer = self->spawn<caf::linked>(placer_actor, services,
                                      caf::actor_cast<caf::actor>(self), s.membership);
  for (auto id : replaced)
    s.cancel(id, replaced_sentence, {});
  s.admit();
  return {
      [=](settled_batch& m) { book(self->state, std::move(m)); },
      [=](const run_ended& m) { self->state.forget(m.run); },
      [=](const gateway_call& m) { (*m.call)(self->state); },
      [=](late_outcome& m) { self->state.take_late(std::move(m)); },
      [=](const revive_run& m) {
        auto& state = self->state;
        auto restarts = state.restarts.find(m.run);
        if (restarts == state.restarts.end())
          return; // was started by a cancel meanwhile, and has ended
        if (restarts->second > restarts_max)
          give_up(state, m.run);
        else
          state.spawn_run(m.run);
      },
      [=](committed& m) {
        auto& state = self->state;
        state.ahead_of_store |= !m.status;
        auto then = state.commits.extract(m.token);
        if (!then.empty())
          then.mapped()(std::move(m.status));
        state.reload_if_ahead();
      },
  };
}

} // namespace framemill
