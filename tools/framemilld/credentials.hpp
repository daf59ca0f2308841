#pragma once

#include "core/error.hpp"

#include <string>

namespace framemill {

struct credentials {
  std::string secret_id;
  std::string secret_key;
};

/// Reads `DIR/credentials.json`, or makes it (mode 0600) at the first start.
[[nodiscard]] result<credentials> load_or_make_credentials(const std::string& data_dir);

} // namespace framemill
