#include "cluster/service_book.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

using namespace framemill;

namespace {

const service_id media{bucket_watcher_kind, "media"};

host_service order(std::uint64_t epoch, const std::string& payload = "how") {
  return {media, epoch, payload};
}

/// What was done, as text.
std::vector<std::string> told(const service_book::actions& actions) {
  std::vector<std::string> out;
  for (const auto& a : actions)
    if (const auto* b = std::get_if<begin_service>(&a))
      out.push_back(fmt::format("begin {}", b->order.epoch));
    else if (const auto* c = std::get_if<cease_service>(&a))
      out.push_back(fmt::format("cease {}", c->epoch));
    else if (const auto* s = std::get_if<say_word>(&a))
      out.push_back(fmt::format("say {} of {}", s->word.payload, s->word.epoch));
  return out;
}

using words = std::vector<std::string>;

} // namespace

TEST_CASE("service_book: an order that is repeated does nothing") {
  service_book b{100};
  CHECK(told(b.ordered(order(3))) == words{"begin 3"});
  CHECK(b.ordered(order(3)).empty());
  CHECK(b.hosted() == std::vector{hosted_service{media, 3, ""}});
}

TEST_CASE("service_book: a newer epoch begins anew, an older one is not heard") {
  service_book b{100};
  (void)b.ordered(order(3));

  CHECK(told(b.ordered(order(5))) == words{"cease 3", "begin 5"});
  CHECK(b.ordered(order(4)).empty());
  CHECK(b.ended({media, 4}).empty());
  CHECK(b.hosts(media, 5));
}

TEST_CASE("service_book: another payload begins anew under the same epoch") {
  service_book b{100};
  (void)b.ordered(order(3));
  CHECK(told(b.ordered(order(3, "otherwise"))) == words{"cease 3", "begin 3"});
}

TEST_CASE("service_book: an end that overtakes its order keeps it from beginning") {
  service_book b{100};
  CHECK(b.ended({media, 3}).empty());
  CHECK(b.ordered(order(3)).empty());
  CHECK(b.hosted().empty());
  CHECK(told(b.ordered(order(4))) == words{"begin 4"});
  CHECK(told(b.ended({media, 4})) == words{"cease 4"});
  CHECK(b.ended({media, 4}).empty());
}

TEST_CASE("service_book: a word is said until it is answered, in order") {
  service_book b{100};
  (void)b.ordered(order(3));
  auto first = b.said(media, 3, "one", "");
  auto second = b.said(media, 3, "two", "");

  REQUIRE(first);
  CHECK(first->word == service_word{media, 3, 101, "one"});
  CHECK(told(b.unanswered()) == words{"say one of 3", "say two of 3"});
  CHECK(b.answered({media, 3, 101, ""}));
  CHECK_FALSE(b.answered({media, 3, 101, ""}));
  CHECK(told(b.unanswered()) == words{"say two of 3"});
  CHECK_FALSE(b.answered({media, 2, second->word.number, ""}));
}

TEST_CASE("service_book: of a topic the newest word is kept") {
  service_book b{100};
  (void)b.ordered(order(3));
  (void)b.said(media, 3, "report", "");
  auto older = b.said(media, 3, "status 1", "status");
  (void)b.said(media, 3, "question 1", "question");
  auto newer = b.said(media, 3, "status 2", "status");

  CHECK_FALSE(older->replaced.has_value());
  CHECK(newer->replaced == older->word.number);
  CHECK(told(b.unanswered())
        == words{"say report of 3", "say question 1 of 3", "say status 2 of 3"});
}

TEST_CASE("service_book: who is not hosted under the epoch has no word") {
  service_book b{100};
  CHECK_FALSE(b.said(media, 3, "x", "").has_value());
  (void)b.ordered(order(3));
  (void)b.said(media, 3, "x", "");
  (void)b.ordered(order(4));

  CHECK_FALSE(b.said(media, 3, "x", "").has_value());
  CHECK(b.unanswered().empty()); // with its epoch went what it said
  CHECK_FALSE(b.told_problem(media, 3, "gone"));
}

TEST_CASE("service_book: a problem is news once") {
  service_book b{100};
  (void)b.ordered(order(3));
  CHECK_FALSE(b.told_problem(media, 3, ""));
  CHECK(b.told_problem(media, 3, "gone"));
  CHECK_FALSE(b.told_problem(media, 3, "gone"));
  CHECK(b.hosted()[0].problem == "gone");
  CHECK(b.told_problem(media, 3, ""));
}

TEST_CASE("service_book: over any network it ends as the newest order says") {
  for (unsigned seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    std::mt19937 random{seed};
    service_book b{0};
    // Placements 1 … 9, each ended (or not) before the next; heard in any order,
    // some twice. The last one that was not ended must run, or none.
    std::vector<std::function<service_book::actions()>> network;
    bool ends_last = random() % 2 == 0;
    for (std::uint64_t e = 1; e <= 9; ++e) {
      for (unsigned copies = 1 + random() % 2; copies-- > 0;)
        network.emplace_back([&b, e] { return b.ordered(order(e)); });
      if (e < 9 ? random() % 2 == 0 : ends_last)
        network.emplace_back([&b, e] { return b.ended({media, e}); });
    }
    std::shuffle(network.begin(), network.end(), random);
    std::optional<std::uint64_t> running;
    for (auto& heard : network)
      for (const auto& a : heard()) {
        if (const auto* began = std::get_if<begin_service>(&a)) {
          CHECK_FALSE(running.has_value());
          running = began->order.epoch;
        } else if (const auto* ceased = std::get_if<cease_service>(&a)) {
          CHECK(running == ceased->epoch);
          running.reset();
        }
      }

    CHECK(running == (ends_last ? std::nullopt : std::optional<std::uint64_t>{9}));
    CHECK(b.hosted().size() == (ends_last ? 0 : 1));
  }
}
