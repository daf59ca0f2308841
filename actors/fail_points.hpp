#pragma once

#include "core/error.hpp"
#include "core/fields.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace framemill {

// Named points at which a running node can be made to fail, so that recovery
// from a failure there can be shown: `framemill fault arm`, `framemilld
// --fail-point`, both only when the node's config allows faults. docs/faults.md
// lists them. Thread-safe; while nothing is armed, a point costs one relaxed load.

enum class fail_point_kind : std::uint8_t {
  transition, ///< around a durable step; cannot say no, so it takes no `error`
  door,       ///< to an outside thing; may answer with an error
  effect,     ///< does what its name says, and takes no action
  frames,     ///< a door that frames pass one by one: may also repeat or reorder them
  clock,      ///< is read, and may be wrong
};

struct fail_point_place {
  std::string_view name;
  fail_point_kind kind;
  std::string_view meaning;
};
[[nodiscard]] std::span<const fail_point_place> fail_point_places();
/// Those of the durable transitions alone.
[[nodiscard]] std::span<const std::string_view> fail_point_names();

enum class fault_action : std::uint8_t {
  kill,   ///< SIGKILL to this process: nothing is flushed, nobody is told
  hang,   ///< the thread that passes stands still until the point is disarmed
  delay,  ///< it waits so long, then goes on
  error,  ///< the door says errc::io_failed; one of the data plane, unavailable
  effect, ///< of an effect point
  duplicate, ///< the frame goes through twice
  reorder,   ///< the frame goes through after the next one
  skew,      ///< the clock is wrong by so much
};

/// What shall happen where, and at which passes, counted from 1 when it is armed.
struct fault {
  std::string point;
  std::uint64_t first = 1;
  std::uint64_t last = 1; ///< inclusive
  fault_action action = fault_action::kill;
  std::chrono::milliseconds delay{0}; ///< of `delay`; how wrong with `skew`, may be negative
};

/// `POINT`, `POINT:N` (the N-th pass from now), `POINT:N-M` or `POINT:N-` (from
/// it on) with `kill`, `hang`, `delay=MS`, `error`, `duplicate`, `reorder`,
/// `skew=±MS`, or "" for what the point does by default. Errors: not_found (Point), malformed, unsupported (Action).
[[nodiscard]] result<fault> parse_fault(std::string_view place, std::string_view action);

/// Replaces what was armed at that point, and counts its passes anew.
void arm(fault what);
/// As the command line writes it: `POINT[:N][=ACTION]`.
[[nodiscard]] result<void> arm_fail_point(std::string_view text);
/// Wakes who hangs there. One that is not armed stays so; errc::not_found: there
/// is no such point.
[[nodiscard]] result<void> disarm(std::string_view point);
void disarm_all();

struct fault_state {
  fail_point_place place;
  std::optional<fault> armed;
  std::uint64_t passes = 0; ///< since it was armed
  std::uint64_t failed = 0; ///< of them
};
[[nodiscard]] std::vector<fault_state> fault_states();

/// Damages a file in its middle, for the `artifact.corrupt` point.
[[nodiscard]] result<void> flip_a_bit(const std::string& path);

namespace detail {
extern std::atomic<int> faults_armed;
[[nodiscard]] result<void> pass(std::string_view name);
[[nodiscard]] bool takes_effect(std::string_view name);
enum class frame_fate : std::uint8_t { passes, lost, twice, late };
[[nodiscard]] frame_fate fate_of_frame(std::string_view name);
[[nodiscard]] std::chrono::milliseconds clock_error(std::string_view name);
} // namespace detail

/// At a durable transition.
inline void fail_point(std::string_view name) {
  if (detail::faults_armed.load(std::memory_order_relaxed) > 0)
    (void)detail::pass(name); // a transition is never armed with an error
}

/// At a door, before it is opened.
[[nodiscard]] inline result<void> fail_door(std::string_view name) {
  if (detail::faults_armed.load(std::memory_order_relaxed) > 0)
    return detail::pass(name);
  return {};
}

/// Shall the caller do now what the effect point's name says?
[[nodiscard]] inline bool fail_effect(std::string_view name) {
  return detail::faults_armed.load(std::memory_order_relaxed) > 0 && detail::takes_effect(name);
}

/// How wrong the clock is at this reading.
[[nodiscard]] inline std::chrono::milliseconds fail_clock(std::string_view name) {
  return detail::faults_armed.load(std::memory_order_relaxed) > 0 ? detail::clock_error(name)
                                                                  : std::chrono::milliseconds{0};
}

/// A door that frames pass one by one, in order. Owned by who sends or hears
/// them. Its faults are those of a network that keeps no order: a frame is lost,
/// comes twice, or is overtaken by the next one; never is it held for ever.
class frame_door {
public:
  explicit frame_door(std::string_view point) : point_(point) {}

  /// Calls `through` for each frame that goes through now.
  template <class Through>
  void pass(std::string frame, Through through) {
    auto fate = detail::frame_fate::passes;
    if (detail::faults_armed.load(std::memory_order_relaxed) > 0)
      fate = detail::fate_of_frame(point_);
    if (fate == detail::frame_fate::late && !held_)
      return void(held_ = std::move(frame));
    if (fate == detail::frame_fate::twice)
      through(frame);
    if (fate != detail::frame_fate::lost)
      through(std::move(frame));
    if (auto overtaken = std::exchange(held_, std::nullopt))
      through(std::move(*overtaken));
  }
  /// Another connection: what was held back is lost with the old one.
  void clear() { held_.reset(); }

private:
  std::string_view point_;
  std::optional<std::string> held_;
};

} // namespace framemill

FM_ENUM_NAMES(framemill::fail_point_kind, "transition", "door", "effect", "frames", "clock")
FM_ENUM_NAMES(framemill::fault_action, "kill", "hang", "delay", "error", "effect", "duplicate",
              "reorder", "skew")
