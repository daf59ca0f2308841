#include "tools/framemill/context.hpp"
#include "tools/framemill/definition_page.hpp"
#include "tools/framemill/file_input.hpp"
#include "tools/framemill/format.hpp"
#include "tools/framemill/json_path.hpp"
#include "tools/framemill/table.hpp"

#include <CLI/CLI.hpp>

#include <memory>

namespace framemill::cli {

namespace {

struct scheme_options {
  std::uint64_t id = 0;
  std::string file; ///< of a specification; "-" = stdin
};
using options_ptr = std::shared_ptr<scheme_options>;

/// `1 action-trans → 3`: a node of the graph, and what follows it.
std::string node_text(std::size_t index, const json& node) {
  auto next = joined(list_at(node, "ReardriveIndex"));
  return fmt::format("{} {}{}{}", index, text_at(node, "ActivityType"), next.empty() ? "" : " → ",
                     next);
}

/// The graph in one line: its actions.
std::string actions_text(const json& scheme) {
  std::string out;
  for (const auto& node : list_at(scheme, "Activities"))
    if (auto type = text_at(node, "ActivityType"); type.starts_with("action-"))
      out += (out.empty() ? "" : ", ") + type.substr(std::string_view{"action-"}.size());
  return out;
}

/// Of the member of ActivityPara that is set.
std::string given_text(const json& node) {
  for (const auto& [member, given] : at(node, "ActivityPara").items())
    if (!given.is_null())
      return "  " + parameters_text(given);
  return {};
}

result<exit_code> list(const context& ctx) {
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto schemes, all_definitions(server, "DescribeSchedules", "ScheduleInfoSet"));
  if (ctx.wants_json()) {
    print_json({{"TotalCount", schemes.size()}, {"ScheduleInfoSet", schemes}});
    return exit_code::ok;
  }
  table t{{{"ID", align::right}, {"NAME"}, {"STATUS"}, {"TRIGGER"}, {"ACTIONS"}, {"CREATED"}}};
  for (const auto& s : schemes)
    t.row({text_at(s, "ScheduleId"), text_at(s, "ScheduleName"), text_at(s, "Status"),
           trigger_text(s), actions_text(s), format_time(text_at(s, "CreateTime"))});
  print(t, "no schemes");
  return exit_code::ok;
}

result<exit_code> show(const context& ctx, const scheme_options& o) {
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto answer, server.mps("DescribeSchedules", {{"ScheduleIds", {o.id}}}));
  const auto& set = list_at(answer, "ScheduleInfoSet");
  if (set.empty())
    return fail(errc::not_found, "there is no scheme {}; see `framemill scheme list`", o.id);
  const auto& s = set[0];
  if (ctx.wants_json()) {
    print_json(s);
    return exit_code::ok;
  }
  print(render_facts({{"id", text_at(s, "ScheduleId")},
                      {"name", text_at(s, "ScheduleName")},
                      {"status", text_at(s, "Status")},
                      {"trigger", trigger_text(s)},
                      {"output bucket", text_at(s, "OutputStorage.CosOutputStorage.Bucket")},
                      {"output directory", text_at(s, "OutputDir")},
                      {"told", text_at(s, "TaskNotifyConfig.NotifyType")},
                      {"created", format_time(text_at(s, "CreateTime"))},
                      {"updated", format_time(text_at(s, "UpdateTime"))}}));
  std::string graph = "activities\n";
  std::size_t index = 0;
  for (const auto& node : list_at(s, "Activities"))
    graph += fmt::format("  {}{}\n", node_text(index++, node), given_text(node));
  print(graph);
  return exit_code::ok;
}

result<exit_code> create(const context& ctx, const scheme_options& o) {
  FM_TRY(auto spec, read_specification(o.file));
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto answer, server.mps("CreateSchedule", spec));
  const auto id = text_at(answer, "ScheduleId");
  if (ctx.wants_json())
    print_json(answer);
  else
    print(fmt::format("scheme {} created; it is disabled: framemill scheme enable {}\n", id, id));
  return exit_code::ok;
}

/// Of one scheme; `done` is what it then is.
result<exit_code> change_one(const context& ctx, const char* action, json parameters,
                             const scheme_options& o, const char* done) {
  parameters["ScheduleId"] = o.id;
  return change_mps(ctx, action, parameters, fmt::format("scheme {} {}", o.id, done));
}

result<exit_code> modify(const context& ctx, const scheme_options& o) {
  FM_TRY(auto spec, read_specification(o.file));
  for (auto name : {"Type", "Status", "CreateTime", "UpdateTime"})
    spec.erase(name); // so that what `show --json` printed can be changed and given back
  if (text_at(spec, "TaskNotifyConfig.AwsSQS.S3SecretId") != ""
      && text_at(spec, "TaskNotifyConfig.AwsSQS.S3SecretKey").empty())
    spec.erase("TaskNotifyConfig"); // it is not shown: the one that is there stays
  return change_one(ctx, "ModifySchedule", std::move(spec), o, "modified");
}

void add_file(CLI::App& verb, const options_ptr& o, const char* help) {
  verb.add_option("--file", o->file, help)->type_name("SPEC.json")->required();
}

CLI::App& add_verb(CLI::App& noun, const options_ptr& o, const char* name, const char* help) {
  auto* verb = noun.add_subcommand(name, help);
  verb->add_option("ID", o->id, "Scheme")->required();
  return *verb;
}

} // namespace

void add_scheme(CLI::App& app, context& ctx) {
  auto o = std::make_shared<scheme_options>();
  auto* noun = app.add_subcommand("scheme", "Workflows that are graphs (MPS: Schedule)");
  noun->require_subcommand(1)->fallthrough();
  on_chosen(ctx, *noun->add_subcommand("list", "List schemes, newest first"),
            [&ctx] { return list(ctx); });
  on_chosen(ctx, add_verb(*noun, o, "show", "Show one scheme"),
            [&ctx, o] { return show(ctx, *o); });

  auto* creation = noun->add_subcommand("create", "Create a scheme, disabled");
  add_file(*creation, o, "What CreateSchedule takes, as JSON; - = stdin");
  on_chosen(ctx, *creation, [&ctx, o] { return create(ctx, *o); });
  auto& modifying = add_verb(*noun, o, "modify", "Replace parts of a disabled scheme");
  add_file(modifying, o, "What ModifySchedule takes, as JSON; - = stdin");
  on_chosen(ctx, modifying, [&ctx, o] { return modify(ctx, *o); });

  struct row {
    const char *verb, *action, *done, *help;
  };
  for (auto r : {row{"enable", "EnableSchedule", "enabled", "Let new objects start runs"},
                 row{"disable", "DisableSchedule", "disabled", "Start no more runs"},
                 row{"delete", "DeleteSchedule", "deleted", "Delete a disabled scheme"}})
    on_chosen(ctx, add_verb(*noun, o, r.verb, r.help), [&ctx, o, r] {
      return change_one(ctx, r.action, json::object(), *o, r.done);
    });
}

} // namespace framemill::cli
