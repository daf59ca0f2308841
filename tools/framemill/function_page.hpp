#pragma once

#include "core/json.hpp"
#include "tools/framemill/table.hpp"

#include <string>

// What is printed about functions.

namespace framemill::cli {

/// Of the answer of DescribeFunctions.
[[nodiscard]] table function_table(const json& answer);
[[nodiscard]] table template_table(const json& templates);
/// All about one: of the answer of DescribeFunction.
[[nodiscard]] std::string function_page(const json& answer);
/// A call: when, how long, what it printed, what became of it.
[[nodiscard]] std::string invocation_text(const json& invocation);

} // namespace framemill::cli
