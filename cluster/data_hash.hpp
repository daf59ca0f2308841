#pragma once

#include "core/error.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace framemill::data {

/// XXH64 with seed 0 (the reference implementation's `XXH64`): finds accidents
/// at the speed of memory. Malice is CURVE's and SHA-256's business.
[[nodiscard]] std::uint64_t xxh64(std::string_view bytes) noexcept;

/// Lower hex SHA-256 of a file's bytes, from its first on.
[[nodiscard]] result<std::string> sha256_of_file(int fd, std::string_view what);
/// 64 lower hex digits: fit to be a file name.
[[nodiscard]] bool is_sha256(std::string_view text) noexcept;

} // namespace framemill::data
