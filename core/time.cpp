#include "core/time.hpp"

#include <cstdio>
#include <ctime>

namespace framemill {

timestamp system_clock::now() const {
  using namespace std::chrono;
  return {duration_cast<microseconds>(
              std::chrono::system_clock::now().time_since_epoch())
              .count()};
}

timestamp steady_clock::now() const {
  using namespace std::chrono;
  return {duration_cast<microseconds>(std::chrono::steady_clock::now().time_since_epoch()).count()};
}

namespace {

std::string format_utc(timestamp t, bool with_micros) {
  if (!t)
    return {};
  auto seconds = static_cast<std::time_t>(t.us / 1'000'000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[48];
  auto n = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  std::string out(text, n);
  if (with_micros)
    out += fmt::format(".{:06}", t.us % 1'000'000);
  return out + "Z";
}

} // namespace

std::string to_iso8601(timestamp t) { return format_utc(t, false); }
std::string to_iso8601_us(timestamp t) { return format_utc(t, true); }

result<timestamp> from_iso8601(std::string_view text) {
  if (text.empty())
    return timestamp{};
  std::tm parts{};
  std::string copy{text};
  const char* rest = strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr)
    return fail(errc::malformed, "`{}` is not an ISO 8601 time", text);
  std::int64_t micros = 0;
  if (*rest == '.') {
    ++rest;
    for (std::int64_t unit = 100'000; *rest >= '0' && *rest <= '9'; ++rest, unit /= 10)
      micros += unit * (*rest - '0');
  }
  std::int64_t offset_seconds = 0;
  if (*rest == '+' || *rest == '-') {
    int hours = 0, minutes = 0, length = 0;
    if (std::sscanf(rest + 1, "%2d:%2d%n", &hours, &minutes, &length) != 2
        || rest[1 + length] != '\0')
      return fail(errc::malformed, "`{}` has a malformed time zone", text);
    offset_seconds = (*rest == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
  } else if (!(*rest == 'Z' && rest[1] == '\0') && *rest != '\0') {
    return fail(errc::malformed, "`{}` is not an ISO 8601 time", text);
  }
  auto seconds = static_cast<std::int64_t>(timegm(&parts)) - offset_seconds;
  return timestamp{seconds * 1'000'000 + micros};
}

} // namespace framemill
