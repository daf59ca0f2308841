#pragma once

#include "core/function.hpp"
#include "core/error.hpp"

#include <string_view>

// What a function may be. Errors name the field of the request.

namespace framemill {

/// Letters, digits, `-` and `_`; begins with a letter, ends in none of the signs.
[[nodiscard]] result<void> check_function_name(std::string_view name);

/// A version as it is to be run, with the names and sizes of its secrets.
[[nodiscard]] result<void> validate(const function_version& v,
                                    const std::map<std::string, std::string>& secrets);

/// `code/index.js`, `main_handler` of `code/index.main_handler`.
struct node_handler {
  std::string file;
  std::string name;
};
[[nodiscard]] result<node_handler> parse_node_handler(std::string_view handler);

/// May a file be written under this normalised key?
[[nodiscard]] bool is_granted(const std::vector<bucket_grant>& grants, std::string_view bucket,
                              std::string_view key);

} // namespace framemill
