#include "tools/framemill/context.hpp"
#include "tools/framemill/json_path.hpp"
#include "tools/framemill/text.hpp"

#include <CLI/CLI.hpp>

#include <memory>
#include <set>

namespace framemill::cli {

namespace {

struct fault_options {
  std::string node;
  std::string point;
  std::string action; ///< "" = what the point does by default
};

/// Checked here for the sake of a good sentence; the node checks again.
std::string check_action(const std::string& text) {
  static const std::set<std::string_view> plain{"kill", "hang", "error", "duplicate", "reorder"};
  auto is_number = [&](std::size_t at) {
    return at < text.size() && text.size() <= at + 8
           && text.find_first_not_of("0123456789", at) == std::string::npos;
  };
  if (plain.contains(text) || (text.starts_with("delay=") && is_number(6))
      || (text.starts_with("skew=") && is_number(text.starts_with("skew=-") ? 6 : 5)))
    return "";
  return "`" + text + "` is not one of: kill, hang, delay=MILLISECONDS, error, duplicate, "
         "reorder, skew=MILLISECONDS";
}

result<std::string> order(const client& server, const std::string& node, std::string_view what,
                          const std::vector<std::string>& arguments) {
  FM_TRY(auto answer,
         server.own("OrderNode", {{"Name", node}, {"What", what}, {"Arguments", arguments}}));
  return text_at(answer, "Text");
}

/// A node's text keeps its lines, and nothing else that a terminal would obey.
std::string lines_of(const std::string& text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    auto end = std::min(text.find('\n', at), text.size());
    out += "  " + printable(std::string_view{text}.substr(at, end - at)) + "\n";
    at = end + 1;
  }
  return out;
}

result<std::vector<std::string>> nodes_up(const client& server) {
  FM_TRY(auto answer, server.own("DescribeNodes", json::object()));
  std::vector<std::string> names;
  for (const auto& n : list_at(answer, "Nodes"))
    if (text_at(n, "Presence") == "up")
      names.push_back(text_at(n, "Name"));
  return names;
}

/// Of one node, or of all that are up; one that refuses does not hide the others.
result<exit_code> list(const context& ctx, const fault_options& o) {
  FM_TRY(auto server, ctx.connect());
  std::vector<std::string> names{o.node};
  if (o.node.empty()) {
    FM_TRY(names, nodes_up(server));
  }
  auto all = json::object();
  auto worst = exit_code::ok;
  for (const auto& name : names) {
    auto text = order(server, name, "fault list", {});
    if (!text)
      worst = exit_code_of(text.error().code);
    all[name] = text ? *text : text.error().message;
    if (!ctx.wants_json())
      print(printable(name) + "\n" + lines_of(text ? *text : text.error().message));
  }
  if (ctx.wants_json())
    print_json(all);
  else if (all.empty())
    print("no node is up\n");
  return worst;
}

result<exit_code> tell(const context& ctx, const fault_options& o, std::string_view what,
                       const std::vector<std::string>& arguments) {
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto text, order(server, o.node, what, arguments));
  if (ctx.wants_json())
    print_json({{"Text", text}});
  else
    print(printable(o.node) + "\n" + lines_of(text));
  return exit_code::ok;
}

CLI::App& add_verb(CLI::App& noun, fault_options& o, const char* name, const char* help) {
  auto* verb = noun.add_subcommand(name, help);
  verb->add_option("NODE", o.node, "Name of the node")->required();
  return *verb;
}

/// The point alone where nothing else was said.
std::vector<std::string> words_of(const fault_options& o) {
  std::vector<std::string> out;
  for (const auto& word : {o.point, o.action})
    if (!word.empty())
      out.push_back(word);
  return out;
}

} // namespace

void add_fault(CLI::App& app, context& ctx) {
  auto o = std::make_shared<fault_options>();
  auto* noun =
      app.add_subcommand("fault", "Faults on purpose, on nodes whose config allows it");
  noun->require_subcommand(1)->fallthrough();

  auto* listing = noun->add_subcommand("list", "The fail points, and what is armed");
  listing->add_option("NODE", o->node, "Name of the node; default all that are up");
  on_chosen(ctx, *listing, [&ctx, o] { return list(ctx, *o); });
  auto& arming = add_verb(*noun, *o, "arm", "Have something fail there");
  arming.add_option("POINT", o->point, "POINT, POINT:N, POINT:N-M or POINT:N-: which passes")
      ->required();
  arming.add_option("--action", o->action,
                    "kill (the default), hang, delay=MS, error; of frames also duplicate, reorder; "
                    "of the clock skew=MS, skew=-MS; effects take none")
      ->check(check_action);
  on_chosen(ctx, arming, [&ctx, o] { return tell(ctx, *o, "fault arm", words_of(*o)); });
  auto& disarming = add_verb(*noun, *o, "disarm", "Leave it in peace");
  disarming.add_option("POINT", o->point, "Fail point; default all of the node");
  on_chosen(ctx, disarming, [&ctx, o] { return tell(ctx, *o, "fault disarm", words_of(*o)); });
  add_fault_drill(*noun, ctx);
}

} // namespace framemill::cli
