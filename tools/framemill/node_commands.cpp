#include "tools/framemill/context.hpp"
#include "tools/framemill/format.hpp"
#include "tools/framemill/json_path.hpp"
#include "tools/framemill/table.hpp"
#include "tools/framemill/text.hpp"

#include <CLI/CLI.hpp>

namespace framemill::cli {

namespace {

std::string node_text(const json& n) {
  auto out = render_facts(
      {{"name", text_at(n, "Name")},
       {"version", text_at(n, "Version")},
       {"started", format_time(text_at(n, "Started"))},
       {"cores", text_at(n, "Cores")},
       {"memory", format_size(integer_at(n, "MemoryBytes"))},
       {"scratch free", format_size(integer_at(n, "ScratchBytesFree"))},
       {"slots", fmt::format("{} of {} busy", text_at(n, "SlotsBusy"), text_at(n, "Slots"))},
       {"shards ready", text_at(n, "ShardsReady")},
       {"runs",
        fmt::format("{} live, {} queued", text_at(n, "RunsLive"), text_at(n, "RunsQueued"))},
       {"media", text_at(n, "Fingerprint")},
       {"sandbox", text_at(n, "Sandbox")}});
  for (const auto& warning : list_at(n, "Warnings"))
    out += "  warning: " + printable(text_at(warning, "")) + "\n";
  return out;
}

result<exit_code> show(const context& ctx) {
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto answer, server.own("DescribeNode", json::object()));
  if (ctx.wants_json())
    print_json(answer);
  else
    print(node_text(at(answer, "Node")));
  return exit_code::ok;
}

} // namespace

void add_node(CLI::App& app, context& ctx) {
  auto* noun = app.add_subcommand("node", "The machine that does the work");
  noun->require_subcommand(1)->fallthrough();
  on_chosen(ctx,
            *noun->add_subcommand("show", "What it has, what it does, how it is sandboxed"),
            [&ctx] { return show(ctx); });
}

} // namespace framemill::cli
