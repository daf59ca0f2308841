#pragma once

#include "core/json.hpp"

#include <string>

// What a command is given as a file ("-" is standard input) or a directory.

namespace framemill::cli {

/// Of an option that names a directory: why this is none, "" = it may be one.
[[nodiscard]] std::string check_directory(const std::string& text);
/// All of it.
[[nodiscard]] result<std::string> read_file(const std::string& path);
/// JSON. malformed, naming the file: it holds none.
[[nodiscard]] result<json> read_json_file(const std::string& path);
/// The same, and it is an object.
[[nodiscard]] result<json> read_specification(const std::string& path);

} // namespace framemill::cli
