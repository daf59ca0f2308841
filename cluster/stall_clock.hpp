#pragma once

#include "core/time.hpp"

#include <cstdint>

namespace framemill {

/// What the threads of a child asked of the CPUs since it began: time they ran,
/// and time they stood in line for one. What blocks asks for nothing.
struct cpu_use {
  microseconds ran{0};
  microseconds waited{0};
};

/// Tells a child that hangs from one that its machine starves. Pure; owned by the
/// TASK WORKER, which asks about once a second.
///
/// The time since the child's last watermark counts as far as the child could
/// have used it: all of it when it asked for (almost) no CPU, which is how what
/// is blocked looks; else the share that it got of what it asked for; none while
/// it waits for bytes that we owe it. Time in which we ourselves were not there
/// to ask counts as one look. So `hung` is evidence against the input or the
/// node, however busy the machine is; `starved` is none.
class stall_clock {
public:
  enum class finding : std::uint8_t {
    moves,
    hung,    ///< nothing moved in `limit` of time that it could use
    starved, ///< nothing moved in `starving_max` times the limit, whoever is at fault
  };

  explicit stall_clock(microseconds limit = {}, timestamp now = {})
      : limit_(limit), looked_(now) {}

  /// Its watermark has moved.
  void moved() { usable_ = silent_ = {}; }
  [[nodiscard]] finding look(timestamp now, const cpu_use& use, bool waits_for_us);

private:
  static constexpr int starving_max = 20;
  static constexpr microseconds look_max{3'000'000}; ///< a longer one: we stood still

  microseconds limit_;
  timestamp looked_;
  cpu_use used_;
  microseconds usable_{0}; ///< since the watermark moved: that it could use
  microseconds silent_{0}; ///< likewise, in all, but for what it waited for us
};

} // namespace framemill
