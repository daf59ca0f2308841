#include "actors/notifier_crew.hpp"
#include "actors/notifier.hpp"
#include "core/codec.hpp"
#include "tests/support/actor_fixture.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace framemill::test;
using namespace std::chrono_literals;

namespace {

using verdict = delivery_answer::verdict;
const std::string hook = "http://h:80";

/// Keeps what it is to send until the test answers it.
class held_sink final : public sink {
public:
  void deliver(notification n, done_fn done) override {
    held.emplace_back(std::move(n), std::move(done));
  }
  std::deque<std::pair<notification, done_fn>> held;
};

/// A CREW on a worker node, whose SERVICE HOST is the test.
struct crewed : test_services, virtual_actors {
  crewed() : test_services(durability::at_once) {
    shared.journal.reset(); // a worker has neither
    shared.store.reset();
    auto s = std::make_unique<held_sink>();
    place = s.get();
    shared.notices.sinks[sink_kind::http] = std::move(s);
    crew = system.spawn(notifier_crew, &shared, service_line{host.handle, notifier_of(hook), 3},
                        notify_order{1h});
    drain();
  }
  ~crewed() { kill(crew); }

  /// The only word of that kind since the last look, to be answered.
  template <class Word>
  Word asked() {
    drain();
    for (auto& m : host.take<service_says>())
      words.push_back(std::move(m));
    for (auto w = words.begin(); w != words.end(); ++w) {
      CHECK(w->service == notifier_of(hook));
      CHECK(w->epoch == 3);
      auto word = decode<notify_word>(w->payload);
      REQUIRE(word);
      if (auto* wanted = std::get_if<Word>(&*word)) {
        asking = std::move(w->answered);
        words.erase(w);
        return std::move(*wanted);
      }
    }
    FAIL("it says no such thing");
    return {};
  }
  void answer(const notify_answer& a) {
    std::exchange(asking, {})(encode(a));
    drain();
  }
  void announce(bool anew = false) {
    (void)asked<notify_wait>();
    answer(notify_news{9, ++last_news, {{hook, anew}}});
  }
  static notify_page page(std::vector<std::uint64_t> events) {
    notify_page out;
    for (auto e : events)
      out.pending.push_back({{e}, {1}, "/", 1s, 0s, 0});
    return out;
  }
  static notify_delivery delivery(std::uint64_t event) {
    delivery_record d;
    d.sink = hook;
    d.event = {event};
    d.run = {1};
    d.body = "{}";
    d.since = {5};
    return {d, {{"k1", "secret", {1}}}};
  }
  void answer_sink(verdict what) {
    REQUIRE_FALSE(place->held.empty());
    auto done = std::move(place->held.front().second);
    place->held.pop_front();
    done({what, what == verdict::delivered ? "" : "why", {}});
    drain();
  }

  inbox host{system};
  held_sink* place = nullptr;
  caf::actor crew;
  std::vector<service_says> words;
  std::function<void(result<std::string>)> asking;
  std::uint64_t last_news = 0;
};

} // namespace

TEST_CASE_FIXTURE(crewed, "crew: what is announced is read, fetched, sent, settled, in order") {
  CHECK(asked<notify_wait>() == notify_wait{});
  answer(notify_news{9, 4, {{hook, false}}});
  CHECK(asked<notify_wait>() == notify_wait{9, 4});

  CHECK(asked<notify_pending>() == notify_pending{hook, {}});
  answer(page({1, 2}));
  CHECK(asked<notify_fetch>() == notify_fetch{hook, {1}});
  CHECK(place->held.empty()); // not before it may
  answer(delivery(1));
  REQUIRE(place->held.size() == 1);
  CHECK(place->held[0].first.event == event_id{1});
  CHECK(shared.notices.keys.secrets() == std::vector<std::string>{"secret"});

  answer_sink(verdict::delivered);
  CHECK(asked<notify_outcome>()
        == notify_outcome{hook, {1}, {5}, 0, delivery_end::delivered, 0s, ""});
  drain();
  CHECK(words.empty()); // the next of the run waits for the books
  answer(notify_booked{true});
  CHECK(asked<notify_fetch>() == notify_fetch{hook, {2}});
  answer(delivery(2));
  answer_sink(verdict::again);
  auto failed = asked<notify_outcome>();
  CHECK(failed.what == delivery_end::again);
  CHECK(failed.wait > 0s);
  CHECK(failed.wait < 2s);
  CHECK(failed.why == "why");
}

TEST_CASE_FIXTURE(crewed, "crew: what is not pending any more is not sent") {
  announce();
  (void)asked<notify_pending>();
  answer(page({1, 2}));
  (void)asked<notify_fetch>();
  answer(notify_delivery{});

  CHECK(place->held.empty());
  CHECK(asked<notify_fetch>().event == event_id{2});
}

TEST_CASE_FIXTURE(crewed, "crew: a NOTIFIER that the books contradict reads them anew") {
  announce();
  (void)asked<notify_pending>();
  answer(page({1}));
  (void)asked<notify_fetch>();
  answer(delivery(1));
  answer_sink(verdict::delivered);
  (void)asked<notify_outcome>();
  answer(notify_booked{false});

  advance(1s);
  CHECK(asked<notify_pending>() == notify_pending{hook, {}});
}

TEST_CASE_FIXTURE(
    crewed, "crew: what comes while the NOTIFIER of a sink reads, or ends, is not missed") {
  announce();
  (void)asked<notify_pending>();
  auto reading = std::exchange(asking, {});
  announce();
  reading(encode(notify_answer{page({})}));

  (void)asked<notify_pending>(); // there was a word meanwhile
  answer(page({}));
  (void)asked<notify_pending>(); // it ended, and may not have heard the last one
  answer(page({5}));
  CHECK(asked<notify_fetch>().event == event_id{5});
}

TEST_CASE_FIXTURE(crewed,
                  "crew: it ends when its share is told elsewhere, with its NOTIFIERs") {
  announce();
  (void)asked<notify_pending>();
  answer(page({1}));
  (void)asked<notify_fetch>();
  answer(delivery(1));
  (void)asked<notify_wait>();

  std::exchange(asking, {})(fail(errc::cancelled, "it ended here"));
  drain();

  CHECK(end_of(crew));
  answer_sink(verdict::delivered); // nobody hears it
  CHECK(host.take<service_says>().empty());
}
