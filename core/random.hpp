#pragma once

#include <string>

namespace framemill {

/// `bytes` of the system's randomness, as twice as many lower hex digits.
[[nodiscard]] std::string random_hex(int bytes);

} // namespace framemill
