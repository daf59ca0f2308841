#pragma once

#include "core/function_request.hpp"
#include "core/error.hpp"

#include <span>
#include <string_view>

namespace framemill {

/// What comes with the program: notify/functions/NAME.js is the code of each.
[[nodiscard]] std::span<const function_template> function_templates();
/// errc::not_found names those that there are.
[[nodiscard]] result<const function_template*> find_template(std::string_view name);

/// A function made from a template: `edit` says what is to be different, `code`
/// is the template's file. errc::missing_argument names what it cannot do
/// without; errc::conflict: an edit that brings code of its own.
[[nodiscard]] result<function_edit> from_template(const function_template& t, function_source code,
                                                  function_edit edit);

} // namespace framemill
