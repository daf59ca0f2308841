#include "api/action.hpp"
#include "core/bounds.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>

// The actions of who runs a cluster: its nodes, its state, its copies.
// docs/cluster-api.md is their contract.

namespace framemill {

namespace {

constexpr std::int64_t join_uses_max = 1000;
constexpr std::int64_t join_ttl_seconds_max = 24 * 3600; ///< short-lived, by intent
constexpr std::int64_t drain_seconds_max = 7 * 24 * 3600;
constexpr std::size_t reason_bytes_max = 1024;
constexpr std::size_t order_arguments_max = 16;

constexpr auto orders = std::to_array<std::string_view>(
    {"self-test", "fault list", "fault arm", "fault disarm", "fault scratch"});

// ---- Looking ----------------------------------------------------------------------

void describe_nodes(const action_context& context, empty_request, api_reply done) {
  context.system.nodes(answer_with<std::vector<node_view>>(
      std::move(done), {}, [](std::vector<node_view> nodes) {
        return json{{"Nodes", to_json_value(nodes)}};
      }));
}

struct describe_node {
  std::string name; ///< "" = the node that answers
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Name", s.name);
  }
};

api_result node_named(const std::string& name, const std::vector<node_view>& nodes) {
  auto found = std::ranges::find(nodes, name, [](const auto& n) { return n.record.name; });
  if (found == nodes.end())
    return refuse(
        error{errc::not_found, fmt::format("there is no node named {}", name), "Name"});
  return json{{"Node", to_json_value(*found)}};
}

void describe_node_action(const action_context& context, describe_node request,
                          api_reply done) {
  if (request.name.empty())
    return context.system.node(
        answer_with<node_status>(std::move(done), {}, [](node_status node) {
          return json{{"Node", to_json_value(node)}};
        }));
  context.system.nodes([done = std::move(done),
                        name = std::move(request.name)](result<std::vector<node_view>> nodes) {
    done(nodes ? node_named(name, *nodes) : refuse(nodes.error()));
  });
}

void describe_cluster(const action_context& context, empty_request, api_reply done) {
  context.system.cluster(
      answer_with<cluster_status>(std::move(done), {}, [](cluster_status cluster) {
        return json{{"Cluster", to_json_value(cluster)}};
      }));
}

void describe_metrics(const action_context& context, empty_request, api_reply done) {
  context.system.metrics(
      answer_with<std::vector<metric>>(std::move(done), {}, [](std::vector<metric> metrics) {
        return json{{"Metrics", to_json_value(metrics)}};
      }));
}

// ---- Nodes ------------------------------------------------------------------------

struct set_node_mode {
  std::string name;
  node_mode mode = node_mode::active;
  std::string reason;
  std::optional<std::int64_t> drain_seconds;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Name", s.name, required);
    v("Mode", s.mode, required);
    v("Reason", s.reason);
    v("DrainSeconds", s.drain_seconds);
  }
};

result<void> check(const set_node_mode& r) {
  if (r.mode == node_mode::removed)
    return fail_field(errc::invalid_argument, "Mode", "a node is removed by RemoveNode");
  if (r.reason.size() > reason_bytes_max)
    return fail_field(errc::invalid_argument, "Reason", "{} bytes are more than {}",
                      r.reason.size(), reason_bytes_max);
  if (!r.drain_seconds)
    return {};
  if (r.mode != node_mode::draining)
    return fail_field(errc::invalid_argument, "DrainSeconds", "goes with Mode `draining` only");
  return check_within("DrainSeconds", *r.drain_seconds, 0, drain_seconds_max);
}

void set_node_mode_action(const action_context& context, set_node_mode request,
                          api_reply done) {
  if (auto status = check(request); !status)
    return done(refuse(status.error()));
  std::optional<timestamp> deadline;
  if (request.drain_seconds)
    deadline = context.time.now() + std::chrono::seconds{*request.drain_seconds};
  context.system.set_node_mode(std::move(request.name), request.mode, std::move(request.reason),
                               deadline, answer_empty(std::move(done)));
}

struct label_node {
  std::string name;
  std::map<std::string, std::string> set;
  std::vector<std::string> remove;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Name", s.name, required);
    v("Set", s.set);
    v("Remove", s.remove);
  }
};

result<void> check(const label_node& r) {
  if (r.set.empty() && r.remove.empty())
    return fail_field(errc::missing_argument, "Set", "neither Set nor Remove names a label");
  for (const auto& key : r.remove)
    if (r.set.contains(key))
      return fail_field(errc::invalid_argument, "Remove", "`{}` is in Set too", key);
  return {};
}

void label_node_action(const action_context& context, label_node request, api_reply done) {
  if (auto status = check(request); !status)
    return done(refuse(status.error()));
  context.system.label_node(std::move(request.name), std::move(request.set),
                            std::move(request.remove), answer_empty(std::move(done)));
}

struct by_node {
  std::string name;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Name", s.name, required);
  }
};

void remove_node(const action_context& context, by_node request, api_reply done) {
  context.system.remove_node(std::move(request.name), answer_empty(std::move(done)));
}

struct create_join_token {
  std::int64_t uses = 1;
  std::int64_t ttl_seconds = 15 * 60;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Uses", s.uses);
    v("TtlSeconds", s.ttl_seconds);
  }
};

result<void> check(const create_join_token& r) {
  FM_CHECK(check_within("Uses", r.uses, 1, join_uses_max));
  return check_within("TtlSeconds", r.ttl_seconds, 1, join_ttl_seconds_max);
}

void create_join_token_action(const action_context& context, create_join_token request,
                              api_reply done) {
  if (auto status = check(request); !status)
    return done(refuse(status.error()));
  context.system.make_join_token(
      static_cast<std::int32_t>(request.uses), std::chrono::seconds{request.ttl_seconds},
      answer_with<join_offer>(std::move(done), {},
                              [](join_offer offer) { return to_json_value(offer); }));
}

struct order_node {
  std::string name;
  std::string what;
  std::vector<std::string> arguments;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Name", s.name, required);
    v("What", s.what, required);
    v("Arguments", s.arguments);
  }
};

result<void> check(const order_node& r) {
  if (std::ranges::find(orders, r.what) == orders.end())
    return fail_field(errc::invalid_argument, "What", "`{}` is not one of: {}", r.what,
                      fmt::join(orders, ", "));
  if (r.arguments.size() > order_arguments_max)
    return fail_field(errc::invalid_argument, "Arguments", "{} are more than {}",
                      r.arguments.size(), order_arguments_max);
  return {};
}

void order_node_action(const action_context& context, order_node request, api_reply done) {
  if (auto status = check(request); !status)
    return done(refuse(status.error()));
  context.system.order_node(std::move(request.name), std::move(request.what),
                            std::move(request.arguments),
                            answer_with<std::string>(std::move(done), {}, [](std::string text) {
                              return json{{"Text", text}};
                            }));
}

// ---- The state --------------------------------------------------------------------

struct backup_state {
  std::string directory;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Directory", s.directory, required);
  }
};

result<void> check(const backup_state& r) {
  if (r.directory.find('\0') != std::string::npos)
    return fail_field(errc::invalid_argument, "Directory", "holds a NUL byte");
  if (!std::filesystem::path{r.directory}.is_absolute())
    return fail_field(errc::invalid_argument, "Directory",
                      "`{}` is not an absolute path on the coordinator's machine", r.directory);
  return {};
}

void backup(const action_context& context, backup_state request, api_reply done) {
  if (auto status = check(request); !status)
    return done(refuse(status.error()));
  context.system.backup(std::move(request.directory), answer_empty(std::move(done)));
}

} // namespace

void add_node_actions(action_table& table) {
  using enum effect;
  table["DescribeNodes"] = make_action(reads, describe_nodes);
  table["DescribeNode"] = make_action(reads, describe_node_action);
  table["DescribeCluster"] = make_action(reads, describe_cluster);
  table["DescribeMetrics"] = make_action(reads, describe_metrics);
  table["SetNodeMode"] = make_action(changes, set_node_mode_action);
  table["LabelNode"] = make_action(changes, label_node_action);
  table["RemoveNode"] = make_action(changes, remove_node);
  table["CreateJoinToken"] = make_action(changes, create_join_token_action);
  table["OrderNode"] = make_action(changes, order_node_action);
  table["BackupState"] = make_action(changes, backup);
}

} // namespace framemill
