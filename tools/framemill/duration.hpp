#pragma once

#include "core/error.hpp"

#include <chrono>
#include <string_view>

namespace framemill::cli {

/// `500ms`, `10s`, `15m`, `2h`, `1d`; a bare number is seconds. Up to 365 days.
[[nodiscard]] result<std::chrono::milliseconds> parse_duration(std::string_view text);

} // namespace framemill::cli
