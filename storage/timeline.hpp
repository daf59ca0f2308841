#pragma once

#include "storage/state_store.hpp"

#include <string>

namespace framemill {

// A state that was restored goes on beside what happened after its backup was made:
// nodes may still hold work of that time, and people its numbers.

/// The id of the timeline; "" for a state that was never restored.
[[nodiscard]] result<std::string> timeline_of(const state_store& store);

/// Begins a timeline: no run, event, definition or message gets a number that may have
/// been given since the backup.
[[nodiscard]] result<void> begin_timeline(state_store& store, std::string id);

/// The last number that an event has, or may have had before a restore.
[[nodiscard]] result<std::uint64_t> last_event_number(const state_store& store);

} // namespace framemill
