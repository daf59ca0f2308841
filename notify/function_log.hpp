#pragma once

#include "core/function.hpp"

#include <string>

namespace framemill {

/// How long calls are remembered, of each function.
struct log_retention {
  microseconds age_max{7LL * 24 * 3600 * 1'000'000};
  std::uint64_t count_max = 1000;
};

/// Decides, over all calls in falling order of their keys (by function, its
/// newest first), which are kept. Pure; one sweep, used once.
class log_sweep {
public:
  log_sweep(log_retention rules, timestamp now) : rules_(rules), now_(now) {}

  /// `function` and `started` as the key has them.
  [[nodiscard]] bool keeps(const std::string& function, timestamp started);

private:
  log_retention rules_;
  timestamp now_;
  std::string function_;
  std::uint64_t kept_ = 0; ///< of that function
};

/// Keeps what a call printed last, within a bound.
class output_tail {
public:
  explicit output_tail(std::size_t bytes_max) : bytes_max_(bytes_max) {}
  void add(std::string_view bytes);
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; } ///< all that came
  /// Begins with a line, or says how much is missing before it.
  [[nodiscard]] std::string text() const;

private:
  std::size_t bytes_max_;
  std::uint64_t bytes_ = 0;
  std::string kept_; ///< up to twice the bound
};

} // namespace framemill
