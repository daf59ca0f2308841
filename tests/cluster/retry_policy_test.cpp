#include "cluster/retry_policy.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

using namespace framemill;
using namespace std::chrono_literals;

namespace {

std::chrono::milliseconds wait_after(int attempts, std::uint64_t identity) {
  return retry_policy{}.next(errc::worker_crashed, attempts, identity).value();
}

} // namespace

TEST_CASE("retry_policy: the wait doubles within its jitter, up to the longest") {
  retry_policy patient;
  patient.attempts_max = 100;

  for (int attempts = 1; attempts < 40; ++attempts)
    for (std::uint64_t identity = 0; identity < 50; ++identity) {
      auto centre =
          std::chrono::milliseconds{std::min(200LL << std::min(attempts - 1, 20), 30'000LL)};
      auto delay = patient.next(errc::io_failed, attempts, identity);
      REQUIRE(delay);
      CHECK(*delay >= centre / 2);
      CHECK(*delay <= centre * 3 / 2);
    }
}

TEST_CASE("retry_policy: the same failure always waits the same time") {
  CHECK(wait_after(2, 77) == wait_after(2, 77));
}

TEST_CASE("retry_policy: siblings do not wake together") {
  std::set<std::chrono::milliseconds> waits;
  for (std::uint64_t identity = 0; identity < 100; ++identity)
    waits.insert(wait_after(3, identity));

  CHECK(waits.size() > 75);
  CHECK(*waits.begin() < 550ms); // the jitter uses its whole width
  CHECK(*waits.rbegin() > 1050ms);
}

TEST_CASE("retry_policy: it gives up when the budget is used up") {
  CHECK(retry_policy{}.next(errc::worker_crashed, 4, 1));
  CHECK_FALSE(retry_policy{}.next(errc::worker_crashed, 5, 1));
  CHECK_FALSE(retry_policy{}.next(errc::worker_crashed, 6, 1));
}

TEST_CASE("retry_policy: a shortage of the machine is waited for longer") {
  CHECK(retry_policy{}.next(errc::no_space, 19, 1));
  CHECK_FALSE(retry_policy{}.next(errc::no_space, 20, 1));
}

TEST_CASE("retry_policy: a bucket whose mount is gone is waited for longer") {
  CHECK(retry_policy{}.next(errc::unavailable, 19, 1));
  CHECK_FALSE(retry_policy{}.next(errc::unavailable, 20, 1));
}

TEST_CASE("retry_policy: what another try cannot cure is not tried again") {
  for (auto code : {errc::input_not_media, errc::input_changed, errc::invalid_argument,
                    errc::cancelled, errc::internal, errc::no_slot})
    CHECK_FALSE(retry_policy{}.next(code, 1, 1));
}

TEST_CASE("retry_policy: nothing tried yet waits like the first time") {
  auto delay = retry_policy{}.next(errc::unavailable, 0, 9);
  REQUIRE(delay);
  CHECK(*delay >= 100ms);
  CHECK(*delay <= 300ms);
}
