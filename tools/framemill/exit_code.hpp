#pragma once

#include "core/error.hpp"

#include <string_view>

namespace framemill::cli {

/// What the program's exit status says; stable, scripts depend on it
/// (docs/cli.md).
enum class exit_code : int {
  ok = 0,
  failed = 1, ///< it was asked for and did not succeed
  usage = 2,  ///< the command line or a value in it is wrong
  not_found = 3,
  refused = 4,     ///< authentication, in use, conflict
  unreachable = 5, ///< no server, or no answer in time
  internal = 6,
  interrupted = 130, ///< Ctrl-C
};

[[nodiscard]] exit_code exit_code_of(errc code) noexcept;

/// An API error as ours: `ResourceNotFound.TemplateNotExist` → not_found.
[[nodiscard]] errc errc_of_api_code(std::string_view code) noexcept;

/// The table of exit codes for `--help`.
[[nodiscard]] std::string_view exit_code_help() noexcept;

} // namespace framemill::cli
