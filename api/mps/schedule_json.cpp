#include "api/mps/schedule_json.hpp"

#include "core/notify.hpp"

#include <algorithm>
#include <charconv>
#include <set>

namespace framemill::mps {

namespace {

constexpr std::string_view input_type = "input", output_type = "output";

constexpr std::pair<activity_kind, std::string_view> action_types[] = {
    {activity_kind::transcode, "action-trans"},
    {activity_kind::animated_graphic, "action-animated-graphics"},
    {activity_kind::snapshot_by_time_offset, "action-snapshotByTimeOffset"},
    {activity_kind::sample_snapshot, "action-samplesnapshot"},
    {activity_kind::image_sprite, "action-image-sprite"},
};

/// What MPS has besides.
constexpr std::string_view other_types[] = {
    "action-adaptive-substream", "action-aiReview",       "action-AIAnalysis",
    "action-AIRecognition",      "action-AIQualityControl", "action-exec-rules",
    "action-SmartSubtitles",     "action-SmartErase",
};

std::string field_of(std::size_t node, std::string_view member) {
  return fmt::format("Activities.{}.{}", node, member);
}

result<activity_kind> kind_of(const std::vector<graph_node>& nodes, std::size_t node) {
  const auto& type = nodes[node].type;
  for (const auto& [kind, name] : action_types)
    if (name == type)
      return kind;
  const auto field = field_of(node, "ActivityType");
  if (type == input_type || type == output_type)
    return fail_field(errc::invalid_argument, field,
                      "a graph has one `input`, its first node, and one `output`, its last");
  if (std::ranges::find(other_types, type) != std::end(other_types))
    return fail_field(errc::unsupported, field, "`{}` is not supported by this server", type);
  return fail_field(errc::invalid_argument, field, "there is no activity of type `{}`", type);
}

result<activity> to_activity(const std::vector<graph_node>& nodes, std::size_t node) {
  activity out;
  FM_TRY(out.kind, kind_of(nodes, node));
  const auto parameters = nodes[node].parameters.value_or(activity_parameters{});
  out.transcode = parameters.transcode;
  out.animated_graphic = parameters.animated_graphic;
  out.snapshot = parameters.snapshot;
  out.sample_snapshot = parameters.sample_snapshot;
  out.image_sprite = parameters.image_sprite;
  return out;
}

result<void> check_ends(const std::vector<graph_node>& nodes) {
  if (nodes.empty() || nodes.front().type != input_type)
    return fail_field(errc::invalid_argument, "Activities.0.ActivityType",
                      "the first activity is `input`");
  const auto last = nodes.size() - 1;
  if (nodes[last].type != output_type)
    return fail_field(errc::invalid_argument, field_of(last, "ActivityType"),
                      "the last activity is `output`");
  if (!nodes[last].successors.empty())
    return fail_field(errc::invalid_argument, field_of(last, "ReardriveIndex"),
                      "nothing follows `output`");
  for (std::size_t end : {std::size_t{0}, last})
    if (nodes[end].parameters && *nodes[end].parameters != activity_parameters{})
      return fail_field(errc::invalid_argument, field_of(end, "ActivityPara"),
                        "`{}` has no parameters", nodes[end].type);
  if (nodes.size() == 2)
    return fail_field(errc::missing_argument, "Activities",
                      "at least one action between `input` and `output` is needed");
  return {};
}

result<void> check_successors(const std::vector<graph_node>& nodes, std::size_t node) {
  std::set<std::int64_t> seen;
  for (std::size_t n = 0; n < nodes[node].successors.size(); ++n) {
    const auto to = nodes[node].successors[n];
    const auto field = fmt::format("Activities.{}.ReardriveIndex.{}", node, n);
    if (to < 0 || to >= static_cast<std::int64_t>(nodes.size()))
      return fail_field(errc::invalid_argument, field, "there is no activity {}", to);
    if (to == 0)
      return fail_field(errc::invalid_argument, field, "nothing leads to `input`");
    if (to == static_cast<std::int64_t>(node))
      return fail_field(errc::invalid_argument, field, "an activity cannot follow itself");
    if (!seen.insert(to).second)
      return fail_field(errc::invalid_argument, field, "the same successor is given twice");
  }
  return {};
}

/// An action that nothing leads to would not run; of one that leads nowhere nothing
/// would come out. (Cycles are core's to find.)
result<void> check_connected(const std::vector<graph_node>& nodes) {
  std::set<std::int64_t> reached;
  for (const auto& node : nodes)
    reached.insert(node.successors.begin(), node.successors.end());
  for (std::size_t i = 1; i + 1 < nodes.size(); ++i) {
    if (!reached.contains(static_cast<std::int64_t>(i)))
      return fail_field(errc::invalid_argument, fmt::format("Activities.{}", i),
                        "nothing leads to it: it is in no ReardriveIndex");
    if (nodes[i].successors.empty())
      return fail_field(errc::invalid_argument, field_of(i, "ReardriveIndex"),
                        "it leads nowhere: what is last leads to `output`, {}",
                        nodes.size() - 1);
  }
  return {};
}

std::string_view type_of(activity_kind kind) {
  return std::ranges::find(action_types, kind, &std::pair<activity_kind, std::string_view>::first)
      ->second;
}

void link(std::vector<graph_node>& nodes, std::size_t from, std::size_t to) {
  nodes[from].successors.push_back(static_cast<std::int64_t>(to));
  nodes[to].predecessors.push_back(static_cast<std::int64_t>(from));
}

/// `1.TranscodeTask.Definition` → `2.ActivityPara.TranscodeTask.Definition`.
std::string node_path(std::string_view path) {
  std::size_t index = 0;
  auto [end, ec] = std::from_chars(path.data(), path.data() + path.size(), index);
  if (ec != std::errc{})
    return std::string{path};
  std::string rest{end, path.data() + path.size()};
  if (rest.starts_with(".Successors"))
    rest.replace(0, std::string_view{".Successors"}.size(), ".ReardriveIndex");
  else if (rest == ".Kind")
    rest = ".ActivityPara";
  else if (!rest.empty())
    rest.insert(0, ".ActivityPara");
  return fmt::format("{}{}", index + 1, rest);
}

} // namespace

result<std::vector<activity>> to_activities(const std::vector<graph_node>& nodes) {
  FM_CHECK(check_ends(nodes));
  for (std::size_t i = 0; i < nodes.size(); ++i)
    FM_CHECK(check_successors(nodes, i));
  FM_CHECK(check_connected(nodes));
  const auto last = static_cast<std::int64_t>(nodes.size() - 1);
  std::vector<activity> out;
  for (std::size_t i = 1; i + 1 < nodes.size(); ++i) {
    FM_TRY(auto a, to_activity(nodes, i));
    for (auto to : nodes[i].successors)
      if (to != last)
        a.successors.push_back(static_cast<std::uint32_t>(to - 1));
    out.push_back(std::move(a));
  }
  return out;
}

std::vector<graph_node> to_graph(const std::vector<activity>& activities) {
  std::vector<graph_node> nodes(activities.size() + 2);
  nodes.front().type = input_type;
  nodes.back().type = output_type;
  std::set<std::size_t> follows;
  for (std::size_t i = 0; i < activities.size(); ++i) {
    const auto& a = activities[i];
    auto& node = nodes[i + 1];
    node.type = type_of(a.kind);
    node.parameters = activity_parameters{a.transcode, a.animated_graphic, a.snapshot,
                                          a.sample_snapshot, a.image_sprite};
    for (auto to : a.successors) {
      link(nodes, i + 1, to + 1);
      follows.insert(to);
    }
    if (a.successors.empty())
      link(nodes, i + 1, nodes.size() - 1);
  }
  for (std::size_t i = 0; i < activities.size(); ++i)
    if (!follows.contains(i))
      link(nodes, 0, i + 1);
  return nodes;
}

result<workflow_change> to_change(schedule_definition d) {
  workflow_change out;
  if (d.trigger) {
    FM_TRY(out.trigger, to_trigger(std::move(*d.trigger)));
  }
  if (d.activities) {
    FM_TRY(out.activities, to_activities(*d.activities));
  }
  out.name = std::move(d.name);
  out.output_storage = std::move(d.output_storage);
  out.output_dir = std::move(d.output_dir);
  out.notify = std::move(d.notify);
  return out;
}

json to_schedules_info(const workflow_record& record) {
  const auto& spec = record.spec;
  return {{"ScheduleId", record.id.value},
          {"ScheduleName", spec.name},
          {"Type", "Custom"},
          {"Status", record.enabled ? "Enabled" : "Disabled"},
          {"Trigger", to_trigger_json(spec.trigger)},
          {"Activities", to_json_value(to_graph(spec.activities))},
          {"OutputStorage", to_json_value(spec.output_storage)},
          {"OutputDir", spec.output_dir},
          {"TaskNotifyConfig", to_json_value(without_secret_key(spec.notify))},
          {"CreateTime", to_iso8601(record.created)},
          {"UpdateTime", to_iso8601(record.updated)},
          {"ResourceId", nullptr}};
}

error in_schedule_terms(error e) {
  constexpr std::string_view activities = "Activities.", trigger = "Trigger.";
  const std::string_view field = e.field;
  if (field.starts_with(activities))
    e.field = fmt::format("{}{}", activities, node_path(field.substr(activities.size())));
  else if (field.starts_with(trigger))
    e.field = in_trigger_terms(field.substr(trigger.size()));
  else if (field == "Name")
    e.field = "ScheduleName";
  else if (field == "Priority")
    e.field = "TasksPriority";
  else if (field == "WorkflowId")
    e.field = "ScheduleId";
  return e;
}

} // namespace framemill::mps
