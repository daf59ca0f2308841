#pragma once

#include "core/mps/notification_json.hpp"
#include "core/notify.hpp"

#include <optional>
#include <string>
#include <vector>

namespace framemill {

/// A place that wants to be told of an event.
struct destination {
  std::string sink;
  notify_config config;
};

/// What a notification of this event tells; nothing: nobody is told of such
/// events. The end of a run, and each start and end of a job.
[[nodiscard]] std::optional<mps::notified> told_by(const event_record& e);

/// Who is told of an event of this run: whom the run names, and the function that is
/// bound to such events, of the end. Pure.
[[nodiscard]] std::vector<destination> destinations(const event_record& e,
                                                    const run_record& run,
                                                    bool function_is_bound);

} // namespace framemill
