#pragma once

#include "actors/services.hpp"

namespace framemill {

// What becomes an object in a bucket has its line in the ledger first, with its
// origin: so it cannot trigger the workflow that made it.

/// Of what this run makes.
[[nodiscard]] object_origin origin_of(const run_record& run);
[[nodiscard]] object_record ledger_line(const object_origin& origin, const object_ref& object,
                                        timestamp now);
/// For actors that may block.
[[nodiscard]] result<void> commit_and_wait(node_services& services, changes c);

} // namespace framemill
