#pragma once

#include "tools/framemill/client.hpp"

#include <string>

// What workflows and schemes have in common as they are listed and shown.

namespace framemill::cli {

/// All that a Describe… action has in its `set`, newest first, page by page.
[[nodiscard]] result<json> all_definitions(const client& server, const char* action,
                                           const char* set);
/// `bucket/dir/` of the trigger; "" = it has none.
[[nodiscard]] std::string trigger_text(const json& definition);
/// The parameters of a task without what they leave open, in a line.
[[nodiscard]] std::string parameters_text(const json& task);

} // namespace framemill::cli
