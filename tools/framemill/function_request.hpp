#pragma once

#include "core/json.hpp"

#include <optional>
#include <string>
#include <vector>

namespace framemill::cli {

/// A function, or a change to one, as flags give it.
struct function_flags {
  std::string name;
  std::string runtime;                  ///< nodejs, executable
  std::string code;                     ///< file or directory
  std::string from_template;
  std::string handler;
  std::optional<std::string> description;
  std::vector<std::string> environment; ///< KEY=VALUE, KEY-
  std::vector<std::string> secrets;     ///< KEY=VALUE, KEY (of our environment), KEY-
  std::vector<std::string> grants;      ///< BUCKET or BUCKET:DIR/; in place of those before
  bool no_grants = false;               ///< takes them all away
  std::string timeout;                  ///< as parse_duration takes it
  std::optional<std::int64_t> memory_mib, output_kib, concurrency;
  std::optional<bool> network;
  std::uint64_t from_version = 0;
};

/// The bodies of CreateFunction and UpdateFunction. Reads code, and secrets that
/// are named only. Checks the shape of values; what they mean is the server's.
[[nodiscard]] result<json> create_function_request(const function_flags& f);
[[nodiscard]] result<json> update_function_request(const function_flags& f);

/// `Files` of a file, or of all regular files below a directory.
[[nodiscard]] result<json> read_code(const std::string& path);

} // namespace framemill::cli
