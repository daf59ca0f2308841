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

std::int64_t jitter_per_mille(std::uint64_t identity) noexcept {
  // SplitMix64: spreads neighbouring identities over all values.
  auto x = identity + 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  x ^= x >> 31;
  return static_cast<std::int64_t>(500 + x % 1001);
}

} // namespace framemill
