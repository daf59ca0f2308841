#pragma once

#include <cstdint>
#include <string>
#include <string_view>

// Quantities as people read them.

namespace framemill::cli {

/// `999 B`, `1.5 kB`, `22.7 MB`: decimal units.
[[nodiscard]] std::string format_size(std::int64_t bytes);

/// `0.3 s`, `42 s`, `3 min 05 s`, `1 h 02 min`.
[[nodiscard]] std::string format_duration(double seconds);

/// `8 s`, `8–12 s`, `< 1 s`; `unknown` when both are 0.
[[nodiscard]] std::string format_interval(double low_seconds, double high_seconds);

/// `2026-11-21T23:59:49.000123Z` → `2026-11-21 23:59:49`; `-` for "".
[[nodiscard]] std::string format_time(std::string_view iso8601);
/// The same with milliseconds.
[[nodiscard]] std::string format_time_ms(std::string_view iso8601);

} // namespace framemill::cli
