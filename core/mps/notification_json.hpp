#pragma once

#include "core/mps/task_json.hpp"

namespace framemill::mps {

/// MPS's EventType of what a run tells: WorkflowTask, ScheduleTask,
/// EditMediaTask.
[[nodiscard]] std::string_view event_type_of(const run_record& run);

/// What a notification tells of: something on the way, or the end.
enum class notified : std::uint8_t { change, end };

/// The body of a notification: the output of ParseNotification, but for
/// Timestamp and Sign, which each try has its own of (notify/signature.hpp). A
/// snapshot as of now; but only that of the end says FINISH, even when the run
/// has ended meanwhile.
[[nodiscard]] json to_notification(task_view task, const template_source& templates,
                                   notified what);

/// What ParseNotification answers for a body. malformed: it is none.
[[nodiscard]] result<json> parse_notification(std::string_view content);

} // namespace framemill::mps
