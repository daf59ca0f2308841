#include "actors/delivery_desk.hpp"
#include "actors/membership_actor.hpp"
#include "actors/placer.hpp"
#include "core/codec.hpp"
#include "tests/support/actor_fixture.hpp"
#include "tests/support/recording_hub.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace framemill::test;
using namespace std::chrono_literals;

namespace {

const std::string sink = "http://h:80";
const service_id share = notifier_of(sink);

/// A PLACER whose sink was told by w1 when its former life ended, between inboxes; w2
/// may tell it too. One delivery is pending.
struct desk : test_services, virtual_actors {
  explicit desk(durability d = durability::at_once) : test_services(d) {
    shared.config.events.notifiers = "any";
    changes c;
    for (std::uint64_t i = 1; i <= notifier_shares; ++i)
      c.services.push_back({{notifier_kind, std::to_string(i)}, "w1", 3, {}, "as ever"});
    c.deliveries.push_back(delivery(7));
    keep(std::move(c));
    shared.notices.board.pending(sink, 1, {});
    shared.notices.keys.set({{"k1", "secret", {1}}});
    placer = system.spawn(placer_actor, &shared, coordinator.handle, membership.handle);
    drain();
    members.services = &shared;
    auto recording = std::make_unique<recording_hub>();
    recorded = recording.get();
    members.hub = std::move(recording);
    members.nodes["w1"].connection = 1;
    members.nodes["w2"].connection = 2;
    membership.forget();
    knows("w1");
    knows("w2");
    (void)answers();
  }
  ~desk() { kill(placer); }

  static delivery_record delivery(std::uint64_t event) {
    delivery_record d;
    d.sink = sink;
    d.event = {event};
    d.run = {1};
    d.body = "{}";
    d.config = notify_config{"URL", "Change", "http://h/a"};
    d.since = d.next_try = {5};
    return d;
  }
  void knows(const std::string& name, node_standing standing = node_standing::open,
             std::string ended = {}) {
    node_placeable m;
    m.node.name = name;
    m.node.standing = standing;
    m.node.kinds = {notifier_kind};
    m.ended = std::move(ended);
    tell(placer, std::move(m));
  }
  void says(const std::string& node, std::uint64_t epoch, std::uint64_t number,
            const notify_word& word) {
    tell(placer, node_says{node, {share, epoch, number, encode(word)}});
  }
  static notify_outcome outcome(delivery_end what, std::uint32_t tried = 0) {
    return {sink, {7}, {5}, tried, what, 10s, what == delivery_end::delivered ? "" : "why"};
  }
  /// What left for the nodes since the last look.
  template <class Word>
  std::vector<std::pair<connection_key, Word>> sent() {
    drain();
    for (const auto& call : membership.take<membership_call>())
      (*call.call)(members);
    std::vector<std::pair<connection_key, Word>> out;
    for (auto& [to, body] : std::exchange(recorded->sent, {}))
      if (auto* word = std::get_if<Word>(&body))
        out.emplace_back(to, std::move(*word));
    return out;
  }
  std::vector<notify_answer> answers() {
    std::vector<notify_answer> out;
    for (const auto& [to, a] : sent<service_answer>())
      out.push_back(*decode<notify_answer>(a.payload));
    return out;
  }
  template <class Wanted>
  Wanted answer() {
    auto all = answers();
    REQUIRE(all.size() == 1);
    REQUIRE(std::holds_alternative<Wanted>(all[0]));
    return std::get<Wanted>(all[0]);
  }
  std::optional<delivery_record> kept(delivery_state s = delivery_state::pending) const {
    return find<delivery_record>(family::deliveries, keys::delivery(s, sink, {7}));
  }

  inbox coordinator{system}, membership{system};
  membership_state members;
  recording_hub* recorded = nullptr;
  caf::actor placer;
};

struct slow_desk : desk {
  slow_desk() : desk(durability::when_told) {}
};

} // namespace

TEST_CASE_FIXTURE(
    desk, "notify_desk: what is pending is read and fetched, with the keys that sign it") {
  says("w1", 3, 101, notify_pending{sink, {}});
  auto page = answer<notify_page>();
  REQUIRE(page.pending.size() == 1);
  CHECK(page.pending[0].event == event_id{7});
  CHECK(page.pending[0].lane == "/a");
  CHECK(page.pending[0].wait < 0s); // long due
  CHECK(page.is_last);
  says("w1", 3, 102, notify_pending{sink, {7}});
  CHECK(answer<notify_page>().pending.empty());

  says("w1", 3, 103, notify_fetch{sink, {7}});
  auto fetched = answer<notify_delivery>();
  CHECK(fetched.delivery == delivery(7));
  REQUIRE(fetched.keys.size() == 1);
  CHECK(fetched.keys[0].secret == "secret");
  says("w1", 3, 104, notify_fetch{sink, {8}});
  CHECK_FALSE(answer<notify_delivery>().delivery);
}

TEST_CASE_FIXTURE(slow_desk,
                  "notify_desk: an outcome is booked once, then answered, and each copy too") {
  says("w1", 3, 101, outcome(delivery_end::dead));
  says("w1", 3, 101, outcome(delivery_end::dead));
  CHECK(answers().empty());

  store->sync();
  CHECK(answer<notify_booked>().is_booked);
  CHECK_FALSE(kept());
  CHECK(kept(delivery_state::dead)->last_error == "why");
  says("w1", 3, 101, outcome(delivery_end::dead)); // its answer was lost
  CHECK(answer<notify_booked>().is_booked);

  auto deaths = records_below<event_record>(*store, family::events, "");
  REQUIRE(deaths);
  CHECK(std::ranges::count(*deaths, "delivery.dead", &event_record::type) == 1);
  CHECK(shared.notices.board.all()[0].dead == 1);
}

TEST_CASE_FIXTURE(desk, "notify_desk: a try that failed is booked by the coordinator's clock") {
  auto before = shared.clock.now();
  says("w1", 3, 101, outcome(delivery_end::again));

  CHECK(answer<notify_booked>().is_booked);
  CHECK(kept()->attempts == 1);
  CHECK(kept()->next_try - before >= 10s);
  says("w1", 3, 102, outcome(delivery_end::delivered)); // of the try before that one
  CHECK_FALSE(answer<notify_booked>().is_booked);
  CHECK(kept());
  says("w1", 3, 103, outcome(delivery_end::delivered, 1));
  CHECK(answer<notify_booked>().is_booked);
  CHECK_FALSE(kept());
}

TEST_CASE_FIXTURE(desk, "notify_desk: a former host settles nothing, and is given nothing") {
  knows("w1", node_standing::away, "nothing was heard of it");
  auto hosts = sent<host_service>();
  REQUIRE(hosts.size() == notifier_shares);
  CHECK(hosts[0].first == 2);
  CHECK(hosts[0].second.epoch == 4);

  says("w1", 3, 101, outcome(delivery_end::delivered));
  says("w1", 4, 102, outcome(delivery_end::delivered));
  says("w2", 3, 103, notify_fetch{sink, {7}});

  CHECK(sent<end_service>().size() == 3);
  CHECK(kept());
  says("w2", 4, 104, outcome(delivery_end::delivered));
  CHECK(answer<notify_booked>().is_booked);
  CHECK_FALSE(kept());
}

TEST_CASE_FIXTURE(desk, "notify_desk: a crew speaks for the sinks of its share alone") {
  auto other = sink;
  while (notifier_of(other) == share)
    other += '0';
  says("w1", 3, 101, notify_pending{other, {}});
  CHECK(answers().empty());
}

TEST_CASE_FIXTURE(
    desk, "notify_desk: a crew hears what was announced, once, and anew after a restart") {
  auto& board = shared.notices.board;
  says("w1", 3, 101, notify_wait{});
  auto news = answer<notify_news>();
  CHECK(news.sinks.empty()); // the OUTBOX has announced nothing yet
  says("w1", 3, 102, notify_wait{news.life, news.number});
  CHECK(answers().empty());

  board.announce(sink, false);
  news = answer<notify_news>();
  CHECK(news.sinks == std::vector<notify_news::item>{{sink, false}});
  says("w1", 3, 103, notify_wait{news.life, news.number - 1}); // the answer was lost
  CHECK(answer<notify_news>().sinks.size() == 1);
  says("w1", 3, 104, notify_wait{news.life, news.number});
  CHECK(answers().empty());
  board.announce(sink, true);
  CHECK(answer<notify_news>().sinks == std::vector<notify_news::item>{{sink, true}});

  says("w1", 3, 105, notify_wait{news.life + 1, 1'000'000}); // of another life
  CHECK(answer<notify_news>().sinks == std::vector<notify_news::item>{{sink, true}});
}

TEST_CASE_FIXTURE(slow_desk,
                  "notify_desk: what the store refuses is told again, and booked then") {
  store->fail_next(1, {errc::no_space, "disk full", {}});
  says("w1", 3, 101, outcome(delivery_end::delivered));
  store->sync();
  CHECK(answers().empty());
  CHECK(kept());

  says("w1", 3, 101, outcome(delivery_end::delivered));
  store->sync();
  CHECK(answer<notify_booked>().is_booked);
  CHECK_FALSE(kept());
}

TEST_CASE_FIXTURE(slow_desk,
                  "notify_desk: what is too long to travel is a dead letter that says so") {
  changes c;
  c.deliveries.push_back(delivery(7));
  c.deliveries[0].body.assign(told_body_bytes_max + 1, ' ');
  keep(std::move(c));

  says("w1", 3, 101, notify_fetch{sink, {7}});
  store->sync();

  CHECK_FALSE(answer<notify_delivery>().delivery);
  CHECK_FALSE(kept());
  CHECK(kept(delivery_state::dead)->last_error.find("[events] notifiers") != std::string::npos);
}
