#pragma once

#include "actors/gateway.hpp"

#include <set>

namespace framemill {

/// Balances the books of a bucket under a prefix: what the bucket holds against
/// the ledger and its runs. `settling` are the keys that the watcher still
/// waits for. Blocks on the bucket; reads the store only.
[[nodiscard]] result<audit_report> audit_bucket(const state_store& store, const bucket& b,
                                                const std::string& prefix,
                                                const std::set<std::string>& settling);

} // namespace framemill
