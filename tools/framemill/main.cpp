#include "tools/framemill/context.hpp"
#include "tools/framemill/text.hpp"

#include <CLI/CLI.hpp>
#include <curl/curl.h>

#include <cstdio>

namespace {

using namespace framemill;
using namespace framemill::cli;

void add_global_options(CLI::App& app, context& ctx) {
  // The last one given counts, so that an alias may hold defaults.
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_option("--server", ctx.connection.server, "Gateway to talk to")
      ->type_name("HOST:PORT")
      ->envname("FRAMEMILL_SERVER");
  app.add_option("--data-dir", ctx.connection.data_dir,
                 "Data directory of a node on this machine: its endpoint and credentials are "
                 "taken when not given")
      ->type_name("DIR")
      ->envname("FRAMEMILL_DATA_DIR")
      ->capture_default_str();
  app.add_option("--secret-id", ctx.connection.secret_id, "Credentials")
      ->envname("FRAMEMILL_SECRET_ID");
  app.add_option("--secret-key", ctx.connection.secret_key, "Credentials")
      ->envname("FRAMEMILL_SECRET_KEY");
  app.add_flag_callback(
      "--json", [&ctx] { ctx.form = output_form::json; }, "Print the API's answer as JSON");
  app.set_version_flag("--version", "framemill " FRAMEMILL_VERSION);
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::Throw);
}

void add_nouns(CLI::App& app, context& ctx) {
  app.require_subcommand(1);
  app.fallthrough(); // global options may also follow the verb
  add_workflow(app, ctx);
  add_scheme(app, ctx);
  add_run(app, ctx);
  add_bucket(app, ctx);
  add_audit(app, ctx);
  add_template(app, ctx);
  add_event(app, ctx);
  add_queue(app, ctx);
  add_topic(app, ctx);
  add_function(app, ctx);
  add_node(app, ctx);
  add_cluster(app, ctx);
  add_top(app, ctx);
  add_fault(app, ctx);
  add_backup(app, ctx);
  add_restore(app, ctx);
  add_inspect(app, ctx);
  add_completion(app, ctx);
  on_chosen(ctx, *app.add_subcommand("version", "Print the version"),
            []() -> result<exit_code> {
              print("framemill " FRAMEMILL_VERSION "\n");
              return exit_code::ok;
            });
}

/// As the server says it of its own: the parameter at fault, unless the sentence has it.
std::string sentence_of(const error& e) {
  const auto field = "`" + e.field + "`";
  const bool is_named = e.field.empty() || e.message.find(field) != e.message.npos;
  return is_named ? e.message : field + ": " + e.message;
}

int run(const context& ctx) {
  auto code = ctx.chosen();
  if (code)
    return static_cast<int>(*code);
  const auto& e = code.error();
  std::fprintf(stderr, "framemill: %s\n", printable(sentence_of(e)).c_str());
  return static_cast<int>(exit_code_of(e.code));
}

} // namespace

int main(int argc, char** argv) {
  context ctx;
  CLI::App app{"Framemill: media processing that starts when a file lands in a bucket",
               "framemill"};
  app.footer(std::string{exit_code_help()});
  add_global_options(app, ctx);
  add_nouns(app, ctx);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : static_cast<int>(exit_code::usage);
  }
  curl_global_init(CURL_GLOBAL_DEFAULT);
  int status = run(ctx);
  curl_global_cleanup();
  bool written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  return written || status != 0 ? status : static_cast<int>(exit_code::failed);
}
