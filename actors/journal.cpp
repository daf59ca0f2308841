#include "actors/journal.hpp"

#include "actors/fail_points.hpp"
#include "storage/records.hpp"
#include "storage/timeline.hpp"

#include <iterator>

namespace framemill {

namespace {

void put_run(write_batch& batch, const run_record& run) {
  auto key = keys::of(run.id);
  put_record(batch, family::runs, key, run);
  if (is_terminal(run.state))
    batch.erase(family::live_runs, key);
  else
    batch.put(family::live_runs, key, "");
}

template <class Blame>
void put_blame(write_batch& batch, const Blame& b, bool is_over) {
  if (is_over)
    batch.erase(family::blame, keys::of(b));
  else
    put_record(batch, family::blame, keys::of(b), b);
}

void put_queues(write_batch& batch, const changes& c) {
  for (const auto& q : c.queues)
    put_record(batch, family::queues, keys::queue(q.name), q);
  for (const auto& name : c.erased_queues)
    batch.erase(family::queues, keys::queue(name));
  for (const auto& t : c.topics)
    put_record(batch, family::queues, keys::topic(t.name), t);
  for (const auto& name : c.erased_topics)
    batch.erase(family::queues, keys::topic(name));
  for (const auto& s : c.subscriptions)
    put_record(batch, family::queues, keys::subscription(s.topic, s.name), s);
  for (const auto& [topic, name] : c.erased_subscriptions)
    batch.erase(family::queues, keys::subscription(topic, name));
}

void put_messages(write_batch& batch, const changes& c) {
  for (const auto& m : c.messages)
    put_record(batch, family::messages, keys::message_body(m.id), m);
  for (const auto& s : c.message_states)
    put_record(batch, family::message_states, keys::of(s.id), s);
  for (auto id : c.erased_messages) {
    batch.erase(family::messages, keys::message_body(id));
    batch.erase(family::message_states, keys::of(id));
  }
}

/// Where a delivery is follows from its state.
void put_delivery(write_batch& batch, const delivery_record& d) {
  auto other = d.state == delivery_state::dead ? delivery_state::pending : delivery_state::dead;
  put_record(batch, family::deliveries, keys::delivery(d.state, d.sink, d.event), d);
  batch.erase(family::deliveries, keys::delivery(other, d.sink, d.event));
}

void put_notices(write_batch& batch, const changes& c) {
  for (const auto& d : c.deliveries)
    put_delivery(batch, d);
  for (const auto& [sink, event] : c.erased_deliveries)
    batch.erase(family::deliveries, keys::delivery(delivery_state::pending, sink, event));
  for (const auto& [name, event] : c.cursors)
    batch.put(family::cursors, name, keys::of(event));
  for (const auto& k : c.signing_keys)
    put_record(batch, family::meta, keys::signing_key(k.id), k);
  for (const auto& id : c.erased_signing_keys)
    batch.erase(family::meta, keys::signing_key(id));
}

void put_functions(write_batch& batch, const changes& c) {
  for (const auto& f : c.functions)
    put_record(batch, family::functions, keys::function(f.name), f);
  for (const auto& name : c.erased_functions) {
    batch.erase(family::functions, keys::function(name));
    batch.erase(family::functions, keys::function_secrets(name));
  }
  for (const auto& s : c.secrets)
    put_record(batch, family::functions, keys::function_secrets(s.function), s);
  for (const auto& [sha256, bytes] : c.function_code)
    batch.put(family::functions, keys::function_code(sha256), bytes);
  for (const auto& sha256 : c.erased_function_code)
    batch.erase(family::functions, keys::function_code(sha256));
  for (const auto& t : c.function_triggers)
    put_record(batch, family::function_triggers, t.event_type, t);
  for (const auto& type : c.erased_function_triggers)
    batch.erase(family::function_triggers, type);
  for (const auto& r : c.invocations)
    put_record(batch, family::function_logs, keys::invocation(r), r);
  for (const auto& key : c.erased_invocations)
    batch.erase(family::function_logs, key);
}

/// All but the events, which have no number yet.
void put_records(write_batch& batch, const changes& c) {
  for (const auto& w : c.workflows)
    put_record(batch, family::workflows, keys::of(w.id), w);
  for (auto id : c.erased_workflows)
    batch.erase(family::workflows, keys::of(id));
  for (const auto& t : c.templates)
    put_record(batch, family::templates, keys::of(t.family, t.definition), t);
  for (const auto& [f, definition] : c.erased_templates)
    batch.erase(family::templates, keys::of(f, definition));
  for (const auto& o : c.objects)
    put_record(batch, family::objects, keys::object(o.object.bucket, o.object.key), o);
  for (const auto& r : c.runs)
    put_run(batch, r);
  for (const auto& j : c.jobs)
    put_record(batch, family::jobs, keys::job(j.run, j.index), j);
  for (const auto& s : c.shards)
    put_record(batch, family::shards, keys::of(s.id), s);
  for (const auto& [key, run] : c.run_keys)
    batch.put(family::run_keys, key, keys::of(run));
  for (const auto& [key, run] : c.sessions)
    batch.put(family::sessions, key, keys::of(run));
  for (const auto& [name, value] : c.counters)
    batch.put(family::meta, "counter/" + name, keys::number(value));
  for (const auto& n : c.nodes)
    put_record(batch, family::nodes, n.name, n);
  for (const auto& t : c.join_tokens)
    put_record(batch, family::meta, keys::join_token(t.id), t);
  for (const auto& id : c.erased_join_tokens)
    batch.erase(family::meta, keys::join_token(id));
  for (const auto& b : c.input_blames)
    put_blame(batch, b, b.strikes.empty());
  for (const auto& b : c.node_blames)
    put_blame(batch, b, b.is_blank());
  for (const auto& s : c.services)
    put_record(batch, family::meta, keys::of(s.service), s);
  for (const auto& id : c.erased_services)
    batch.erase(family::meta, keys::of(id));
  put_queues(batch, c);
  put_messages(batch, c);
  put_notices(batch, c);
  put_functions(batch, c);
}

} // namespace

void journal_page::add(changes c) {
  put_records(records_, c);
  std::move(c.events.begin(), c.events.end(), std::back_inserter(events_));
}

result<std::unique_ptr<journal>> journal::open(state_store& store) {
  FM_TRY(auto last, last_event_number(store));
  return std::unique_ptr<journal>{new journal(store, last)};
}

journal::journal(state_store& store, std::uint64_t last_event)
    : store_(store), last_event_(last_event) {}

void journal::commit(changes c, done_fn done, std::shared_ptr<commit_chain> chain) {
  journal_page p;
  p.add(std::move(c));
  commit(std::move(p), std::move(done), std::move(chain));
}

void journal::commit(journal_page p, done_fn done, std::shared_ptr<commit_chain> chain) {
  if (chain)
    done = [chain, done = std::move(done)](result<void> r) {
      if (!r)
        chain->break_off();
      done(std::move(r));
    };
  if (auto open = fail_door("store.commit"); !open)
    return done(std::move(open));
  std::lock_guard lock{commit_mutex_};
  auto batch = seal(std::move(p), done);
  batch.belong_to(std::move(chain));
  store_.commit(std::move(batch), std::move(done));
}

void journal::commit_here(journal_page p, done_fn done) {
  if (auto open = fail_door("store.commit"); !open)
    return done(std::move(open));
  {
    std::lock_guard lock{commit_mutex_};
    auto batch = seal(std::move(p), done);
    store_.enqueue(std::move(batch), std::move(done));
  }
  store_.write_queued();
}

write_batch journal::seal(journal_page p, done_fn& done) {
  for (auto& e : p.events_) {
    e.id = {++last_event_};
    put_record(p.records_, family::events, keys::of(e.id), e);
  }
  done = [told = audience_, events = std::move(p.events_), done = std::move(done)](result<void> r) {
    if (r)
      told->tell(events);
    done(std::move(r));
  };
  return std::move(p.records_);
}

void journal::audience::tell(const std::vector<event_record>& events) {
  if (events.empty())
    return;
  std::lock_guard lock{mutex};
  followers.remove_if([](const auto& f) { return f->ended; });
  for (const auto& f : followers)
    for (const auto& e : events)
      if (!f->ended && e.id > f->last) {
        f->last = e.id;
        f->on_event(e);
      }
}

void journal::catch_up(follower& f) {
  auto from = keys::number(f.last.value + 1);
  auto status = scan_records<event_record>(store_, family::events, from, "",
                                           [&](event_record e) {
                                             f.last = e.id;
                                             f.on_event(e);
                                             return true;
                                           });
  (void)status; // an unreadable past event must not hide the live ones
}

std::shared_ptr<void> journal::follow(event_id after, event_fn on_event) {
  auto f = std::make_shared<follower>(follower{after, std::move(on_event)});
  catch_up(*f); // the long way, without holding anybody up
  std::lock_guard lock{audience_->mutex};
  catch_up(*f); // what was committed meanwhile
  audience_->followers.push_back(f);
  return {f.get(), [told = audience_, f](void*) {
            std::lock_guard ending{told->mutex};
            f->ended = true;
          }};
}

} // namespace framemill
