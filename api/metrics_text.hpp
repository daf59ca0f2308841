#pragma once

#include "actors/gateway.hpp"

#include <string>
#include <vector>

namespace framemill {

/// Prometheus's text format 0.0.4; metrics of one name stand together.
[[nodiscard]] std::string metrics_text(const std::vector<metric>& metrics);

} // namespace framemill
