#pragma once

#include <chrono>
#include <thread>

namespace framemill::test {

/// Asks again and again until `condition` holds; false when it does not within
/// the limit. For what other processes do: no event of theirs can be waited for.
template <class Condition>
[[nodiscard]] bool eventually(Condition condition,
                              std::chrono::milliseconds limit = std::chrono::seconds{30},
                              std::chrono::milliseconds pause = std::chrono::milliseconds{20}) {
  auto deadline = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline)
      return false;
    std::this_thread::sleep_for(pause);
  }
  return true;
}

} // namespace framemill::test
