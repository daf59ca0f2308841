#include "actors/notices.hpp"

#include "actors/event_broker.hpp"
#include "actors/services.hpp"
#include "core/random.hpp"
#include "notify/http_sink.hpp"
#include "notify/queue_sink.hpp"
#include "notify/sqs_sink.hpp"
#include "storage/records.hpp"

#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>

namespace framemill {

namespace {

result<std::shared_ptr<http_door>> open_http(const node_services& s) {
  const auto& c = s.config.events;
  FM_TRY(auto egress, egress_policy::make(c.egress_allow, c.egress_deny));
  if (!c.ca_file.empty() && ::access(c.ca_file.c_str(), R_OK) != 0)
    return fail_errno(errno, "ca_file " + c.ca_file);
  return std::make_shared<http_door>(http_door_options{std::move(egress), c.ca_file});
}

result<void> read_keys(node_services& s) {
  std::vector<signing_key_record> keys;
  const auto prefix = keys::signing_key("");
  FM_CHECK(scan_records<signing_key_record>(*s.store, family::meta, prefix, prefix_end(prefix),
                                            [&](signing_key_record k) {
                                              keys.push_back(std::move(k));
                                              return true;
                                            }));
  if (keys.empty()) {
    keys.push_back({random_hex(4), random_hex(32), s.clock.now()});
    write_batch batch;
    put_record(batch, family::meta, keys::signing_key(keys[0].id), keys[0]);
    FM_CHECK(s.store->commit_and_wait(std::move(batch)));
  }
  s.notices.keys.set(std::move(keys));
  return {};
}

result<void> begin_cursor(node_services& s) {
  FM_TRY(auto cursor, s.store->find(family::cursors, "outbox"));
  if (cursor)
    return {};
  std::string last = keys::of(event_id{});
  FM_CHECK(s.store->scan_back(family::events, "", "", [&](std::string_view key, auto) {
    last = key;
    return false;
  }));
  write_batch batch;
  batch.put(family::cursors, "outbox", last);
  return s.store->commit_and_wait(std::move(batch));
}

} // namespace

// ---- sink_board --------------------------------------------------------------------

sink_board::sink_board() : life_(std::stoull(random_hex(8), nullptr, 16)) {}

sink_board::entry& sink_board::at(const std::string& sink) {
  auto found = sinks_.find(sink);
  if (found == sinks_.end()) {
    if (sinks_.size() >= limits::sinks_shown_max)
      std::erase_if(sinks_, [](const auto& s) { return s.second.status.pending == 0; });
    found = sinks_.try_emplace(sink).first;
    found->second.status.sink = sink;
    found->second.share = notifier_of(sink);
  }
  return found->second;
}

sink_board::totals& sink_board::totals_of(const std::string& sink) {
  return totals_[kind_of_sink(sink).value_or(sink_kind::http)];
}

void sink_board::pending(const std::string& sink, std::uint64_t more, timestamp oldest) {
  std::lock_guard lock{mutex_};
  auto& s = at(sink).status;
  if (s.pending == 0 || oldest < s.oldest)
    s.oldest = oldest;
  s.pending += more;
  totals_of(sink).pending += more;
}

void sink_board::tried(const std::string& sink, const delivery_outcome& outcome, timestamp now,
                       timestamp happened) {
  using kind = delivery_outcome::kind;
  std::lock_guard lock{mutex_};
  auto& s = at(sink).status;
  auto& t = totals_of(sink);
  s.last_error = outcome.why;
  s.next_try = outcome.next_try;
  if (outcome.what == kind::delivered) {
    ++s.delivered, ++t.delivered;
    auto seconds = static_cast<double>((now - happened).count()) / 1e6;
    auto bucket = std::lower_bound(latency_bounds.begin(), latency_bounds.end(), seconds);
    ++latency_.counts[static_cast<std::size_t>(bucket - latency_bounds.begin())];
    latency_.sum += seconds;
  } else {
    ++s.failed_tries, ++t.failed_tries;
    s.last_error_time = now;
  }
  if (outcome.what == kind::dead)
    ++s.dead, ++t.dead;
  if (outcome.what != kind::again && s.pending > 0)
    --s.pending, --t.pending;
  if (s.pending == 0)
    s.oldest = {};
}

void sink_board::oldest(const std::string& sink, timestamp happened) {
  std::lock_guard lock{mutex_};
  at(sink).status.oldest = happened;
}

std::vector<sink_status> sink_board::all() const {
  std::lock_guard lock{mutex_};
  std::vector<sink_status> out;
  for (const auto& [name, s] : sinks_)
    out.push_back(s.status);
  return out;
}

void sink_board::announce(const std::string& sink, bool anew) {
  std::lock_guard lock{mutex_};
  auto& s = at(sink);
  s.announced = ++last_news_;
  if (anew)
    s.announced_anew = last_news_;
  if (on_news_)
    on_news_();
}

notify_news sink_board::news(const service_id& share, const notify_wait& behind) const {
  std::lock_guard lock{mutex_};
  const bool is_stranger = behind.life != life_;
  const auto seen = is_stranger ? 0 : behind.seen;
  notify_news out{life_, last_news_, {}};
  for (const auto& [name, s] : sinks_)
    if (s.share == share && s.announced > seen && s.status.pending > 0)
      out.sinks.push_back({name, is_stranger || s.announced_anew > seen});
  return out;
}

void sink_board::follow(std::function<void()> on_news) {
  std::lock_guard lock{mutex_};
  on_news_ = std::move(on_news);
}

std::map<sink_kind, sink_board::totals> sink_board::by_kind() const {
  std::lock_guard lock{mutex_};
  return totals_;
}

sink_board::latencies sink_board::latency() const {
  std::lock_guard lock{mutex_};
  return latency_;
}

// ---- The other boards ------------------------------------------------------------------

void signing_key_board::set(std::vector<signing_key_record> keys) {
  std::ranges::sort(keys, std::greater{}, &signing_key_record::created);
  std::lock_guard lock{mutex_};
  keys_ = std::move(keys);
}

std::vector<signing_key_record> signing_key_board::all() const {
  std::lock_guard lock{mutex_};
  return keys_;
}

std::vector<std::string> signing_key_board::secrets() const {
  std::lock_guard lock{mutex_};
  std::vector<std::string> out;
  for (const auto& k : keys_)
    out.push_back(k.secret);
  return out;
}

void outbox_door::open(std::function<void(call)> to) {
  std::lock_guard lock{mutex_};
  to_ = std::move(to);
}

bool outbox_door::send(call what) const {
  std::lock_guard lock{mutex_};
  if (to_)
    to_(std::move(what));
  return static_cast<bool>(to_);
}

sink* notices::find(sink_kind kind) const {
  auto entry = sinks.find(kind);
  return entry == sinks.end() ? nullptr : entry->second.get();
}

// ---- Start ---------------------------------------------------------------------------

// The kinds of sinks that a node has, here and below.
result<void> open_http_sinks(node_services& s) {
  FM_TRY(auto door, open_http(s));
  auto& sinks = s.notices.sinks;
  sinks[sink_kind::http] = make_http_sink(door, {[&s] { return s.notices.keys.secrets(); },
                                                 [&s] { return s.clock.now(); }});
  sinks[sink_kind::sqs] = make_sqs_sink(door, s.config.events.sqs_endpoint);
  return {};
}

result<void> open_notices(node_services& s) {
  FM_CHECK(read_keys(s));
  FM_CHECK(begin_cursor(s));
  FM_CHECK(open_http_sinks(s));
  if (s.config.events.has_broker()) {
    FM_TRY(s.queue_driver, open_event_broker(s));
  }
  return {};
}

void open_queue_sinks(node_services& s) {
  auto& sinks = s.notices.sinks;
  sinks[sink_kind::queue] = make_queue_sink(*s.queue_driver, queue_model::queue);
  sinks[sink_kind::topic] = make_queue_sink(*s.queue_driver, queue_model::topic);
}

bool is_told_by_crew(const node_services& s, std::string_view sink) {
  auto kind = kind_of_sink(sink);
  return s.config.events.notifiers != "coordinator" && kind && is_reached_anywhere(*kind);
}

result<void> check_sink(const notices& n, const std::optional<notify_config>& notify) {
  if (!notify || n.sinks.contains(kind_of(*notify)))
    return {};
  std::vector<std::string_view> here;
  for (const auto& [kind, sink] : n.sinks)
    here.push_back(to_string(kind));
  return fail_field(errc::unsupported, "TaskNotifyConfig.NotifyType",
                    "NotifyType `{}` goes to a {}, which this server does not have; it has: {}",
                    notify->notify_type, to_string(kind_of(*notify)), fmt::join(here, ", "));
}

} // namespace framemill
