#include "cluster/placement.hpp"

#include <doctest/doctest.h>

#include <random>

using namespace framemill;
using namespace std::chrono_literals;

namespace {

const service_id media{bucket_watcher_kind, "media"};

timestamp at(std::chrono::milliseconds since) {
  return timestamp{1'700'000'000'000'000} + since;
}

service_spec watcher(const std::string& bucket, const std::string& where) {
  service_spec s;
  s.id = {bucket_watcher_kind, bucket};
  s.bucket = bucket;
  s.payload = "how";
  s.wish = *parse_wish(where);
  return s;
}

placement_node node(const std::string& name, node_standing standing = node_standing::open) {
  placement_node n;
  n.name = name;
  n.is_here = name == "here";
  n.standing = standing;
  n.why_not = standing == node_standing::open ? "" : fmt::format("it is {}", int(standing));
  n.kinds = {bucket_watcher_kind};
  n.buckets = {"media"};
  return n;
}

placement_node away(const std::string& name) {
  auto n = node(name, node_standing::away);
  n.why_not = "it is away";
  return n;
}

/// A placement between its nodes, and what was said to them.
struct stage {
  explicit stage(std::vector<service_record> records = {}) : core(std::move(records)) {}

  void take(placement::step step) {
    for (const auto& r : step.record.services)
      books[r.service] = r;
    for (const auto& id : step.record.erased_services)
      books.erase(id);
    for (const auto& e : step.record.events)
      events.push_back(e.message);
    for (const auto& a : step.actions)
      if (const auto* t = std::get_if<tell_host>(&a))
        told.push_back(
            fmt::format("{} hosts {}@{}", t->node, t->order.service.name, t->order.epoch));
      else if (const auto* e = std::get_if<tell_end>(&a))
        told.push_back(
            fmt::format("{} ends {}@{}", e->node, e->order.service.name, e->order.epoch));
  }
  void begin(const std::string& where) {
    take(core.node_known(now, node("here")));
    take(core.begin(now, {watcher("media", where)}));
  }
  void knows(const placement_node& n) { take(core.node_known(now, n)); }
  void confirms(const std::string& who, std::uint64_t epoch, const std::string& problem = {}) {
    take(core.node_hosts(now, who, {{media, epoch, problem}}));
  }
  void pass(std::chrono::milliseconds time) {
    for (const auto until = now + time; now < until;) {
      now = now + 500ms;
      take(core.tick(now));
    }
  }
  std::vector<std::string> said() { return std::exchange(told, {}); }
  const service_record& record() { return books[media]; }

  placement core;
  timestamp now = at(0ms);
  std::map<service_id, service_record> books;
  std::vector<std::string> events, told;
};

using words = std::vector<std::string>;

/// Watched by w1 for a while, with w2 beside it.
struct on_w1 : stage {
  explicit on_w1(const std::string& where = "any") {
    begin(where);
    knows(node("w1"));
    pass(6s);
    confirms("w1", record().epoch);
    knows(node("w2"));
    (void)said();
    REQUIRE(record().host == "w1");
  }
};

} // namespace

TEST_CASE("placement: a bucket is watched by the coordinator when nothing else is said") {
  stage s;
  s.begin("coordinator");
  s.knows(node("w1"));
  s.pass(60s);

  CHECK(s.record().host == "here");
  CHECK(s.record().epoch == 1);
  CHECK(s.events == words{"node here hosts bucket-watcher media: its first host"});
}

TEST_CASE("placement: a wish is a word or a node's name") {
  CHECK(parse_wish("coordinator")->where == service_wish::place::coordinator);
  CHECK(parse_wish("any")->where == service_wish::place::any);
  CHECK(parse_wish("w1")->node == "w1");
  CHECK_FALSE(parse_wish("").has_value());
  CHECK_FALSE(parse_wish("a node").has_value());
  for (auto text : {"coordinator", "any", "w1"})
    CHECK(to_text(*parse_wish(text)) == text);
}

TEST_CASE("placement: a service that may be anywhere leaves the coordinator for a node that "
          "stays") {
  stage s;
  s.begin("any");
  CHECK(s.said() == words{"here hosts media@1"});

  s.confirms("here", 1);
  s.knows(node("w1"));
  s.pass(4s);
  CHECK(s.said().empty());
  s.pass(2s);

  CHECK(s.said().front() == "here ends media@1");
  CHECK(s.record().host == "w1");
  CHECK(s.record().epoch == 2);
}

TEST_CASE("placement: a host is told again until it says that it has it") {
  stage s;
  s.begin("coordinator");
  (void)s.said();

  s.pass(2s);
  CHECK(s.said() == words{"here hosts media@1", "here hosts media@1"});
  s.confirms("here", 1);
  s.pass(10s);
  CHECK(s.said().empty());
  s.take(s.core.node_hosts(s.now, "here", {}));
  CHECK(s.said() == words{"here hosts media@1"}); // its SERVICE HOST began again
}

TEST_CASE("placement: a clock that is set back holds nothing up") {
  stage s;
  s.begin("any");
  s.knows(node("w1"));
  (void)s.said();
  s.now = s.now + microseconds{-3'600'000'000};

  s.pass(1s);
  CHECK(s.record().host == "w1");
  CHECK(s.said().back() == "w1 hosts media@2");
}

TEST_CASE_FIXTURE(on_w1, "placement: a service does not move for a node that is as good") {
  pass(60s);
  CHECK(record().host == "w1");
  CHECK(said().empty());
}

TEST_CASE_FIXTURE(on_w1, "placement: a service whose host is gone is placed elsewhere at once, "
                         "under a new epoch") {
  const auto epoch = record().epoch;
  take(core.node_ended(now, away("w1"), "nothing was heard of it"));

  CHECK(record().host == "w2");
  CHECK(record().epoch == epoch + 1);
  CHECK(record().reason == "node w1 is gone: nothing was heard of it");
  CHECK(said().back() == fmt::format("w2 hosts media@{}", epoch + 1));
  CHECK_FALSE(core.is_host("w1", media, epoch));
  CHECK_FALSE(core.is_host("w2", media, epoch));
  CHECK(core.is_host("w2", media, epoch + 1));
}

TEST_CASE_FIXTURE(on_w1, "placement: a former host that comes back is told to end") {
  const auto epoch = record().epoch;
  take(core.node_ended(now, away("w1"), "frozen"));
  (void)said();

  knows(node("w1"));
  confirms("w1", epoch);

  CHECK(said() == words{fmt::format("w1 ends media@{}", epoch)});
  CHECK(record().host == "w2");
}

TEST_CASE_FIXTURE(on_w1, "placement: a new life of the host is another placement") {
  const auto epoch = record().epoch;
  take(core.node_ended(now, node("w1"), "its daemon was started anew"));

  CHECK(record().epoch == epoch + 1);
  CHECK_FALSE(record().host.empty());
}

TEST_CASE_FIXTURE(on_w1, "placement: a connection that breaks for a moment moves nothing") {
  knows(node("w1", node_standing::keeping));
  pass(400ms);
  knows(node("w1"));
  CHECK(record().host == "w1");
  CHECK(said().empty());
}

TEST_CASE_FIXTURE(on_w1, "placement: draining, stopping and cordoned nodes are left, paused "
                         "ones are not") {
  knows(node("w1", node_standing::keeping)); // paused
  CHECK(record().host == "w1");
  SUBCASE("drained or stopping") { knows(node("w1", node_standing::closed)); }
  SUBCASE("cordoned") { knows(node("w1", node_standing::doubtful)); }
  CHECK(record().host == "w2");
}

TEST_CASE_FIXTURE(on_w1, "placement: a cordoned host is better than none, a draining one is "
                         "not") {
  knows(away("w2"));
  knows(away("here"));
  knows(node("w1", node_standing::doubtful));
  CHECK(record().host == "w1");

  knows(node("w1", node_standing::closed));
  CHECK(record().host.empty());
  CHECK(events.back().starts_with("no node hosts bucket-watcher media: node w1"));
  auto epoch = record().epoch;

  knows(node("w2"));
  CHECK(record().host == "w2");
  CHECK(record().epoch == epoch + 1);
}

TEST_CASE_FIXTURE(on_w1, "placement: who has not mounted the bucket does not watch it") {
  auto without = node("w1");
  without.buckets = {"other"};
  auto unable = node("w2");
  unable.kinds = {};
  knows(unable);
  knows(without);

  CHECK(record().host == "here");
  auto verdicts = core.verdicts(media);
  CHECK(verdicts["here"].empty());
  CHECK(verdicts["w1"] == "the directory of bucket media is not mounted there");
  CHECK(verdicts["w2"] == "it cannot host a bucket-watcher");
}

TEST_CASE_FIXTURE(on_w1,
                  "placement: a host that has had a problem for a while is relieved, for "
                  "a while") {
  confirms("w1", record().epoch, "the mount is gone");
  pass(4s);
  CHECK(record().host == "w1");
  pass(2s);
  CHECK(record().host == "w2");
  CHECK(record().reason == "node w1: the mount is gone");
  CHECK(core.services()[0].problem.empty());

  confirms("w2", record().epoch, "the mount is gone too");
  pass(10s);
  CHECK(record().host == "here"); // w1 is not tried again so soon
  confirms("here", record().epoch, "and here");
  pass(10s);
  CHECK(record().host == "here");
  pass(60s);
  CHECK(record().host == "w1");
}

TEST_CASE_FIXTURE(on_w1, "placement: a problem that passes moves nothing") {
  for (int i = 0; i < 5; ++i) {
    confirms("w1", record().epoch, "the mount is gone");
    pass(4s);
    confirms("w1", record().epoch);
    pass(4s);
  }
  CHECK(record().host == "w1");
}

TEST_CASE("placement: a service that is wanted on a node is elsewhere only while it must be") {
  on_w1 s{"w1"};
  s.take(s.core.node_ended(s.now, away("w1"), "killed"));
  CHECK(s.record().host == "w2");

  s.knows(node("w1"));
  s.pass(4s);
  s.knows(away("w1")); // it flaps
  s.knows(node("w1"));
  s.pass(4s);
  CHECK(s.record().host == "w2");
  s.pass(2s);
  CHECK(s.record().host == "w1");
  CHECK(s.record().reason == "it is wanted on w1");
}

TEST_CASE("placement: services are spread over those that could have them") {
  stage s;
  std::vector<service_spec> all;
  auto w1 = node("w1"), w2 = node("w2");
  for (int i = 0; i < 6; ++i) {
    all.push_back(watcher(fmt::format("b{}", i), "any"));
    w1.buckets.push_back(all.back().bucket);
    w2.buckets.push_back(all.back().bucket);
  }
  s.knows(w1);
  s.knows(w2);
  s.take(s.core.begin(s.now, all));

  std::map<std::string, int> load;
  for (const auto& v : s.core.services())
    ++load[v.record.host];
  CHECK(load["w1"] == 3);
  CHECK(load["w2"] == 3);
}

// ---- Lives of the coordinator ---------------------------------------------------------

TEST_CASE("placement: a restarted coordinator waits for the host, which keeps what it has") {
  stage s{{{media, "w1", 7, at(-60s), "as ever"}}};
  s.begin("any");
  s.knows(away("w1"));
  s.knows(node("w2"));
  s.pass(3s);
  CHECK(s.said().empty());

  s.knows(node("w1"));
  s.confirms("w1", 7);
  s.pass(20s);

  CHECK(s.said() == words{"w1 hosts media@7"}); // once: how it is done may be new
  CHECK(s.core.is_host("w1", media, 7));
  CHECK(s.books.empty());
  CHECK(s.events.empty());
}

TEST_CASE("placement: a host that does not come back in time is replaced") {
  stage s{{{media, "w1", 7, at(-60s), "as ever"}}};
  s.begin("any");
  s.knows(away("w1"));
  s.knows(node("w2"));
  s.pass(6s);

  CHECK(s.record().host == "w2");
  CHECK(s.record().epoch == 8);
  CHECK(s.record().reason == "node w1: it is away");
}

TEST_CASE("placement: a host that is drained after a restart is not waited for") {
  stage s{{{media, "w1", 7, at(-60s), "as ever"}}};
  s.begin("any");
  s.knows(node("w1", node_standing::closed));

  CHECK(s.record().host == "here");
}

TEST_CASE("placement: another configuration counts at once") {
  stage s{{{media, "w1", 7, at(-60s), "as ever"}}};
  s.begin("coordinator");

  CHECK(s.record().host == "here");
  CHECK(s.record().epoch == 8);
  s.knows(node("w1"));
  s.confirms("w1", 7);
  CHECK(s.said().back() == "w1 ends media@7");
}

TEST_CASE("placement: an epoch that the books forgot is passed over") {
  stage s{{{media, "w1", 7, at(-60s), "from a backup"}}};
  s.begin("any");
  s.knows(node("w1"));
  s.confirms("w1", 9);

  CHECK(s.record().epoch == 10);
  CHECK(s.said() == words{"w1 ends media@9", "w1 hosts media@10"});
}

TEST_CASE("placement: a service that nobody wants any more is ended and forgotten") {
  stage s{{{{bucket_watcher_kind, "old"}, "w1", 3, at(-60s), ""}}};
  s.books[{bucket_watcher_kind, "old"}] = {};
  s.begin("coordinator");
  CHECK(s.books.size() == 1);
  (void)s.said();
  s.take(s.core.node_hosts(s.now, "w1", {{{bucket_watcher_kind, "old"}, 3, ""}}));
  CHECK(s.said() == words{"w1 ends old@3"});

  s.take(s.core.unwant(media));
  CHECK(s.said() == words{"here ends media@1"});
  CHECK(s.books.empty());
}

TEST_CASE("placement: how it is done may change while it goes on") {
  stage s;
  s.begin("coordinator");
  s.confirms("here", 1);
  (void)s.said();

  auto spec = watcher("media", "coordinator");
  s.take(s.core.want(s.now, spec));
  CHECK(s.said().empty());
  spec.payload = "otherwise";
  s.take(s.core.want(s.now, spec));

  CHECK(s.said() == words{"here hosts media@1"});
}

TEST_CASE("placement: what the store refused is written again as it is by then") {
  on_w1 s;
  auto refused = s.core.node_ended(s.now, away("w1"), "killed");
  s.take(s.core.node_ended(s.now, away("w2"), "killed too"));

  auto again = s.core.renewed(refused.record);

  REQUIRE(again.services.size() == 1);
  CHECK(again.services[0].host == "here");
  s.take(s.core.unwant(media));
  again = s.core.renewed(again);
  CHECK(again.services.empty());
  CHECK(again.erased_services == std::vector{media});
}

// ---- Whatever happens -----------------------------------------------------------------

TEST_CASE("placement: whatever happens, epochs grow, one node speaks, and in the end somebody "
          "does") {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    std::mt19937 random{seed};
    auto one_of = [&](unsigned n) { return random() % n; };
    const char* wishes[] = {"coordinator", "any", "w1"};
    stage s;
    s.begin(wishes[one_of(3)]);
    std::uint64_t epoch = s.record().epoch;
    const std::string names[] = {"w0", "w1", "w2"};
    for (int i = 0; i < 300; ++i) {
      const auto& name = names[one_of(3)];
      switch (one_of(5)) {
        case 0: s.knows(node(name, static_cast<node_standing>(one_of(5)))); break;
        case 1: s.take(s.core.node_ended(s.now, away(name), "killed")); break;
        case 2: s.confirms(name, 1 + one_of(12), one_of(2) ? "" : "trouble"); break;
        case 3: s.take(s.core.node_hosts(s.now, name, {})); break;
        case 4: s.pass(std::chrono::seconds{one_of(8)}); break;
      }
      const auto now = s.core.services().at(0).record;
      CHECK(now.epoch >= epoch);
      CHECK(now == s.record()); // nothing is decided that is not to be written
      epoch = now.epoch;
      std::size_t speakers = 0;
      for (const auto& n : {"here", "w0", "w1", "w2"})
        for (std::uint64_t e = 1; e <= epoch; ++e)
          speakers += s.core.is_host(n, media, e);
      CHECK(speakers == (now.host.empty() ? 0 : 1));
    }
    for (const auto& name : names)
      s.knows(node(name));
    s.pass(120s);
    CHECK_FALSE(s.record().host.empty());
  }
}
