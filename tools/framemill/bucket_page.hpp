#pragma once

#include "core/json.hpp"
#include "tools/framemill/table.hpp"

#include <string>

// Buckets as people read them, from the bucket_status of docs/cluster-api.md.

namespace framemill::cli {

/// A row per bucket.
[[nodiscard]] table bucket_table(const json& buckets);

/// All that is known about one: who watches it, why, and who else could.
[[nodiscard]] std::string bucket_page(const json& bucket);

} // namespace framemill::cli
