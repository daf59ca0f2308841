#pragma once

#include "core/json.hpp"

#include <string>

// What a command is given as a file; "-" is standard input.

namespace framemill::cli {

/// All of it.
[[nodiscard]] result<std::string> read_file(const std::string& path);
/// JSON. malformed, naming the file: it holds none.
[[nodiscard]] result<json> read_json_file(const std::string& path);
/// The same, and it is an object.
[[nodiscard]] result<json> read_specification(const std::string& path);

} // namespace framemill::cli
