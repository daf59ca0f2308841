#pragma once

#include "api/action.hpp"

// What DescribeWorkflows and DescribeSchedules have in common.

namespace framemill::mps {

/// Which definitions of a kind are asked for.
struct definition_query {
  task_kind kind = task_kind::workflow;
  std::vector<std::uint64_t> ids; ///< empty: all
  std::string status;             ///< Enabled, Disabled; "" = both
  framemill::page page;
};
/// `ids` is what the caller's parameter of that is called.
[[nodiscard]] result<void> check(const definition_query& q, const char* ids);

/// TotalCount, and under `set` the page of what `show` makes of each; newest first.
[[nodiscard]] result<json> list_definitions(const state_store& store, const definition_query& q,
                                            const char* set,
                                            json (*show)(const workflow_record&));

} // namespace framemill::mps
