#include "cluster/back_off.hpp"
#include "cluster/membership.hpp"

#include <doctest/doctest.h>

using namespace framemill;
using namespace std::chrono_literals;

TEST_CASE("back_off: a burst of quick cuts keeps within the grace, however long it goes on") {
  back_off b;

  auto longest = 0ms;
  for (int cut = 0; cut < 30; ++cut)
    longest = std::max(longest, b.after(ending::broken, 30ms, 0));

  CHECK(longest <= membership::options{}.grace / 2); // a handshake takes its time too
}

TEST_CASE("back_off: the first cut after a quiet time is mended at once") {
  back_off b;
  for (int i = 0; i < 9; ++i)
    (void)b.after(ending::broken, 30ms, 0);

  CHECK(b.after(ending::broken, 2s, 0) == back_off::first);
}

TEST_CASE("back_off: where nobody answers the pauses double up to a maximum") {
  back_off b;

  std::chrono::milliseconds last{0};
  for (int i = 0; i < 8; ++i) {
    auto pause = b.after(ending::broken, 0s, 0);
    CHECK(pause == std::min(std::max(2 * last, back_off::first), back_off::max));
    last = pause;
  }
  CHECK(last == back_off::max);
  CHECK(b.after(ending::broken, 5ms, 0) <= back_off::quick_max); // it answers again
}

TEST_CASE("back_off: a refused node asks rarely") {
  back_off b;

  CHECK(b.after(ending::refused, 0s, 0) == back_off::max);
  CHECK(b.after(ending::refused, 0s, 0) == back_off::max);
}

TEST_CASE("back_off: chance makes a pause up to half as long") {
  back_off a, b;
  (void)a.after(ending::refused, 0s, 0);

  CHECK(a.after(ending::refused, 0s, 0.5) == back_off::max * 3 / 4);
  CHECK(b.after(ending::refused, 0s, 1) == back_off::max / 2);
}
