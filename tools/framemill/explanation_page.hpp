#pragma once

#include "core/json.hpp"

#include <string>

namespace framemill::cli {

/// Why a run waits, is slow or failed: a run_explanation (docs/cluster-api.md).
[[nodiscard]] std::string explanation_page(const json& explanation);

} // namespace framemill::cli
