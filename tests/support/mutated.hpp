#pragma once

#include <random>
#include <string>

namespace framemill::testing {

/// A few bytes changed, taken out or put in.
inline std::string mutated(std::string bytes, std::mt19937& random) {
  for (auto n = 1 + random() % 4; n > 0 && !bytes.empty(); --n) {
    auto at = random() % bytes.size();
    switch (random() % 3) {
      case 0: bytes[at] = static_cast<char>(random()); break;
      case 1: bytes.erase(at, 1 + random() % 3); break;
      default: bytes.insert(at, 1, static_cast<char>(random())); break;
    }
  }
  return bytes;
}

} // namespace framemill::testing
