#include "actors/bucket_watcher.hpp"

#include "actors/manners.hpp"
#include "core/codec.hpp"
#include "core/limits.hpp"

#include <caf/all.hpp>
#include <spdlog/spdlog.h>

namespace framemill {

namespace {

using self_ptr = caf::stateful_actor<bucket_watcher_state>*;
constexpr std::size_t batches_in_flight_max = 4;
constexpr microseconds look_again_after{1'000'000}; ///< at the latest
constexpr microseconds status_every{500'000};

struct context {
  self_ptr self;
  node_services* services;
  [[nodiscard]] bucket_watcher_state& state() const { return self->state; }
  [[nodiscard]] timestamp now() const { return services->clock.now(); }
  [[nodiscard]] const bucket& watched() const { return *state().place.watched; }
};

/// Something in the bucket; an object when it is not refused.
struct found_entry {
  watch_question::candidate what;
  std::string refused;
};

// ---- Looking ---------------------------------------------------------------------------

void observe(const context& c, const found_entry& entry) {
  auto& s = c.state();
  const auto& key = entry.what.key;
  if (entry.refused.empty()) {
    auto closed = s.closed.erase(key) > 0;
    return s.settling->observe(c.now(), key, entry.what.generation, closed,
                               c.watched().has_writer(key));
  }
  spdlog::warn("BUCKET WATCHER {}: `{}` ignored: {}", c.watched().name(), key, entry.refused);
  settled_report report;
  report.object = {c.watched().name(), key, {}};
  report.first_seen = c.now();
  report.refused = entry.refused;
  s.in_flight.insert(key);
  s.ready.push_back(std::move(report));
}

/// What the books do not know of. False: they cannot be asked now.
bool consider(const context& c, std::vector<found_entry> found) {
  auto& s = c.state();
  std::erase_if(found, [&](const auto& f) { return s.in_flight.contains(f.what.key); });
  ledger_view::candidates candidates;
  for (const auto& f : found)
    candidates.push_back(f.what);
  auto unbooked = s.place.books->unbooked(candidates);
  s.is_blind = !unbooked;
  if (!unbooked) {
    spdlog::warn("BUCKET WATCHER {}: {}", c.watched().name(), unbooked.error().message);
    return false;
  }
  for (auto i : *unbooked)
    observe(c, found.at(i));
  return true;
}

/// Gathers what is found, and considers it by the batch.
class sieve {
public:
  explicit sieve(const context& c) : c_(c) {}
  bool add(found_entry entry) {
    found_.push_back(std::move(entry));
    return found_.size() < limits::ingest_batch_max || flush();
  }
  bool flush() { return found_.empty() || consider(c_, std::exchange(found_, {})); }
  /// False: something is there that is no object; a scan says why.
  bool add_key(const std::string& key) {
    auto g = c_.watched().stat(key);
    if (g)
      (void)add({{key, *g}, {}}); // what is not heard of now, the scan finds
    else
      c_.state().settling->gone(key);
    return g || g.error().code == errc::not_found;
  }

private:
  const context& c_;
  std::vector<found_entry> found_;
};

void scan(const context& c, const std::string& prefix) {
  auto& s = c.state();
  s.is_blind = false;
  sieve found{c};
  auto listed = c.watched().list(
      prefix,
      [&](const bucket_entry& entry) {
        return found.add({{entry.key, entry.generation}, {}});
      },
      [&](const refused_entry& entry) {
        (void)found.add({{entry.key, {}}, entry.reason});
      });
  if (!s.is_blind)
    (void)found.flush();
  if (s.problem.empty() != listed.has_value())
    spdlog::warn("BUCKET WATCHER {}: {}", c.watched().name(),
                 listed ? "available again" : listed.error().message);
  s.problem = listed ? "" : listed.error().message;
  s.last_scan = c.now();
  const auto& line = s.place.line;
  c.self->send(line.host, service_fares{line.service, line.epoch, s.problem});
}

void take_hints(const context& c, const std::vector<bucket_hints::hint>& hints) {
  if (c.state().is_blind)
    return; // everything is looked at as soon as the books can be asked
  std::set<std::string> keys, prefixes;
  for (const auto& h : hints) {
    if (h.closed)
      c.state().closed.insert(h.key);
    (h.key.empty() || h.key.ends_with('/') ? prefixes : keys).insert(h.key);
  }
  sieve found{c};
  for (const auto& k : keys)
    if (!found.add_key(k))
      prefixes.insert(k.substr(0, k.rfind('/') + 1));
  if (!found.flush())
    return;
  for (const auto& p : prefixes)
    scan(c, p);
  // A close hint of something that is not settling any more means nothing.
  if (c.state().settling->size() == 0)
    c.state().closed.clear();
}

void look_at_due(const context& c) {
  if (c.state().is_blind)
    return scan(c, "");
  sieve found{c};
  for (const auto& key : c.state().settling->due(c.now()))
    (void)found.add_key(key);
  (void)found.flush();
}

// ---- Telling -----------------------------------------------------------------------------

void send_batches(const context& c) {
  auto& s = c.state();
  while (!s.ready.empty() && s.told.size() < batches_in_flight_max) {
    auto number = ++s.last_batch;
    auto& batch = s.told[number];
    while (!s.ready.empty() && batch.size() < limits::ingest_batch_max) {
      batch.push_back(std::move(s.ready.front()));
      s.ready.pop_front();
    }
    s.place.line.say(
        encode(watch_word{watch_reports{batch}}), "",
        [me = caf::actor_cast<caf::actor>(c.self), number](const result<std::string>& answer) {
          auto booked = answer_as<watch_booked, watch_answer>(answer);
          caf::anon_send(me, batch_booked{number, booked && booked->is_booked, {}});
        });
  }
}

std::uint64_t settling_count(const bucket_watcher_state& s) {
  return s.settling->size() + s.in_flight.size();
}

void tell_status(const context& c) {
  auto& s = c.state();
  watch_status status;
  status.location = c.watched().location();
  status.mode = s.hints ? s.hints->mode() : "scan";
  status.problem = s.problem;
  status.settling = s.settling_told = settling_count(s);
  status.last_scan = s.last_scan;
  s.place.line.say(encode(watch_word{status}), "status",
                   [](const result<std::string>&) {}); // the next one comes anyway
}

/// After whatever was looked at.
void harvest(const context& c) {
  auto& s = c.state();
  for (auto& o : s.settling->take_settled(c.now())) {
    settled_report report;
    report.object = {c.watched().name(), o.key, o.generation};
    report.evidence = std::move(o.evidence);
    report.first_seen = o.first_seen;
    s.in_flight.insert(report.object.key);
    s.ready.push_back(std::move(report));
  }
  send_batches(c);
  if (settling_count(s) != s.settling_told && !std::exchange(s.status_armed, true))
    c.self->delayed_send(c.self, status_every, status_tick{});
  auto next = s.settling->next_look();
  if (s.tick_armed || (!next && !s.is_blind))
    return;
  s.tick_armed = true;
  auto wait = next ? std::max(*next - c.now(), microseconds{1000}) : look_again_after;
  c.self->delayed_send(c.self, std::min(wait, look_again_after), watch_tick{});
}

void end_batch(const context& c, std::uint64_t number) {
  auto& s = c.state();
  auto batch = s.told.extract(number);
  if (batch.empty())
    return;
  for (const auto& report : batch.mapped())
    s.in_flight.erase(report.object.key); // not booked: the scan finds it again
  if (s.is_blind)
    return;
  // It may have changed while it was being booked.
  sieve found{c};
  for (const auto& report : batch.mapped())
    if (report.refused.empty())
      (void)found.add_key(report.object.key);
  (void)found.flush();
}

/// "settling KEY": those behind it that the watcher waits for, one a line, a page.
result<std::string> answer(const context& c, std::string_view question) {
  constexpr std::string_view verb = "settling ";
  if (!question.starts_with(verb))
    return fail(errc::unknown_argument, "a BUCKET WATCHER does not know `{}`", question);
  std::set<std::string> keys = c.state().in_flight;
  for (auto& v : c.state().settling->settling(c.now()))
    keys.insert(std::move(v.key));
  std::string out;
  std::size_t count = 0;
  for (auto k = keys.upper_bound(std::string{question.substr(verb.size())});
       k != keys.end() && count < limits::settling_page_max; ++k, ++count)
    out += *k + "\n";
  return out;
}

} // namespace

caf::behavior bucket_watcher(self_ptr self, node_services* services, watcher_place place) {
  context c{self, services};
  auto& s = self->state;
  s.place = std::move(place);
  settle_machine::options options;
  options.quiet_min =
      std::chrono::duration_cast<std::chrono::milliseconds>(s.place.how.settle_quiet);
  s.settling = std::make_unique<settle_machine>(options);
  auto me = caf::actor_cast<caf::actor>(self);
  s.hints =
      watch_local_bucket(s.place.watched->location(), [me](std::vector<bucket_hints::hint> h) {
        caf::anon_send(me, change_hints{std::move(h)});
      });
  tolerate_strangers(self, "BUCKET WATCHER");
  self->set_down_handler([=](const caf::down_msg&) { self->quit(); });
  self->monitor(s.place.line.host); // nobody would hear us
  self->send(self, scan_tick{});
  return {
      [=](const change_hints& m) {
        take_hints(c, m.hints);
        harvest(c);
      },
      [=](const watch_tick&) {
        self->state.tick_armed = false;
        look_at_due(c);
        harvest(c);
      },
      [=](const scan_tick&) {
        scan(c, "");
        harvest(c);
        tell_status(c);
        self->delayed_send(self, self->state.place.how.scan_interval, scan_tick{});
      },
      [=](const status_tick&) {
        self->state.status_armed = false;
        tell_status(c);
      },
      [=](const batch_booked& m) {
        end_batch(c, m.batch);
        harvest(c);
      },
      [=](const ask_service& m) { m.done(answer(c, m.question)); },
  };
}

} // namespace framemill
