#include "cluster/notify_words.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <map>

using namespace framemill;

TEST_CASE("notify_words: a sink is of the same share for ever") {
  CHECK(notifier_of("") == service_id{notifier_kind, "6"});
  CHECK(notifier_of("http://127.0.0.1:80") == service_id{notifier_kind, "3"});
  CHECK(notifier_of("sqs/us-east-1/finished") == service_id{notifier_kind, "5"});
}

TEST_CASE("notify_words: shares are about equal") {
  std::map<service_id, int> sinks;
  for (int i = 0; i < 800; ++i)
    ++sinks[notifier_of(fmt::format("https://hooks-{}.example.com:443", i))];

  CHECK(sinks.size() == notifier_shares);
  for (const auto& [share, count] : sinks) {
    CAPTURE(share.name);
    CHECK(count > 60);
    CHECK(count < 140);
  }
}
