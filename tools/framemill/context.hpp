#pragma once

#include "tools/framemill/client.hpp"
#include "tools/framemill/exit_code.hpp"

#include <functional>

namespace CLI {
class App;
}

namespace framemill::cli {

class table;

enum class output_form : unsigned char { text, json };

/// What every command shares: the global options, and what the command line
/// chose to do. Parsing only fills it; main runs `chosen` afterwards.
struct context {
  connection_options connection;
  output_form form = output_form::text;
  std::function<result<exit_code>()> chosen;

  /// A client for the server that the options name.
  [[nodiscard]] result<client> connect() const;
  [[nodiscard]] bool wants_json() const { return form == output_form::json; }
};

/// Writes to stdout.
void print(std::string_view text);
/// A table as wide as the terminal, or `when_empty` on a line.
void print(const table& t, std::string_view when_empty);
void print_json(const json& value);

/// Calls one of Framemill's own actions, which changes something, and says that
/// it was done.
[[nodiscard]] result<exit_code> change(const context& ctx, std::string_view action,
                                       const json& request, const std::string& done);
/// The same with one of MPS's.
[[nodiscard]] result<exit_code> change_mps(const context& ctx, std::string_view action,
                                           const json& request, const std::string& done);

/// Makes `action` the one that main runs when `command` is given.
void on_chosen(context& ctx, CLI::App& command, std::function<result<exit_code>()> action);

// One per noun; each adds its verbs.
void add_workflow(CLI::App& app, context& ctx);
void add_scheme(CLI::App& app, context& ctx);
void add_run(CLI::App& app, context& ctx);
void add_bucket(CLI::App& app, context& ctx);
void add_audit(CLI::App& app, context& ctx);
void add_template(CLI::App& app, context& ctx);
void add_event(CLI::App& app, context& ctx);
void add_queue(CLI::App& app, context& ctx);
void add_topic(CLI::App& app, context& ctx);
void add_deliveries(CLI::App& noun, context& ctx); ///< verbs of `event`
void add_function(CLI::App& app, context& ctx);
void add_node(CLI::App& app, context& ctx);
void add_cluster(CLI::App& app, context& ctx);
void add_top(CLI::App& app, context& ctx);
void add_fault(CLI::App& app, context& ctx);
void add_fault_drill(CLI::App& noun, context& ctx); ///< a verb of `fault`
void add_backup(CLI::App& app, context& ctx);
void add_restore(CLI::App& app, context& ctx);
void add_inspect(CLI::App& app, context& ctx);
void add_completion(CLI::App& app, context& ctx);

} // namespace framemill::cli
