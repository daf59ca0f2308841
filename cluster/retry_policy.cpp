#include "cluster/retry_policy.hpp"

#include <algorithm>

namespace framemill {

namespace {

/// SplitMix64's finaliser: spreads neighbouring identities over all values.
std::uint64_t spread(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

} // namespace

std::optional<std::chrono::milliseconds>
retry_policy::next(errc code, int attempts, std::uint64_t identity) const {
  // Space, memory and a bucket's mount come back when somebody acts: be patient.
  bool waits = class_of(code) == failure_class::resource || code == errc::unavailable;
  auto patience = waits ? 4 : 1;
  if (retry_of(code) == retry_class::never || attempts >= attempts_max * patience)
    return std::nullopt;
  auto doublings = std::clamp(attempts - 1, 0, 16);
  auto delay = std::min(delay_first * (1 << doublings), delay_max);
  auto per_mille = 500 + spread(identity * 31 + static_cast<std::uint64_t>(attempts)) % 1001;
  return delay * static_cast<std::int64_t>(per_mille) / 1000;
}

} // namespace framemill
