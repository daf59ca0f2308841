#pragma once

#include "cluster/blame.hpp"
#include "cluster/membership.hpp"
#include "storage/state_store.hpp"

namespace framemill {

// What MEMBERSHIP reads from the books. No actor needed.

[[nodiscard]] result<membership> load_membership(const state_store& store,
                                                 membership::options o = {});
/// But for what is old by `now`.
[[nodiscard]] result<blame_matrix> load_blame(const state_store& store, timestamp now);
/// What the shard reserves where it runs; 0 for one that is not in the books.
[[nodiscard]] result<std::int64_t> memory_of(const state_store& store, shard_id shard);

} // namespace framemill
