#include "tools/framemill/context.hpp"
#include "tools/framemill/definition_page.hpp"
#include "tools/framemill/file_input.hpp"
#include "tools/framemill/format.hpp"
#include "tools/framemill/json_path.hpp"
#include "tools/framemill/run_lookup.hpp"
#include "tools/framemill/table.hpp"
#include "tools/framemill/workflow_request.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <memory>

namespace framemill::cli {

namespace {

struct workflow_options {
  std::uint64_t id = 0;
  std::string file; ///< of a specification; "-" = stdin
  std::string name; ///< part of it
  std::string sort = "created";
  std::string object;
  bool quiet = false;
  workflow_flags flags;
};
using options_ptr = std::shared_ptr<workflow_options>;

/// "transcode 2, snapshot 1": what a workflow makes, in a word per kind.
std::string summary(const json& workflow) {
  constexpr std::pair<const char*, const char*> kinds[] = {
      {"TranscodeTaskSet", "transcode"},
      {"SnapshotByTimeOffsetTaskSet", "snapshot"},
      {"SampleSnapshotTaskSet", "sample"},
      {"ImageSpriteTaskSet", "sprite"},
      {"AnimatedGraphicTaskSet", "animation"}};
  std::string out;
  for (const auto& [set, word] : kinds) {
    auto n = list_at(at(workflow, "MediaProcessTask"), set).size();
    if (n > 0)
      out += fmt::format("{}{}{}", out.empty() ? "" : ", ", word,
                         n > 1 ? fmt::format(" ×{}", n) : "");
  }
  return out;
}

void sort_by(json& workflows, const std::string& order) {
  if (order == "name")
    std::stable_sort(workflows.begin(), workflows.end(), [](const json& a, const json& b) {
      return text_at(a, "WorkflowName") < text_at(b, "WorkflowName");
    });
}

json named(const json& workflows, const std::string& part) {
  auto out = json::array();
  for (const auto& w : workflows)
    if (text_at(w, "WorkflowName").find(part) != std::string::npos)
      out.push_back(w);
  return out;
}

result<exit_code> list(const context& ctx, const workflow_options& o) {
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto all, all_definitions(server, "DescribeWorkflows", "WorkflowInfoSet"));
  auto workflows = named(all, o.name);
  sort_by(workflows, o.sort);
  if (ctx.wants_json()) {
    print_json({{"TotalCount", workflows.size()}, {"WorkflowInfoSet", workflows}});
    return exit_code::ok;
  }
  table t{{{"ID", align::right}, {"NAME"}, {"STATUS"}, {"TRIGGER"}, {"MAKES"}, {"CREATED"}}};
  for (const auto& w : workflows) {
    if (o.quiet)
      print(text_at(w, "WorkflowId") + "\n");
    t.row({text_at(w, "WorkflowId"), text_at(w, "WorkflowName"), text_at(w, "Status"),
           trigger_text(w), summary(w), format_time(text_at(w, "CreateTime"))});
  }
  if (!o.quiet)
    print(t, "no workflows");
  return exit_code::ok;
}

std::string activities_text(const json& w) {
  std::string out;
  for (const auto& [set, tasks] : at(w, "MediaProcessTask").items())
    for (const auto& task : tasks.is_array() ? tasks : json::array())
      out += "  " + set.substr(0, set.find("TaskSet")) + "  " + parameters_text(task) + "\n";
  return out;
}

result<exit_code> show(const context& ctx, const workflow_options& o) {
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto answer, server.mps("DescribeWorkflows", {{"WorkflowIds", {o.id}}}));
  const auto& set = list_at(answer, "WorkflowInfoSet");
  if (set.empty())
    return fail(errc::not_found, "there is no workflow {}; see `framemill workflow list`",
                o.id);
  const auto& w = set[0];
  if (ctx.wants_json()) {
    print_json(w);
    return exit_code::ok;
  }
  print(render_facts({{"id", text_at(w, "WorkflowId")},
                      {"name", text_at(w, "WorkflowName")},
                      {"status", text_at(w, "Status")},
                      {"trigger", trigger_text(w)},
                      {"formats", joined(list_at(w, "Trigger.CosFileUploadTrigger.Formats"))},
                      {"output bucket", text_at(w, "OutputStorage.CosOutputStorage.Bucket")},
                      {"output directory", text_at(w, "OutputDir")},
                      {"priority", text_at(w, "TaskPriority")},
                      {"weight", text_at(w, "Scheduling.Weight")},
                      {"requires", pairs_text(at(w, "Scheduling.RequiredLabels"))},
                      {"prefers", pairs_text(at(w, "Scheduling.PreferredLabels"))},
                      {"device", text_at(w, "Scheduling.Device")},
                      {"created", format_time(text_at(w, "CreateTime"))},
                      {"updated", format_time(text_at(w, "UpdateTime"))}}));
  print("activities\n" + activities_text(w));
  return exit_code::ok;
}

result<json> specification(const workflow_options& o) {
  if (!o.file.empty())
    return read_specification(o.file);
  if (o.flags.name.empty() || o.flags.bucket.empty())
    return fail(errc::missing_argument, "give --file, or at least --name and --bucket");
  return workflow_request(o.flags);
}

result<exit_code> create(const context& ctx, const workflow_options& o) {
  FM_TRY(auto spec, specification(o));
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto answer, server.mps("CreateWorkflow", spec));
  if (ctx.wants_json())
    print_json(answer);
  else
    print(fmt::format("workflow {} created; it is disabled: framemill workflow enable {}\n",
                      text_at(answer, "WorkflowId"), text_at(answer, "WorkflowId")));
  return exit_code::ok;
}

result<exit_code> edit(const context& ctx, const workflow_options& o) {
  FM_TRY(auto spec, specification(o));
  spec["WorkflowId"] = o.id;
  for (auto name : {"Status", "CreateTime", "UpdateTime"})
    spec.erase(name); // so that what `show --json` printed can be edited and given back
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto answer, server.mps("ResetWorkflow", spec));
  if (ctx.wants_json())
    print_json(answer);
  else
    print(fmt::format("workflow {} replaced\n", o.id));
  return exit_code::ok;
}

result<exit_code> explain(const context& ctx, const workflow_options& o) {
  FM_TRY(auto object, parse_object_name(o.object));
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto answer,
         server.own("ExplainPlan",
                    {{"Bucket", object.bucket}, {"Key", object.key}, {"WorkflowId", o.id}}));
  if (ctx.wants_json())
    print_json(answer);
  else
    print(text_at(answer, "Text") + (text_at(answer, "Text").ends_with('\n') ? "" : "\n"));
  return exit_code::ok;
}

void add_specification(CLI::App& verb, workflow_options& o) {
  auto& f = o.flags;
  auto* file =
      verb.add_option("--file", o.file, "What CreateWorkflow takes, as JSON; - = stdin")
          ->type_name("SPEC.json");
  auto* flags = verb.add_option_group("Instead of --file");
  flags->excludes(file);
  flags->add_option("--name", f.name, "Name, unique");
  flags->add_option("--bucket", f.bucket, "Trigger bucket");
  flags->add_option("--dir", f.directory, "Trigger directory, ends in / (default: all)");
  flags->add_option("--output-bucket", f.output_bucket, "Default: the trigger's");
  flags->add_option("--output-dir", f.output_directory,
                    "Ends in / (default: the directory of the source)");
  flags->add_option("--priority", f.priority, "-10 … 10, higher first");
  flags->add_option("--weight", f.weight,
                    "Share of the cluster, 0.01 … 100: twice the weight, twice the share");
  auto add_list = [&](const char* name, std::vector<std::string>& to, const char* type,
                      const char* help) {
    return flags->add_option(name, to, help)->type_name(type)->allow_extra_args(false);
  };
  add_list("--require", f.required, "KEY=VALUE", "Label that nodes must have");
  add_list("--prefer", f.preferred, "KEY=VALUE", "Label of nodes that go first");
  flags->add_option("--device", f.device, "Device that nodes must have, a session for each shard");
  add_list("--format", f.formats, "EXTENSION,…", "Extensions that trigger; '*' = any")
      ->delimiter(',');
  add_list("--transcode", f.transcodes, "DEFINITION,…", "Transcode templates")->delimiter(',');
  add_list("--snapshot", f.snapshots, "DEFINITION:TIME,…", "Snapshots at times: 10:1s,50%");
  add_list("--sample", f.samples, "DEFINITION", "Sampled snapshots");
  add_list("--sprite", f.sprites, "DEFINITION", "Image sprites");
  add_list("--gif", f.gifs, "DEFINITION:START:END", "Animated pictures of a part, in seconds");
}

CLI::App& add_verb(CLI::App& noun, const options_ptr& o, const char* name, const char* help) {
  auto* verb = noun.add_subcommand(name, help);
  verb->add_option("ID", o->id, "Workflow")->required();
  return *verb;
}

void add_listing(CLI::App& noun, context& ctx, const options_ptr& o) {
  auto* verb = noun.add_subcommand("list", "List workflows, newest first");
  verb->add_option("--name", o->name, "Only those whose name holds this");
  verb->add_option("--sort", o->sort, "Order")
      ->check(CLI::IsMember({"created", "name"}))
      ->capture_default_str();
  verb->add_flag("-q,--quiet", o->quiet, "Print only the ids");
  on_chosen(ctx, *verb, [&ctx, o] { return list(ctx, *o); });
}

void add_changes(CLI::App& noun, context& ctx, const options_ptr& o) {
  struct row {
    const char *verb, *action, *done, *help;
  };
  for (auto r : {row{"enable", "EnableWorkflow", "enabled", "Let new objects start runs"},
                 row{"disable", "DisableWorkflow", "disabled", "Start no more runs"},
                 row{"delete", "DeleteWorkflow", "deleted", "Delete a disabled workflow"}})
    on_chosen(ctx, add_verb(noun, o, r.verb, r.help),
              [&ctx, o, r] { 
                return change_mps(ctx, r.action, {{"WorkflowId", o->id}},
                                  fmt::format("workflow {} {}", o->id, r.done));
              });
}

} // namespace

void add_workflow(CLI::App& app, context& ctx) {
  auto o = std::make_shared<workflow_options>();
  auto* noun = app.add_subcommand("workflow", "What happens to objects that land in a bucket");
  noun->require_subcommand(1)->fallthrough();
  add_listing(*noun, ctx, o);
  on_chosen(ctx, add_verb(*noun, o, "show", "Show one workflow"),
            [&ctx, o] { return show(ctx, *o); });

  auto* creation = noun->add_subcommand("create", "Create a workflow, disabled");
  add_specification(*creation, *o);
  on_chosen(ctx, *creation, [&ctx, o] { return create(ctx, *o); });

  auto& editing = add_verb(*noun, o, "edit", "Replace all of a disabled workflow");
  add_specification(editing, *o);
  on_chosen(ctx, editing, [&ctx, o] { return edit(ctx, *o); });
  add_changes(*noun, ctx, o);

  auto* explaining = noun->add_subcommand("explain", "Print the physical plan for an object");
  explaining->add_option("OBJECT", o->object, "BUCKET:KEY or BUCKET/KEY")->required();
  explaining->add_option("--workflow", o->id, "Workflow")->required();
  on_chosen(ctx, *explaining, [&ctx, o] { return explain(ctx, *o); });
}

} // namespace framemill::cli
