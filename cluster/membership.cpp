#include "cluster/membership.hpp"

#include "core/codec.hpp"
#include "core/limits.hpp"

#include <algorithm>
#include <utility>

namespace framemill {

namespace {

constexpr std::size_t boot_chars_max = 128;
constexpr std::size_t replaced_boots_max = 8;
constexpr std::size_t sha256_hex_chars = 64;

event_record node_event(timestamp now, const node_record& n, std::string type,
                        std::string state, std::string message) {
  event_record e;
  e.time = now;
  e.type = std::move(type);
  e.node = n.name;
  e.state = std::move(state);
  e.message = std::move(message);
  return e;
}

event_record drained_event(timestamp now, const node_record& n) {
  return node_event(now, n, "node.drained", "drained",
                    fmt::format("node {} is drained", n.name));
}

/// A record is written once per batch, as it is in the end.
void book(changes& record, const node_record& n) {
  auto same = [&](const node_record& other) { return other.name == n.name; };
  std::erase_if(record.nodes, same);
  record.nodes.push_back(n);
}

/// Takes as long for a right guess as for a wrong one.
bool is_same_hash(std::string_view a, std::string_view b) {
  if (a.size() != sha256_hex_chars || b.size() != sha256_hex_chars)
    return false;
  unsigned difference = 0;
  for (std::size_t i = 0; i < sha256_hex_chars; ++i)
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
  return difference == 0;
}

bool is_stale(const join_token_record& t, timestamp now) {
  return t.uses_left <= 0 || t.expires <= now;
}

std::string with_reason(std::string sentence, const std::string& reason) {
  return reason.empty() ? sentence : fmt::format("{}: {}", sentence, reason);
}

} // namespace

result<void> check_node_name(std::string_view name) {
  if (is_plain_name(name))
    return {};
  return fail(errc::invalid_argument,
              "a node's name is 1 to {} of letters, digits, `-`, `_`, `.`, and begins with a "
              "letter or a digit",
              limits::node_name_chars_max);
}

membership::membership(std::vector<node_record> nodes, std::vector<join_token_record> tokens,
                       options o)
    : options_(std::move(o)) {
  for (auto& n : nodes)
    records_.insert_or_assign(n.name, std::move(n));
  for (auto& t : tokens)
    tokens_.insert_or_assign(t.id, std::move(t));
  know_own_machine();
}

/// Of former own machines, under other names or when this one worked, nothing is known;
/// nor of a node that had its name before (a backup that was restored on its machine).
void membership::know_own_machine() {
  std::erase_if(records_, [&](const auto& entry) {
    return entry.second.public_key.empty()
           && (entry.first != options_.coordinator || !options_.own);
  });
  if (!options_.own)
    return;
  auto& own = records_[options_.coordinator];
  if (!own.public_key.empty())
    own = {};
  own.name = options_.coordinator;
  own.facts = *options_.own;
  lives_[own.name].is_own = true;
}

// ---- joining ---------------------------------------------------------------------------

membership::step membership::add_token(timestamp now, join_token_record t) {
  step out;
  forget_stale_tokens(out, now);
  std::erase(out.record.erased_join_tokens, t.id);
  out.record.join_tokens.push_back(t);
  tokens_.insert_or_assign(t.id, std::move(t));
  return out;
}

result<membership::step> membership::enrol(timestamp now, const std::string& token_id,
                                           const std::string& secret_sha256,
                                           const std::string& name,
                                           const std::string& public_key) {
  const auto* holder = holder_of(public_key);
  if (holder && holder->name == name)
    return step{};
  if (!admits(now, token_id, secret_sha256))
    return fail(errc::unauthorized, "the join token is not valid: make a new one with "
                                    "`framemill node join-token`");
  FM_CHECK(check_node_name(name));
  if (name == options_.coordinator)
    return fail(errc::already_exists, "{} is the name of the coordinator's own machine: choose "
                                      "another", name);
  if (public_key.empty())
    return fail(errc::invalid_argument, "an enrolment without a key");
  if (holder)
    return fail(errc::already_exists, "this machine's key is enrolled as node {}",
                holder->name);
  auto known = records_.find(name);
  if (known != records_.end() && known->second.mode != node_mode::removed)
    return fail(
        errc::already_exists,
        "another machine is enrolled as node {}: choose another name, or remove it first",
        name);
  step out;
  use_up(out, token_id);
  forget_stale_tokens(out, now);
  node_record fresh;
  fresh.name = name;
  fresh.public_key = public_key;
  fresh.enrolled = now;
  book(out.record, fresh);
  out.record.events.push_back(node_event(now, fresh, "node.enrolled", "away",
                                         fmt::format("node {} enrolled its key", name)));
  records_.insert_or_assign(name, std::move(fresh));
  return out;
}

/// An unknown token costs the same as a wrong secret.
bool membership::admits(timestamp now, const std::string& token_id,
                        const std::string& secret_sha256) const {
  static const join_token_record nobodys{{}, std::string(sha256_hex_chars, '0'), 0, {}};
  auto entry = tokens_.find(token_id);
  const auto& token = entry != tokens_.end() ? entry->second : nobodys;
  const bool proven = is_same_hash(token.secret_sha256, secret_sha256);
  return !is_stale(token, now) && proven;
}

void membership::use_up(step& out, const std::string& token_id) {
  auto& token = tokens_.at(token_id);
  if (--token.uses_left > 0)
    out.record.join_tokens.push_back(token);
}

void membership::forget_stale_tokens(step& out, timestamp now) {
  for (auto entry = tokens_.begin(); entry != tokens_.end();)
    if (is_stale(entry->second, now)) {
      out.record.erased_join_tokens.push_back(entry->first);
      entry = tokens_.erase(entry);
    } else {
      ++entry;
    }
}

std::vector<std::string> membership::admitted_keys() const {
  std::vector<std::string> keys;
  for (const auto& [name, record] : records_)
    if (record.mode != node_mode::removed && !record.public_key.empty())
      keys.push_back(record.public_key);
  return keys;
}

node_record* membership::holder_of(const std::string& public_key) {
  for (auto& [name, record] : records_)
    if (record.mode != node_mode::removed && !public_key.empty()
        && record.public_key == public_key)
      return &record;
  return nullptr;
}

// ---- living ----------------------------------------------------------------------------

membership::step membership::hello(timestamp now, connection_key c,
                                   const std::string& public_key, const std::string& name,
                                   const std::string& boot, node_facts facts,
                                   node_wish wish) {
  step out;
  if (!last_tick_)
    last_tick_ = now;
  if (auto why = objection(public_key, name, boot, facts)) {
    out.actions.push_back(refuse_connection{c, std::move(*why), true});
    return out;
  }
  auto& record = records_.at(name);
  auto entry = lives_.find(name);
  if (entry != lives_.end() && entry->second.boot == boot) {
    resume_life(out, now, record, c, std::move(facts), wish);
    return out;
  }
  if (entry != lives_.end() && was_replaced_by(entry->second, boot)) {
    out.actions.push_back(refuse_connection{
        c, fmt::format("a newer process of node {} is connected: is its data directory in use "
                       "on two machines?",
                       name)});
    return out;
  }
  life fresh;
  fresh.connection = c;
  fresh.boot = boot;
  fresh.leaving = wish == node_wish::leave;
  if (entry != lives_.end())
    fresh.replaced = replace_life(out, now, entry, c);
  record.facts = std::move(facts);
  begin_life(out, now, record, std::move(fresh));
  return out;
}

bool membership::was_replaced_by(const life& successor, const std::string& boot) {
  const auto& all = successor.replaced;
  return !successor.gone_at && std::find(all.begin(), all.end(), boot) != all.end();
}

/// Ends the life for another one on connection `c`; answers whom that replaces.
std::vector<std::string> membership::replace_life(step& out, timestamp now,
                                                  lives::iterator entry, connection_key c) {
  auto replaced = entry->second.replaced;
  replaced.push_back(entry->second.boot);
  if (replaced.size() > replaced_boots_max)
    replaced.erase(replaced.begin());
  const auto half_open = entry->second.connection;
  const auto why = fmt::format("node {} was started anew", entry->first);
  end_life(out, now, entry, "its daemon was started anew");
  if (half_open != 0 && half_open != c)
    out.actions.push_back(refuse_connection{half_open, why});
  return replaced;
}

/// Why a hello is not believed, for good: coming again cannot help.
std::optional<std::string> membership::objection(const std::string& public_key,
                                                 const std::string& name,
                                                 const std::string& boot,
                                                 const node_facts& facts) {
  const auto* record = holder_of(public_key);
  if (!record) {
    auto former = std::find_if(records_.begin(), records_.end(), [&](const auto& entry) {
      return entry.second.public_key == public_key;
    });
    return former == records_.end()
               ? "this node's key is not enrolled: join with a join token"
               : fmt::format(
                   "node {} was removed from the cluster: it can come back with a new "
                   "join token",
                   former->first);
  }
  if (record->name != name)
    return fmt::format("this key belongs to node {}, not to the name it gave", record->name);
  if (name == options_.coordinator)
    return fmt::format("{} is the name of the coordinator's own machine: remove this node, and "
                       "join it under another name", name);
  if (boot.empty() || boot.size() > boot_chars_max)
    return "a hello without a proper boot id";
  if (facts.slots < 0 || facts.slots > limits::node_slots_max)
    return fmt::format("{} slots: a node has 0 to {}", facts.slots, limits::node_slots_max);
  if (encode(facts).size() > limits::node_facts_bytes_max)
    return fmt::format("the facts of a node have at most {} bytes",
                       limits::node_facts_bytes_max);
  return std::nullopt;
}

void membership::begin_life(step& out, timestamp now, node_record& record, life fresh) {
  fresh.last_heard = now;
  record.last_seen = now;
  out.record.events.push_back(
      node_event(now, record, "node.joined", "up",
                 fmt::format("node {} is here: {} slots, {} cores, version {}", record.name,
                             record.facts.slots, record.facts.cores, record.facts.version)));
  name_of_[fresh.connection] = record.name;
  out.actions.push_back(node_came{record.name, fresh.connection});
  lives_.insert_or_assign(record.name, std::move(fresh));
  if (!record.facts.self_test.empty() && record.mode == node_mode::active) {
    record.in_doubt = true;
    change_mode(out, now, record, node_mode::cordoned,
                fmt::format("self-test failed: {}", record.facts.self_test));
  } else if (record.facts.self_test.empty() && record.in_doubt) {
    record.in_doubt = false;
    change_mode(out, now, record, node_mode::active, "");
  }
  book(out.record, record);
}

void membership::resume_life(step& out, timestamp now, node_record& record, connection_key c,
                             node_facts facts, node_wish wish) {
  auto& life = lives_.at(record.name);
  life.last_heard = now;
  life.gone_at.reset();
  life.leaving |= wish == node_wish::leave;
  const auto old = std::exchange(life.connection, c);
  name_of_[c] = record.name;
  if (old != 0 && old != c) {
    name_of_.erase(old);
    out.actions.push_back(refuse_connection{
        old, fmt::format("node {} came again on a newer connection", record.name)});
  }
  out.actions.push_back(node_returned{record.name, c});
  const bool facts_moved = record.facts != facts;
  record.facts = std::move(facts);
  if (facts_moved || old != c)
    out.actions.push_back(node_changed{record.name});
  if (old != c) {
    record.last_seen = now;
    out.record.events.push_back(node_event(
        now, record, "node.returned", "up",
        fmt::format("node {} is back on a new connection, in the same life", record.name)));
  }
  if (facts_moved || old != c)
    book(out.record, record);
}

void membership::end_life(step& out, timestamp now, lives::iterator entry,
                          const std::string& why) {
  auto& record = records_.at(entry->first);
  const auto life = std::move(entry->second);
  lives_.erase(entry);
  name_of_.erase(life.connection);
  record.last_seen = life.last_heard;
  book(out.record, record);
  const bool in_order = life.leaving && life.busy == 0;
  out.record.events.push_back(node_event(now, record, in_order ? "node.left" : "node.lost",
                                         "away",
                                         fmt::format("node {} is gone: {}", record.name, why)));
  if (life.busy > 0 && is_drained(record))
    out.record.events.push_back(drained_event(now, record));
  out.actions.push_back(node_gone{record.name, why});
}

bool membership::heard(timestamp now, connection_key c) {
  auto name = name_of_.find(c);
  if (name == name_of_.end())
    return false;
  lives_.at(name->second).last_heard = now;
  return true;
}

membership::step membership::disconnected(timestamp now, connection_key c) {
  step out;
  auto name = name_of_.find(c);
  if (name == name_of_.end())
    return out;
  auto entry = lives_.find(name->second);
  auto& life = entry->second;
  if (life.leaving && life.busy == 0) {
    end_life(out, now, entry, "it was stopped in good order");
    return out;
  }
  life.connection = 0;
  life.gone_at = now + options_.grace;
  out.actions.push_back(node_changed{name->second});
  name_of_.erase(name);
  return out;
}

membership::step membership::left(timestamp, connection_key c) {
  step out;
  auto name = name_of_.find(c);
  if (name == name_of_.end())
    return out;
  if (!std::exchange(lives_.at(name->second).leaving, true))
    out.actions.push_back(node_changed{name->second});
  return out;
}

membership::step membership::tick(timestamp now) {
  step out;
  forgive_stillness(now);
  last_tick_ = now;
  for (auto entry = lives_.begin(); entry != lives_.end();)
    judge(out, now, entry++);
  return out;
}

/// A step of the clock back, or a life heard after we woke, must not count
/// twice: nothing is heard in the future, no grace is longer than a whole one.
void membership::forgive_stillness(timestamp now) {
  const auto since = last_tick_ ? now - last_tick_ : microseconds{0};
  const auto lost = since > options_.silence_max / 2 ? since : microseconds{0};
  for (auto& [name, life] : lives_) {
    life.last_heard = std::min(life.last_heard + lost, now);
    if (life.gone_at)
      life.gone_at = std::min(*life.gone_at + lost, now + options_.grace);
  }
}

void membership::judge(step& out, timestamp now, lives::iterator entry) {
  auto& [name, life] = *entry;
  const auto& record = records_.at(name);
  if (life.is_own)
    life.last_heard = now;
  if (life.gone_at) {
    if (now >= *life.gone_at)
      end_life(out, now, entry,
               fmt::format("its connection broke, and it was not back within {} ms",
                           options_.grace.count()));
    return;
  }
  if (now - life.last_heard > options_.silence_max) {
    const auto connection = life.connection;
    end_life(out, now, entry,
             fmt::format("nothing was heard of it for {} ms", options_.silence_max.count()));
    out.actions.push_back(
        refuse_connection{connection, "nothing was heard of you for too long"});
    return;
  }
  // Its own slots are in use before they know their work: they are told until none is.
  if (record.mode == node_mode::draining && record.drain_deadline && life.busy > 0
      && now >= *record.drain_deadline
      && (!std::exchange(life.told_to_stop, true) || life.is_own))
    out.actions.push_back(stop_all_of{name});
}

membership::step membership::load(timestamp now, const std::string& name, int busy) {
  step out;
  auto entry = lives_.find(name);
  if (entry == lives_.end())
    return out;
  auto& life = entry->second;
  const auto& record = records_.at(name);
  const bool was_drained = is_drained(record);
  life.busy = std::max(busy, 0);
  if (!was_drained && is_drained(record))
    out.record.events.push_back(drained_event(now, record));
  return out;
}

// ---- doubt -----------------------------------------------------------------------------

membership::step membership::doubt(timestamp now, const std::string& name, std::string reason) {
  step out;
  auto record = enrolled(name);
  if (!record)
    return out;
  const bool known = (*record)->in_doubt && (*record)->mode_reason == reason;
  if (known || ((*record)->mode != node_mode::active && !(*record)->in_doubt))
    return out;
  (*record)->in_doubt = true;
  change_mode(out, now, **record, node_mode::cordoned, std::move(reason));
  return out;
}

membership::step membership::trust(timestamp now, const std::string& name) {
  step out;
  auto record = enrolled(name);
  if (!record || !(*record)->in_doubt)
    return out;
  (*record)->in_doubt = false;
  change_mode(out, now, **record, node_mode::active, "");
  return out;
}

// ---- operators -------------------------------------------------------------------------

result<node_record*> membership::enrolled(const std::string& name) {
  auto entry = records_.find(name);
  if (entry == records_.end() || entry->second.mode == node_mode::removed)
    return name == options_.coordinator
               ? fail_field(errc::unsupported, "Name",
                            "{} is the coordinator's own machine, and does not work: `role` of "
                            "its configuration says so", name)
               : fail_field(errc::not_found, "Name", "no node is named {}", name);
  return &entry->second;
}

void membership::change_mode(step& out, timestamp now, node_record& record, node_mode mode,
                             std::string reason) {
  const bool was_drained = is_drained(record);
  record.mode = mode;
  record.mode_reason = std::move(reason);
  if (mode != node_mode::draining)
    record.drain_deadline.reset();
  if (auto entry = lives_.find(record.name); entry != lives_.end())
    entry->second.told_to_stop = false;
  book(out.record, record);
  out.record.events.push_back(
      node_event(now, record, "node.mode", std::string{to_string(mode)},
                 with_reason(fmt::format("node {} is {}", record.name, to_string(mode)),
                             record.mode_reason)));
  if (!was_drained && is_drained(record))
    out.record.events.push_back(drained_event(now, record));
  out.actions.push_back(node_changed{record.name});
}

result<membership::step> membership::set_mode(timestamp now, const std::string& name,
                                              node_mode mode, std::string reason,
                                              std::optional<timestamp> drain_deadline) {
  if (mode == node_mode::removed)
    return fail(errc::invalid_argument, "a node is removed by `framemill node remove`");
  if (drain_deadline && mode != node_mode::draining)
    return fail(errc::invalid_argument, "a deadline goes with draining only");
  FM_TRY(auto* record, enrolled(name));
  step out;
  if (record->mode == mode && record->mode_reason == reason && !record->in_doubt
      && record->drain_deadline == drain_deadline)
    return out;
  record->in_doubt = false;
  record->drain_deadline = drain_deadline;
  change_mode(out, now, *record, mode, std::move(reason));
  return out;
}

result<membership::step> membership::set_labels(timestamp now, const std::string& name,
                                                std::map<std::string, std::string> labels) {
  FM_TRY(auto* record, enrolled(name));
  FM_CHECK(check_labels(labels));
  step out;
  if (record->labels == labels)
    return out;
  record->labels = std::move(labels);
  book(out.record, *record);
  out.record.events.push_back(
      node_event(now, *record, "node.labels", "", fmt::format("node {} has new labels", name)));
  out.actions.push_back(node_changed{name});
  return out;
}

result<membership::step> membership::remove(timestamp now, const std::string& name) {
  FM_TRY(auto* record, enrolled(name));
  if (is_own(name))
    return fail_field(errc::unsupported, "Name",
                      "{} is the coordinator's own machine: drain it, or take `worker` out of "
                      "`role` in its configuration", name);
  step out;
  const std::string why = "it was removed from the cluster";
  auto entry = lives_.find(name);
  const auto connection = entry != lives_.end() ? entry->second.connection : 0;
  if (entry != lives_.end())
    end_life(out, now, entry, why);
  else
    out.actions.push_back(node_gone{name, why});
  record->mode = node_mode::removed;
  record->mode_reason.clear();
  record->in_doubt = false;
  record->drain_deadline.reset();
  book(out.record, *record);
  out.record.events.push_back(node_event(now, *record, "node.removed", "removed",
                                         fmt::format("node {} was removed", name)));
  if (connection != 0)
    out.actions.push_back(refuse_connection{
        connection, fmt::format("node {} was removed from the cluster", name), true});
  return out;
}

changes membership::renewed(changes refused) const {
  for (auto& n : refused.nodes)
    n = records_.at(n.name);
  for (const auto& t : std::exchange(refused.join_tokens, {}))
    if (auto now = tokens_.find(t.id); now != tokens_.end())
      refused.join_tokens.push_back(now->second);
    else
      refused.erased_join_tokens.push_back(t.id);
  std::erase_if(refused.erased_join_tokens,
                [&](const auto& id) { return tokens_.contains(id); });
  return refused;
}

// ---- looking ---------------------------------------------------------------------------

bool membership::is_drained(const node_record& record) const {
  auto entry = lives_.find(record.name);
  return record.mode == node_mode::draining
         && (entry == lives_.end() || entry->second.busy == 0);
}

std::vector<membership::view> membership::nodes() const {
  std::vector<view> all;
  for (const auto& [name, record] : records_) {
    if (record.mode == node_mode::removed)
      continue;
    view v;
    v.record = record;
    v.drained = is_drained(record);
    if (auto entry = lives_.find(name); entry != lives_.end()) {
      const auto& life = entry->second;
      v.presence = life.gone_at ? node_presence::suspect : node_presence::up;
      v.boot = life.boot;
      v.last_heard = life.last_heard;
      v.busy = life.busy;
      v.leaving = life.leaving;
    }
    all.push_back(std::move(v));
  }
  return all;
}

bool membership::takes_work(const std::string& name) const { return why_no_work(name).empty(); }

std::string membership::why_no_work(const std::string& name) const {
  const auto* record = find(name);
  auto entry = lives_.find(name);
  if (!record)
    return "no node has that name";
  if (record->mode != node_mode::active)
    return with_reason(fmt::format("it is {}", to_string(record->mode)), record->mode_reason);
  if (entry == lives_.end())
    return "it is away";
  if (entry->second.gone_at)
    return "its connection is broken";
  return entry->second.leaving ? "it is stopping" : "";
}

bool membership::is_own(const std::string& name) const {
  auto entry = lives_.find(name);
  return entry != lives_.end() && entry->second.is_own;
}

const node_record* membership::find(const std::string& name) const {
  auto entry = records_.find(name);
  const bool known = entry != records_.end() && entry->second.mode != node_mode::removed;
  return known ? &entry->second : nullptr;
}

std::optional<std::string> membership::name_of(connection_key c) const {
  auto entry = name_of_.find(c);
  return entry != name_of_.end() ? std::optional{entry->second} : std::nullopt;
}

} // namespace framemill
