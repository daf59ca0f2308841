#pragma once

#include "actors/interfaces.hpp"
#include "actors/services.hpp"

#include <caf/event_based_actor.hpp>

namespace framemill {

/// PUBLISHER: copies artifacts into buckets and gives them their final names.
/// Detached: it blocks on disks. Order of each file: temporary copy, fsync,
/// its line in the ledger with its origin (so that it cannot trigger the
/// workflow that made it), rename. Repeating an order is safe.
[[nodiscard]] caf::behavior publisher(caf::event_based_actor* self, node_services* services);

} // namespace framemill
