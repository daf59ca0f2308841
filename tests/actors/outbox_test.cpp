#include "actors/outbox.hpp"
#include "tests/support/actor_fixture.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace framemill::test;
using namespace std::chrono_literals;

namespace {

using verdict = delivery_answer::verdict;

/// Keeps what it is to send until the test answers it, or parks all at once.
class held_sink final : public sink {
public:
  void deliver(notification n, done_fn done) override {
    if (parks)
      return done({verdict::parked, "why", {}});
    held.emplace_back(std::move(n), std::move(done));
  }
  bool parks = false;
  std::deque<std::pair<notification, done_fn>> held;
};

/// An OUTBOX over a store that makes durable what it is told to.
struct telling : test_services, virtual_actors {
  explicit telling(durability d = durability::at_once) : test_services(d) {
    auto s = std::make_unique<held_sink>();
    place = s.get();
    shared.notices.sinks[sink_kind::http] = std::move(s);
    write_batch batch;
    batch.put(family::cursors, "outbox", keys::of(event_id{}));
    store->commit(std::move(batch), [](const result<void>&) {});
    store->sync();
    keep_run({1}, "http://h/a");
    keep_run({2}, "http://h/b");
  }
  ~telling() { kill(actor); } // its ticks would keep the system from ending
  void start() {
    actor = system.spawn(outbox, &shared);
    drain();
  }
  void keep_run(run_id id, const std::string& url) {
    changes c;
    run_record r;
    r.id = id;
    r.state = run_state::succeeded;
    r.spec.notify = notify_config{"URL", "Change", url};
    c.runs.push_back(r);
    keep(std::move(c));
  }
  void happen(run_id run, std::string type = "job.state", std::string state = "succeeded") {
    record(run, std::move(type), std::move(state));
    drain();
  }
  /// Nobody has looked at it yet.
  void record(run_id run, std::string type = "job.state", std::string state = "succeeded") {
    changes c;
    event_record e;
    e.run = run;
    e.type = std::move(type);
    e.state = std::move(state);
    c.events.push_back(std::move(e));
    keep(std::move(c));
  }
  void settle() {
    do {
      store->sync();
      drain();
    } while (store->waiting() > 0);
  }
  /// Answers the oldest that is held; its event.
  std::uint64_t answer(verdict what = verdict::delivered) {
    REQUIRE_FALSE(place->held.empty());
    auto [n, done] = std::move(place->held.front());
    place->held.pop_front();
    done({what, what == verdict::delivered ? "" : "why", {}});
    drain();
    return n.event.value;
  }
  std::vector<std::uint64_t> held() const {
    std::vector<std::uint64_t> out;
    for (const auto& [n, done] : place->held)
      out.push_back(n.event.value);
    return out;
  }
  std::size_t kept(delivery_state s) const {
    std::size_t n = 0;
    const auto prefix = keys::prefix(s);
    REQUIRE(store->scan(family::deliveries, prefix, prefix_end(prefix),
                        [&](auto, auto) { return ++n > 0; }));
    return n;
  }

  held_sink* place = nullptr;
  caf::actor actor;
};

struct told_later : telling {
  told_later() : telling(durability::when_told) { start(); }
};
struct told_at_once : telling {
  told_at_once() { start(); }
};

using ids = std::vector<std::uint64_t>;

} // namespace

TEST_CASE_FIXTURE(told_later, "outbox: nothing is sent before it is in the books") {
  happen({1});
  CHECK(held().empty());
  CHECK(kept(delivery_state::pending) == 0);
  settle();
  CHECK(held() == ids{1});
  CHECK(kept(delivery_state::pending) == 1);
  CHECK(*store->find(family::cursors, "outbox") == keys::of(event_id{1}));
}

TEST_CASE_FIXTURE(told_at_once, "outbox: what nobody wants is passed over") {
  happen({1}, "shard.done", "done");
  happen({3});
  happen({2});
  CHECK(held() == ids{3});
}

TEST_CASE_FIXTURE(told_later, "notifier: the next of a run waits for the books, other runs do not") {
  happen({1});
  happen({1});
  happen({2});
  settle();
  CHECK(held() == ids{1, 3});

  CHECK(answer() == 1);
  CHECK(held() == ids{3});
  settle();
  CHECK(held() == ids{3, 2});
}

TEST_CASE_FIXTURE(told_at_once, "notifier: what has arrived is off the books, and it ends") {
  happen({1});
  answer();
  CHECK(kept(delivery_state::pending) == 0);
  happen({1});
  CHECK(held() == ids{2});
  CHECK(place->held[0].first.attempt == 1);
  auto all = shared.notices.board.all();
  REQUIRE(all.size() == 1);
  CHECK(all[0].delivered == 1);
  CHECK(all[0].pending == 1);
}

TEST_CASE_FIXTURE(told_at_once, "notifier: a failed try is booked and made again, with the same body") {
  happen({1});
  auto body = place->held[0].first.body;
  answer(verdict::again);
  auto d = find<delivery_record>(
      family::deliveries, keys::delivery(delivery_state::pending, "http://h:80", {1}));
  REQUIRE(d);
  CHECK(d->attempts == 1);
  CHECK(d->last_error == "why");
  CHECK(d->next_try > d->last_try);
  CHECK(held().empty());

  kill(actor);
  start();
  CHECK(held().empty()); // not before its time
  CHECK(shared.notices.board.all()[0].failed_tries == 1);
}

TEST_CASE_FIXTURE(told_at_once, "notifier: what is parked is a dead letter, and an event says so") {
  happen({1});
  happen({1});
  answer(verdict::parked);

  CHECK(kept(delivery_state::dead) == 1);
  CHECK(kept(delivery_state::pending) == 1);
  CHECK(held() == ids{2});
  auto e = find<event_record>(family::events, keys::of(event_id{3}));
  REQUIRE(e);
  CHECK(e->type == "delivery.dead");
  CHECK(e->run == run_id{1});
}

TEST_CASE_FIXTURE(told_at_once, "outbox: a killed one goes on where the books are, without repeating") {
  happen({1});
  happen({2});
  CHECK(held() == ids{1, 2});

  kill(actor);
  place->held.clear(); // their answers find nobody
  happen({1});
  start();

  CHECK(held() == ids{1, 2});
  answer();
  CHECK(held() == ids{2, 3});
  CHECK(kept(delivery_state::pending) == 2);
}

TEST_CASE_FIXTURE(told_later, "notifier: the books are told until they take it") {
  happen({1});
  happen({1});
  settle();
  store->fail_next(1, {errc::no_space, "disk full", {}});
  answer();
  settle();
  CHECK(kept(delivery_state::pending) == 2);
  CHECK(held().empty());

  advance(1000ms);
  settle();

  CHECK(kept(delivery_state::pending) == 1);
  CHECK(held() == ids{2});
}

TEST_CASE_FIXTURE(told_later, "outbox: a store that refuses is asked again") {
  record({1});
  store->fail_next(1, {errc::no_space, "disk full", {}});
  drain();
  settle();
  CHECK(held().empty());
  advance(1000ms);
  settle();
  CHECK(held() == ids{1});
}

TEST_CASE_FIXTURE(told_at_once, "outbox: a run that cannot be read is left out, the others are told") {
  write_batch batch;
  batch.put(family::runs, keys::of(run_id{1}), "damaged");
  store->commit(std::move(batch), [](const result<void>&) {});
  happen({1});
  happen({2});
  CHECK(held() == ids{2});
}

TEST_CASE_FIXTURE(told_at_once, "outbox: dead letters are redriven, past events told again") {
  auto count = [](result<std::uint64_t>& to) {
    return [&to](result<std::uint64_t> r) { to = std::move(r); };
  };
  happen({1});
  happen({2});
  answer(verdict::parked);
  answer(verdict::delivered);
  result<std::uint64_t> redriven, replayed, unknown;

  CHECK(shared.notices.outbox.send(
      [&](outbox_state& s) { s.redrive("http://h:80", {1}, count(redriven)); }));
  drain();
  CHECK(redriven == 1);
  CHECK(held() == ids{1});
  CHECK(shared.notices.outbox.send(
      [&](outbox_state& s) { s.replay({1}, "http://h:80", count(replayed)); }));
  drain();

  CHECK(replayed == 1); // the other is pending
  CHECK(held() == ids{1, 2});
  CHECK(shared.notices.outbox.send(
      [&](outbox_state& s) { s.redrive("http://h:80", {1}, count(unknown)); }));
  drain();
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().code == errc::not_found);
}

TEST_CASE_FIXTURE(told_at_once, "outbox: letters that die again at once are redriven once") {
  constexpr auto letters = 5 * limits::outbox_deliveries_max;
  place->parks = true;
  for (std::size_t i = 0; i < letters; ++i)
    happen({1});
  CHECK(kept(delivery_state::dead) == letters);
  result<std::uint64_t> redriven;
  CHECK(shared.notices.outbox.send([&](outbox_state& s) {
    s.redrive("", {}, [&](result<std::uint64_t> r) { redriven = std::move(r); });
  }));
  drain();
  CHECK(redriven == letters);
  CHECK(kept(delivery_state::dead) == letters);
}

TEST_CASE_FIXTURE(told_at_once, "outbox: a replay goes through a log that says nothing to the sink") {
  for (std::size_t i = 0; i < 3 * limits::outbox_events_max; ++i)
    record({1}, "shard.done", "done");
  drain();
  result<std::uint64_t> replayed, misnamed, with_path;
  CHECK(shared.notices.outbox.send([&](outbox_state& s) {
    s.replay({1}, "http://h:80", [&](result<std::uint64_t> r) { replayed = std::move(r); });
    s.replay({1}, "http://h", [&](result<std::uint64_t> r) { misnamed = std::move(r); });
    s.replay({1}, "https://H/path", [&](result<std::uint64_t> r) { with_path = std::move(r); });
  }));
  drain();
  CHECK(replayed == 0);
  REQUIRE_FALSE(misnamed);
  CHECK(misnamed.error().field == "To");
  REQUIRE_FALSE(with_path);
  CHECK(with_path.error().message.find("`https://h:443`") != std::string::npos);
}

TEST_CASE_FIXTURE(told_at_once, "outbox: a signing key is rotated, and two are live") {
  std::vector<std::string> secrets;
  for (int i = 0; i < 3; ++i) {
    CHECK(shared.notices.outbox.send([&](outbox_state& s) {
      s.rotate_signing_key([&](const result<signing_key_record>& r) {
        REQUIRE(r);
        secrets.push_back(r->secret);
      });
    }));
    drain();
  }
  REQUIRE(secrets.size() == 3);
  CHECK(shared.notices.keys.secrets() == std::vector<std::string>{secrets[2], secrets[1]});
}

TEST_CASE_FIXTURE(told_at_once, "outbox: what a CREW tells is announced, and not told here") {
  shared.config.events.notifiers = "any";
  happen({1});

  CHECK(held().empty());
  CHECK(kept(delivery_state::pending) == 1);
  auto news = shared.notices.board.news(notifier_of("http://h:80"), {});
  REQUIRE(news.sinks.size() == 1);
  CHECK(news.sinks[0].sink == "http://h:80");
  CHECK(shared.notices.board.news({notifier_kind, "1"}, {}).sinks.empty());
}

TEST_CASE("notices: a workflow that asks for a sink that is not here is refused") {
  notices n;
  n.sinks[sink_kind::http] = std::make_unique<held_sink>();
  workflow_spec spec;
  CHECK(check_sink(n, spec.notify));
  spec.notify = notify_config{"URL", "Finish", "http://h/"};
  CHECK(check_sink(n, spec.notify));
  spec.notify = notify_config{"SCF"};
  auto r = check_sink(n, spec.notify);
  REQUIRE_FALSE(r);
  CHECK(r.error().code == errc::unsupported);
  CHECK(r.error().field == "TaskNotifyConfig.NotifyType");
}
