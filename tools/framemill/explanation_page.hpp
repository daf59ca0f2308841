#pragma once

#include "core/json.hpp"

#include <string>

namespace framemill::cli {

/// Why a run waits, is slow or failed: a run_explanation (docs/cluster-api.md).
[[nodiscard]] std::string explanation_page(const json& explanation);

/// A certificate: its plain values, then a table for each list. What it holds
/// is its maker's business.
[[nodiscard]] std::string certificate_page(const json& certificate);

} // namespace framemill::cli
