#pragma once

#include "core/json.hpp"
#include "core/run.hpp"

#include <map>

namespace framemill::mps {

/// A run with what belongs to it, as it was read.
struct task_view {
  run_record run;
  std::map<std::uint32_t, job_record> jobs; ///< by activity; empty before planning
  std::vector<shard_record> shards;         ///< of sprites they say the grid; else not needed
  std::optional<run_progress> progress; ///< of a live run
};

/// WAITING, PROCESSING, FINISH.
[[nodiscard]] std::string_view task_status(run_state s);
/// `2019-07-16T06:21:27Z`, or MPS's `0000-00-00T00:00:00Z` for not yet.
[[nodiscard]] std::string task_time(timestamp t);

/// TaskSimpleInfo.
[[nodiscard]] json to_task_simple_info(const run_record& run);
/// WorkflowTask, ScheduleTask or EditMediaTask, as the run's kind says: also the body of a notification.
[[nodiscard]] json to_task(const task_view& task, const template_source& templates);
/// The whole answer of DescribeTaskDetail.
[[nodiscard]] json to_task_detail(const task_view& task, const template_source& templates);

/// MPS's ErrCodeExt of a failure: `SourceFileError.NoVideoMedia`, …
[[nodiscard]] std::string_view task_error_code(const error& e);

} // namespace framemill::mps
