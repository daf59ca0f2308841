#pragma once

#include "actors/interfaces.hpp"
#include "actors/services.hpp"

#include <caf/event_based_actor.hpp>

#include <functional>

namespace framemill {

/// What an inspection found: the source's facts, and its index artifact.
struct inspection {
  media_info media;
  std::string index_sha256; ///< "" = no video
};

/// INSPECTOR: probes one object for a question (metadata, explain) outside of
/// any run: takes a slot like a shard, answers once, and stops. `id` is a
/// number above all runs' that pins its artifacts until `done` returns.
[[nodiscard]] caf::behavior inspector(caf::event_based_actor* self, node_services* services,
                                      run_id id, object_ref object, caf::actor scheduler,
                                      std::function<void(result<inspection>)> done);

/// Pseudo run ids of inspections begin here.
inline constexpr std::uint64_t inspection_id_first = 1ULL << 52;
/// Those of a life of the coordinator: a worker that outlives it still knows the last
/// one's, and would take a new one for a repeated copy.
constexpr std::uint64_t inspection_ids_of(timestamp started) {
  const auto second = static_cast<std::uint64_t>(started.us / 1'000'000);
  return inspection_id_first + ((second & 0xffff'ffff) << 16);
}

} // namespace framemill
