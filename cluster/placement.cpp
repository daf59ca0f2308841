#include "cluster/placement.hpp"

#include <algorithm>
#include <tuple>

namespace framemill {

namespace {

bool contains(const std::vector<std::string>& all, const std::string& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

bool may_host(node_standing s) {
  return s != node_standing::closed && s != node_standing::away;
}

/// A clock that was set back must not hold anything up.
bool has_lasted(std::chrono::milliseconds lasts, timestamp since, timestamp now) {
  return now < since || now - since >= lasts;
}

/// The less, the nearer to what is wished.
int distance(const service_wish& wish, const placement_node& n) {
  if (wish.where == service_wish::place::node && n.name == wish.node)
    return 0;
  return n.is_here ? 2 : 1;
}

bool is_where_wished(const service_wish& wish, const placement_node& n) {
  switch (wish.where) {
    case service_wish::place::coordinator: return n.is_here;
    case service_wish::place::any: return !n.is_here;
    case service_wish::place::node: return n.name == wish.node;
  }
  return false;
}

/// A record is written once per batch, as it is in the end.
void book(changes& record, const service_record& r) {
  std::erase_if(record.services, [&](const auto& s) { return s.service == r.service; });
  record.services.push_back(r);
}

event_record placed_event(timestamp now, const service_spec& spec, const service_record& r) {
  event_record e;
  e.time = now;
  e.type = "service.placed";
  e.bucket = spec.bucket;
  e.node = r.host;
  e.state = r.host.empty() ? "nowhere" : "placed";
  e.message = r.host.empty() ? fmt::format("no node hosts {} {}: {}", r.service.kind,
                                           r.service.name, r.reason)
                             : fmt::format("node {} hosts {} {}: {}", r.host, r.service.kind,
                                           r.service.name, r.reason);
  return e;
}

} // namespace

node_standing standing_of(const membership::view& v) {
  if (v.presence == node_presence::away)
    return node_standing::away;
  if (v.leaving || v.record.mode == node_mode::draining || v.record.mode == node_mode::removed)
    return node_standing::closed;
  if (v.record.mode == node_mode::cordoned)
    return node_standing::doubtful;
  const bool is_calm = v.record.mode == node_mode::active && v.presence == node_presence::up;
  return is_calm ? node_standing::open : node_standing::keeping;
}

result<service_wish> parse_wish(const std::string& text) {
  if (text == "coordinator")
    return service_wish{service_wish::place::coordinator, {}};
  if (text == "any")
    return service_wish{service_wish::place::any, {}};
  FM_CHECK(check_node_name(text));
  return service_wish{service_wish::place::node, text};
}

std::string to_text(const service_wish& w) {
  switch (w.where) {
    case service_wish::place::coordinator: return "coordinator";
    case service_wish::place::any: return "any";
    case service_wish::place::node: return w.node;
  }
  return {};
}

placement::placement(std::vector<service_record> records, options o)
    : options_(o), records_(std::move(records)) {}

// ---- what there is to do ------------------------------------------------------------------

placement::step placement::begin(timestamp now, std::vector<service_spec> wanted) {
  step out;
  began_ = now;
  for (auto& spec : wanted) {
    auto& s = services_[spec.id];
    s.record.service = spec.id;
    s.spec = std::move(spec);
  }
  for (auto& r : std::exchange(records_, {}))
    if (auto s = services_.find(r.service); s != services_.end())
      s->second.record = std::move(r);
    else
      out.record.erased_services.push_back(r.service);
  decide_all(out, now);
  tell_unconfirmed(out, now); // who is here goes on at once
  return out;
}

placement::step placement::want(timestamp now, service_spec spec) {
  step out;
  auto& s = services_[spec.id];
  s.record.service = spec.id;
  const bool is_new_order = s.spec.payload != spec.payload;
  s.spec = std::move(spec);
  const auto before = s.record;
  decide(out, now, s);
  if (is_new_order && s.record == before && !s.record.host.empty())
    tell(out, now, s);
  return out;
}

placement::step placement::unwant(const service_id& id) {
  step out;
  auto entry = services_.find(id);
  if (entry == services_.end())
    return out;
  const auto& r = entry->second.record;
  out.record.erased_services.push_back(id);
  if (!r.host.empty())
    out.actions.push_back(tell_end{r.host, {id, r.epoch}});
  services_.erase(entry);
  return out;
}

// ---- nodes -------------------------------------------------------------------------------

void placement::update(timestamp now, placement_node n) {
  auto& known = nodes_[n.name];
  const bool was_open = known.is.standing == node_standing::open;
  if (n.standing == node_standing::open && !was_open)
    known.open_since = now;
  known.is = std::move(n);
}

placement::step placement::node_known(timestamp now, placement_node n) {
  step out;
  update(now, std::move(n));
  decide_all(out, now);
  return out;
}

placement::step placement::node_ended(timestamp now, placement_node n, const std::string& why) {
  step out;
  for (auto& [id, s] : services_)
    if (s.record.host == n.name)
      s.lost = fmt::format("node {} is gone: {}", n.name, why);
  update(now, std::move(n));
  decide_all(out, now);
  return out;
}

placement::step placement::node_hosts(timestamp now, const std::string& node,
                                      std::vector<hosted_service> hosted) {
  step out;
  std::set<service_id> said;
  for (const auto& h : hosted) {
    said.insert(h.service);
    confirm(out, now, node, h);
  }
  for (auto& [id, s] : services_)
    if (s.record.host == node && !said.contains(id) && std::exchange(s.is_confirmed, false))
      tell(out, now, s);
  decide_all(out, now);
  return out;
}

/// Ours, or of a former placement, or of one that the books know nothing of (a
/// backup was restored): then the next epoch is greater than that too.
void placement::confirm(step& out, timestamp now, const std::string& node,
                        const hosted_service& h) {
  auto entry = services_.find(h.service);
  if (entry == services_.end()) {
    out.actions.push_back(tell_end{node, {h.service, h.epoch}});
    return;
  }
  auto& s = entry->second;
  s.seen_epoch = std::max(s.seen_epoch, h.epoch);
  if (!is_host(node, h.service, h.epoch)) {
    out.actions.push_back(tell_end{node, {h.service, h.epoch}});
    if (s.record.host == node && h.epoch > s.record.epoch)
      s.lost = fmt::format("node {} knows of a later placement", node);
    return;
  }
  s.is_confirmed = true;
  if (h.problem.empty() != s.problem.empty())
    s.problem_since = now;
  s.problem = h.problem;
  if (!s.is_told) // how it is done may have changed since
    tell(out, now, s);
}

placement::step placement::tick(timestamp now) {
  step out;
  decide_all(out, now);
  tell_unconfirmed(out, now);
  return out;
}

/// Those who are there and do not say that they host.
void placement::tell_unconfirmed(step& out, timestamp now) {
  for (auto& [id, s] : services_) {
    auto host = nodes_.find(s.record.host);
    const bool is_there = host != nodes_.end() && may_host(host->second.is.standing);
    if (is_there && !s.is_confirmed && has_lasted(options_.tell_again_after, s.told, now))
      tell(out, now, s);
  }
}

changes placement::renewed(changes refused) const {
  for (const auto& r : std::exchange(refused.services, {}))
    if (auto s = services_.find(r.service); s != services_.end())
      refused.services.push_back(s->second.record);
    else
      refused.erased_services.push_back(r.service);
  std::erase_if(refused.erased_services,
                [&](const auto& id) { return services_.contains(id); });
  return refused;
}

// ---- deciding ----------------------------------------------------------------------------

/// Why it can have no such service at all; "" = it can.
std::string placement::obstacle(const placed& s, const placement_node& n) const {
  if (s.spec.wish.where == service_wish::place::coordinator && !n.is_here)
    return "it is wanted on the coordinator";
  if (!contains(n.kinds, s.spec.id.kind))
    return fmt::format("it cannot host a {}", s.spec.id.kind);
  if (!s.spec.bucket.empty() && !contains(n.buckets, s.spec.bucket))
    return fmt::format("the directory of bucket {} is not mounted there", s.spec.bucket);
  return may_host(n.standing) ? "" : n.why_not;
}

bool placement::is_unfit(const placed& s, const std::string& node, timestamp now) const {
  auto since = s.unfit_since.find(node);
  return since != s.unfit_since.end() && !has_lasted(options_.unfit_for, since->second, now);
}

/// Services that it has beside this one.
std::size_t placement::load_of(const placed& s, const std::string& node) const {
  return static_cast<std::size_t>(
      std::count_if(services_.begin(), services_.end(), [&](const auto& other) {
        return other.second.record.host == node && other.first != s.spec.id;
      }));
}

const placement::known_node* placement::best(const placed& s, timestamp now) const {
  const known_node* out = nullptr;
  auto rank = [&](const known_node& n) {
    return std::tuple{is_unfit(s, n.is.name, now), distance(s.spec.wish, n.is),
                      load_of(s, n.is.name), n.is.name};
  };
  for (const auto& [name, n] : nodes_) {
    if (n.is.standing != node_standing::open || !obstacle(s, n.is).empty())
      continue;
    if (out == nullptr || rank(n) < rank(*out))
      out = &n;
  }
  return out;
}

/// After a restart of the coordinator its host may still come.
bool placement::waits_for_host(const placed& s, timestamp now) const {
  auto host = nodes_.find(s.record.host);
  const bool may_come = host == nodes_.end() || host->second.is.standing == node_standing::away;
  return !has_lasted(options_.claims_last, began_, now) && may_come && s.lost.empty()
         && !s.record.host.empty() && s.spec.wish.where != service_wish::place::coordinator;
}

/// "" while its host can have it.
std::string placement::why_leave(const placed& s) const {
  if (!s.lost.empty())
    return s.lost;
  if (s.record.host.empty())
    return "it had no host";
  auto host = nodes_.find(s.record.host);
  if (host == nodes_.end())
    return fmt::format("node {} is not known", s.record.host);
  auto why = obstacle(s, host->second.is);
  return why.empty() ? "" : fmt::format("node {}: {}", s.record.host, why);
}

void placement::decide_all(step& out, timestamp now) {
  for (auto& [id, s] : services_)
    decide(out, now, s);
}

void placement::decide(step& out, timestamp now, placed& s) {
  if (waits_for_host(s, now))
    return;
  auto why = why_leave(s);
  if (why.empty())
    return improve(out, now, s, nodes_.at(s.record.host));
  const auto* next = best(s, now);
  if (s.record.epoch == 0)
    why = "its first host";
  s.lost.clear();
  move(out, now, s, next ? next->is.name : "", std::move(why));
}

/// Its host can have it; should another one?
void placement::improve(step& out, timestamp now, placed& s, const known_node& host) {
  std::string why; // "" = only if it is nearer
  if (host.is.standing == node_standing::doubtful)
    why = fmt::format("node {}: {}", host.is.name, host.is.why_not);
  if (!s.problem.empty() && has_lasted(options_.problem_patience, s.problem_since, now)) {
    why = fmt::format("node {}: {}", host.is.name, s.problem);
    s.unfit_since[host.is.name] = now;
  }
  if (why.empty() && is_where_wished(s.spec.wish, host.is))
    return;
  const auto* other = best(s, now);
  if (other == nullptr || other == &host || is_unfit(s, other->is.name, now))
    return;
  if (why.empty()) {
    if (distance(s.spec.wish, other->is) >= distance(s.spec.wish, host.is)
        || !has_lasted(options_.return_after, other->open_since, now))
      return;
    why = fmt::format("it is wanted on {}", s.spec.wish.where == service_wish::place::any
                                                ? "another node than the "
                                                  "coordinator's"
                                                : s.spec.wish.node);
  }
  move(out, now, s, other->is.name, std::move(why));
}

void placement::move(step& out, timestamp now, placed& s, const std::string& host,
                     std::string reason) {
  auto& r = s.record;
  if (host.empty() && r.host.empty())
    return; // still nowhere
  const auto former = std::exchange(r.host, host);
  if (!former.empty() && former != host)
    out.actions.push_back(tell_end{former, {s.spec.id, r.epoch}});
  r.epoch = std::max(r.epoch, s.seen_epoch) + 1;
  r.since = now;
  r.reason = std::move(reason);
  s.is_confirmed = false;
  s.problem.clear();
  book(out.record, r);
  out.record.events.push_back(placed_event(now, s.spec, r));
  if (!host.empty())
    tell(out, now, s);
}

void placement::tell(step& out, timestamp now, placed& s) {
  s.is_told = true;
  s.told = now;
  out.actions.push_back(tell_host{s.record.host, {s.spec.id, s.record.epoch, s.spec.payload}});
}

// ---- looking -----------------------------------------------------------------------------

bool placement::is_host(const std::string& node, const service_id& id,
                        std::uint64_t epoch) const {
  auto s = services_.find(id);
  return s != services_.end() && s->second.record.host == node
         && s->second.record.epoch == epoch;
}

std::vector<placement::view> placement::services() const {
  std::vector<view> out;
  for (const auto& [id, s] : services_)
    out.push_back({s.spec, s.record, s.is_confirmed, s.problem});
  return out;
}

std::map<std::string, std::string> placement::verdicts(const service_id& id) const {
  std::map<std::string, std::string> out;
  auto s = services_.find(id);
  if (s == services_.end())
    return out;
  for (const auto& [name, n] : nodes_) {
    auto why = obstacle(s->second, n.is);
    out[name] = why.empty() && n.is.standing != node_standing::open ? n.is.why_not : why;
  }
  return out;
}

} // namespace framemill
