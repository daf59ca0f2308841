#pragma once

#include "core/json.hpp"

#include <string>
#include <string_view>
#include <vector>

// How faults are written, docs/faults.md, and how a node is told of them. What is
// wrong is said here for the sake of a good sentence; the node checks again.

namespace framemill::cli {

class client;

/// `kill`, `hang`, `delay=MS`, …; invalid_argument.
[[nodiscard]] result<void> check_fault_action(std::string_view action);
/// `POINT`, `POINT:N`, `POINT:N-M` or `POINT:N-`; invalid_argument. Whether there is
/// such a point, a node knows.
[[nodiscard]] result<void> check_fault_place(std::string_view place);

/// `POINT` of `POINT:N-M`.
[[nodiscard]] std::string point_of(std::string_view place);
/// `delay` of `delay=5`.
[[nodiscard]] std::string word_of(std::string_view action);

/// A word to a node; what it says.
[[nodiscard]] result<std::string> order_node(const client& server, const std::string& node,
                                             std::string_view what,
                                             const std::vector<std::string>& arguments);
/// The fail points of a node as fields (docs/cluster-api.md).
[[nodiscard]] result<json> fault_points(const client& server, const std::string& node);
/// Of what a node answers to an order with `json`.
[[nodiscard]] result<json> read_fault_points(const std::string& node, const std::string& text);

} // namespace framemill::cli
