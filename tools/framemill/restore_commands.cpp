#include "tools/framemill/context.hpp"
#include "tools/framemill/file_input.hpp"
#include "tools/framemill/restore.hpp"
#include "tools/framemill/text.hpp"

#include <CLI/CLI.hpp>

#include <memory>

namespace framemill::cli {

namespace {

result<exit_code> restore(const context& ctx, const std::string& backup) {
  const auto& data_dir = ctx.connection.data_dir;
  FM_CHECK(restore_backup(backup, data_dir));
  if (ctx.wants_json())
    print_json({{"DataDir", data_dir}});
  else
    print(fmt::format("{} is a data directory; start framemilld on it\n", printable(data_dir)));
  return exit_code::ok;
}

} // namespace

void add_restore(CLI::App& app, context& ctx) {
  auto backup = std::make_shared<std::string>();
  auto* verb = app.add_subcommand("restore", "Make a data directory (--data-dir) of a backup; "
                                             "needs no server");
  verb->add_option("DIR", *backup, "What `framemill backup` made")
      ->required()
      ->check(check_directory);
  on_chosen(ctx, *verb, [&ctx, backup] { return restore(ctx, *backup); });
}

} // namespace framemill::cli
