#include "core/random.hpp"

#include <fmt/format.h>

#include <random>

namespace framemill {

std::string random_hex(int bytes) {
  std::random_device random;
  std::string out;
  for (int i = 0; i < bytes; ++i)
    out += fmt::format("{:02x}", random() & 0xff);
  return out;
}

} // namespace framemill
