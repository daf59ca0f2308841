#pragma once

#include "core/error.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
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
};

/// What shall happen where, and at which passes, counted from 1 when it is armed.
struct fault {
  std::string point;
  std::uint64_t first = 1;
  std::uint64_t last = 1; ///< inclusive
  fault_action action = fault_action::kill;
  std::chrono::milliseconds delay{0};
};

/// `POINT`, `POINT:N` (the N-th pass from now), `POINT:N-M` or `POINT:N-` (from
/// it on) with `kill`, `hang`, `delay=MS`, `error`, or "" for what the point does
/// by default. Errors: not_found (Point), malformed, unsupported (Action).
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

} // namespace framemill
