#pragma once

#include <cstdint>
#include <string>

namespace framemill {

/// `bytes` of the system's randomness, as twice as many lower hex digits.
[[nodiscard]] std::string random_hex(int bytes);

/// A factor between 500 and 1500 by which a wait is spread, in thousandths. It
/// follows from the identity of what waits: the same waits the same time, and
/// neighbours do not wake together.
[[nodiscard]] std::int64_t jitter_per_mille(std::uint64_t identity) noexcept;

} // namespace framemill
