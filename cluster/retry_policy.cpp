#include "cluster/retry_policy.hpp"

#include "core/random.hpp"

#include <algorithm>

namespace framemill {

std::optional<std::chrono::milliseconds>
retry_policy::next(errc code, int attempts, std::uint64_t identity) const {
  // Space, memory and a bucket's mount come back when somebody acts: be patient.
  bool waits = class_of(code) == failure_class::resource || code == errc::unavailable;
  auto patience = waits ? 4 : 1;
  if (retry_of(code) == retry_class::never || attempts >= attempts_max * patience)
    return std::nullopt;
  auto doublings = std::clamp(attempts - 1, 0, 16);
  auto delay = std::min(delay_first * (1 << doublings), delay_max);
  auto per_mille = jitter_per_mille(identity * 31 + static_cast<std::uint64_t>(attempts));
  return delay * per_mille / 1000;
}

} // namespace framemill
