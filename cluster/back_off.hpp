#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>

namespace framemill {

/// How one connection of a link, or the attempt to make one, ended.
enum class ending : std::uint8_t { broken, refused, asked_for };

/// The pause before a link dials again. Pure; owned by the link. Doubles from
/// `first` up to `max`, and begins low again after a connection that lasted. One
/// that came to be and broke soon, as in a burst of cuts, never waits longer than
/// `quick_max`: well within the grace in which a node keeps its leases
/// (membership::options), with time left for the handshake.
class back_off {
public:
  static constexpr std::chrono::milliseconds first{10}, quick_max{160}, max{1000};
  static constexpr std::chrono::seconds lasting{1}; ///< shorter ones prove nothing

  /// `up_for` is 0 when it never was. `chance`, 0 to 1, makes the pause up to half
  /// as long, so that nodes do not come all at once.
  [[nodiscard]] std::chrono::milliseconds after(ending how, std::chrono::nanoseconds up_for,
                                                double chance) {
    if (how == ending::refused)
      most_ = max;
    else if (how == ending::asked_for || up_for >= lasting)
      most_ = first;
    else if (up_for.count() > 0)
      most_ = std::min(most_, quick_max);
    const auto most = std::exchange(most_, std::min(2 * most_, max));
    return most - std::chrono::milliseconds{static_cast<std::int64_t>(
                      chance * static_cast<double>(most.count()) / 2)};
  }

private:
  std::chrono::milliseconds most_ = first;
};

} // namespace framemill
