#pragma once

#include "tools/framemill/fault_drill.hpp"

#include <optional>
#include <string>
#include <vector>

// What became of the faults of a drill, from what the nodes answered: pure.

namespace framemill::cli {

/// A step of a drill that is an order or a mode, and its answer.
struct told_step {
  drill_step step;
  result<json> answer;
};

enum class fault_fate : unsigned char {
  not_armed,
  came,       ///< at one of its passes at least; a mode that was set
  never_came, ///< armed, but none of its passes was reached
  not_known,  ///< its counts ended with its process, or could not be asked
};
[[nodiscard]] std::string_view to_string(fault_fate f) noexcept;

struct fault_record {
  std::string node;
  std::string what; ///< as the diary says it
  fault_fate fate = fault_fate::not_known;
  std::string why; ///< it was not armed, or is not known
  /// Not armed, or not known to be: no wonder, a fault of the drill may have cut off
  /// its node or the coordinator by then.
  bool is_excused = false;
  std::optional<std::int64_t> passes, failed; ///< since it was armed; of them
};

/// One for each fault in `plan`, in its order. Nodes are asked with `json`: they say
/// what they replace or disarm, as it was. `healing`: the orders after the plan.
/// `points`: the fail points of a node.
[[nodiscard]] std::vector<fault_record> follow_faults(const std::vector<told_step>& plan,
                                                      const std::vector<told_step>& healing,
                                                      const std::string& coordinator,
                                                      const json& points);

} // namespace framemill::cli
