#include "actors/membership_actor.hpp"

#include "actors/cluster_books.hpp"
#include "actors/manners.hpp"
#include "actors/node_orders.hpp"
#include "actors/remote_worker.hpp"
#include "actors/scheduler_actor.hpp"
#include "cluster/attempt_book.hpp"
#include "core/codec.hpp"
#include "core/random.hpp"
#include "storage/records.hpp"
#include "storage/timeline.hpp"

#include <caf/all.hpp>
#include <spdlog/spdlog.h>

#include <filesystem>

namespace framemill {

namespace {

using self_ptr = caf::stateful_actor<membership_state>*;
constexpr std::chrono::milliseconds tick_every{100};
/// A restarted coordinator waits this long for nodes that hold leases.
constexpr microseconds claims_last{5'000'000};
constexpr microseconds order_patience{60'000'000};

data_source source_of(node_services& services) {
  data_source out;
  out.open_object = [&services](const object_ref& object) -> result<int> {
    FM_TRY(auto* bucket, services.find_bucket(object.bucket));
    FM_TRY(auto file, bucket->open(object));
    return file.release();
  };
  out.open_artifact = [&services](const std::string& sha256) -> result<int> {
    FM_TRY(auto file, services.artifacts->open(sha256));
    return file.release();
  };
  out.want_artifact = [&services](run_id run, const std::string& sha256) {
    return services.want_artifact(run, sha256);
  };
  out.adopt_artifact = [&services](const std::string& path, const std::string& sha256) {
    return services.artifacts->adopt(path, sha256);
  };
  out.incoming_directory = services.config.data_dir + "/incoming";
  return out;
}

// ---- Speaking ----------------------------------------------------------------------

void put(membership_state& s, connection_key to, std::uint64_t sequence, cluster_message word) {
  envelope e;
  e.term = s.life.term;
  e.sequence = sequence;
  e.body = std::move(word);
  s.hub->send(to, encode(e));
}

void refuse(membership_state& s, connection_key c, const std::string& reason, bool final) {
  if (!reason.empty())
    put(s, c, 1, node_refused{reason, final});
  s.hub->drop(c);
}

void welcome(membership_state& s, const std::string& name, connection_key c) {
  auto& node = s.nodes[name];
  node.connection = c;
  node.sequence = 0;
  // What the PLACER told it last may have been lost with its connection: the PLACER
  // hears anew what it hosts.
  node.services.reset();
  s.say(name, node_welcome{s.life.cluster, s.endpoints.data, s.life.timeline});
}

void tell_scheduler(membership_state& s, const std::string& name) {
  const auto* record = s.core->find(name);
  if (record == nullptr)
    return;
  const bool is_own = s.core->is_own(name);
  auto n = is_own ? own_machine(*s.services) : offered_by(name, record->facts);
  if (!is_own)
    n.buckets = s.services->proven_buckets(record->facts);
  n.labels = record->labels;
  n.takes_work = s.core->takes_work(name);
  n.why_not = s.core->why_no_work(name);
  auto here = s.nodes.find(name);
  if (here != s.nodes.end() && here->second.scratch_left)
    n.scratch_left = here->second.scratch_left; // newer than its facts
  s.self->send(s.scheduler, node_known{std::move(n), is_own || here != s.nodes.end()});
}

/// Beats are many: what is no news is not passed on.
void pass_on_scratch(membership_state& s, const std::string& name, std::int64_t free_bytes) {
  const auto* record = s.core->find(name);
  if (record == nullptr || record->facts.scratch_total_bytes <= 0 || free_bytes < 0)
    return; // it is being removed, or does not know its disk
  const auto& facts = record->facts;
  auto& told = s.nodes.at(name).scratch_left;
  const auto left = free_bytes - facts.scratch_floor_bytes;
  if (!is_scratch_news(told.value_or(facts.scratch_bytes - facts.scratch_floor_bytes), left))
    return;
  told = left;
  s.self->send(s.scheduler, scratch_seen{name, left});
}

// ---- Leases of a former life ---------------------------------------------------------

void answer(membership_state& s, const claim_lease& claim, late_outcome m) {
  s.self->send(claim.reply_to,
               attempt_ended{m.shard.index, std::move(m.outcome), std::move(m.noted)});
}

void refuse(membership_state& s, const claim_lease& m, const std::string& why) {
  s.self->send(m.reply_to, lease_missing{m.shard.index, m.epoch, why});
}

/// The run asks for its lease: the outcome may have come before it, or the node.
void claim(membership_state& s, const claim_lease& m) {
  if (auto early = s.unclaimed.extract({m.shard, m.epoch}); !early.empty())
    return answer(s, m, std::move(early.mapped()));
  auto node = s.nodes.find(m.node);
  if (node == s.nodes.end()) { // it may still come
    s.claims[{m.shard, m.epoch}] = m;
    return;
  }
  auto place = node->second.places.find(m.shard);
  if (place == node->second.places.end() || place->second.epoch != m.epoch)
    return refuse(s, m, fmt::format("node {} does not hold it", m.node));
  const auto& slot = node->second.slots.at(place->second.slot);
  s.self->send(slot, slot_claimed{m.reply_to});
  s.self->send(m.reply_to, lease_found{m.shard.index, m.epoch, slot, 0});
}

/// An outcome that no slot waits for: its run claims it, will claim it, or refuses
/// it.
void take_unclaimed(membership_state& s, late_outcome m) {
  membership_state::attempt key{m.shard, m.outcome.epoch};
  if (auto claim = s.claims.extract(key); !claim.empty())
    answer(s, claim.mapped(), std::move(m));
  else if (s.services->uptime.now() < s.claims_end)
    s.unclaimed.insert_or_assign(key, std::move(m));
  else
    s.self->send(s.coordinator, std::move(m));
}

/// The node is here: those that wait for it are answered now, or by an outcome
/// that it is about to tell.
void answer_claims_of(membership_state& s, const std::string& node,
                      const std::vector<held_attempt>& held) {
  std::vector<claim_lease> waiting;
  for (const auto& [key, c] : s.claims) {
    auto will_tell = std::any_of(held.begin(), held.end(), [&](const auto& h) {
      return h.ended && h.shard == c.shard && h.epoch == c.epoch;
    });
    if (c.node == node && !will_tell)
      waiting.push_back(c);
  }
  for (const auto& c : waiting) {
    s.claims.erase({c.shard, c.epoch});
    claim(s, c);
  }
}

// ---- What the core wants done ----------------------------------------------------------

void order_self_test(membership_state& s, const std::string& node);

/// What is held there since a former life reserves what its shard does.
void adopt(const membership_state& s, remote_slot& slot, const held_attempt& held) {
  auto booked = booked_reservation(*s.services->store, held.shard);
  if (!booked)
    spdlog::error("MEMBERSHIP: {}", booked.error().message);
  slot.held = held;
  slot.holds = booked ? std::move(*booked) : reservation{held.shard};
}

/// The slots of a new life. What it holds of a former one of ours is kept while
/// leases may still be claimed, and stopped otherwise.
void act_on(membership_state& s, const node_came& a) {
  auto hello = s.hellos.extract(a.connection);
  const auto* record = s.core->find(a.name);
  if (record == nullptr)
    return; // removed while its coming was written; that is acted on next
  welcome(s, a.name, a.connection);
  auto& node = s.nodes.at(a.name);
  auto held = hello.empty() ? std::vector<held_attempt>{} : std::move(hello.mapped());
  const auto now = s.services->uptime.now();
  const auto& facts = record->facts;
  tell_scheduler(s, a.name);
  s.tell_placer(a.name);
  std::map<std::uint32_t, held_attempt> in_slot;
  for (const auto& h : held) {
    if (h.ended)
      continue; // told again now that it is welcome
    if (h.slot < static_cast<std::uint32_t>(facts.slots) && now < s.claims_end)
      in_slot[h.slot] = h;
    else
      s.say(a.name, stop_held{h.shard, h.epoch});
  }
  for (std::uint32_t i = 0; i < static_cast<std::uint32_t>(facts.slots); ++i) {
    remote_slot slot{{++s.last_key, a.name}, i, {}, {}};
    node.keys.insert(slot.worker.key);
    if (auto h = in_slot.find(i); h != in_slot.end()) {
      adopt(s, slot, h->second);
      node.places[h->second.shard] = {i, h->second.epoch, s.services->clock.now()};
    }
    node.slots.push_back(s.self->spawn(remote_worker, s.services, slot, s.scheduler,
                                       caf::actor_cast<caf::actor>(s.self)));
  }
  node.held = held;
  answer_claims_of(s, a.name, held);
  spdlog::info("MEMBERSHIP: node {} is here with {} slots", a.name, facts.slots);
  if (record->in_doubt && s.blame.in_doubt(a.name))
    order_self_test(s, a.name); // the last one may have died with whoever asked
}

void act_on(membership_state& s, const node_returned& a) {
  s.hellos.erase(a.connection);
  welcome(s, a.name, a.connection);
  spdlog::info("MEMBERSHIP: node {} is back", a.name);
}

/// Its mode or what it has changed; or it was removed, with all that was held
/// against it.
void tell_of_change(membership_state& s, const std::string& name,
                    const std::string& ended = {}) {
  if (s.core->find(name) == nullptr) {
    s.blame.forget(name);
    s.self->send(s.scheduler, node_forgotten{name});
  }
  tell_scheduler(s, name);
  s.tell_placer(name, ended);
}

/// Nobody is left to answer.
void fail_orders(membership_state& s, const std::string& node, const std::string& why) {
  for (auto i = s.orders.begin(); i != s.orders.end();)
    if (i->second.node == node) {
      auto asked = s.orders.extract(i++);
      asked.mapped().done(fail(errc::unavailable, "node {} is gone: {}", node, why));
    } else {
      ++i;
    }
}

void act_on(membership_state& s, const node_gone& a) {
  fail_orders(s, a.name, a.why);
  auto node = s.nodes.extract(a.name);
  tell_of_change(s, a.name, a.why);
  if (node.empty())
    return;
  for (const auto& slot : node.mapped().slots)
    s.self->send_exit(slot, caf::exit_reason::user_shutdown);
  spdlog::warn("MEMBERSHIP: node {} is gone: {}", a.name, a.why);
}

void act_on(membership_state& s, const node_changed& a) { tell_of_change(s, a.name); }

void act_on(membership_state& s, const refuse_connection& a) {
  s.hellos.erase(a.connection);
  refuse(s, a.connection, a.reason, a.final);
}

void act_on(membership_state& s, const stop_all_of& a) {
  auto why = fmt::format("node {} was drained", a.name);
  if (s.core->is_own(a.name))
    return s.self->send(s.scheduler, vacate_own_slots{std::move(why)});
  auto node = s.nodes.find(a.name);
  if (node == s.nodes.end())
    return;
  for (const auto& slot : node->second.slots)
    s.self->send(slot, vacate_slot{why});
}

void flush(membership_state& s) {
  while (s.steps.ready()) {
    auto step = s.steps.take();
    if (!step.record.nodes.empty())
      s.keys.set(s.core->admitted_keys());
    for (const auto& a : step.of_core)
      std::visit([&](const auto& what) { act_on(s, what); }, a);
    if (step.then)
      step.then({});
  }
}

// ---- Hearing ---------------------------------------------------------------------------

void hear(membership_state& s, const frame_arrived& m, const std::string&, node_hello& hello) {
  const auto now = s.services->clock.now();
  if (hello.timeline != s.life.timeline)
    hello.held.clear(); // not of ours: it drops that when it is welcome
  s.hellos[m.connection] = hello.held;
  s.apply(s.core->hello(now, m.connection, m.public_key, hello.name, hello.boot,
                        std::move(hello.facts),
                        hello.leaving ? node_wish::leave : node_wish::work));
}

/// Of what it was ordered, when it last said that it has it.
void note_told(membership_state::remote_node& node, const std::vector<held_attempt>& held,
               timestamp now) {
  for (const auto& h : held)
    if (auto place = node.places.find(h.shard);
        place != node.places.end() && place->second.epoch == h.epoch)
      place->second.told = now;
}

void hear(membership_state& s, const frame_arrived&, const std::string& name, node_beat& beat) {
  auto node = s.nodes.find(name);
  if (node == s.nodes.end())
    return;
  pass_on_scratch(s, name, beat.scratch_bytes);
  note_told(node->second, beat.held, s.services->clock.now());
  node->second.held = beat.held;
  if (node->second.services != beat.services) {
    node->second.services = beat.services;
    s.self->send(s.placer, node_hosting{name, std::move(beat.services)});
  }
  auto held = by_slot(std::move(beat.held), node->second.slots.size());
  for (std::size_t i = 0; i < held.size(); ++i)
    s.self->send(node->second.slots[i], slot_seen{std::move(held[i])});
}

/// To the slot that waits for it, to the run that claims it, or to be refused.
void hear(membership_state& s, const frame_arrived&, const std::string& name, node_outcome& m) {
  auto node = s.nodes.find(name);
  if (node == s.nodes.end())
    return;
  // Told again until it is in the books, in whatever life the node is by then.
  std::function<void()> noted = [to = s.booked, name, shard = m.shard, epoch = m.outcome.epoch] {
    (void)to->put({name, shard, epoch});
  };
  auto& places = node->second.places;
  auto place = places.find(m.shard);
  if (place == places.end() || place->second.epoch != m.outcome.epoch)
    return take_unclaimed(s, {m.shard, std::move(m.outcome), std::move(noted)});
  s.self->send(node->second.slots.at(place->second.slot),
               slot_ended{m.shard, std::move(m.outcome), std::move(noted)});
  places.erase(place);
}

void hear(membership_state& s, const frame_arrived&, const std::string& name, service_word& m) {
  s.self->send(s.placer, node_says{name, std::move(m)});
}

void hear(membership_state& s, const frame_arrived& m, const std::string&, node_leaving&) {
  s.apply(s.core->left(s.services->clock.now(), m.connection));
}

void hear(membership_state& s, const frame_arrived&, const std::string&, node_report& m) {
  auto order = s.orders.extract(m.order);
  if (order.empty())
    return;
  if (m.failure)
    order.mapped().done(failure{*m.failure});
  else
    order.mapped().done(std::move(m.text));
}

/// Words that only a coordinator says.
template <class Other>
void hear(membership_state& s, const frame_arrived& m, const std::string& name, Other&) {
  spdlog::warn("MEMBERSHIP: node {} speaks like a coordinator; its connection is dropped", name);
  s.hub->drop(m.connection);
}

void hear(membership_state& s, const frame_arrived& m) {
  auto e = decode<envelope>(m.frame);
  if (!e || e->version != 1) {
    refuse(s, m.connection, e ? fmt::format("protocol {} is not spoken here", e->version)
                              : e.error().message, true);
    return;
  }
  const bool is_hello = std::holds_alternative<node_hello>(e->body);
  if (!is_hello && (e->term != s.life.term || !s.core->heard(s.services->clock.now(), m.connection)))
    return; // of a former life; its hello comes
  auto name = s.core->name_of(m.connection).value_or("");
  std::visit([&](auto& body) { hear(s, m, name, body); }, e->body);
}

// ---- Whose fault ------------------------------------------------------------------------

void judge(membership_state& s, blame_matrix::verdicts verdicts,
           std::optional<attempt_judged> of = {});

/// A node in doubt encodes the golden clip; what it says decides.
void order_self_test(membership_state& s, const std::string& node) {
  s.order(node, "self-test", {}, [&s, node](const result<std::string>& r) {
    auto failure = r ? std::string{} : r.error().message;
    judge(s, s.blame.self_test(s.services->clock.now(), node, failure));
  });
}

void act_on(membership_state& s, const quarantine_input& v,
            const std::optional<attempt_judged>& of) {
  if (of)
    s.self->send(of->reply_to, input_blamed{of->report.shard.index, v.report});
}
void act_on(membership_state& s, const cordon_node& v, const std::optional<attempt_judged>&) {
  s.apply(s.core->doubt(s.services->clock.now(), v.node, v.reason));
  order_self_test(s, v.node);
}
void act_on(membership_state& s, const readmit_node& v, const std::optional<attempt_judged>&) {
  s.apply(s.core->trust(s.services->clock.now(), v.node));
}
void act_on(membership_state& s, const keep_cordoned& v, const std::optional<attempt_judged>&) {
  s.apply(s.core->doubt(s.services->clock.now(), v.node, v.reason));
}

/// Acted on when what led to them is in the books; at once when the store refuses
/// that for now, since what they lead to waits for it anyway.
void judge(membership_state& s, blame_matrix::verdicts verdicts,
           std::optional<attempt_judged> of) {
  s.apply({}, [&s, verdicts = std::move(verdicts), of = std::move(of)](const result<void>&) {
    for (const auto& v : verdicts)
      std::visit([&](const auto& what) { act_on(s, what, of); }, v);
  });
}

// ---- Enrolling -----------------------------------------------------------------------

void enrol(membership_state& s, const enrolment_asked& m) {
  auto answer = [answer = m.answer](enrol_reply r) { answer(encode(r)); };
  auto request = decode<enrol_request>(m.frame);
  if (!request)
    return answer({request.error(), {}, 0});
  auto step = s.core->enrol(s.services->clock.now(), request->token_id, sha256_of(request->secret),
                            request->name, m.public_key);
  if (!step)
    return answer({step.error(), {}, 0});
  s.apply(std::move(*step), [&s, answer](result<void> r) {
    enrol_reply reply;
    reply.cluster = s.life.cluster;
    reply.control_port = s.endpoints.control;
    if (!r)
      reply.failure = r.error();
    answer(std::move(reply));
  });
}

// ---- Beginning -----------------------------------------------------------------------

result<void> open_sockets(membership_state& s) {
  auto me = caf::actor_cast<caf::actor>(s.self);
  auto admit = [&s](std::string_view key) { return s.keys.judge(key); };
  std::error_code ec;
  std::filesystem::create_directories(s.services->config.data_dir + "/incoming", ec);
  hub::listener listener;
  listener.on_frame = [me](connection_key c, std::string key, std::string frame) {
    caf::anon_send(me, frame_arrived{c, std::move(key), std::move(frame)});
  };
  listener.on_gone = [me](connection_key c) { caf::anon_send(me, connection_gone{c}); };
  hub::options control{s.endpoints.host, s.endpoints.control, s.life.keys, admit};
  FM_TRY(s.hub, hub::open(std::move(control), std::move(listener)));
  FM_TRY(s.data, data_server::open({s.endpoints.host, s.endpoints.data, s.life.keys, admit,
                                    source_of(*s.services)}));
  FM_TRY(s.desk, enrolment_desk::open({s.endpoints.host, s.endpoints.enrolment, s.life.keys},
                                      [me](std::string key, std::string frame,
                                           enrolment_desk::answer answer) {
                                        caf::anon_send(me, enrolment_asked{std::move(key),
                                                                           std::move(frame),
                                                                           std::move(answer)});
                                      }));
  s.endpoints.control = s.hub->port();
  s.endpoints.data = s.data->port();
  s.endpoints.enrolment = s.desk->port();
  return {};
}

/// While leases of a former life may be claimed, who took work in it may come back: a
/// plan made now would count too few.
void look_who_may_return(membership_state& s, timestamp now) {
  if (now >= s.claims_end) {
    s.services->nodes_may_return = false;
    return;
  }
  const auto known = s.core->nodes();
  s.services->nodes_may_return = std::any_of(known.begin(), known.end(), [](const auto& n) {
    return n.presence == node_presence::away && n.record.mode == node_mode::active;
  });
}

result<void> begin(membership_state& s) {
  const auto& config = s.services->config;
  membership::options options{.coordinator = config.name};
  if (config.roles.worker)
    options.own = s.services->facts();
  FM_TRY(auto core, load_membership(*s.services->store, std::move(options)));
  s.core.emplace(std::move(core));
  FM_TRY(s.blame, load_blame(*s.services->store, s.services->clock.now()));
  s.keys.set(s.core->admitted_keys());
  const auto now = s.services->uptime.now();
  s.claims_end = now + claims_last;
  look_who_may_return(s, now);
  return open_sockets(s);
}

/// The node that has the slot in its present life; nullptr when it has no such.
membership_state::remote_node* node_of(membership_state& s, const worker_slot& slot) {
  auto node = s.nodes.find(slot.node);
  return node != s.nodes.end() && node->second.keys.contains(slot.key) ? &node->second : nullptr;
}

void give_up_claims(membership_state& s, timestamp now) {
  if (now < s.claims_end)
    return;
  for (auto& [key, early] : std::exchange(s.unclaimed, {}))
    take_unclaimed(s, std::move(early));
  for (const auto& [key, c] : std::exchange(s.claims, {}))
    refuse(s, c, fmt::format("node {} did not come back", c.node));
}

void give_up_orders(membership_state& s, timestamp now) {
  for (auto i = s.orders.begin(); i != s.orders.end();)
    if (now >= i->second.until) {
      i->second.done(fail(errc::timed_out, "node {} did not answer", i->second.node));
      i = s.orders.erase(i);
    } else {
      ++i;
    }
}

} // namespace

void key_list::set(std::vector<std::string> keys) {
  std::lock_guard lock{mutex_};
  keys_ = {std::make_move_iterator(keys.begin()), std::make_move_iterator(keys.end())};
}

hub::options::verdict key_list::judge(std::string_view key) const {
  std::lock_guard lock{mutex_};
  return keys_.contains(key) ? hub::options::verdict::yes : hub::options::verdict::no;
}

result<coordinator_life> begin_term(node_services& services) {
  coordinator_life out;
  FM_TRY(out.keys, load_or_make_keys(services.config.data_dir + "/cluster.key"));
  FM_TRY(auto id, services.store->find(family::meta, "cluster/id"));
  FM_TRY(auto term, services.store->find(family::meta, "cluster/term"));
  out.cluster = id ? *id : random_hex(8);
  FM_TRY(out.timeline, timeline_of(*services.store));
  // Never below one that a node has heard, even from before a restored backup.
  const auto seconds = static_cast<std::uint64_t>(services.clock.now().us / 1'000'000);
  const std::uint64_t last = term ? std::stoull(*term, nullptr, 16) : 0;
  out.term = std::max(last + 1, seconds);
  write_batch batch;
  batch.put(family::meta, "cluster/id", out.cluster);
  batch.put(family::meta, "cluster/term", keys::number(out.term));
  FM_CHECK(services.store->commit_and_wait(std::move(batch)));
  return out;
}

void membership_state::apply(membership::step step, std::function<void(result<void>)> then) {
  auto learned = blame.take_changes();
  step.record.input_blames = std::move(learned.input_blames);
  step.record.node_blames = std::move(learned.node_blames);
  const bool empty = step.record.empty();
  auto token = steps.add({std::move(step.actions), std::move(then), step.record}, empty);
  if (empty)
    return flush(*this);
  write(token, std::move(step.record));
}

void membership_state::write(std::uint64_t token, changes record) {
  services->journal->commit(std::move(record), [me = caf::actor_cast<caf::actor>(self),
                                                token](result<void> written) {
    caf::anon_send(me, committed{token, std::move(written)});
  });
}

/// Nothing is acted on that is not in the books: the step, and all after it,
/// wait until the store takes it (a full disk).
void membership_state::write_again(std::uint64_t token) {
  if (auto* step = steps.find(token))
    write(token, step->record = blame.renewed(core->renewed(std::move(step->record))));
}

void membership_state::say(const std::string& node, cluster_message word) {
  auto entry = nodes.find(node);
  if (entry == nodes.end())
    return;
  if (const auto* a = std::get_if<assign_attempt>(&word))
    entry->second.places[a->shard] = {a->slot, a->epoch, {}}; // said again: not told of yet
  put(*this, entry->second.connection, ++entry->second.sequence, std::move(word));
}

void membership_state::introduce(caf::actor who) {
  placer = std::move(who);
  for (const auto& known : core->nodes())
    tell_placer(known.record.name);
  for (const auto& [name, node] : nodes)
    if (node.services)
      self->send(placer, node_hosting{name, *node.services});
}

void membership_state::tell_placer(const std::string& name, const std::string& ended) {
  if (!placer)
    return; // it will be introduced
  if (core->is_own(name))
    return; // it knows its own machine, which hosts what nobody else can
  node_placeable m;
  m.node.name = name;
  m.node.why_not = core->why_no_work(name);
  m.ended = ended;
  for (const auto& known : core->nodes()) {
    if (known.record.name != name)
      continue;
    m.node.standing = standing_of(known);
    m.node.kinds = known.record.facts.service_kinds;
    m.node.buckets = services->proven_buckets(known.record.facts);
    for (const auto& b : known.record.facts.buckets)
      if (!services->buckets.contains(b.name))
        m.foreign.push_back(b.name);
  }
  self->send(placer, std::move(m));
}

void membership_state::order(const std::string& node, std::string what,
                             std::vector<std::string> arguments,
                             gateway::reply<std::string> done) {
  if (core->find(node) == nullptr)
    return done(fail_field(errc::not_found, "Node", "no node `{}`", node));
  if (core->is_own(node))
    return carry_out(*services, {0, std::move(what), std::move(arguments)},
                     [me = caf::actor_cast<caf::actor>(self), done](result<std::string> r) {
                       auto tell = [done, r = std::move(r)](membership_state&) { done(r); };
                       caf::anon_send(
                           me, membership_call{
                                   std::make_shared<std::function<void(membership_state&)>>(tell)});
                     });
  if (!nodes.contains(node))
    return done(fail_field(errc::unavailable, "Node", "node {} is away", node));
  orders[++last_order] = {node, std::move(done), services->uptime.now() + order_patience};
  say(node, node_order{last_order, std::move(what), std::move(arguments)});
}

caf::behavior
membership_actor(self_ptr self, node_services* services, coordinator_life life,
                 cluster_endpoints endpoints, caf::actor scheduler,
                 std::shared_ptr<std::promise<result<cluster_endpoints>>> opened) {
  auto& s = self->state;
  s.self = self;
  s.services = services;
  s.scheduler = std::move(scheduler);
  s.life = std::move(life);
  s.endpoints = std::move(endpoints);
  tolerate_strangers(self, "MEMBERSHIP");
  if (auto r = begin(s); !r) {
    opened->set_value(failure{r.error()});
    self->quit(caf::sec::runtime_error);
    return {};
  }
  for (const auto& known : s.core->nodes())
    tell_scheduler(s, known.record.name);
  const auto& here = services->config.name;
  if (s.core->is_own(here) && (s.blame.in_doubt(here) || s.core->find(here)->in_doubt))
    order_self_test(s, here); // who tested it last may have died
  opened->set_value(s.endpoints);
  self->delayed_send(self, tick_every, membership_tick{});
  return {
      [=](const frame_arrived& m) { hear(self->state, m); },
      [=](const connection_gone& m) {
        auto& state = self->state; // its hello may still be acted on
        state.apply(state.core->disconnected(services->clock.now(), m.connection));
      },
      [=](const enrolment_asked& m) { enrol(self->state, m); },
      [=](const membership_tick&) {
        auto& state = self->state;
        state.apply(state.core->tick(services->clock.now()));
        for (const auto& b : state.booked->take())
          state.say(b.node, outcome_noted{b.shard, b.epoch});
        for (const auto& [name, node] : state.nodes)
          state.say(name, coordinator_beat{});
        const auto now = services->uptime.now();
        give_up_claims(state, now);
        look_who_may_return(state, now);
        give_up_orders(state, now);
        self->delayed_send(self, tick_every, membership_tick{});
      },
      [=](tell_node& m) {
        if (node_of(self->state, m.slot) != nullptr)
          self->state.say(m.slot.node, std::move(m.word));
      },
      [=](const slot_used& m) {
        auto& state = self->state;
        auto* node = node_of(state, m.slot);
        if (node == nullptr)
          return;
        node->busy += m.change;
        state.apply(state.core->load(services->clock.now(), m.slot.node, node->busy));
      },
      [=](const own_slots_used& m) {
        auto& state = self->state;
        state.apply(state.core->load(services->clock.now(), services->config.name, m.busy));
      },
      [=](late_outcome& m) { take_unclaimed(self->state, std::move(m)); },
      [=](const claim_lease& m) { claim(self->state, m); },
      [=](const attempt_judged& m) {
        auto& state = self->state;
        judge(state, state.blame.ended(services->clock.now(), m.report), m);
      },
      [=](const membership_call& m) { (*m.call)(self->state); },
      [=](const coordinator_known& m) { self->state.coordinator = m.coordinator; },
      [=](const committed& m) {
        auto& state = self->state;
        if (m.status) {
          state.steps.written(m.token);
          return flush(state);
        }
        spdlog::error("MEMBERSHIP: {}", m.status.error().message);
        if (auto* step = state.steps.find(m.token); step && step->then)
          std::exchange(step->then, {})(m.status);
        self->delayed_send(self, std::chrono::seconds{1}, write_step_again{m.token});
      },
      [=](const write_step_again& m) { self->state.write_again(m.token); },
  };
}

} // namespace framemill
