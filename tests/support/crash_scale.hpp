#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>

namespace framemill::test {

/// How many events a crash test tells: what fits into a check, or as many as
/// FRAMEMILL_CRASH_EVENTS says (tools/soak: 10,000).
inline std::uint64_t crash_events() {
  const char* wanted = std::getenv("FRAMEMILL_CRASH_EVENTS");
  return wanted == nullptr ? 2'000 : std::stoull(wanted);
}

} // namespace framemill::test
