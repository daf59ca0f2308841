#pragma once

#include "actors/services.hpp"
#include "notify/function_call.hpp"

#include <caf/event_based_actor.hpp>

namespace framemill {

/// Writes the files that a function's answer wants, each whole or not at all, as
/// the PUBLISHER does: its line in the ledger, with its origin, is there before
/// its name. Detached, for a bucket may be slow; ends when it has answered.
/// `run` is the one whose event it was, or 0.
[[nodiscard]] caf::behavior function_files(caf::event_based_actor* self, node_services* services,
                                           run_id run, std::vector<wanted_file> files,
                                           std::function<void(const result<void>&)> done);

} // namespace framemill
