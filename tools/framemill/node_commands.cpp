#include "tools/framemill/context.hpp"
#include "tools/framemill/duration.hpp"
#include "tools/framemill/format.hpp"
#include "tools/framemill/interrupt.hpp"
#include "tools/framemill/json_path.hpp"
#include "tools/framemill/label_edit.hpp"
#include "tools/framemill/node_page.hpp"
#include "tools/framemill/table.hpp"
#include "tools/framemill/text.hpp"

#include <CLI/CLI.hpp>

#include <memory>

namespace framemill::cli {

namespace {

using namespace std::chrono_literals;

struct node_options {
  std::string name;
  std::string reason;
  std::string deadline; ///< "" = none
  std::string ttl = "15m";
  std::int64_t uses = 1;
  std::vector<std::string> labels;
  bool wait = false;
};
using options_ptr = std::shared_ptr<node_options>;

constexpr auto drain_look_every = 500ms;

std::string own_text(const json& n) {
  auto out = render_facts(
      {{"name", text_at(n, "Name")},
       {"version", text_at(n, "Version")},
       {"started", format_time(text_at(n, "Started"))},
       {"cores", text_at(n, "Cores")},
       {"memory", format_size(integer_at(n, "MemoryBytes"))},
       {"scratch free", format_size(integer_at(n, "ScratchBytesFree"))},
       {"scratch floor", format_size(integer_at(n, "ScratchFloorBytes"))},
       {"slots", fmt::format("{} of {} busy", text_at(n, "SlotsBusy"), text_at(n, "Slots"))},
       {"shards ready", text_at(n, "ShardsReady")},
       {"runs",
        fmt::format("{} live, {} queued", text_at(n, "RunsLive"), text_at(n, "RunsQueued"))},
       {"services", services_text(list_at(n, "Services"))},
       {"media", text_at(n, "Fingerprint")},
       {"cpu", text_at(n, "Cpu")},
       {"encoders", joined(list_at(n, "Encoders"))},
       {"devices", pairs_text(at(n, "DeviceSessions"))},
       {"sandbox", text_at(n, "Sandbox")}});
  for (const auto& warning : list_at(n, "Warnings"))
    out += "  warning: " + printable(text_at(warning, "")) + "\n";
  return out;
}

result<exit_code> list(const context& ctx) {
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto answer, server.own("DescribeNodes", json::object()));
  if (ctx.wants_json())
    print_json(answer);
  else
    print(node_table(list_at(answer, "Nodes")),
          "no nodes: `framemill node join-token` adds one");
  return exit_code::ok;
}

result<exit_code> show(const context& ctx, const node_options& o) {
  FM_TRY(auto server, ctx.connect());
  auto request = o.name.empty() ? json::object() : json{{"Name", o.name}};
  FM_TRY(auto answer, server.own("DescribeNode", request));
  const auto& node = at(answer, "Node");
  if (ctx.wants_json())
    print_json(answer);
  else
    print(o.name.empty() ? own_text(node) : node_page(node));
  return exit_code::ok;
}

result<exit_code> set_mode(const context& ctx, const node_options& o, std::string_view mode) {
  return change(ctx, "SetNodeMode", {{"Name", o.name}, {"Mode", mode}, {"Reason", o.reason}},
                fmt::format("node {} is {}", o.name, mode));
}

/// Until nothing runs there, or the node is gone. Ctrl-C leaves it draining.
result<exit_code> wait_drained(const context& ctx, const client& server,
                               const node_options& o) {
  std::size_t last = SIZE_MAX;
  for (;;) {
    FM_TRY(auto answer, server.own("DescribeNode", {{"Name", o.name}}));
    const auto& node = at(answer, "Node");
    if (text_at(node, "Mode") != "draining")
      return fail(errc::conflict, "node {} is not draining any more: {}", o.name,
                  node_state(node));
    auto running = list_at(node, "Running").size();
    bool is_over = text_at(node, "Drained") == "true" || text_at(node, "Presence") == "away";
    if (is_over) {
      print(ctx.wants_json() ? dump(answer, -1) + "\n"
                             : fmt::format("node {} is drained\n", printable(o.name)));
      return exit_code::ok;
    }
    if (!ctx.wants_json() && std::exchange(last, running) != running)
      print(fmt::format("node {} is draining: {} running\n", printable(o.name), running));
    std::fflush(stdout);
    if (!pause_for(drain_look_every))
      return fail(errc::cancelled, "interrupted; node {} goes on draining", o.name);
  }
}

result<exit_code> drain(const context& ctx, const node_options& o) {
  json request{{"Name", o.name}, {"Mode", "draining"}, {"Reason", o.reason}};
  if (!o.deadline.empty()) {
    FM_TRY(auto deadline, parse_duration(o.deadline));
    request["DrainSeconds"] = std::chrono::ceil<std::chrono::seconds>(deadline).count();
  }
  if (!o.wait)
    return change(ctx, "SetNodeMode", request, fmt::format("node {} is draining", o.name));
  catch_interrupt();
  FM_TRY(auto server, ctx.connect());
  FM_CHECK(server.own("SetNodeMode", request));
  return wait_drained(ctx, server, o);
}

result<exit_code> join_token(const context& ctx, const node_options& o) {
  FM_TRY(auto ttl, parse_duration(o.ttl));
  auto seconds = std::chrono::ceil<std::chrono::seconds>(ttl).count();
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto answer,
         server.own("CreateJoinToken", {{"Uses", o.uses}, {"TtlSeconds", seconds}}));
  if (ctx.wants_json())
    print_json(answer);
  else
    print(fmt::format("{}\n# good for {} until {}\n", printable(text_at(answer, "Command")),
                      o.uses == 1 ? "one machine" : fmt::format("{} machines", o.uses),
                      format_time(text_at(answer, "Expires"))));
  return exit_code::ok;
}

result<exit_code> label(const context& ctx, const node_options& o) {
  FM_TRY(auto edit, parse_labels(o.labels));
  return change(ctx, "LabelNode",
                {{"Name", o.name}, {"Set", edit.set}, {"Remove", edit.remove}},
                fmt::format("node {} is labelled", o.name));
}

result<exit_code> self_test(const context& ctx, const node_options& o) {
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto answer, server.own("OrderNode", {{"Name", o.name}, {"What", "self-test"}}));
  if (ctx.wants_json())
    print_json(answer);
  else
    print(printable(text_at(answer, "Text")) + "\n");
  return exit_code::ok;
}

CLI::App& add_verb(CLI::App& noun, const options_ptr& o, const char* name, const char* help) {
  auto* verb = noun.add_subcommand(name, help);
  verb->add_option("NODE", o->name, "Name of the node")->required();
  return *verb;
}

void add_mode(CLI::App& noun, context& ctx, const options_ptr& o, const char* name,
              const char* help, std::string_view mode) {
  auto& verb = add_verb(noun, o, name, help);
  verb.add_option("--reason", o->reason, "Why, for whoever looks");
  on_chosen(ctx, verb, [&ctx, o, mode] { return set_mode(ctx, *o, mode); });
}

void add_drain(CLI::App& noun, context& ctx, const options_ptr& o) {
  auto& verb = add_verb(noun, o, "drain", "Give it nothing more; what runs is finished");
  verb.add_option("--reason", o->reason, "Why, for whoever looks");
  verb.add_option("--deadline", o->deadline, "What runs after so long is stopped: 10m, 1h")
      ->type_name("TIME");
  verb.add_flag("--wait", o->wait, "Until nothing runs there");
  on_chosen(ctx, verb, [&ctx, o] { return drain(ctx, *o); });
}

void add_join_token(CLI::App& noun, context& ctx, const options_ptr& o) {
  auto* verb = noun.add_subcommand("join-token", "The command that joins a new machine");
  verb->add_option("--uses", o->uses, "Machines that may join with it")->capture_default_str();
  verb->add_option("--ttl", o->ttl, "How long it is good for, at most 24h")
      ->type_name("TIME")
      ->capture_default_str();
  on_chosen(ctx, *verb, [&ctx, o] { return join_token(ctx, *o); });
}

void add_looking(CLI::App& noun, context& ctx, const options_ptr& o) {
  on_chosen(ctx, *noun.add_subcommand("list", "The machines of the cluster"),
            [&ctx] { return list(ctx); });
  auto* verb = noun.add_subcommand("show", "What it has, what it does, how it is sandboxed");
  verb->add_option("NODE", o->name, "Name of the node; default the one that answers");
  on_chosen(ctx, *verb, [&ctx, o] { return show(ctx, *o); });
}

} // namespace

void add_node(CLI::App& app, context& ctx) {
  auto o = std::make_shared<node_options>();
  auto* noun = app.add_subcommand("node", "The machines that do the work");
  noun->require_subcommand(1)->fallthrough();

  add_looking(*noun, ctx, o);
  add_mode(*noun, ctx, o, "cordon", "Give it nothing more: it is in doubt", "cordoned");
  add_mode(*noun, ctx, o, "uncordon", "Trust it again", "active");
  add_mode(*noun, ctx, o, "pause", "Give it nothing more for now", "paused");
  add_mode(*noun, ctx, o, "resume", "Give it work again", "active");
  add_drain(*noun, ctx, o);
  on_chosen(ctx, add_verb(*noun, o, "remove", "Refuse its key from now on"), [&ctx, o] {
    return change(ctx, "RemoveNode", {{"Name", o->name}},
                  fmt::format("node {} is removed", o->name));
  });
  add_join_token(*noun, ctx, o);
  auto& labelling = add_verb(*noun, o, "label", "Set and remove labels");
  labelling.add_option("LABEL", o->labels, "KEY=VALUE sets, KEY- removes")->required();
  on_chosen(ctx, labelling, [&ctx, o] { return label(ctx, *o); });
  on_chosen(ctx, add_verb(*noun, o, "self-test", "Have it encode the golden clip"),
            [&ctx, o] { return self_test(ctx, *o); });
}

} // namespace framemill::cli
