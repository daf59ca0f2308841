#pragma once

#include "cluster/blame.hpp"
#include "cluster/fleet.hpp"
#include "cluster/membership.hpp"
#include "storage/state_store.hpp"

namespace framemill {

// What MEMBERSHIP reads from the books. No actor needed.

[[nodiscard]] result<membership> load_membership(const state_store& store,
                                                 membership::options o = {});
/// But for what is old by `now`.
[[nodiscard]] result<blame_matrix> load_blame(const state_store& store, timestamp now);
/// What the shard reserves where it runs; of one that is not in the books only that
/// it is there.
[[nodiscard]] result<reservation> booked_reservation(const state_store& store, shard_id shard);

} // namespace framemill
