#include "core/limits.hpp"
#include "tools/framemill/context.hpp"
#include "tools/framemill/duration.hpp"
#include "tools/framemill/file_input.hpp"
#include "tools/framemill/function_page.hpp"
#include "tools/framemill/function_request.hpp"
#include "tools/framemill/json_path.hpp"
#include "tools/framemill/text.hpp"

#include <CLI/CLI.hpp>

#include <memory>

namespace framemill::cli {

namespace {

struct function_options {
  function_flags flags;
  std::string event_type;
  std::string event = "-"; ///< file
  std::string since, grep;
  bool failed = false;
  int limit = 20;
  bool network = false, no_network = false;
};
using options_ptr = std::shared_ptr<function_options>;

std::string newest_version(const json& answer) {
  const auto& versions = list_at(answer, "Function.Versions");
  return versions.empty() ? "none" : text_at(versions.back(), "Number");
}

result<exit_code> write(const context& ctx, std::string_view action, const json& request) {
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto answer, server.own(action, request));
  if (ctx.wants_json())
    print_json(answer);
  else
    print(fmt::format("function {} has version {}\n", printable(text_at(request, "Name")),
                      newest_version(answer)));
  return exit_code::ok;
}

function_flags flags_of(const function_options& o) {
  auto out = o.flags;
  if (o.network || o.no_network)
    out.network = o.network;
  return out;
}

result<exit_code> create(const context& ctx, const function_options& o) {
  FM_TRY(auto request, create_function_request(flags_of(o)));
  return write(ctx, "CreateFunction", request);
}

result<exit_code> update(const context& ctx, const function_options& o) {
  FM_TRY(auto request, update_function_request(flags_of(o)));
  return write(ctx, "UpdateFunction", request);
}

result<exit_code> list(const context& ctx) {
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto answer, server.own("DescribeFunctions", json::object()));
  if (ctx.wants_json()) {
    print_json(answer);
    return exit_code::ok;
  }
  print(function_table(answer), "no functions: `framemill function create` makes one");
  print("\n"
        + printable(fmt::format("sandbox: {}; node: {}", text_at(answer, "Status.Sandbox"),
                                text_at(answer, "Status.Node")))
        + "\n");
  return exit_code::ok;
}

result<exit_code> templates(const context& ctx) {
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto answer, server.own("DescribeFunctions", json::object()));
  const auto& all = list_at(answer, "Status.Templates");
  if (ctx.wants_json())
    print_json(all);
  else
    print(template_table(all), "none");
  return exit_code::ok;
}

result<exit_code> show(const context& ctx, const function_options& o) {
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto answer, server.own("DescribeFunction", {{"Name", o.flags.name}}));
  if (ctx.wants_json())
    print_json(answer);
  else
    print(function_page(answer));
  return exit_code::ok;
}

/// The server's own limit (api/function_actions.cpp: a minute more than the
/// longest of calls), and some seconds for its answer.
constexpr auto invoke_time_max = limits::function_timeout_max + std::chrono::seconds{70};

/// A call that fails is a failure of the command.
result<exit_code> invoke(const context& ctx, const function_options& o) {
  FM_TRY(auto event, read_json_file(o.event));
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto answer,
         server.own("InvokeFunction", {{"Name", o.flags.name}, {"Event", event}}, invoke_time_max));
  const auto& call = at(answer, "Invocation");
  if (ctx.wants_json())
    print_json(answer);
  else
    print(invocation_text(call) + dump(at(answer, "Answer")) + "\n");
  return text_at(call, "Error").empty() ? exit_code::ok : exit_code::failed;
}

result<json> log_query(const function_options& o) {
  json query{
      {"Name", o.flags.name}, {"Grep", o.grep}, {"Failed", o.failed}, {"Limit", o.limit}};
  if (!o.since.empty()) {
    FM_TRY(auto ago, parse_duration(o.since));
    auto since = system_clock{}.now() + microseconds{-1000 * ago.count()};
    query["Since"] = to_iso8601_us(since);
  }
  return query;
}

result<exit_code> logs(const context& ctx, const function_options& o) {
  FM_TRY(auto query, log_query(o));
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto answer, server.own("DescribeFunctionLogs", query));
  if (ctx.wants_json()) {
    print_json(answer);
    return exit_code::ok;
  }
  const auto& calls = list_at(answer, "Invocations");
  for (auto call = calls.rbegin(); call != calls.rend(); ++call) // the newest stands last
    print(invocation_text(*call));
  if (calls.empty())
    print("no such calls\n");
  return exit_code::ok;
}

result<exit_code> set_enabled(const context& ctx, const function_options& o, bool enabled) {
  const auto* word = enabled ? "enabled" : "disabled";
  if (o.event_type.empty())
    return change(ctx, "UpdateFunction", {{"Name", o.flags.name}, {"Enabled", enabled}},
                  fmt::format("function {} is {}", o.flags.name, word));
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto answer, server.own("DescribeFunction", {{"Name", o.flags.name}}));
  for (const auto& t : list_at(answer, "Triggers"))
    if (text_at(t, "EventType") == o.event_type)
      return change(
          ctx, "SetTriggerEnabled", {{"EventType", o.event_type}, {"Enabled", enabled}},
          fmt::format("events of type {} to {} are {}", o.event_type, o.flags.name, word));
  return fail(errc::not_found, "function {} is not bound to {}", o.flags.name, o.event_type);
}

// ---- Options ------------------------------------------------------------------------

CLI::App& add_verb(CLI::App& noun, const options_ptr& o, const char* name, const char* help) {
  auto* verb = noun.add_subcommand(name, help);
  verb->add_option("NAME", o->flags.name, "Of the function")->required();
  return *verb;
}

void add_settings(CLI::App& verb, const options_ptr& o) {
  auto& f = o->flags;
  verb.add_option("--handler", f.handler,
                  "nodejs: FILE.NAME, default index.main_handler; executable: its file");
  verb.add_option("--code", f.code, "File, or directory with all files")->type_name("PATH");
  verb.add_option("--description", f.description, "What it is for");
  verb.add_option("--env", f.environment, "KEY=VALUE")
      ->type_name("WORD")
      ->allow_extra_args(false);
  verb.add_option("--secret", f.secrets,
                  "KEY=VALUE, or KEY: the value of that variable of your environment")
      ->type_name("WORD")
      ->allow_extra_args(false);
  verb.add_option("--timeout", f.timeout, "Of a call: 500ms, 3s, 15m")->type_name("TIME");
  verb.add_option("--memory-mib", f.memory_mib, "Of a process: 64 to 3072");
  verb.add_option("--output-kib", f.output_kib, "That a call may print");
  verb.add_option("--concurrency", f.concurrency, "Calls at once: 1 to 64");
  verb.add_option("--grant", f.grants, "BUCKET or BUCKET:DIR/ where it may write files")
      ->allow_extra_args(false);
  verb.add_flag("--network", o->network, "It may use this machine's network");
}

void add_writing(CLI::App& noun, context& ctx, const options_ptr& o) {
  auto& making = add_verb(noun, o, "create", "Make a function of code, or of a template");
  making.add_option("--runtime", o->flags.runtime, "nodejs or executable");
  making.add_option("--template", o->flags.from_template,
                    "Built-in code: see `function templates`");
  add_settings(making, o);
  on_chosen(ctx, making, [&ctx, o] { return create(ctx, *o); });

  auto& changing = add_verb(noun, o, "update", "Make a new version of it");
  add_settings(changing, o);
  changing.add_flag("--no-network", o->no_network, "It may not use the network any more")
      ->excludes("--network");
  changing.add_flag("--no-grant", o->flags.no_grants, "It may write files nowhere any more")
      ->excludes("--grant");
  changing.add_option("--from-version", o->flags.from_version,
                      "Begin with this version, not with the newest");
  on_chosen(ctx, changing, [&ctx, o] { return update(ctx, *o); });

  on_chosen(ctx, add_verb(noun, o, "delete", "Remove it; its log stays for a time"), [&ctx, o] {
    return change(ctx, "DeleteFunction", {{"Name", o->flags.name}},
                  fmt::format("function {} is deleted", o->flags.name));
  });
}

void add_looking(CLI::App& noun, context& ctx, const options_ptr& o) {
  on_chosen(ctx, *noun.add_subcommand("list", "The functions, and where they run"),
            [&ctx] { return list(ctx); });
  on_chosen(ctx, *noun.add_subcommand("templates", "Built-in code, and its settings"),
            [&ctx] { return templates(ctx); });
  on_chosen(ctx, add_verb(noun, o, "show", "All about one"),
            [&ctx, o] { return show(ctx, *o); });

  auto& calling = add_verb(noun, o, "invoke", "Call it with an event");
  calling.add_option("--event", o->event, "JSON file; - is standard input")
      ->type_name("FILE")
      ->capture_default_str();
  on_chosen(ctx, calling, [&ctx, o] { return invoke(ctx, *o); });

  auto& reading = add_verb(noun, o, "logs", "Its calls: time, memory, output, error");
  reading.add_option("--since", o->since, "Not older than: 10m, 2h")->type_name("TIME");
  reading.add_option("--grep", o->grep,
                     "Only calls whose output, error or answer has this text");
  reading.add_flag("--failed", o->failed, "Only calls that failed");
  reading.add_option("--limit", o->limit, "At most so many, the newest")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  on_chosen(ctx, reading, [&ctx, o] { return logs(ctx, *o); });
}

void add_event_type(CLI::App& verb, const options_ptr& o) {
  verb.add_option("EVENT-TYPE", o->event_type, "WorkflowTask, EditMediaTask or ScheduleTask")
      ->required();
}

void add_binding(CLI::App& noun, context& ctx, const options_ptr& o) {
  auto& binding = add_verb(noun, o, "bind", "Give it all events of a type");
  add_event_type(binding, o);
  on_chosen(ctx, binding, [&ctx, o] {
    return change(ctx, "BindFunction", {{"EventType", o->event_type}, {"Name", o->flags.name}},
                  fmt::format("{} goes to function {}", o->event_type, o->flags.name));
  });
  auto* unbinding = noun.add_subcommand("unbind", "Give events of a type to no function");
  add_event_type(*unbinding, o);
  on_chosen(ctx, *unbinding, [&ctx, o] {
    return change(ctx, "UnbindFunction", {{"EventType", o->event_type}},
                  fmt::format("{} goes to no function", o->event_type));
  });
  for (bool enabled : {true, false}) {
    auto& verb =
        add_verb(noun, o, enabled ? "enable" : "disable",
                 enabled ? "Let it be called again" : "Have its calls wait and be tried again");
    verb.add_option("--trigger", o->event_type, "Only its events of this type");
    on_chosen(ctx, verb, [&ctx, o, enabled] { return set_enabled(ctx, *o, enabled); });
  }
}

/// `env set NAME KEY=VALUE… KEY-…`, and the same for secrets.
void add_variables(CLI::App& noun, context& ctx, const options_ptr& o, const char* name,
                   const char* help, std::vector<std::string> function_flags::*words) {
  auto* variables = noun.add_subcommand(name, help);
  variables->require_subcommand(1)->fallthrough();
  auto& verb = add_verb(*variables, o, "set", "KEY=VALUE sets, KEY- removes");
  verb.add_option("WORD", o->flags.*words,
                  "KEY=VALUE, KEY-; of a secret also KEY: its value is "
                  "that variable of your environment")
      ->required();
  on_chosen(ctx, verb, [&ctx, o] { return update(ctx, *o); });
}

} // namespace

void add_function(CLI::App& app, context& ctx) {
  auto o = std::make_shared<function_options>();
  auto* noun = app.add_subcommand("function", "Code of yours that events are given to");
  noun->require_subcommand(1)->fallthrough();
  add_writing(*noun, ctx, o);
  add_looking(*noun, ctx, o);
  add_binding(*noun, ctx, o);
  add_variables(*noun, ctx, o, "env", "Its variables", &function_flags::environment);
  add_variables(*noun, ctx, o, "secret", "Its secrets: never shown again",
                &function_flags::secrets);
}

} // namespace framemill::cli
