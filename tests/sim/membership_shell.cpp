#include "actors/cluster_books.hpp"
#include "cluster/attempt_book.hpp"
#include "core/codec.hpp"
#include "storage/records.hpp"
#include "tests/sim/coordinator.hpp"

namespace framemill::sim {

namespace {

constexpr microseconds tick_every{100'000};
constexpr microseconds write_again_after{1'000'000};
constexpr microseconds claims_last{5'000'000};
constexpr microseconds order_patience{60'000'000};

/// Reading the books cannot fail here.
template <class T>
T read(const services& s, result<T> r) {
  if (!r)
    s.on.w.violate("{}", r.error().message);
  return std::move(*r);
}

membership::options some_options(const world& w) {
  membership::options o;
  if (w.breaks == rule::grace)
    o.grace = 0ms;
  return o;
}

} // namespace

membership_shell::membership_shell(services& s) : actor(s.on.w, s.self), services_(s) {
  core_.emplace(read(s, load_membership(s.store, some_options(s.on.w))));
  blame_ = read(s, load_blame(s.store, s.clock()));
  auto keys = core_->admitted_keys();
  keys_ = {keys.begin(), keys.end()};
  claims_end_ = s.uptime() + claims_last;
  s.on.net.open_hub(s.self, *this, [this](const std::string& key) { return admits(key); });
  for (const auto& known : core_->nodes())
    tell_scheduler(known.record.name);
  post_after(tick_every, [this] { tick(); });
}

// ---- Speaking ----------------------------------------------------------------------

void membership_shell::put(connection_key to, std::uint64_t sequence, cluster_message word) {
  envelope e;
  e.term = services_.term;
  e.sequence = sequence;
  e.body = std::move(word);
  services_.on.net.send_to_node(to, encode(e));
}

void membership_shell::say(const std::string& node, cluster_message word) {
  auto entry = nodes_.find(node);
  if (entry == nodes_.end())
    return;
  if (const auto* a = std::get_if<assign_attempt>(&word)) {
    services_.on.facts.assigned(node, a->shard, a->epoch);
    entry->second.places[a->shard] = {a->slot, a->epoch};
  }
  if (const auto* n = std::get_if<outcome_noted>(&word))
    services_.on.facts.noted(n->shard, n->epoch);
  put(entry->second.connection, ++entry->second.sequence, std::move(word));
}

/// A slot of a former life of the node has nothing to say to its present one.
void membership_shell::tell_node(const std::string& node, worker_key slot,
                                 cluster_message word) {
  auto entry = nodes_.find(node);
  if (entry != nodes_.end() && entry->second.keys.contains(slot))
    say(node, std::move(word));
}

void membership_shell::refuse(connection_key c, const std::string& reason, bool final) {
  if (!reason.empty())
    put(c, 1, node_refused{reason, final});
  services_.on.net.drop(c);
}

void membership_shell::welcome(const std::string& name, connection_key c) {
  auto& node = nodes_[name];
  node.connection = c;
  node.sequence = 0;
  services_.on.facts.node(name).heard = world_.now();
  node.services.reset();
  say(name, node_welcome{"cluster", 1});
}

void membership_shell::tell_scheduler(const std::string& name) {
  const auto* record = core_->find(name);
  if (record == nullptr)
    return;
  auto n = offered_by(name, record->facts);
  n.labels = record->labels;
  n.takes_work = core_->takes_work(name);
  n.why_not = core_->why_no_work(name);
  services_.scheduler->post(
      [to = services_.scheduler, n = std::move(n), here = nodes_.contains(name)]() mutable {
        to->know(std::move(n), here);
      });
}

/// The PLACER is there: it is told of every node.
void membership_shell::introduce_placer() {
  for (const auto& known : core_->nodes())
    tell_placer(known.record.name);
}

void membership_shell::tell_placer(const std::string& name, const std::string& ended) {
  if (services_.placer == nullptr)
    return;
  placement_node n;
  n.name = name;
  n.why_not = core_->why_no_work(name);
  for (const auto& known : core_->nodes()) {
    if (known.record.name != name)
      continue;
    n.standing = standing_of(known);
    n.kinds = known.record.facts.service_kinds;
    for (const auto& b : known.record.facts.buckets)
      n.buckets.push_back(b.name);
  }
  services_.placer->post([to = services_.placer, n = std::move(n), ended]() mutable {
    to->node_placeable(std::move(n), ended);
  });
}

void membership_shell::tell_service(const std::string& node, cluster_message word) {
  say(node, std::move(word));
}

void membership_shell::forget_if_removed(const std::string& name) {
  if (core_->find(name) == nullptr) {
    blame_.forget(name);
    services_.scheduler->post([to = services_.scheduler, name] { to->forget_node(name); });
  }
  tell_scheduler(name);
}

// ---- Leases of a former life ---------------------------------------------------------

void membership_shell::answer(const claim_lease& claim, late_outcome m) {
  claim.reply_to->post([to = claim.reply_to, m = std::move(m)]() mutable {
    to->attempt_ended(m.shard.index, std::move(m.outcome), std::move(m.noted));
  });
}

void membership_shell::refuse(const claim_lease& m, const std::string& why) {
  m.reply_to->post([m, why] { m.reply_to->lease_missing(m.shard.index, m.epoch, why); });
}

void membership_shell::claim(const claim_lease& m) {
  if (auto early = unclaimed_.extract({m.shard, m.epoch}); !early.empty())
    return answer(m, std::move(early.mapped()));
  auto node = nodes_.find(m.node);
  if (node == nodes_.end()) { // it may still come
    claims_[{m.shard, m.epoch}] = m;
    return;
  }
  auto place = node->second.places.find(m.shard);
  if (place == node->second.places.end() || place->second.epoch != m.epoch)
    return refuse(m, fmt::format("node {} does not hold it", m.node));
  auto* slot = node->second.slots.at(place->second.slot);
  slot->post([slot, owner = m.reply_to] { slot->claimed(owner); });
  m.reply_to->post([m, slot] { m.reply_to->lease_found(m.shard.index, m.epoch, slot); });
}

/// Nobody waits for it, yet: its run claims it, will claim it, or refuses it.
void membership_shell::unclaimed(late_outcome m) {
  attempt key{m.shard, m.outcome.epoch};
  if (auto claim = claims_.extract(key); !claim.empty())
    return answer(claim.mapped(), std::move(m));
  if (services_.uptime() < claims_end_) {
    unclaimed_.insert_or_assign(key, std::move(m));
    return;
  }
  services_.keeper->post([to = services_.keeper, m = std::move(m)]() mutable {
    to->late(std::move(m));
  });
}

void membership_shell::answer_claims_of(const std::string& node,
                                        const std::vector<held_attempt>& held) {
  std::vector<claim_lease> waiting;
  for (const auto& [key, c] : claims_) {
    auto will_tell = std::any_of(held.begin(), held.end(), [&](const auto& h) {
      return h.ended && h.shard == c.shard && h.epoch == c.epoch;
    });
    if (c.node == node && !will_tell)
      waiting.push_back(c);
  }
  for (const auto& c : waiting) {
    claims_.erase({c.shard, c.epoch});
    claim(c);
  }
}

// ---- What the core wants done ----------------------------------------------------------

void membership_shell::act_on(const node_came& a) {
  auto hello = hellos_.extract(a.connection);
  const auto* record = core_->find(a.name);
  if (record == nullptr) // removed while its coming was written; that is acted on next
    return;
  welcome(a.name, a.connection);
  auto& node = nodes_.at(a.name);
  auto held = hello.empty() ? std::vector<held_attempt>{} : std::move(hello.mapped());
  const auto now = services_.uptime();
  tell_scheduler(a.name);
  tell_placer(a.name);
  const auto slots = static_cast<std::uint32_t>(record->facts.slots);
  std::map<std::uint32_t, held_attempt> in_slot;
  for (const auto& h : held) {
    if (h.ended)
      continue; // told again now that it is welcome
    if (h.slot < slots && now < claims_end_)
      in_slot[h.slot] = h;
    else
      say(a.name, stop_held{h.shard, h.epoch});
  }
  for (std::uint32_t i = 0; i < slots; ++i) {
    remote_slot slot{{++last_key_, a.name}, i, {}, {}};
    if (auto h = in_slot.find(i); h != in_slot.end()) {
      slot.held = h->second;
      slot.holds = read(services_, booked_reservation(services_.store, h->second.shard));
      node.places[h->second.shard] = {i, h->second.epoch};
    }
    node.keys.insert(slot.worker.key);
    node.slots.push_back(services_.spawn<remote_worker_shell>(slot));
  }
  answer_claims_of(a.name, held);
  world_.note("MEMBERSHIP: {} is here", a.name);
  if (record->in_doubt && blame_.in_doubt(a.name))
    order_self_test(a.name);
}

void membership_shell::act_on(const node_returned& a) {
  hellos_.erase(a.connection);
  welcome(a.name, a.connection);
  world_.note("MEMBERSHIP: {} is back", a.name);
}

void membership_shell::act_on(const node_gone& a) {
  auto node = nodes_.extract(a.name);
  forget_if_removed(a.name);
  tell_placer(a.name, a.why);
  if (node.empty())
    return;
  for (auto* slot : node.mapped().slots)
    slot->post([slot] { slot->quit(); });
  world_.note("MEMBERSHIP: {} is gone: {}", a.name, a.why);
}

void membership_shell::act_on(const node_changed& a) {
  forget_if_removed(a.name);
  tell_placer(a.name);
}

void membership_shell::act_on(const refuse_connection& a) {
  hellos_.erase(a.connection);
  refuse(a.connection, a.reason, a.final);
}

void membership_shell::act_on(const stop_all_of& a) {
  auto node = nodes_.find(a.name);
  if (node == nodes_.end())
    return;
  for (auto* slot : node->second.slots)
    slot->post([slot, why = fmt::format("node {} was drained", a.name)] { slot->vacate(why); });
}

void membership_shell::flush() {
  while (steps_.ready()) {
    auto step = steps_.take();
    auto keys = core_->admitted_keys();
    keys_ = {keys.begin(), keys.end()};
    for (const auto& a : step.of_core)
      std::visit([&](const auto& what) { act_on(what); }, a);
    if (step.then)
      step.then({});
  }
}

void membership_shell::apply(membership::step step, std::function<void(result<void>)> then) {
  auto learned = blame_.take_changes();
  step.record.input_blames = std::move(learned.input_blames);
  step.record.node_blames = std::move(learned.node_blames);
  const bool empty = step.record.empty();
  auto token = steps_.add({std::move(step.actions), std::move(then), step.record}, empty);
  if (empty)
    return flush();
  write(token, std::move(step.record));
}

/// What the store refuses is asked of it again: the core is ahead, and must not
/// stay so.
void membership_shell::write(std::uint64_t token, changes record) {
  services_.books->commit(std::move(record), [this, token](result<void> written) {
    post([this, token, written] {
      if (written) {
        steps_.written(token);
        return flush();
      }
      world_.note("MEMBERSHIP: {}", written.error().message);
      if (auto* step = steps_.find(token); step && step->then)
        std::exchange(step->then, {})(written);
      post_after(write_again_after, [this, token] {
        if (auto* step = steps_.find(token))
          write(token, step->record = blame_.renewed(core_->renewed(std::move(step->record))));
      });
    });
  });
}

// ---- Hearing ---------------------------------------------------------------------------

void membership_shell::on_frame(connection_key c, const std::string& frame) {
  post([this, c, frame] { hear(c, frame); });
}

void membership_shell::on_gone(connection_key c) {
  post([this, c] { // its hello may still be acted on
    apply(core_->disconnected(services_.clock(), c));
  });
}

void membership_shell::hear(connection_key c, const std::string& frame) {
  auto e = decode<envelope>(frame);
  if (!e)
    world_.violate("the coordinator cannot read a frame: {}", e.error().message);
  const bool is_hello = std::holds_alternative<node_hello>(e->body);
  if (!is_hello && (e->term != services_.term || !core_->heard(services_.clock(), c)))
    return; // of a former life; its hello comes
  auto name = core_->name_of(c).value_or("");
  std::visit([&](auto& body) { hear(c, name, body); }, e->body);
}

void membership_shell::hear(connection_key c, const std::string&, node_hello& hello) {
  hellos_[c] = hello.held;
  apply(core_->hello(services_.clock(), c, services_.on.net.key_of(c), hello.name, hello.boot,
                     std::move(hello.facts),
                     hello.leaving ? node_wish::leave : node_wish::work));
}

void membership_shell::hear(connection_key, const std::string& name, node_beat& beat) {
  auto node = nodes_.find(name);
  if (node == nodes_.end())
    return;
  if (node->second.services != beat.services) {
    node->second.services = beat.services;
    services_.placer->post([to = services_.placer, name, m = std::move(beat.services)] {
      to->node_hosting(name, m);
    });
  }
  auto held = by_slot(std::move(beat.held), node->second.slots.size());
  for (std::size_t i = 0; i < held.size(); ++i)
    node->second.slots[i]->post(
        [slot = node->second.slots[i], h = std::move(held[i])] { slot->seen(h); });
}

/// To the slot that waits for it, to the run that claims it, or to be refused.
void membership_shell::hear(connection_key, const std::string& name, node_outcome& m) {
  auto node = nodes_.find(name);
  if (node == nodes_.end())
    return;
  noted_fn noted = [this, name, shard = m.shard, epoch = m.outcome.epoch] {
    post([this, name, shard, epoch] { say(name, outcome_noted{shard, epoch}); });
  };
  if (world_.breaks == rule::noted)
    noted();
  auto& places = node->second.places;
  auto place = places.find(m.shard);
  if (place == places.end() || place->second.epoch != m.outcome.epoch)
    return unclaimed({m.shard, std::move(m.outcome), std::move(noted)});
  auto* slot = node->second.slots.at(place->second.slot);
  slot->post([slot, shard = m.shard, o = std::move(m.outcome), n = std::move(noted)]() mutable {
    slot->ended(shard, std::move(o), std::move(n));
  });
  places.erase(place);
}

void membership_shell::hear(connection_key, const std::string& name, service_word& m) {
  services_.placer->post(
      [to = services_.placer, name, m = std::move(m)] { to->node_says(name, m); });
}

void membership_shell::hear(connection_key c, const std::string&, node_leaving&) {
  apply(core_->left(services_.clock(), c));
}

void membership_shell::hear(connection_key, const std::string&, node_report& m) {
  auto order = orders_.extract(m.order);
  if (order.empty())
    return;
  if (m.failure)
    order.mapped().done(failure{*m.failure});
  else
    order.mapped().done(std::move(m.text));
}

// ---- Whose fault ------------------------------------------------------------------------

void membership_shell::judged(const attempt_report& r, workflow_shell* reply_to) {
  judge(blame_.ended(services_.clock(), r), r, reply_to);
}

void membership_shell::order_self_test(const std::string& node) {
  order(node, "self-test", [this, node](const result<std::string>& r) {
    auto failure = r ? std::string{} : r.error().message;
    judge(blame_.self_test(services_.clock(), node, failure));
  });
}

/// Acted on when what led to them is in the books.
void membership_shell::judge(blame_matrix::verdicts verdicts, std::optional<attempt_report> of,
                             workflow_shell* reply_to) {
  apply({}, [this, verdicts = std::move(verdicts), of = std::move(of),
             reply_to](const result<void>&) {
    const auto now = services_.clock();
    for (const auto& v : verdicts) {
      if (const auto* q = std::get_if<quarantine_input>(&v); q && of)
        reply_to->post([reply_to, shard = of->shard.index, report = q->report] {
          reply_to->input_blamed(shard, report);
        });
      if (const auto* c = std::get_if<cordon_node>(&v)) {
        apply(core_->doubt(now, c->node, c->reason));
        order_self_test(c->node);
      }
      if (const auto* r = std::get_if<readmit_node>(&v)) {
        services_.on.facts.woken(r->node);
        apply(core_->trust(now, r->node));
      }
      if (const auto* k = std::get_if<keep_cordoned>(&v))
        apply(core_->doubt(now, k->node, k->reason));
    }
  });
}

void membership_shell::order(const std::string& node, std::string what,
                             std::function<void(result<std::string>)> done) {
  if (core_->find(node) == nullptr)
    return done(fail(errc::not_found, "no node `{}`", node));
  if (!nodes_.contains(node))
    return done(fail(errc::unavailable, "node {} is away", node));
  orders_[++last_order_] = {std::move(done), services_.uptime() + order_patience};
  say(node, node_order{last_order_, std::move(what), {}});
}

// ---- Ticks ---------------------------------------------------------------------------

void membership_shell::tick() {
  apply(core_->tick(services_.clock()));
  for (const auto& [name, node] : nodes_)
    say(name, coordinator_beat{});
  give_up_claims();
  give_up_orders();
  post_after(tick_every, [this] { tick(); });
}

void membership_shell::give_up_claims() {
  if (services_.uptime() < claims_end_)
    return;
  for (auto& [key, early] : std::exchange(unclaimed_, {}))
    unclaimed(std::move(early));
  for (const auto& [key, c] : std::exchange(claims_, {}))
    refuse(c, fmt::format("node {} did not come back", c.node));
}

void membership_shell::give_up_orders() {
  for (auto i = orders_.begin(); i != orders_.end();)
    if (services_.uptime() >= i->second.until) {
      auto done = std::move(i->second.done);
      i = orders_.erase(i);
      done(fail(errc::timed_out, "no answer"));
    } else {
      ++i;
    }
}

void membership_shell::slot_used(const std::string& name, worker_key slot, int change) {
  auto node = nodes_.find(name);
  if (node == nodes_.end() || !node->second.keys.contains(slot))
    return; // of a former life
  node->second.busy += change;
  apply(core_->load(services_.clock(), name, node->second.busy));
}

// ---- Operators -------------------------------------------------------------------------

void membership_shell::follow(result<membership::step> step) {
  if (step)
    apply(std::move(*step));
}

void membership_shell::set_mode(const std::string& node, node_mode mode,
                                std::optional<microseconds> deadline) {
  const auto now = services_.clock();
  if (mode == node_mode::active) {
    services_.on.facts.woken(node);
    blame_.forget(node);
  }
  follow(core_->set_mode(now, node, mode, "an operator's word",
                         deadline ? std::optional{now + *deadline} : std::nullopt));
}

void membership_shell::set_labels(const std::string& node,
                                  std::map<std::string, std::string> labels) {
  follow(core_->set_labels(services_.clock(), node, std::move(labels)));
}

void membership_shell::remove(const std::string& node) {
  follow(core_->remove(services_.clock(), node));
}

void membership_shell::add_token(join_token_record t) {
  apply(core_->add_token(services_.clock(), std::move(t)));
}

void membership_shell::enrol(const std::string& token, const std::string& node,
                             const std::string& key, std::function<void(result<void>)> done) {
  auto step = core_->enrol(services_.clock(), token, std::string(64, 'a'), node, key);
  if (!step)
    return done(failure{step.error()});
  apply(std::move(*step), std::move(done));
}

std::string membership_shell::restlessness() const {
  if (!claims_.empty())
    return fmt::format("{} leases are claimed", claims_.size());
  for (const auto& [name, node] : nodes_) {
    if (node.busy != 0)
      return fmt::format("{} slots of {} are in use", node.busy, name);
    for (const auto* slot : node.slots)
      if (!slot->is_idle())
        return fmt::format("a slot of {} is at work", name);
  }
  return "";
}

} // namespace framemill::sim
