#pragma once

#include "core/error.hpp"
#include "core/limits.hpp"

#include <chrono>
#include <cstdint>
#include <optional>

namespace framemill {

/// When a failed attempt may be tried again. Pure: the jitter comes from the
/// identity of the work, so the same failure at the same count always waits
/// the same time, and different shards do not wake together.
struct retry_policy {
  int attempts_max = limits::shard_attempts_max;
  std::chrono::milliseconds delay_first = limits::retry_delay_first;
  std::chrono::milliseconds delay_max = limits::retry_delay_max;

  /// `attempts` counts those made so far, the failed one included. nullopt:
  /// give up. Doubles from delay_first up to delay_max, then ±50 % jitter.
  [[nodiscard]] std::optional<std::chrono::milliseconds>
  next(errc code, int attempts, std::uint64_t identity) const;
};

} // namespace framemill
