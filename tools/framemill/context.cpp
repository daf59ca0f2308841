#include "tools/framemill/context.hpp"

#include "tools/framemill/json_path.hpp"
#include "tools/framemill/table.hpp"
#include "tools/framemill/text.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>

namespace framemill::cli {

result<client> context::connect() const {
  FM_TRY(auto to, resolve(connection));
  return client{std::move(to)};
}

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void print(const table& t, std::string_view when_empty) {
  print(t.empty() ? std::string{when_empty} + "\n" : t.render(terminal_columns()));
}

void print_json(const json& value) { print(dump(value) + "\n"); }

namespace {

exit_code show_done(const context& ctx, const json& answer, const std::string& done) {
  if (ctx.wants_json())
    print_json(answer);
  else
    print(printable(done) + "\n");
  return exit_code::ok;
}

} // namespace

result<exit_code> change(const context& ctx, std::string_view action, const json& request,
                         const std::string& done) {
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto answer, server.own(action, request));
  return show_done(ctx, answer, done);
}

result<exit_code> change_mps(const context& ctx, std::string_view action, const json& request,
                             const std::string& done) {
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto answer, server.mps(action, request));
  return show_done(ctx, answer, done);
}

void on_chosen(context& ctx, CLI::App& command, std::function<result<exit_code>()> action) {
  command.callback([&ctx, action = std::move(action)] { ctx.chosen = action; });
}

} // namespace framemill::cli
