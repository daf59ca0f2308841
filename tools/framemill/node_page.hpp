#pragma once

#include "core/json.hpp"
#include "tools/framemill/table.hpp"

#include <string>

// Nodes as people read them, from the node_view of docs/cluster-api.md.

namespace framemill::cli {

/// Presence and mode in a word or two: `up`, `away`, `draining`, `up, cordoned`.
[[nodiscard]] std::string node_state(const json& node);

/// `7/3 decode encoding 25%, …`: what its slots are doing.
[[nodiscard]] std::string running_text(const json& node);

/// `bucket-watcher media (the mount is gone), …`: what is placed there.
[[nodiscard]] std::string services_text(const json& services);

/// A row per node.
[[nodiscard]] table node_table(const json& nodes);

/// All that is known about one node of the cluster.
[[nodiscard]] std::string node_page(const json& node);

} // namespace framemill::cli
