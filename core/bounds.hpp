#pragma once

#include "core/error.hpp"

#include <cstdint>

namespace framemill {

/// invalid_argument, naming `field` and the bounds.
[[nodiscard]] inline result<void> check_within(std::string field, std::int64_t value,
                                               std::int64_t min, std::int64_t max) {
  if (value < min || value > max)
    return fail_field(errc::invalid_argument, std::move(field), "{} is not within {} … {}", value,
                      min, max);
  return {};
}

} // namespace framemill
