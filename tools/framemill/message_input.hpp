#pragma once

#include "core/json.hpp"

#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace framemill::cli {

/// A message as the command line gives it.
struct message_input {
  std::optional<std::string> body;
  std::string file;                    ///< "-" = stdin
  std::vector<std::string> attributes; ///< NAME=VALUE
  std::vector<std::string> tags;
};

/// BODY, `--file` and `--attribute`.
void add_message_input(CLI::App& verb, message_input& to);
/// An outgoing message (docs/cluster-api.md). Errors: neither or both of body and
/// file, a file that cannot be read, an attribute that is not NAME=VALUE.
[[nodiscard]] result<json> message_of(const message_input& in);

} // namespace framemill::cli
