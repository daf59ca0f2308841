#pragma once

#include "core/json.hpp"

#include <chrono>
#include <optional>
#include <string>

// The cluster at a glance, and over time.

namespace framemill::cli {

/// A cluster_status (docs/cluster-api.md) as facts.
[[nodiscard]] std::string cluster_page(const json& cluster);

/// What the cluster said at one moment.
struct top_sample {
  json cluster; ///< cluster_status
  json nodes;   ///< [node_view]
  json metrics; ///< [{Name, Value, …}]
  std::chrono::steady_clock::time_point taken;
};

/// Per second; nothing when a counter is absent or began anew in between.
struct throughput {
  std::optional<double> frames;
  std::optional<double> bytes; ///< published
};
[[nodiscard]] throughput throughput_between(const top_sample& before, const top_sample& now);

/// One line: `4 nodes up, 1 away  slots 6/8  queue 12  …`.
[[nodiscard]] std::string top_line(const top_sample& s, const throughput& t);
/// That line over a table of nodes, at most `columns` wide and `rows` high (0 = any).
[[nodiscard]] std::string top_page(const top_sample& s, const throughput& t,
                                   std::size_t columns, std::size_t rows);

} // namespace framemill::cli
