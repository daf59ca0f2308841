#include "actors/bucket_watcher.hpp"

#include "actors/manners.hpp"
#include "core/limits.hpp"
#include "storage/records.hpp"

#include <caf/all.hpp>
#include <spdlog/spdlog.h>

namespace framemill {

namespace {

using self_ptr = caf::stateful_actor<bucket_watcher_state>*;
constexpr std::size_t batches_in_flight_max = 4;

struct context {
  self_ptr self;
  node_services* services;
  [[nodiscard]] bucket_watcher_state& state() const { return self->state; }
  [[nodiscard]] timestamp now() const { return services->clock.now(); }
};

/// Do the books know this generation already?
bool is_booked(const context& c, const std::string& key, const generation& g) {
  auto line = find_record<object_record>(*c.services->store, family::objects,
                                         keys::object(c.state().bucket->name(), key));
  if (!line) {
    spdlog::error("BUCKET WATCHER {}: {}", c.state().bucket->name(), line.error().message);
    return true; // not now; the next scan asks again
  }
  return *line && (*line)->object.generation == g && (*line)->state != object_state::settling;
}

void arm_tick(const context& c) {
  auto& s = c.state();
  auto next = s.settling->next_look();
  if (s.tick_armed || !next)
    return;
  s.tick_armed = true;
  auto wait = std::max<std::int64_t>((*next - c.now()).count(), 1000);
  c.self->delayed_send(c.self, std::min(microseconds{wait}, microseconds{1'000'000}), watch_tick{});
}

void look(const context& c, const bucket_entry& entry) {
  auto& s = c.state();
  if (s.in_flight.contains(entry.key) || is_booked(c, entry.key, entry.generation))
    return;
  auto closed = s.closed.erase(entry.key) > 0;
  s.settling->observe(c.now(), entry.key, entry.generation, closed, s.bucket->has_writer(entry.key));
}

/// False: something is there that is no object; a scan says why.
bool look_at_key(const context& c, const std::string& key) {
  auto g = c.state().bucket->stat(key);
  if (g)
    look(c, {key, *g});
  else
    c.state().settling->gone(key);
  return g || g.error().code == errc::not_found;
}

void refuse(const context& c, const refused_entry& entry) {
  auto& s = c.state();
  settled_report report;
  report.object = {s.bucket->name(), entry.key, {}};
  report.first_seen = c.now();
  report.refused = entry.reason;
  if (s.in_flight.contains(entry.key) || is_booked(c, entry.key, {}))
    return;
  spdlog::warn("BUCKET WATCHER {}: `{}` ignored: {}", s.bucket->name(), entry.key, entry.reason);
  s.in_flight.insert(entry.key);
  s.ready.push_back(std::move(report));
}

void send_batches(const context& c) {
  auto& s = c.state();
  while (!s.ready.empty() && s.told.size() < batches_in_flight_max) {
    auto& batch = s.told[++s.last_batch];
    while (!s.ready.empty() && batch.size() < limits::ingest_batch_max) {
      batch.push_back(std::move(s.ready.front()));
      s.ready.pop_front();
    }
    c.self->send(s.coordinator,
                 settled_batch{s.last_batch, batch, caf::actor_cast<caf::actor>(c.self)});
  }
}

void harvest(const context& c) {
  auto& s = c.state();
  for (auto& o : s.settling->take_settled(c.now())) {
    settled_report report;
    report.object = {s.bucket->name(), o.key, o.generation};
    report.evidence = std::move(o.evidence);
    report.first_seen = o.first_seen;
    s.in_flight.insert(report.object.key);
    s.ready.push_back(std::move(report));
  }
  send_batches(c);
  arm_tick(c);
}

void scan(const context& c, const std::string& prefix) {
  auto& s = c.state();
  auto listed = s.bucket->list(
      prefix,
      [&](const bucket_entry& entry) {
        look(c, entry);
        return true;
      },
      [&](const refused_entry& entry) { refuse(c, entry); });
  if (s.available != listed.has_value())
    spdlog::warn("BUCKET WATCHER {}: {}", s.bucket->name(),
                 listed ? "available again" : listed.error().message);
  s.available = listed.has_value();
  s.problem = listed ? "" : listed.error().message;
  s.last_scan = c.now();
}

void take_hints(const context& c, const std::vector<bucket_hints::hint>& hints) {
  std::set<std::string> keys, prefixes;
  for (const auto& h : hints) {
    if (h.closed)
      c.state().closed.insert(h.key);
    (h.key.empty() || h.key.ends_with('/') ? prefixes : keys).insert(h.key);
  }
  for (const auto& k : keys)
    if (!look_at_key(c, k))
      prefixes.insert(k.substr(0, k.rfind('/') + 1));
  for (const auto& p : prefixes)
    scan(c, p);
  // A close hint of something that is not settling any more means nothing.
  if (c.state().settling->size() == 0)
    c.state().closed.clear();
  harvest(c);
}

bucket_status status_of(const bucket_watcher_state& s) {
  bucket_status out;
  out.name = s.bucket->name();
  out.location = s.bucket->location();
  out.watch_mode = s.hints ? s.hints->mode() : "scan";
  out.available = s.available;
  out.problem = s.problem;
  out.settling = s.settling->size() + s.in_flight.size();
  out.last_scan = s.last_scan;
  return out;
}

} // namespace

caf::behavior bucket_watcher(self_ptr self, node_services* services, bucket* watched,
                             caf::actor coordinator) {
  context c{self, services};
  auto& s = self->state;
  s.bucket = watched;
  s.coordinator = std::move(coordinator);
  settle_machine::options options;
  options.quiet_min = services->config.settle_quiet;
  s.settling = std::make_unique<settle_machine>(options);
  auto me = caf::actor_cast<caf::actor>(self);
  s.hints = watch_local_bucket(watched->location(), [me](std::vector<bucket_hints::hint> h) {
    caf::anon_send(me, change_hints{std::move(h)});
  });
  tolerate_strangers(self, "BUCKET WATCHER");
  self->send(self, scan_tick{});
  return {
      [=](const change_hints& m) { take_hints(c, m.hints); },
      [=](const watch_tick&) {
        self->state.tick_armed = false;
        for (const auto& key : self->state.settling->due(c.now()))
          (void)look_at_key(c, key);
        harvest(c);
      },
      [=](const scan_tick&) {
        scan(c, "");
        harvest(c);
        self->delayed_send(self, services->config.scan_interval, scan_tick{});
      },
      [=](const batch_booked& m) {
        auto& state = self->state;
        auto batch = state.told.extract(m.batch);
        if (batch.empty())
          return;
        for (const auto& report : batch.mapped())
          state.in_flight.erase(report.object.key); // not booked: the scan finds it again
        // It may have changed while it was being booked.
        for (const auto& report : batch.mapped())
          if (report.refused.empty())
            (void)look_at_key(c, report.object.key);
        harvest(c);
      },
      [=](const ask_bucket_status& m) { m.done(status_of(self->state)); },
      [=](const ask_settling& m) {
        std::vector<std::string> keys;
        for (auto& v : self->state.settling->settling(c.now()))
          keys.push_back(std::move(v.key));
        keys.insert(keys.end(), self->state.in_flight.begin(), self->state.in_flight.end());
        m.done(std::move(keys));
      },
  };
}

} // namespace framemill
