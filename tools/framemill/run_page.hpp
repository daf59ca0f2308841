#pragma once

#include "core/json.hpp"

#include <string>

namespace framemill::cli {

/// `DescribeRun`'s answer and the run's events as the page that `run show`
/// prints: facts, jobs, outputs, timeline, and for each failed attempt all
/// that is known about it. Pure.
[[nodiscard]] std::string run_page(const json& answer, const json& events);

/// `input_incomplete (input): the sentence`; "" for null.
[[nodiscard]] std::string failure_text(const json& failure);

/// What came out, one line per file; pictures of a series are counted.
[[nodiscard]] std::string outputs_text(const json& jobs);

} // namespace framemill::cli
