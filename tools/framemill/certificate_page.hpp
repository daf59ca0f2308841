#pragma once

#include "core/json.hpp"

#include <string>

namespace framemill::cli {

/// How an output came to be: a join_certificate (cluster/certificate.hpp) as its
/// shards, outputs, seams and checks, a table each; those without a row are left
/// out. `--json` has every field, this has those that people compare.
[[nodiscard]] std::string certificate_page(const json& certificate);

} // namespace framemill::cli
