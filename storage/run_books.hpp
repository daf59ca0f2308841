#pragma once

#include "core/mps/task_json.hpp"
#include "storage/records.hpp"

namespace framemill {

/// A run with what belongs to it, as the API and notifications show it; without
/// progress. not_found: there is no such run.
[[nodiscard]] result<mps::task_view> read_task(const state_store& store, run_id id);

} // namespace framemill
