#pragma once

#include "core/function_request.hpp"
#include "core/json.hpp"

#include <string>
#include <vector>

// What a function hears when it is called, and what its words mean. The other
// side is notify/functions/bootstrap.js; docs/functions.md is the contract.

namespace framemill {

/// Everything that processes of a version have in their environment.
[[nodiscard]] std::map<std::string, std::string>
function_environment(const std::string& function, const function_version& v,
                     const std::map<std::string, std::string>& secrets);
/// What one call adds to it, for an executable: FRAMEMILL_REQUEST_ID, ….
void add_call(std::map<std::string, std::string>& environment, const function_invocation& call,
              const std::string& request_id);
/// The line that a Node.js process reads.
[[nodiscard]] std::string node_call(const function_invocation& call, const function_version& v,
                                    const std::string& request_id);

struct function_answer {
  std::string error;    ///< "" = the call succeeded
  json value;           ///< what it answered
  bool is_lost = false; ///< the process does not speak our language any more
};
/// Of the line that a Node.js process wrote.
[[nodiscard]] function_answer judge_node(std::string_view line);
/// Of all that an executable wrote on descriptor 3; nothing is null.
[[nodiscard]] function_answer judge_executable(std::string_view text);

/// A file that an answer wants to have written: {"files": [{bucket, key, body}]}.
struct wanted_file {
  std::string bucket;
  std::string key; ///< normalised
  std::string body;
};
/// Empty when it asks for none. errc::unauthorized: no grant covers one of them.
[[nodiscard]] result<std::vector<wanted_file>> wanted_files(const json& answer,
                                                            const function_version& v);

} // namespace framemill
