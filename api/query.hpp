#pragma once

#include "core/json.hpp"

#include <map>

namespace framemill {

/// `a=1&b=%20` → decoded pairs; malformed escapes fail.
[[nodiscard]] result<std::map<std::string, std::string>> parse_query(std::string_view query);

/// Flattened parameters of a GET back into an object: `Ids.0=7` → {"Ids":["7"]}.
/// Numeric parts are array indexes and must count from 0 without a gap; every
/// leaf is a string, which the typed reader takes as a number where one is due.
[[nodiscard]] result<json> unflatten(const std::map<std::string, std::string>& parameters);

} // namespace framemill
