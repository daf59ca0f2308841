#pragma once

#include "core/error.hpp"

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace framemill {

using microseconds = std::chrono::microseconds;

/// Wall-clock time, microseconds since the Unix epoch, UTC. 0 means "not yet".
struct timestamp {
  std::int64_t us = 0;

  constexpr explicit operator bool() const noexcept { return us != 0; }
  constexpr auto operator<=>(const timestamp&) const = default;
  friend constexpr timestamp operator+(timestamp t, microseconds d) noexcept {
    return {t.us + d.count()};
  }
  friend constexpr microseconds operator-(timestamp a, timestamp b) noexcept {
    return microseconds{a.us - b.us};
  }
};

/// The door to time. Pure classes take `now` as an argument; shells own one
/// of these.
class clock {
public:
  virtual ~clock() = default;
  [[nodiscard]] virtual timestamp now() const = 0;
};

class system_clock final : public clock {
public:
  [[nodiscard]] timestamp now() const override;
};

/// Counts from the machine's start and is never set: for how long something
/// lasts, and never for what is recorded or told.
class steady_clock final : public clock {
public:
  [[nodiscard]] timestamp now() const override;
};

/// `2019-07-16T06:21:27Z`, as MPS writes times; "" for 0.
[[nodiscard]] std::string to_iso8601(timestamp t);
/// With microseconds, for our own answers and logs: `2019-07-16T06:21:27.000123Z`.
[[nodiscard]] std::string to_iso8601_us(timestamp t);
/// Reads both forms; "" is 0.
[[nodiscard]] result<timestamp> from_iso8601(std::string_view text);

} // namespace framemill
