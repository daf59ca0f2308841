#include "tools/framemill/completion.hpp"
#include "tools/framemill/context.hpp"

#include <CLI/CLI.hpp>

#include <memory>

namespace framemill::cli {

void add_completion(CLI::App& app, context& ctx) {
  auto shell = std::make_shared<std::string>();
  auto* verb = app.add_subcommand("completion", "Print a completion script for a shell");
  verb->add_option("SHELL", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  on_chosen(ctx, *verb, [&app, shell]() -> result<exit_code> {
    FM_TRY(auto script, completion_script(app, *shell));
    print(script);
    return exit_code::ok;
  });
}

} // namespace framemill::cli
