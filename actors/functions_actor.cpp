#include "actors/functions_actor.hpp"

#include "actors/function_files.hpp"
#include "actors/manners.hpp"
#include "core/limits.hpp"
#include "core/random.hpp"
#include "notify/function_call.hpp"
#include "notify/function_log.hpp"
#include "notify/function_sink.hpp"
#include "notify/function_templates.hpp"
#include "storage/records.hpp"

#include <caf/all.hpp>
#include <spdlog/spdlog.h>

#include <csignal>

namespace framemill {

namespace {

using self_ptr = caf::stateful_actor<functions_state>*;
using pool = function_pool;

constexpr auto sweep_every = std::chrono::hours{1};
constexpr std::uint64_t sweep_after_calls = 100; ///< a log is at most so much too long

timestamp now(const functions_state& s) { return s.services->clock.now(); }

result<void> load_functions(const state_store& store, function_catalog& into) {
  auto take = [&](auto record) {
    into.load(std::move(record));
    return true;
  };
  const auto records = keys::function(""), secrets = keys::function_secrets("");
  FM_CHECK(scan_records<function_record>(store, family::functions, records, prefix_end(records),
                                         take));
  FM_CHECK(scan_records<function_secrets>(store, family::functions, secrets,
                                          prefix_end(secrets), take));
  return scan_records<function_trigger>(store, family::function_triggers, "", "", take);
}

/// Removes code that no process runs and that is no function's newest.
void tidy(functions_state& s) {
  std::set<std::string> wanted;
  for (const auto& [name, f] : s.catalog.all())
    wanted.insert(s.code.name_of(name, f.versions.back()));
  for (const auto& [id, p] : s.processes)
    wanted.insert(p.directory);
  s.code.keep(wanted);
}

// ---- Log ---------------------------------------------------------------------------

/// `FUNCTION NUL STARTED NUL REQUEST`.
std::pair<std::string, timestamp> read_log_key(std::string_view key) {
  auto end = key.find('\0');
  auto started = std::string{key.substr(end + 1, 16)};
  return {std::string{key.substr(0, end)},
          {static_cast<std::int64_t>(std::strtoull(started.c_str(), nullptr, 16))}};
}

void sweep_log(functions_state& s) {
  s.calls_since_sweep = 0;
  log_sweep sweep{
      {s.services->config.functions.log_age, s.services->config.functions.log_count}, now(s)};
  changes c;
  auto read = s.services->store->scan_back(
      family::function_logs, "", "", [&](std::string_view key, std::string_view) {
        auto [function, started] = read_log_key(key);
        if (!sweep.keeps(function, started))
          c.erased_invocations.emplace_back(key);
        return c.erased_invocations.size() < limits::commit_batches_max; // the rest next time
      });
  if (!read)
    spdlog::error("FUNCTIONS: the log cannot be read: {}", read.error().message);
  if (c.empty())
    return;
  s.services->journal->commit(std::move(c), [](const result<void>& r) {
    if (!r)
      spdlog::error("FUNCTIONS: old lines of the log stay: {}", r.error().message);
  });
}

/// A call that was made is not made again because its line could not be written.
void log_and_answer(functions_state& s, invocation_result r,
                    gateway::reply<invocation_result> done) {
  ++s.services->counters.function_calls;
  s.services->counters.function_calls_failed += !r.record.error.empty();
  if (++s.calls_since_sweep > sweep_after_calls)
    sweep_log(s);
  changes c;
  c.invocations.push_back(r.record);
  s.services->journal->commit(
      std::move(c), [r = std::move(r), done = std::move(done)](const result<void>& status) {
        if (!status)
          spdlog::error("FUNCTIONS: {} {} is not in the log: {}", r.record.function,
                        r.record.request_id, status.error().message);
        done(r);
      });
}

// ---- Calls -------------------------------------------------------------------------

void obey(functions_state& s, const pool::actions& actions);

invocation_record record_of(const functions_state::call& c) {
  invocation_record r;
  r.request_id = c.request_id;
  r.function = c.what.function;
  r.version = c.version.number;
  r.event_type = c.what.event_type;
  r.event = c.what.event;
  r.run = c.what.run;
  r.attempt = c.what.attempt;
  return r;
}

/// The call did not come to be run.
void answer_refused(functions_state& s, functions_state::call c, std::string why) {
  invocation_result out;
  out.record = record_of(c);
  out.record.started = now(s);
  out.record.error = std::move(why);
  log_and_answer(s, std::move(out), std::move(c.done));
}

function_answer judge(const functions_state::call& c, const call_outcome& o) {
  if (o.end && (!o.end->killed_for.empty() || o.end->code != 0)) {
    if (o.end->signal == SIGABRT
        && o.output.find("JavaScript heap out of memory") != std::string::npos)
      return {fmt::format("it needs more than {} MiB of memory", c.version.memory_bytes >> 20),
              {},
              true};
    return {o.end->killed_for.empty() ? "it ended with " + o.end->text() : o.end->killed_for,
            {},
            true};
  }
  if (c.version.runtime == function_runtime::executable)
    return judge_executable(o.answer);
  if (o.end)
    return {"it ended without an answer", {}, true};
  return judge_node(o.answer);
}

void answer(functions_state& s, functions_state::call c, const call_outcome& o,
            function_answer judged) {
  invocation_result out;
  auto& r = out.record = record_of(c);
  r.duration = o.duration;
  r.start_up = o.start_up;
  r.started = {now(s).us - o.duration.count()};
  r.memory_peak_bytes = o.memory_peak_bytes;
  r.exit = o.end ? o.end->text() : "";
  r.error = std::move(judged.error);
  r.output = o.output;
  r.output_bytes = o.output_bytes;
  out.answer = to_text(judged.value);
  r.answer = out.answer.substr(0, limits::function_answer_kept_bytes);
  if (!r.error.empty())
    return log_and_answer(s, std::move(out), std::move(c.done));
  auto files = wanted_files(judged.value, c.version);
  if (!files)
    r.error = files.error().message;
  if (!files || files->empty())
    return log_and_answer(s, std::move(out), std::move(c.done));
  // A bucket may be slow: its writing is an actor of its own.
  auto me = caf::actor_cast<caf::actor>(s.self);
  s.self->spawn<caf::detached>(
      function_files, s.services, c.what.run, std::move(*files),
      [me, out = std::move(out), done = std::move(c.done)](const result<void>& written) {
        auto whole = out;
        if (!written)
          whole.record.error = written.error().message;
        tell_functions(me, [whole = std::move(whole), done](functions_state& state) {
          log_and_answer(state, whole, done);
        });
      });
}

function_process describe(const functions_state& s, const functions_state::call& c,
                          const std::string& directory) {
  const auto& v = c.version;
  function_process p;
  p.code = directory;
  p.memory_bytes_max = v.memory_bytes;
  p.network = v.network;
  p.environment = function_environment(c.what.function, v, s.catalog.secrets(c.what.function));
  p.is_warm = v.runtime == function_runtime::nodejs;
  if (p.is_warm) {
    // Its heap is not all of a process: what is left is for code and buffers.
    p.command = {find_node().value_or("/usr/bin/node"),
                 fmt::format("--max-old-space-size={}", (v.memory_bytes >> 20) * 3 / 4),
                 "/fn/runtime/bootstrap.js", v.handler};
  } else {
    add_call(p.environment, c.what, c.request_id);
    p.command = {"/fn/code/" + v.handler};
    p.cpu_max = std::chrono::ceil<std::chrono::seconds>(v.timeout);
  }
  return p;
}

function_call input_of(const functions_state::call& c) {
  const bool is_node = c.version.runtime == function_runtime::nodejs;
  return {is_node ? node_call(c.what, c.version, c.request_id) : c.what.body, c.version.timeout,
          static_cast<std::uint64_t>(c.version.output_bytes_max)};
}

void on_call_ended(functions_state& s, pool::process_id id, const call_outcome& o) {
  auto p = s.processes.find(id);
  if (p == s.processes.end() || !p->second.at_work)
    return;
  auto c = s.calls.extract(*std::exchange(p->second.at_work, std::nullopt));
  auto judged = judge(c.mapped(), o);
  auto fitness = o.end || judged.is_lost ? pool::fitness::unfit : pool::fitness::fit;
  answer(s, std::move(c.mapped()), o, std::move(judged));
  obey(s, s.pool->on_call_ended(now(s), id, fitness));
}

void on_gone(functions_state& s, pool::process_id id, const function_end& end) {
  if (auto p = s.processes.find(id); p != s.processes.end() && p->second.at_work) {
    // It died between two calls, and the second was on its way.
    call_outcome o;
    o.end = end;
    on_call_ended(s, id, o);
  }
  s.processes.erase(id);
  obey(s, s.pool->on_gone(now(s), id));
  tidy(s);
}

function_listener listener_of(const functions_state& s, pool::process_id id) {
  auto me = caf::actor_cast<caf::actor>(s.self);
  return {[me, id](call_outcome o) {
            tell_functions(me, [id, o = std::move(o)](functions_state& state) {
              on_call_ended(state, id, o);
            });
          },
          [me, id](function_end end) {
            tell_functions(me, [id, end = std::move(end)](functions_state& state) {
              on_gone(state, id, end);
            });
          }};
}

void start_process(functions_state& s, const pool::start& a) {
  const auto& c = s.calls.at(a.first);
  auto directory = s.code.directory(c.what.function, c.version);
  auto& p = s.processes[a.process];
  p.at_work = a.first;
  if (!directory) {
    function_end end;
    end.killed_for = directory.error().message;
    return on_gone(s, a.process, end);
  }
  p.directory = *directory;
  p.key = s.host->start(describe(s, c, *directory), input_of(c), listener_of(s, a.process));
}

void obey(functions_state& s, const pool::actions& actions) {
  for (const auto& a : actions) {
    if (const auto* start = std::get_if<pool::start>(&a)) {
      start_process(s, *start);
    } else if (const auto* give = std::get_if<pool::give>(&a)) {
      auto& p = s.processes.at(give->process);
      p.at_work = give->call;
      s.host->call(p.key, input_of(s.calls.at(give->call)));
    } else if (const auto* stop = std::get_if<pool::stop>(&a)) {
      s.host->stop(s.processes.at(stop->process).key);
    } else {
      const auto& refused = std::get<pool::refuse>(a);
      answer_refused(s, std::move(s.calls.extract(refused.call).mapped()), refused.why);
    }
  }
  auto next = s.pool->wake();
  if (!next || (s.wake && *s.wake <= *next))
    return;
  s.wake = next;
  s.self->delayed_send(s.self, std::max(microseconds{0}, *next - now(s)), functions_tick{});
}

/// Why it cannot be called now; "" = it can.
std::string obstacle(const functions_state& s, const function_invocation& what) {
  const auto* f = s.catalog.find(what.function);
  if (f == nullptr)
    return fmt::format("there is no function {}", what.function);
  if (!f->enabled)
    return fmt::format("function {} is disabled", what.function);
  if (!s.host->sandbox().is_available)
    return s.host->sandbox().summary;
  if (f->versions.back().runtime == function_runtime::nodejs)
    if (auto node = find_node(); !node)
      return node.error().message;
  if (what.body.size() > limits::function_event_bytes_max)
    return fmt::format("an event of {} bytes is more than {}", what.body.size(),
                       limits::function_event_bytes_max);
  return {};
}

// ---- Changes -----------------------------------------------------------------------

void next_change(functions_state& s);

void on_changed(functions_state& s, function_catalog decided, const changes& made) {
  s.catalog = std::move(decided);
  for (const auto& f : made.functions)
    obey(s, s.pool->on_version(now(s), f.name, f.versions.back().number));
  for (const auto& name : made.erased_functions)
    obey(s, s.pool->on_version(now(s), name, 0));
  tidy(s);
}

void next_change(functions_state& s) {
  if (s.is_changing || s.waiting_changes.empty())
    return;
  auto [decide, done] = std::move(s.waiting_changes.front());
  s.waiting_changes.pop_front();
  auto copy = std::make_shared<function_catalog>(s.catalog);
  auto made = decide(*copy);
  if (!made) {
    done(failure{made.error()});
    return next_change(s);
  }
  s.is_changing = true;
  auto me = caf::actor_cast<caf::actor>(s.self);
  auto what = std::make_shared<changes>(std::move(*made));
  s.services->journal->commit(
      *what, [me, copy, what, done = std::move(done)](const result<void>& r) {
        tell_functions(me, [copy, what, done, r](functions_state& state) {
          state.is_changing = false;
          if (r)
            on_changed(state, std::move(*copy), *what);
          done(r);
          next_change(state);
        });
      });
}

} // namespace

void functions_state::make_change(change_fn decide, gateway::reply<void> done) {
  waiting_changes.push_back({std::move(decide), std::move(done)});
  next_change(*this);
}

void functions_state::invoke(function_invocation what, gateway::reply<invocation_result> done) {
  call c;
  c.request_id = random_hex(16);
  c.done = std::move(done);
  auto why_not = obstacle(*this, what);
  if (const auto* f = catalog.find(what.function))
    c.version = f->versions.back();
  c.what = std::move(what);
  if (!why_not.empty())
    return answer_refused(*this, std::move(c), std::move(why_not));
  const auto& v = c.version;
  pool::call asked{++last_call, c.what.function, v.number, v.concurrency,
                   v.runtime == function_runtime::nodejs};
  calls.emplace(asked.id, std::move(c));
  obey(*this, pool->on_call(now(*this), std::move(asked)));
}

function_status functions_state::status() const {
  function_status out;
  out.sandbox = host->sandbox().summary;
  auto node = find_node();
  out.node = node ? *node : node.error().message;
  out.processes = pool->processes();
  out.idle = pool->idle();
  out.waiting = pool->waiting();
  for (const auto& t : function_templates())
    out.templates.push_back(t);
  return out;
}

caf::behavior functions_actor(self_ptr self, node_services* services) {
  auto& s = self->state;
  s.self = self;
  s.services = services;
  s.pool.emplace(pool::options{services->config.functions.processes});
  tolerate_strangers(self, "FUNCTIONS");
  auto ready = load_functions(*services->store, s.catalog);
  if (ready)
    ready = s.code.open(services->config.data_dir + "/functions", *services->store);
  if (!ready) {
    spdlog::critical("FUNCTIONS: {}", ready.error().message);
    self->quit(caf::sec::runtime_error);
    return {};
  }
  s.host = std::make_unique<function_host>(
      function_host::options{services->config.functions.directory});
  spdlog::info("functions: {}", s.host->sandbox().summary);
  self->send(self, functions_sweep{});
  return {
      [=](const functions_call& m) { (*m.call)(self->state); },
      [=](functions_tick) {
        auto& state = self->state;
        state.wake.reset();
        obey(state, state.pool->on_tick(now(state)));
      },
      [=](functions_sweep) {
        sweep_log(self->state);
        self->delayed_send(self, sweep_every, functions_sweep{});
      },
  };
}

void tell_functions(const caf::actor& functions, std::function<void(functions_state&)> f) {
  caf::anon_send(
      functions,
      functions_call{std::make_shared<std::function<void(functions_state&)>>(std::move(f))});
}

result<std::string> bound_function(const state_store& store, std::string_view event_type) {
  FM_TRY(auto t, find_record<function_trigger>(store, family::function_triggers, event_type));
  return t && t->enabled ? t->function : std::string{};
}

std::unique_ptr<sink> make_function_sink(caf::actor functions, const node_services& services) {
  return std::make_unique<function_sink>(
      [&services](std::string_view type) { return bound_function(*services.store, type); },
      [functions = std::move(functions)](std::string name, notification n,
                                                              function_sink::outcome_fn done) {
        function_invocation what{std::move(name), std::move(n.event_type), n.event, n.run,
                                 n.attempt,       std::move(n.body)};
        tell_functions(
            functions, [what = std::move(what), done = std::move(done)](functions_state& s) {
              s.invoke(what, [done](result<invocation_result> r) {
                done({r ? r->record.error : r.error().message, r ? r->record.request_id : ""});
              });
            });
      });
}

} // namespace framemill
