#include "tools/framemill/format.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>

namespace framemill::cli {

std::string format_size(std::int64_t bytes) {
  constexpr auto units = std::to_array<std::string_view>({"kB", "MB", "GB", "TB", "PB"});
  if (bytes < 1000)
    return fmt::format("{} B", bytes);
  auto value = static_cast<double>(bytes) / 1000;
  std::size_t unit = 0;
  while (value >= 999.95 && unit + 1 < units.size()) {
    value /= 1000;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, units[unit]);
}

std::string format_duration(double seconds) {
  if (!(seconds > 0))
    return "0 s";
  if (seconds < 9.95)
    return fmt::format("{:.1f} s", seconds);
  auto whole = std::llround(std::min(seconds, 1e12));
  if (whole < 60)
    return fmt::format("{} s", whole);
  if (whole < 3600)
    return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

std::string format_interval(double low_seconds, double high_seconds) {
  if (low_seconds <= 0 && high_seconds <= 0)
    return "unknown";
  auto low = std::llround(std::max(low_seconds, 0.0));
  auto high = std::llround(std::max(high_seconds, 0.0));
  if (high < 1)
    return "< 1 s";
  if (high < 60)
    return low < high ? fmt::format("{}–{} s", low, high) : fmt::format("{} s", high);
  auto from = format_duration(static_cast<double>(low));
  auto until = format_duration(static_cast<double>(std::max(low, high)));
  return from == until ? from : from + " – " + until;
}

std::string format_time_ms(std::string_view iso8601) {
  auto has_fraction = iso8601.size() > 23 && iso8601[19] == '.';
  return format_time(iso8601) + (has_fraction ? std::string{iso8601.substr(19, 4)} : "");
}

std::string format_time(std::string_view iso8601) {
  if (iso8601.size() < 19)
    return "-";
  std::string text{iso8601.substr(0, 19)};
  text[10] = ' ';
  return text;
}

} // namespace framemill::cli
