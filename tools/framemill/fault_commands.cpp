#include "tools/framemill/context.hpp"
#include "tools/framemill/fault_words.hpp"
#include "tools/framemill/json_path.hpp"
#include "tools/framemill/text.hpp"

#include <CLI/CLI.hpp>

#include <memory>

namespace framemill::cli {

namespace {

struct fault_options {
  std::string node;
  std::string point;
  std::string action; ///< "" = what the point does by default
};

/// Of an option: "" is right.
std::string check_action(const std::string& text) {
  auto status = check_fault_action(text);
  return status ? "" : status.error().message;
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

/// The coordinator, where most points are passed, and the workers that are up.
result<std::vector<std::string>> nodes_up(const client& server) {
  FM_TRY(auto cluster, server.own("DescribeCluster", json::object()));
  FM_TRY(auto answer, server.own("DescribeNodes", json::object()));
  const auto coordinator = text_at(cluster, "Cluster.Coordinator");
  std::vector<std::string> names;
  if (!coordinator.empty())
    names.push_back(coordinator);
  for (const auto& n : list_at(answer, "Nodes"))
    if (auto name = text_at(n, "Name"); text_at(n, "Presence") == "up" && name != coordinator)
      names.push_back(name);
  return names;
}

result<std::vector<std::string>> nodes_meant(const client& server, const fault_options& o) {
  if (o.node.empty())
    return nodes_up(server);
  return std::vector{o.node};
}

/// {Node, Points}, or {Node, Error}.
json points_of(const client& server, const std::string& node, exit_code& worst) {
  auto points = fault_points(server, node);
  if (points)
    return {{"Node", node}, {"Points", std::move(*points)}, {"Error", nullptr}};
  worst = exit_code_of(points.error().code);
  return {{"Node", node}, {"Points", json::array()}, {"Error", points.error().message}};
}

/// Of one node, or of all; one that cannot be asked does not hide the others.
result<exit_code> list(const context& ctx, const fault_options& o) {
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto names, nodes_meant(server, o));
  auto worst = exit_code::ok;
  auto all = json::array();
  for (const auto& name : names) {
    if (ctx.wants_json()) {
      all.push_back(points_of(server, name, worst));
      continue;
    }
    auto text = order_node(server, name, "fault list", {});
    if (!text)
      worst = exit_code_of(text.error().code);
    print(printable(name) + "\n" + lines_of(text ? *text : text.error().message));
  }
  if (ctx.wants_json())
    print_json({{"Nodes", std::move(all)}});
  else if (names.empty())
    print("no node is up\n");
  return worst;
}

result<exit_code> tell(const context& ctx, const fault_options& o, std::string_view what,
                       const std::vector<std::string>& arguments) {
  FM_TRY(auto server, ctx.connect());
  FM_TRY(auto text, order_node(server, o.node, what, arguments));
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
  listing->add_option("NODE", o->node,
                      "Name of the node; default the coordinator and all that are up");
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
