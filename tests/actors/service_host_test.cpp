#include "actors/service_host.hpp"
#include "cluster/watch_words.hpp"
#include "core/codec.hpp"
#include "tests/support/actor_fixture.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace framemill::test;
using namespace std::chrono_literals;

namespace {

const service_id odd{"weather-forecaster", "tomorrow"};
const service_id lost{bucket_watcher_kind, "lost"};

struct hosting : test_services, virtual_actors {
  hosting() : test_services(durability::at_once) {
    host = system.spawn(service_host, &shared, owner.handle);
    drain();
  }
  ~hosting() { kill(host); }

  /// What it last said that it hosts.
  std::vector<hosted_service> hosted() {
    auto all = owner.take<services_hosted>();
    REQUIRE_FALSE(all.empty());
    return all.back().hosted;
  }
  /// A word of the service; the answer comes into `answers`.
  void says(std::uint64_t epoch, const std::string& payload, const std::string& topic = {}) {
    tell(host,
         service_says{odd, epoch, payload, topic, [this](result<std::string> r) {
                        answers.push_back(r ? *r : std::string{to_string(r.error().code)});
                      }});
  }

  inbox owner{system};
  caf::actor host;
  std::vector<std::string> answers;
};

} // namespace

TEST_CASE_FIXTURE(hosting, "service_host: what it cannot do is a problem, not a silence") {
  tell(host, host_service{odd, 1, "how"});
  CHECK(hosted()
        == std::vector{hosted_service{odd, 1,
                                      "this version cannot host a "
                                      "weather-forecaster"}});
  tell(host, host_service{lost, 1, encode(watch_order{})});
  CHECK(hosted()[0].problem == "no bucket named `lost` on this node");
  tell(host, host_service{{notifier_kind, "1"}, 1, "no order"});
  CHECK_FALSE(hosted()[1].problem.empty());
  CHECK(service_kinds() == std::vector<std::string>{bucket_watcher_kind, notifier_kind});
}

TEST_CASE_FIXTURE(hosting, "service_host: a word is told, told again, and answered once") {
  tell(host, host_service{odd, 1, ""});
  says(1, "one");
  auto word = owner.only<service_word>();
  CHECK(word.payload == "one");

  tell(host, services_welcome{7});
  CHECK(owner.only<service_word>() == word);
  advance(2s);
  CHECK(owner.only<service_word>() == word);
  tell(host, service_answer{odd, 1, word.number, "yes"});
  tell(host, service_answer{odd, 1, word.number, "yes"});
  CHECK(answers == std::vector<std::string>{"yes"});
  advance(10s);
  CHECK(owner.take<service_word>().empty());
}

TEST_CASE_FIXTURE(hosting, "service_host: numbers of words are of no former life") {
  tell(host, host_service{odd, 1, ""});
  says(1, "one");
  auto word = owner.only<service_word>();
  CHECK(word.number > 1'600'000'000'000'000); // microseconds of the clock

  auto second = system.spawn(service_host, &shared, owner.handle);
  tell(second, host_service{odd, 1, ""});
  tell(second, service_says{odd, 1, "one", "", [](const result<std::string>&) {}});
  CHECK(owner.only<service_word>().number != word.number);
  kill(second);
}

TEST_CASE_FIXTURE(hosting, "service_host: who waits is told when the service ends or says "
                           "something newer") {
  tell(host, host_service{odd, 1, ""});
  says(1, "status 1", "status");
  says(1, "status 2", "status");
  CHECK(answers == std::vector<std::string>{"cancelled"});
  tell(host, end_service{odd, 1});
  says(1, "too late");

  CHECK(answers == std::vector<std::string>{"cancelled", "cancelled", "cancelled"});
  CHECK(hosted().empty());
  bool is_refused = false;
  tell(host, ask_service{odd, "settling ", [&](const result<std::string>& r) {
                           is_refused = !r && r.error().code == errc::unavailable;
                         }});
  CHECK(is_refused);
}
