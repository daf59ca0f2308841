#include "tools/framemill/duration.hpp"

#include <array>
#include <charconv>

namespace framemill::cli {

namespace {

using std::chrono::milliseconds;

struct unit {
  std::string_view name;
  milliseconds length;
};
using namespace std::chrono_literals;
constexpr auto units =
    std::to_array<unit>({{"", 1s}, {"ms", 1ms}, {"s", 1s}, {"m", 1min}, {"h", 1h}, {"d", 24h}});
constexpr milliseconds duration_max = 365 * 24h;

} // namespace

result<milliseconds> parse_duration(std::string_view text) {
  std::int64_t count = 0;
  auto [rest, ec] = std::from_chars(text.data(), text.data() + text.size(), count);
  std::string_view name{rest, static_cast<std::size_t>(text.data() + text.size() - rest)};
  for (const auto& u : units)
    if (ec == std::errc{} && u.name == name && count >= 0 && count <= duration_max / u.length)
      return count * u.length;
  return fail(errc::invalid_argument, "`{}` is not a duration: write 500ms, 10s, 15m or 2h",
              text);
}

} // namespace framemill::cli
