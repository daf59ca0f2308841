#pragma once

#include "actors/functions_actor.hpp"

namespace framemill {

// What the gateway asks of FUNCTIONS, on its thread.

/// `from_template` "" = the edit brings its code.
void create_function(functions_state& s, const std::string& name,
                     const std::string& from_template, function_edit edit,
                     gateway::reply<void> done);
void update_function(functions_state& s, const std::string& name, function_edit edit,
                     gateway::reply<void> done);

} // namespace framemill
