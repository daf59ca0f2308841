#pragma once

#include "core/error.hpp"

#include <string>
#include <string_view>

namespace CLI {
class App;
}

namespace framemill::cli {

/// A completion script for `shell` (bash, zsh, fish), made from the commands
/// themselves so that it cannot fall behind them.
[[nodiscard]] result<std::string> completion_script(const CLI::App& app,
                                                    std::string_view shell);

} // namespace framemill::cli
