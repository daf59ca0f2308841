#include "actors/outbox.hpp"

#include "actors/delivery_desk.hpp"
#include "actors/fail_points.hpp"
#include "actors/functions_actor.hpp"
#include "actors/manners.hpp"
#include "actors/notifier.hpp"
#include "core/limits.hpp"
#include "core/random.hpp"
#include "core/url.hpp"
#include "notify/route.hpp"
#include "storage/run_books.hpp"

#include <caf/all.hpp>
#include <spdlog/spdlog.h>

#include <atomic>

namespace framemill {

namespace {

using self_ptr = caf::stateful_actor<outbox_state>*;
using namespace std::chrono_literals;

constexpr auto again_after = 1s;       ///< a store that refused
constexpr auto cursor_every = 10s;     ///< when only events passed that nobody wants

/// A page of the log, and what is to be told of it.
struct page {
  changes record;
  std::size_t events = 0;
  std::size_t bytes = 0;
  event_id last;

  [[nodiscard]] bool is_full() const {
    return events >= limits::outbox_events_max
           || record.deliveries.size() >= limits::outbox_deliveries_max
           || bytes >= limits::outbox_bytes_max;
  }
};

result<std::optional<run_record>> run_of(const state_store& store, const event_record& e) {
  return find_record<run_record>(store, family::runs, keys::of(e.run));
}

/// With the function that is bound to such events now.
result<std::vector<destination>> who_is_told(const state_store& store, const event_record& e,
                                             const run_record& run) {
  FM_TRY(auto function, bound_function(store, mps::event_type_of(run)));
  return destinations(e, run, !function.empty());
}

/// What cannot be made is left out, and said: one damaged run must not end all
/// notifications. What the store cannot read just now is tried again.
result<void> add(outbox_state& s, page& p, const event_record& e, const destination& to) {
  auto d = s.render(e, to);
  if (d) {
    p.bytes += d->body.size();
    p.record.deliveries.push_back(std::move(*d));
    return {};
  }
  if (d.error().code == errc::io_failed)
    return failure{d.error()};
  spdlog::critical("OUTBOX: event {} cannot be told to {}: {}", e.id.value, to.sink,
                   d.error().message);
  return {};
}

result<void> look_at(outbox_state& s, page& p, const event_record& e) {
  if (!told_by(e))
    return {};
  auto run = run_of(*s.services->store, e);
  if (!run && run.error().code == errc::io_failed)
    return failure{run.error()};
  if (!run || !*run) {
    spdlog::critical("OUTBOX: event {}: run {} cannot be read", e.id.value, e.run.value);
    return {};
  }
  FM_TRY(auto told, who_is_told(*s.services->store, e, **run));
  for (const auto& to : told)
    FM_CHECK(add(s, p, e, to));
  return {};
}

result<page> read_page(outbox_state& s) {
  page p;
  p.last = s.cursor;
  result<void> status;
  FM_CHECK(scan_records<event_record>(
      *s.services->store, family::events, keys::of(event_id{s.cursor.value + 1}), "",
      [&](const event_record& e) {
        status = look_at(s, p, e);
        if (!status)
          return false;
        ++p.events;
        p.last = e.id;
        return !p.is_full();
      }));
  FM_CHECK(status);
  return p;
}

void count_pending(outbox_state& s, const std::vector<delivery_record>& all) {
  for (const auto& d : all)
    s.services->notices.board.pending(d.sink, 1, d.happened);
}

std::set<std::string> sinks_of(const std::vector<delivery_record>& all) {
  std::set<std::string> out;
  for (const auto& d : all)
    out.insert(d.sink);
  return out;
}

void try_later(outbox_state& s, const error& why) {
  spdlog::error("OUTBOX: {}; again in {} s", why.message, again_after.count());
  s.self->delayed_send(s.self, again_after, events_there{});
}

void go_on(outbox_state& s);

void write(outbox_state& s, page p) {
  auto told = std::make_shared<std::vector<delivery_record>>(p.record.deliveries);
  p.record.cursors.emplace_back("outbox", p.last);
  s.writing = true;
  fail_point("outbox.before");
  s.commit(std::move(p.record), [&s, told, last = p.last](const result<void>& r) {
    s.writing = false;
    if (!r)
      return try_later(s, r.error());
    fail_point("outbox.written");
    s.cursor = s.durable_cursor = last;
    count_pending(s, *told);
    for (const auto& sink : sinks_of(*told))
      s.wake(sink, false);
    go_on(s);
  });
}

/// Reads on until there is something to write, or nothing more.
void go_on(outbox_state& s) {
  if (s.writing)
    return;
  auto p = read_page(s);
  if (!p)
    return try_later(s, p.error());
  if (!p->record.deliveries.empty())
    return write(s, std::move(*p));
  s.cursor = p->last;
  if (p->is_full())
    s.self->send(s.self, events_there{}); // others have their turn
}

/// Events that nobody wants move the cursor too, now and then.
void keep_cursor(outbox_state& s) {
  s.self->delayed_send(s.self, cursor_every, outbox_tick{});
  if (s.writing || s.cursor == s.durable_cursor)
    return;
  changes c;
  c.cursors.emplace_back("outbox", s.cursor);
  s.commit(std::move(c), [&s, at = s.cursor](const result<void>& r) {
    if (r)
      s.durable_cursor = std::max(s.durable_cursor, at);
  });
}

/// What is pending since a former life.
result<void> resume(outbox_state& s) {
  FM_TRY(auto cursor, s.services->store->find(family::cursors, "outbox"));
  if (!cursor)
    return fail(errc::corrupt, "the outbox has no cursor");
  s.cursor = s.durable_cursor = {std::stoull(*cursor, nullptr, 16)};
  std::set<std::string> sinks;
  const auto prefix = keys::prefix(delivery_state::pending);
  FM_CHECK(scan_records<delivery_line>(
      *s.services->store, family::deliveries, prefix, prefix_end(prefix), [&](delivery_line d) {
        if (!s.services->notices.counted)
          s.services->notices.board.pending(d.sink, 1, d.happened);
        sinks.insert(std::move(d.sink));
        return true;
      }));
  s.services->notices.counted = true;
  for (const auto& sink : sinks)
    s.wake(sink, false);
  return {};
}

/// Wakes the actor when something was written that may be told; once for many.
std::shared_ptr<void> follow(outbox_state& s) {
  auto me = caf::actor_cast<caf::actor>(s.self);
  auto after = s.cursor;
  (void)s.services->store->scan_back(family::events, "", "", [&](std::string_view key, auto) {
    after = {std::stoull(std::string{key}, nullptr, 16)};
    return false;
  });
  return s.services->journal->follow(after, [me](const event_record& e) {
    if (told_by(e))
      caf::anon_send(me, events_there{});
  });
}

// ---- Redrive and replay: page after page, each durable before the next -------------------

struct rerun {
  gateway::reply<std::uint64_t> done;
  std::uint64_t count = 0;
};

/// The log goes on meanwhile, and no stack grows with it.
void in_its_turn(outbox_state& s, std::function<void()> next) {
  auto call = [next = std::move(next)](outbox_state&) { next(); };
  s.self->send(s.self, outbox_call{std::make_shared<outbox_door::call>(std::move(call))});
}

void write_rerun(outbox_state& s, const std::shared_ptr<rerun>& job, changes c,
                 std::function<void()> next) {
  auto told = std::make_shared<std::vector<delivery_record>>(c.deliveries);
  s.commit(std::move(c), [&s, job, told, next = std::move(next)](const result<void>& r) {
    if (!r)
      return job->done(failure{r.error()});
    fail_point("delivery.redriven.written");
    count_pending(s, *told);
    for (const auto& sink : sinks_of(*told))
      s.wake(sink, true);
    job->count += told->size();
    next();
  });
}

void redrive_from(outbox_state& s, const std::shared_ptr<rerun>& job, const std::string& from,
                  const std::string& until) {
  changes c;
  std::size_t bytes = 0;
  auto now = s.services->clock.now();
  bool more = false;
  auto read = scan_records<delivery_record>(
      *s.services->store, family::deliveries, from, until, [&](delivery_record d) {
        more = c.deliveries.size() >= limits::outbox_deliveries_max
               || bytes >= limits::outbox_bytes_max;
        if (more)
          return false;
        d.state = delivery_state::pending;
        d.since = d.next_try = now;
        d.attempts = 0;
        bytes += d.body.size();
        c.deliveries.push_back(std::move(d));
        return true;
      });
  if (!read)
    return job->done(failure{read.error()});
  if (c.deliveries.empty())
    return job->done(job->count);
  const auto& last = c.deliveries.back();
  // On from here: what was written may be dead again by now.
  auto behind = keys::delivery(delivery_state::dead, last.sink, last.event) + '\0';
  write_rerun(s, job, std::move(c), [&s, job, behind = std::move(behind), until, more] {
    more ? redrive_from(s, job, behind, until) : job->done(job->count);
  });
}

bool is_pending(const state_store& store, const std::string& sink, event_id event) {
  auto found =
      store.find(family::deliveries, keys::delivery(delivery_state::pending, sink, event));
  return found && found->has_value();
}

result<void> replay_event(outbox_state& s, page& p, const event_record& e,
                          const std::string& sink) {
  if (!told_by(e) || is_pending(*s.services->store, sink, e.id))
    return {};
  FM_TRY(auto run, run_of(*s.services->store, e));
  if (!run)
    return {};
  FM_TRY(auto told, who_is_told(*s.services->store, e, *run));
  for (const auto& to : told)
    if (to.sink == sink)
      FM_CHECK(add(s, p, e, to));
  return {};
}

/// Of a sink as an operator writes it: no other name than its own will do.
result<sink_kind> kind_of_named(const std::string& sink) {
  FM_TRY(auto kind, kind_of_sink(sink));
  if (kind != sink_kind::http)
    return kind;
  FM_TRY(auto url, parse_http_url(sink));
  if (auto origin = origin_of(url); origin != sink)
    return fail(errc::invalid_argument, "`{}` is no sink; that one is named `{}`", sink, origin);
  return kind;
}

void replay_from(outbox_state& s, const std::shared_ptr<rerun>& job, event_id from,
                 event_id last, const std::string& sink) {
  page p;
  p.last = from;
  result<void> status;
  auto read = scan_records<event_record>(*s.services->store, family::events, keys::of(from),
                                         keys::of(event_id{last.value + 1}),
                                         [&](const event_record& e) {
                                           status = replay_event(s, p, e, sink);
                                           ++p.events;
                                           p.last = e.id;
                                           return status && !p.is_full();
                                         });
  if (!read || !status)
    return job->done(failure{read ? status.error() : read.error()});
  auto next = [&s, job, at = event_id{p.last.value + 1}, last, sink, more = p.is_full()] {
    more ? replay_from(s, job, at, last, sink) : job->done(job->count);
  };
  if (p.record.deliveries.empty())
    return in_its_turn(s, std::move(next));
  write_rerun(s, job, std::move(p.record), std::move(next));
}

} // namespace

void outbox_state::commit(changes c, std::function<void(result<void>)> then) {
  auto token = ++last_token;
  commits.emplace(token, std::move(then));
  auto me = caf::actor_cast<caf::actor>(self);
  services->journal->commit(std::move(c), [me, token](result<void> r) {
    caf::anon_send(me, committed{token, std::move(r)});
  });
}

void outbox_state::wake(const std::string& sink, bool anew) {
  if (is_told_by_crew(*services, sink))
    services->notices.board.announce(sink, anew);
  else
    notifiers->wake(sink, anew);
}

result<delivery_record> outbox_state::render(const event_record& e, const destination& to) {
  FM_TRY(auto task, read_task(*services->store, e.run));
  task.progress = services->progress.find(e.run);
  auto templates = services->templates.current();
  delivery_record d;
  d.event_type = mps::event_type_of(task.run);
  d.sink = to.sink;
  d.event = e.id;
  d.run = e.run;
  d.body = to_text(mps::to_notification(std::move(task), *templates, *told_by(e)));
  d.config = to.config;
  d.happened = e.time;
  d.since = d.next_try = services->clock.now();
  return d;
}

void outbox_state::redrive(std::string sink, event_id event, gateway::reply<std::uint64_t> done) {
  auto job = std::make_shared<rerun>(rerun{std::move(done)});
  auto from = sink.empty() ? keys::prefix(delivery_state::dead)
                           : keys::prefix(delivery_state::dead, sink);
  auto until = prefix_end(from);
  if (event) {
    from = keys::delivery(delivery_state::dead, sink, event);
    until = from + '\0';
    auto found = services->store->find(family::deliveries, from);
    if (!found || !*found)
      return job->done(found ? failure{error{errc::not_found,
                                             fmt::format("there is no dead letter of event {} to "
                                                         "`{}`", event.value, sink), "Event"}}
                             : failure{found.error()});
  }
  redrive_from(*this, job, from, until);
}

void outbox_state::replay(event_id from, std::string sink, gateway::reply<std::uint64_t> done) {
  auto kind = kind_of_named(sink);
  if (!kind)
    return done(fail_field(kind.error().code, "To", "{}", kind.error().message));
  if (!services->notices.sinks.contains(*kind))
    return done(fail_field(errc::unsupported, "To", "this server has no sinks of kind {}",
                           to_string(*kind)));
  // Later ones come by themselves.
  replay_from(*this, std::make_shared<rerun>(rerun{std::move(done)}), from, cursor, sink);
}

void outbox_state::rotate_signing_key(gateway::reply<signing_key_record> done) {
  auto keys = services->notices.keys.all();
  signing_key_record fresh{random_hex(4), random_hex(32), services->clock.now()};
  changes c;
  c.signing_keys.push_back(fresh);
  keys.insert(keys.begin(), fresh);
  for (; keys.size() > limits::signing_keys_live; keys.pop_back())
    c.erased_signing_keys.push_back(keys.back().id);
  commit(std::move(c), [this, keys, done = std::move(done)](const result<void>& r) {
    if (!r)
      return done(failure{r.error()});
    services->notices.keys.set(keys);
    done(keys.front());
  });
}

caf::behavior outbox(self_ptr self, node_services* services) {
  auto& s = self->state;
  s.self = self;
  s.services = services;
  s.notifiers.emplace(self, "OUTBOX", [=](const std::string& sink) {
    notifier_place place{sink, make_store_desk(*services, sink),
                         services->config.events.retry_window};
    return self->spawn(notifier, services, std::move(place),
                       caf::actor_cast<caf::actor>(self));
  });
  tolerate_strangers(self, "OUTBOX");
  self->set_down_handler([=](const caf::down_msg& d) { self->state.notifiers->ended(d); });
  if (auto r = resume(s); !r) {
    spdlog::critical("OUTBOX: {}", r.error().message);
    self->quit(caf::sec::runtime_error);
    return {};
  }
  s.following = follow(s);
  services->notices.outbox.open([me = caf::actor_cast<caf::actor>(self)](outbox_door::call c) {
    caf::anon_send(me, outbox_call{std::make_shared<outbox_door::call>(std::move(c))});
  });
  self->send(self, events_there{});
  self->delayed_send(self, cursor_every, outbox_tick{});
  return {
      [=](const events_there&) { go_on(self->state); },
      [=](const outbox_tick&) { keep_cursor(self->state); },
      [=](const start_notifier& m) { self->state.wake(m.sink, false); },
      [=](const outbox_call& m) { (*m.call)(self->state); },
      [=](committed& m) {
        auto then = self->state.commits.extract(m.token);
        if (!then.empty())
          then.mapped()(std::move(m.status));
      },
  };
}

} // namespace framemill
