#include "cluster/membership.hpp"
#include "core/limits.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace framemill;
using namespace std::chrono_literals;

namespace {

const std::string key_a(40, 'a');
const std::string key_b(40, 'b');
const std::string hash(64, '7');
const std::string wrong_hash(64, '8');

timestamp at(std::chrono::milliseconds since) {
  return timestamp{1'700'000'000'000'000} + since;
}

node_record known_node(const std::string& name, const std::string& key) {
  node_record n;
  n.name = name;
  n.public_key = key;
  n.enrolled = at(0ms);
  return n;
}

join_token_record token(std::int32_t uses = 1, std::chrono::milliseconds lasts = 60s) {
  return {"t1", hash, uses, at(lasts)};
}

node_facts facts() {
  node_facts f;
  f.version = "1";
  f.cores = 8;
  f.slots = 4;
  return f;
}

/// n1 belongs to key_a, n2 to key_b.
membership two_nodes(membership::options o = {}) {
  return {{known_node("n1", key_a), known_node("n2", key_b)}, {}, o};
}

membership::step come(membership& m, timestamp now, connection_key c,
                      const std::string& boot = "boot-1") {
  return m.hello(now, c, key_a, "n1", boot, facts());
}

template <class T>
std::vector<T> all(const membership::step& s) {
  std::vector<T> found;
  for (const auto& a : s.actions)
    if (const auto* x = std::get_if<T>(&a))
      found.push_back(*x);
  return found;
}

template <class T>
bool has(const membership::step& s) {
  return !all<T>(s).empty();
}

std::vector<std::string> types(const membership::step& s) {
  std::vector<std::string> out;
  for (const auto& e : s.record.events)
    out.push_back(e.type);
  return out;
}

bool is_empty(const membership::step& s) {
  return s.actions.empty() && s.record.events.empty() && s.record.nodes.empty()
         && s.record.join_tokens.empty() && s.record.erased_join_tokens.empty();
}

membership::view seen(const membership& m, const std::string& name = "n1") {
  for (auto& v : m.nodes())
    if (v.record.name == name)
      return v;
  FAIL("no such node");
  return {};
}

/// Ticks every 100 ms up to `until`, with n1 heard of on `c` unless 0.
membership::step pass(membership& m, timestamp from, timestamp until, connection_key c = 0) {
  membership::step sum;
  for (auto now = from; now <= until; now = now + 100ms) {
    if (c != 0)
      m.heard(now, c);
    auto step = m.tick(now);
    for (auto& a : step.actions)
      sum.actions.push_back(std::move(a));
    for (auto& e : step.record.events)
      sum.record.events.push_back(std::move(e));
  }
  return sum;
}

void done(const membership::step&) {} ///< of steps that only prepare

using strings = std::vector<std::string>;

} // namespace

TEST_CASE("membership: a token enrols a key, once, and is forgotten") {
  membership m{{}, {}, {}};
  CHECK(m.add_token(at(0ms), token()).record.join_tokens.size() == 1);

  auto first = m.enrol(at(1s), "t1", hash, "n1", key_a);

  REQUIRE(first);
  REQUIRE(first->record.nodes.size() == 1);
  CHECK(first->record.nodes[0].public_key == key_a);
  CHECK(first->record.erased_join_tokens == strings{"t1"});
  CHECK(types(*first) == strings{"node.enrolled"});
  CHECK(m.admitted_keys() == strings{key_a});
  auto second = m.enrol(at(2s), "t1", hash, "n2", key_b);
  REQUIRE(!second);
  CHECK(second.error().code == errc::unauthorized);
}

TEST_CASE("membership: a counted token admits as many nodes as it says") {
  membership m{{}, {token(2)}, {}};

  auto first = m.enrol(at(1s), "t1", hash, "n1", key_a);
  auto second = m.enrol(at(1s), "t1", hash, "n2", key_b);
  auto third = m.enrol(at(1s), "t1", hash, "n3", std::string(40, 'c'));

  REQUIRE(first);
  REQUIRE(first->record.join_tokens.size() == 1);
  CHECK(first->record.join_tokens[0].uses_left == 1);
  CHECK(second);
  CHECK(!third);
}

TEST_CASE("membership: a bad token is refused with one sentence, whatever is wrong with it") {
  membership m{{known_node("n2", key_b)}, {token(1, 10s)}, {}};

  auto unknown = m.enrol(at(1s), "t9", hash, "n1", key_a);
  auto wrong = m.enrol(at(1s), "t1", wrong_hash, "n1", key_a);
  auto late = m.enrol(at(10s), "t1", hash, "n1", key_a);
  auto empty = m.enrol(at(1s), "t1", "", "n1", key_a);
  auto zeros = m.enrol(at(1s), "t9", std::string(64, '0'), "n1", key_a);
  auto taken = m.enrol(at(1s), "t9", hash, "n2", key_a);
  auto badly_named = m.enrol(at(1s), "t9", hash, "../n", key_a);

  REQUIRE(!unknown);
  CHECK(unknown.error().code == errc::unauthorized);
  for (const auto& other : {wrong, late, empty, zeros, taken, badly_named}) {
    REQUIRE(!other);
    CHECK(other.error() == unknown.error());
  }
  CHECK(m.enrol(at(1s), "t1", hash, "n1", key_a)); // none of it used anything up
}

TEST_CASE("membership: the same key enrols its name again without using anything up") {
  membership m{{}, {token()}, {}};
  REQUIRE(m.enrol(at(1s), "t1", hash, "n1", key_a));

  auto again = m.enrol(at(2s), "t1", hash, "n1", key_a); // its answer was lost

  REQUIRE(again);
  CHECK(is_empty(*again));
}

TEST_CASE("membership: a name belongs to one key, and a key to one name") {
  membership m{{known_node("n1", key_a)}, {token(5)}, {}};

  auto other_key = m.enrol(at(1s), "t1", hash, "n1", key_b);
  auto other_name = m.enrol(at(1s), "t1", hash, "n2", key_a);

  REQUIRE(!other_key);
  CHECK(other_key.error().code == errc::already_exists);
  REQUIRE(!other_name);
  CHECK(other_name.error().code == errc::already_exists);
}

TEST_CASE("membership: the name of the coordinator's own machine is nobody else's") {
  membership m{{known_node("n1", key_a)}, {token()}, {.coordinator = "n1"}};

  auto enrolled = m.enrol(at(1s), "t1", hash, "n1", key_b);
  REQUIRE_FALSE(enrolled);
  CHECK(enrolled.error().code == errc::already_exists);
  auto refused = all<refuse_connection>(come(m, at(1s), 1)); // enrolled when it was not yet
  REQUIRE(refused.size() == 1);
  CHECK(refused[0].final);
  CHECK(refused[0].reason.find("coordinator's own machine") != std::string::npos);
}

TEST_CASE("membership: the coordinator's own machine is up, and an operator's word is kept") {
  const membership::options here{.coordinator = "here", .own = facts()};
  membership m{{known_node("n1", key_a)}, {}, here};
  (void)m.tick(at(0ms));
  (void)m.load(at(0ms), "here", 2);
  CHECK(m.takes_work("here"));
  CHECK(m.admitted_keys() == std::vector{key_a});

  auto drained = m.set_mode(at(1s), "here", node_mode::draining, "dust", at(2s));
  REQUIRE(drained);
  CHECK(all<node_changed>(*drained).size() == 1);
  CHECK(m.why_no_work("here") == "it is draining: dust");
  CHECK(all<stop_all_of>(m.tick(at(3s))).size() == 1);
  CHECK(all<stop_all_of>(m.tick(at(3s))).size() == 1); // a slot may hear of its work late
  CHECK(all<node_gone>(m.tick(at(3600s))).empty()); // it is never silent
  auto idle = m.load(at(3600s), "here", 0);
  REQUIRE(idle.record.events.size() == 1);
  CHECK(idle.record.events[0].type == "node.drained");

  membership again{drained->record.nodes, {}, here};
  CHECK(again.why_no_work("here") == "it is draining: dust");
  REQUIRE(again.set_mode(at(3601s), "here", node_mode::active, "", {}));
  REQUIRE(again.set_labels(at(3601s), "here", {{"gpu", "1"}}));
  CHECK(again.takes_work("here"));
  CHECK(again.nodes().at(0).record.labels.size() == 1);
}

TEST_CASE("membership: the coordinator's own machine cannot be removed, nor taken by another") {
  membership m{{}, {token()}, {.coordinator = "here", .own = facts()}};

  auto removed = m.remove(at(0ms), "here");
  REQUIRE_FALSE(removed);
  CHECK(removed.error().code == errc::unsupported);
  CHECK(removed.error().field == "Name");
  CHECK_FALSE(m.enrol(at(0ms), "t1", hash, "here", key_a));
  CHECK(all<refuse_connection>(m.hello(at(0ms), 1, "", "here", "boot", facts())).size() == 1);
}

TEST_CASE("membership: a node that had the name of what is an own machine now is forgotten") {
  auto removed = known_node("here", key_a);
  removed.mode = node_mode::removed;
  for (const auto& former : {known_node("here", key_a), removed}) {
    membership m{{former}, {token()}, {.coordinator = "here", .own = facts()}};
    CHECK(m.is_own("here"));
    CHECK(m.takes_work("here"));
    CHECK(m.admitted_keys().empty());
    CHECK(m.enrol(at(0ms), "t1", hash, "there", key_a)); // under another name
  }
}

TEST_CASE("membership: a node that is removed while it is away is gone for all") {
  auto m = two_nodes();
  auto removed = m.remove(at(0ms), "n1");
  REQUIRE(removed);
  CHECK(all<node_gone>(*removed).size() == 1);
  (void)m.hello(at(0ms), 2, key_b, "n2", "boot", facts());
  removed = m.remove(at(1ms), "n2");
  REQUIRE(removed);
  CHECK(all<node_gone>(*removed).size() == 1);
}

TEST_CASE("membership: what was an own machine is known no more under another name") {
  membership m{{known_node("here", "")}, {}, {.coordinator = "there", .own = facts()}};
  CHECK(m.find("here") == nullptr);
  CHECK(m.nodes().size() == 1);
  membership idle{{known_node("here", "")}, {}, {.coordinator = "here"}};
  CHECK(idle.nodes().empty());
}

TEST_CASE("membership: a coordinator's machine that does not work has no mode, and says why") {
  membership m{{}, {}, {.coordinator = "here"}};

  auto own = m.set_mode(at(0ms), "here", node_mode::cordoned, "", {});
  auto unknown = m.set_labels(at(0ms), "nobody", {});

  REQUIRE_FALSE(own);
  CHECK(own.error().code == errc::unsupported);
  CHECK(own.error().field == "Name");
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().code == errc::not_found);
  CHECK(unknown.error().field == "Name");
}

TEST_CASE("membership: names are short and plain") {
  membership m{{}, {token(100)}, {}};

  for (const auto& bad : {std::string{}, std::string{"."}, std::string{".."}, std::string{"-x"},
                          std::string{"a/b"}, std::string{"a b"}, std::string{"n\n"},
                          std::string{"é"}, std::string(64, 'n'), std::string{"a\0b", 3}}) {
    CAPTURE(bad);
    auto r = m.enrol(at(1s), "t1", hash, bad, key_a);
    REQUIRE(!r);
    CHECK(r.error().code == errc::invalid_argument);
  }
  CHECK(check_node_name(std::string(63, 'n')));
  CHECK(check_node_name("Node-7.rack_2"));
}

TEST_CASE("membership: stale tokens are forgotten with the next change") {
  membership m{{}, {token(1, 1s)}, {}};

  auto step = m.add_token(at(2s), {"t2", hash, 1, at(60s)});

  CHECK(step.record.erased_join_tokens == strings{"t1"});
  REQUIRE(step.record.join_tokens.size() == 1);
  CHECK(step.record.join_tokens[0].id == "t2");
}

TEST_CASE("membership: a token made again under the id of a stale one is kept") {
  membership m{{}, {token(1, 1s)}, {}};

  auto step = m.add_token(at(2s), {"t1", hash, 1, at(60s)});

  CHECK(step.record.erased_join_tokens.empty());
  CHECK(m.enrol(at(3s), "t1", hash, "n1", key_a));
}

TEST_CASE("membership: a removed node is refused until a token enrols it anew") {
  auto m = two_nodes();
  come(m, at(0ms), 1);

  auto removed = m.remove(at(1s), "n1");

  REQUIRE(removed);
  CHECK(types(*removed) == strings{"node.lost", "node.removed"});
  REQUIRE(removed->record.nodes.size() == 1);
  CHECK(removed->record.nodes[0].mode == node_mode::removed);
  CHECK(has<node_gone>(*removed));
  REQUIRE(all<refuse_connection>(*removed).size() == 1);
  CHECK(all<refuse_connection>(*removed)[0].final);
  CHECK(m.admitted_keys() == strings{key_b});
  CHECK(m.find("n1") == nullptr);
  CHECK(m.nodes().size() == 1);
  CHECK(!m.heard(at(1s), 1));
  auto again = come(m, at(2s), 2);
  REQUIRE(all<refuse_connection>(again).size() == 1);
  CHECK(all<refuse_connection>(again)[0].reason.find("removed") != std::string::npos);
  CHECK(m.enrol(at(3s), "t1", hash, "n1", key_a).error().code == errc::unauthorized);
  CHECK(m.remove(at(3s), "n1").error().code == errc::not_found);

  done(m.add_token(at(4s), token(2)));
  REQUIRE(m.enrol(at(5s), "t1", hash, "n1", std::string(40, 'c')));
  CHECK(m.find("n1")->public_key == std::string(40, 'c'));
  CHECK(has<refuse_connection>(come(m, at(6s), 3))); // the old key is nobody's now
  CHECK(m.enrol(at(6s), "t1", hash, "n1b", key_a));
}

TEST_CASE("membership: a removed node comes back under its old key by a token") {
  auto m = two_nodes();
  REQUIRE(m.remove(at(0ms), "n1"));
  done(m.add_token(at(0ms), token()));

  REQUIRE(m.enrol(at(1s), "t1", hash, "n1", key_a));

  CHECK(has<node_came>(come(m, at(2s), 1)));
}

TEST_CASE("membership: a node that says hello has come") {
  auto m = two_nodes();

  auto step = come(m, at(0ms), 1);

  REQUIRE(all<node_came>(step).size() == 1);
  CHECK(all<node_came>(step)[0].connection == 1);
  CHECK(types(step) == strings{"node.joined"});
  CHECK(step.record.events[0].node == "n1");
  CHECK(!step.record.events[0].message.empty());
  REQUIRE(step.record.nodes.size() == 1);
  CHECK(step.record.nodes[0].facts.slots == 4);
  CHECK(step.record.nodes[0].last_seen == at(0ms));
  CHECK(seen(m).presence == node_presence::up);
  CHECK(m.name_of(1) == "n1");
  CHECK(m.takes_work("n1"));
  CHECK(m.why_no_work("n1").empty());
  CHECK(!m.takes_work("n2"));
  CHECK(m.why_no_work("n2") == "it is away");
  CHECK(m.why_no_work("n9") == "no node has that name");
  CHECK(seen(m, "n2").presence == node_presence::away);
}

TEST_CASE("membership: a hello that cannot be believed is refused for good") {
  auto m = two_nodes();
  auto too_many = facts();
  too_many.slots = limits::node_slots_max + 1;
  auto negative = facts();
  negative.slots = -1;
  auto huge = facts();
  huge.warnings.assign(1000, std::string(1000, 'w'));

  const membership::step refused[] = {
      m.hello(at(0ms), 1, std::string(40, 'x'), "n1", "b", facts()), // unknown key
      m.hello(at(0ms), 2, key_a, "n2", "b", facts()),                // another's name
      m.hello(at(0ms), 3, key_a, "n1", "", facts()),
      m.hello(at(0ms), 4, key_a, "n1", std::string(1000, 'b'), facts()),
      m.hello(at(0ms), 5, key_a, "n1", "b", too_many),
      m.hello(at(0ms), 6, key_a, "n1", "b", negative),
      m.hello(at(0ms), 7, key_a, "n1", "b", huge)};

  for (const auto& step : refused) {
    REQUIRE(step.actions.size() == 1);
    REQUIRE(has<refuse_connection>(step));
    CHECK(all<refuse_connection>(step)[0].final);
    CHECK(!all<refuse_connection>(step)[0].reason.empty());
    CHECK(step.record.nodes.empty());
  }
  for (connection_key c = 1; c <= 7; ++c)
    CHECK(!m.heard(at(0ms), c));
}

TEST_CASE("membership: a broken connection is suspect, and the same life comes back") {
  auto m = two_nodes();
  come(m, at(0ms), 1);
  done(m.load(at(0ms), "n1", 3));

  auto cut = m.disconnected(at(1s), 1);
  CHECK(cut.actions.size() == 1);
  CHECK(has<node_changed>(cut));
  CHECK(cut.record.nodes.empty());
  CHECK(seen(m).presence == node_presence::suspect);
  CHECK(!m.takes_work("n1"));
  auto back = come(m, at(1400ms), 2);

  CHECK(has<node_returned>(back));
  CHECK(has<node_changed>(back));
  CHECK(!has<node_came>(back));
  CHECK(!has<node_gone>(back));
  CHECK(types(back) == strings{"node.returned"});
  CHECK(seen(m).presence == node_presence::up);
  CHECK(seen(m).busy == 3);
  CHECK(!has<node_gone>(pass(m, at(1500ms), at(9s), 2)));
}

TEST_CASE("membership: a suspect that does not come back in its grace is gone") {
  auto m = two_nodes();
  come(m, at(0ms), 1);
  done(m.tick(at(900ms)));
  done(m.disconnected(at(1s), 1));

  CHECK(is_empty(m.tick(at(1499ms))));
  auto gone = m.tick(at(1500ms));

  CHECK(has<node_gone>(gone));
  CHECK(!has<refuse_connection>(gone));
  CHECK(types(gone) == strings{"node.lost"});
  CHECK(seen(m).presence == node_presence::away);
  auto again = come(m, at(2s), 2); // the same process: its leases have moved on
  CHECK(has<node_came>(again));
}

TEST_CASE("membership: a suspect that comes back in a new life is gone and has come") {
  auto m = two_nodes();
  come(m, at(0ms), 1);
  done(m.disconnected(at(1s), 1));

  auto step = come(m, at(1200ms), 2, "boot-2");

  REQUIRE(step.actions.size() == 2);
  CHECK(std::holds_alternative<node_gone>(step.actions[0]));
  CHECK(std::holds_alternative<node_came>(step.actions[1]));
  CHECK(types(step) == strings{"node.lost", "node.joined"});
  CHECK(step.record.nodes.size() == 1);
}

TEST_CASE("membership: the newest of two connections of one life counts") {
  auto m = two_nodes();
  come(m, at(0ms), 1);

  auto step = come(m, at(1s), 2);

  REQUIRE(all<refuse_connection>(step).size() == 1);
  CHECK(all<refuse_connection>(step)[0].connection == 1);
  CHECK(!all<refuse_connection>(step)[0].final);
  CHECK(has<node_returned>(step));
  CHECK(!m.heard(at(1s), 1));
  CHECK(m.heard(at(1s), 2));
  CHECK(is_empty(m.disconnected(at(1100ms), 1))); // the late end of the old one
  CHECK(seen(m).presence == node_presence::up);
}

TEST_CASE("membership: a hello said twice on one connection is answered twice, booked once") {
  auto m = two_nodes();
  come(m, at(0ms), 1);

  auto step = come(m, at(1ms), 1);

  CHECK(step.actions.size() == 1);
  CHECK(has<node_returned>(step));
  CHECK(step.record.nodes.empty());
  CHECK(step.record.events.empty());
}

TEST_CASE("membership: a new life while the old one looks alive ends the old one") {
  auto m = two_nodes();
  come(m, at(0ms), 1);

  auto step = come(m, at(1s), 2, "boot-2");

  REQUIRE(step.actions.size() == 3);
  CHECK(std::holds_alternative<node_gone>(step.actions[0]));
  CHECK(all<refuse_connection>(step)[0].connection == 1);
  CHECK(std::holds_alternative<node_came>(step.actions[2]));
  CHECK(!m.heard(at(1s), 1));
  CHECK(m.heard(at(1s), 2));
}

TEST_CASE("membership: two copies of one data directory do not throw each other out for ever") {
  auto m = two_nodes();
  come(m, at(0ms), 1, "original");
  come(m, at(1s), 2, "copy");

  auto again = come(m, at(2s), 3, "original");

  REQUIRE(again.actions.size() == 1);
  CHECK(all<refuse_connection>(again)[0].connection == 3);
  CHECK(!all<refuse_connection>(again)[0].final);
  CHECK(m.heard(at(2s), 2));
  done(m.disconnected(at(3s), 2)); // the successor looks dead: whoever comes is taken
  CHECK(has<node_came>(come(m, at(3100ms), 4, "original")));
}

TEST_CASE("membership: the end of a connection that never said hello means nothing") {
  auto m = two_nodes();
  come(m, at(0ms), 1);

  CHECK(is_empty(m.disconnected(at(1s), 77)));
  CHECK(is_empty(m.left(at(1s), 77)));
  CHECK(!m.heard(at(1s), 77));
  CHECK(seen(m).presence == node_presence::up);
}

TEST_CASE("membership: silence on a connection that looks whole ends the life") {
  auto m = two_nodes();
  come(m, at(0ms), 1);

  CHECK(!has<node_gone>(pass(m, at(100ms), at(3000ms))));
  auto gone = m.tick(at(3100ms));

  CHECK(has<node_gone>(gone));
  REQUIRE(all<refuse_connection>(gone).size() == 1);
  CHECK(!all<refuse_connection>(gone)[0].final);
  REQUIRE(gone.record.nodes.size() == 1);
  CHECK(gone.record.nodes[0].last_seen == at(0ms));
  CHECK(!m.heard(at(3200ms), 1));
}

TEST_CASE("membership: a coordinator that stood still does not blame its nodes") {
  auto m = two_nodes();
  come(m, at(0ms), 1);
  done(m.hello(at(0ms), 2, key_b, "n2", "boot", facts()));
  pass(m, at(100ms), at(1s), 1); // n2 is silent since 0
  done(m.disconnected(at(1s), 1));

  auto woken = m.tick(at(61s));

  CHECK(!has<node_gone>(woken));
  CHECK(seen(m).presence == node_presence::suspect);
  CHECK(seen(m, "n2").presence == node_presence::up);
  CHECK(all<node_gone>(pass(m, at(61'100ms), at(61'600ms))).size() == 1); // n1: a grace anew
  auto later = pass(m, at(61'700ms), at(64s)); // n2: the silence before counts, the sleep not
  REQUIRE(all<node_gone>(later).size() == 1);
  CHECK(all<node_gone>(later)[0].name == "n2");
}

TEST_CASE("membership: a word heard between waking and the tick is not counted twice") {
  auto m = two_nodes();
  come(m, at(0ms), 1);
  done(m.tick(at(100ms)));
  m.heard(at(60s), 1);

  done(m.tick(at(60s)));

  CHECK(seen(m).last_heard == at(60s));
  CHECK(!has<node_gone>(pass(m, at(60'100ms), at(63s))));
  CHECK(has<node_gone>(m.tick(at(63'100ms))));
}

TEST_CASE("membership: a clock that steps back makes nobody immortal, and kills nobody") {
  auto m = two_nodes();
  come(m, at(1h), 1);
  done(m.tick(at(1h)));
  done(m.hello(at(1h), 2, key_b, "n2", "boot", facts()));
  done(m.disconnected(at(1h), 2));

  auto back = m.tick(at(0ms));

  CHECK(!has<node_gone>(back));
  auto gone = pass(m, at(100ms), at(600ms), 1);
  REQUIRE(all<node_gone>(gone).size() == 1);
  CHECK(all<node_gone>(gone)[0].name == "n2");
  CHECK(!has<node_gone>(pass(m, at(700ms), at(3600ms))));
  CHECK(has<node_gone>(m.tick(at(3700ms))));
}

TEST_CASE("membership: a node that leaves takes no more work, and ends with its connection") {
  auto m = two_nodes();
  come(m, at(0ms), 1);

  auto leaving = m.left(at(1s), 1);

  CHECK(has<node_changed>(leaving));
  CHECK(!has<node_gone>(leaving)); // its last outcomes are noted first
  CHECK(!has<refuse_connection>(leaving));
  CHECK(is_empty(m.left(at(1s), 1))); // said again
  CHECK(seen(m).leaving);
  CHECK(m.why_no_work("n1") == "it is stopping");
  auto gone = m.disconnected(at(2s), 1);
  CHECK(has<node_gone>(gone)); // without a grace
  CHECK(types(gone) == strings{"node.left"});
}

TEST_CASE("membership: a busy node that leaves and loses its connection has its grace") {
  auto m = two_nodes();
  come(m, at(0ms), 1);
  done(m.load(at(0ms), "n1", 1));
  done(m.left(at(1s), 1));

  CHECK(!has<node_gone>(m.disconnected(at(2s), 1)));
  CHECK(seen(m).presence == node_presence::suspect);
  auto lost = pass(m, at(2100ms), at(2600ms));

  CHECK(types(lost) == strings{"node.lost"});
}

TEST_CASE("membership: a node that comes again to leave is given no work") {
  auto m = two_nodes();
  auto say_hello = [&](timestamp now, connection_key c) {
    return m.hello(now, c, key_a, "n1", "boot-1", facts(), node_wish::leave);
  };

  CHECK(has<node_came>(say_hello(at(0ms), 1)));
  CHECK(m.why_no_work("n1") == "it is stopping");
  CHECK(has<node_gone>(m.disconnected(at(1s), 1)));

  come(m, at(2s), 2); // said hello before it was told to stop
  CHECK(m.takes_work("n1"));
  CHECK(has<node_returned>(say_hello(at(3s), 3)));
  CHECK(!m.takes_work("n1"));
}

TEST_CASE("membership: modes are kept, told and undone by an operator's word") {
  auto m = two_nodes();
  come(m, at(0ms), 1);

  auto step = m.set_mode(at(1s), "n1", node_mode::cordoned, "new fan", {});

  REQUIRE(step);
  CHECK(types(*step) == strings{"node.mode"});
  CHECK(step->record.events[0].state == "cordoned");
  CHECK(step->record.events[0].message == "node n1 is cordoned: new fan");
  CHECK(has<node_changed>(*step));
  CHECK(m.why_no_work("n1") == "it is cordoned: new fan");
  CHECK(is_empty(m.set_mode(at(2s), "n1", node_mode::cordoned, "new fan", {}).value()));
  membership restarted{step->record.nodes, {}, {}};
  come(restarted, at(3s), 9);
  CHECK(!restarted.takes_work("n1"));
  REQUIRE(restarted.set_mode(at(4s), "n1", node_mode::active, "", {}));
  CHECK(restarted.takes_work("n1"));
}

TEST_CASE("membership: what is not a mode of a node is refused") {
  auto m = two_nodes();

  CHECK(m.set_mode(at(0ms), "n9", node_mode::paused, "", {}).error().code == errc::not_found);
  CHECK(m.set_labels(at(0ms), "n9", {}).error().code == errc::not_found);
  CHECK(m.remove(at(0ms), "n9").error().code == errc::not_found);
  CHECK(m.set_mode(at(0ms), "n1", node_mode::removed, "", {}).error().code
        == errc::invalid_argument);
  CHECK(m.set_mode(at(0ms), "n1", node_mode::paused, "", at(1s)).error().code
        == errc::invalid_argument);
  CHECK(m.set_labels(at(0ms), "n1", {{"a b", "x"}}).error().code == errc::invalid_argument);
  CHECK(m.set_labels(at(0ms), "n1", {{"a", std::string(256, 'x')}}).error().code
        == errc::too_large);
}

TEST_CASE("membership: labels replace each other as a whole") {
  auto m = two_nodes();

  auto step = m.set_labels(at(0ms), "n1", {{"gpu", "no"}});

  REQUIRE(step);
  CHECK(has<node_changed>(*step));
  CHECK(m.find("n1")->labels == std::map<std::string, std::string>{{"gpu", "no"}});
  CHECK(is_empty(m.set_labels(at(1s), "n1", {{"gpu", "no"}}).value()));
}

TEST_CASE("membership: a draining node is drained when nothing runs") {
  auto m = two_nodes();
  come(m, at(0ms), 1);
  done(m.load(at(0ms), "n1", 2));

  REQUIRE(m.set_mode(at(1s), "n1", node_mode::draining, "", {}));

  CHECK(!seen(m).drained);
  CHECK(m.load(at(2s), "n1", 1).record.events.empty());
  CHECK(!seen(m).drained);
  CHECK(types(m.load(at(3s), "n1", 0)) == strings{"node.drained"});
  CHECK(m.load(at(3s), "n1", 0).record.events.empty());
  CHECK(seen(m).drained);
  CHECK(!has<stop_all_of>(pass(m, at(4s), at(60s), 1)));
}

TEST_CASE("membership: an idle node is drained at once, and stays so over restarts") {
  auto m = two_nodes();
  come(m, at(0ms), 1);

  auto step = m.set_mode(at(1s), "n1", node_mode::draining, "", at(9s));

  REQUIRE(step);
  CHECK(types(*step) == strings{"node.mode", "node.drained"});
  membership restarted{step->record.nodes, {}, {}};
  CHECK(seen(restarted).drained);
  CHECK(seen(restarted).record.drain_deadline == at(9s));
}

TEST_CASE("membership: what still runs at the drain deadline is stopped, once") {
  auto m = two_nodes();
  come(m, at(0ms), 1);
  done(m.load(at(0ms), "n1", 2));
  REQUIRE(m.set_mode(at(0ms), "n1", node_mode::draining, "", at(5s)));

  CHECK(!has<stop_all_of>(pass(m, at(100ms), at(4900ms), 1)));
  CHECK(all<stop_all_of>(pass(m, at(5s), at(9s), 1)).size() == 1);

  REQUIRE(m.set_mode(at(9s), "n1", node_mode::active, "", {}));
  CHECK(!has<stop_all_of>(pass(m, at(9s), at(12s), 1)));
  REQUIRE(m.set_mode(at(12s), "n1", node_mode::draining, "", at(13s)));
  CHECK(all<stop_all_of>(pass(m, at(12s), at(15s), 1)).size() == 1);
}

TEST_CASE("membership: a draining node that dies is drained") {
  auto m = two_nodes();
  come(m, at(0ms), 1);
  done(m.load(at(0ms), "n1", 2));
  REQUIRE(m.set_mode(at(0ms), "n1", node_mode::draining, "", {}));
  done(m.disconnected(at(1s), 1));

  auto gone = pass(m, at(1s), at(2s));

  CHECK(types(gone) == strings{"node.lost", "node.drained"});
  CHECK(seen(m).drained);
}

TEST_CASE("membership: the load of a node that is away means nothing") {
  auto m = two_nodes();

  CHECK(is_empty(m.load(at(0ms), "n1", 4)));
  CHECK(is_empty(m.load(at(0ms), "n9", 4)));
  come(m, at(1s), 1);
  CHECK(seen(m).busy == 0);
  done(m.load(at(1s), "n1", -3));
  CHECK(seen(m).busy == 0);
}

TEST_CASE("membership: doubt is lifted by trust, an operator's word is not") {
  auto m = two_nodes();
  come(m, at(0ms), 1);

  CHECK(has<node_changed>(m.doubt(at(1s), "n1", "3 inputs failed")));
  CHECK(seen(m).record.mode == node_mode::cordoned);
  CHECK(is_empty(m.doubt(at(1s), "n1", "3 inputs failed")));
  CHECK(has<node_changed>(m.doubt(at(1s), "n1", "self-test failed")));
  CHECK(seen(m).record.mode_reason == "self-test failed");
  CHECK(has<node_changed>(m.trust(at(2s), "n1")));
  CHECK(m.takes_work("n1"));

  done(m.doubt(at(3s), "n1", "3 inputs failed"));
  REQUIRE(m.set_mode(at(4s), "n1", node_mode::cordoned, "I look at it", {}));
  CHECK(is_empty(m.trust(at(5s), "n1")));
  CHECK(seen(m).record.mode == node_mode::cordoned);
  CHECK(is_empty(m.doubt(at(5s), "n1", "again")));
  CHECK(is_empty(m.doubt(at(5s), "n9", "who")));
}

TEST_CASE("membership: a life that fails its self-test is cordoned until one passes it") {
  auto m = two_nodes();
  auto sick = facts();
  sick.self_test = "frame 12 differs";

  auto step = m.hello(at(0ms), 1, key_a, "n1", "boot-1", sick);

  CHECK(types(step) == strings{"node.joined", "node.mode"});
  REQUIRE(step.record.nodes.size() == 1);
  CHECK(step.record.nodes[0].mode_reason == "self-test failed: frame 12 differs");
  CHECK(!m.takes_work("n1"));
  come(m, at(1s), 2, "boot-2");
  CHECK(m.takes_work("n1"));
  CHECK(seen(m).record.mode_reason.empty());
}

TEST_CASE("membership: what the store refused is written again as it is by then") {
  auto m = two_nodes();
  auto refused = m.set_mode(at(0ms), "n1", node_mode::draining, "", {}).value();
  (void)m.set_mode(at(1ms), "n1", node_mode::active, "", {}).value();
  auto booked = m.add_token(at(2ms), token());
  (void)m.enrol(at(3ms), "t1", hash, "n3", std::string(40, 'c')).value();

  auto modes = m.renewed(refused.record);
  auto tokens = m.renewed(booked.record);

  REQUIRE(modes.nodes.size() == 1);
  CHECK(modes.nodes[0].mode == node_mode::active);
  CHECK(tokens.join_tokens.empty());
  CHECK(tokens.erased_join_tokens == std::vector<std::string>{"t1"});
}
