#include "cluster/stall_clock.hpp"

#include <algorithm>
#include <utility>

namespace framemill {

namespace {

/// Of a time that passed: what a child could use of it, by what it asked for and
/// got. Threads that ended take their share of both along: never less than none.
microseconds usable_of(microseconds passed, const cpu_use& before, const cpu_use& now) {
  const auto ran = std::max(now.ran - before.ran, microseconds{0});
  const auto asked = ran + std::max(now.waited - before.waited, microseconds{0});
  if (asked * 100 <= passed)
    return passed; // it blocks
  return microseconds{
      static_cast<std::int64_t>(static_cast<double>(passed.count())
                                * static_cast<double>(ran.count())
                                / static_cast<double>(asked.count()))};
}

} // namespace

stall_clock::finding stall_clock::look(timestamp now, const cpu_use& use, bool waits_for_us) {
  const auto passed = std::clamp(now - looked_, microseconds{0}, look_max);
  const auto before = std::exchange(used_, use);
  looked_ = now;
  if (!waits_for_us) {
    silent_ += passed;
    usable_ += usable_of(passed, before, use);
  }
  if (usable_ > limit_)
    return finding::hung;
  return silent_ > starving_max * limit_ ? finding::starved : finding::moves;
}

} // namespace framemill
