#pragma once

#include "core/error.hpp"

#include <map>
#include <string>
#include <vector>

namespace framemill::cli {

/// Labels to set and keys to remove.
struct label_edit {
  std::map<std::string, std::string> set;
  std::vector<std::string> remove;
};

/// From words of the command line: `KEY=VALUE` sets, `KEY-` removes. A key that
/// stands twice is an error.
[[nodiscard]] result<label_edit> parse_labels(const std::vector<std::string>& words);

} // namespace framemill::cli
