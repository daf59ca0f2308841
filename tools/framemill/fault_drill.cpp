#include "tools/framemill/fault_drill.hpp"

#include "tools/framemill/fault_words.hpp"
#include "tools/framemill/json_path.hpp"

#include <algorithm>
#include <random>
#include <set>

namespace framemill::cli {

namespace {

constexpr std::size_t objects_max = 1000;
constexpr std::int32_t count_max = 1000;
constexpr double seconds_max = 24 * 3600;

/// The same numbers from the same seed, whatever the library.
class dice {
public:
  explicit dice(std::uint64_t seed) : source_(seed) {}
  double between(double low, double high) {
    constexpr double steps = 9007199254740992.0; // 2^53
    return low + (high - low) * static_cast<double>(source_() >> 11) / steps;
  }
  const std::string& one_of(const std::vector<std::string>& all) {
    return all[source_() % all.size()];
  }

private:
  std::mt19937_64 source_;
};

result<void> check_seconds(const std::string& field, double value) {
  if (!(value >= 0 && value <= seconds_max))
    return fail_field(errc::invalid_argument, field, "{} seconds are not within 0 and {}",
                      value, seconds_max);
  return {};
}

result<void> at_field(const std::string& field, result<void> status) {
  if (!status)
    status.error().field = field;
  return status;
}

result<void> check(const drill_trouble& t, const std::string& field) {
  if (t.point.empty() == t.mode.empty())
    return fail_field(errc::invalid_argument, field, "is either a Point or a Mode");
  if (!t.mode.empty() && t.mode != "paused" && t.mode != "cordoned" && t.mode != "draining")
    return fail_field(errc::invalid_argument, field + ".Mode",
                      "`{}` is not one of: paused, cordoned, draining", t.mode);
  FM_CHECK(at_field(field + ".Point", check_fault_place(t.point)));
  if (!t.action.empty())
    FM_CHECK(at_field(field + ".Action", check_fault_action(t.action)));
  if (t.count < 1 || t.count > count_max)
    return fail_field(errc::invalid_argument, field + ".Count", "{} is not within 1 and {}",
                      t.count, count_max);
  FM_CHECK(check_seconds(field + ".From", t.from));
  FM_CHECK(check_seconds(field + ".To", t.to));
  FM_CHECK(check_seconds(field + ".For", t.lasts));
  if (t.to < t.from)
    return fail_field(errc::invalid_argument, field + ".To", "lies before From");
  return {};
}

result<void> check(const drill_workload& w) {
  if (w.objects.empty() || w.objects.size() > objects_max)
    return fail_field(errc::invalid_argument, "Workload.Objects", "needs 1 to {} keys",
                      objects_max);
  if (std::set(w.objects.begin(), w.objects.end()).size() != w.objects.size())
    return fail_field(errc::invalid_argument, "Workload.Objects", "names a key twice");
  for (const auto& key : w.objects)
    if (key.empty() || key.front() == '/' || ("/" + key + "/").find("/../") != key.npos)
      return fail_field(errc::invalid_argument, "Workload.Objects", "`{}` is not a key", key);
  if (!w.drop_file.empty() && w.directory.empty())
    return fail_field(errc::missing_argument, "Workload.Directory",
                      "DropFile needs the bucket's Directory on this machine");
  return check_seconds("Workload.Within", w.within);
}

result<void> check(const drill_scenario& s) {
  FM_CHECK(check(s.workload));
  for (std::size_t i = 0; i < s.faults.size(); ++i)
    FM_CHECK(check(s.faults[i], fmt::format("Faults.{}", i)));
  return check_seconds("Quiesce", s.quiesce);
}

/// Against what a node says of its points.
result<void> check(const drill_trouble& t, const std::string& field, const json& points) {
  const auto name = point_of(t.point), word = word_of(t.action);
  auto point =
      std::ranges::find_if(points, [&](const json& p) { return text_at(p, "Name") == name; });
  if (point == points.end())
    return fail_field(errc::invalid_argument, field + ".Point", "there is no fail point `{}`",
                      name);
  const auto& actions = list_at(*point, "Actions");
  if (std::ranges::find(actions, json(word)) != actions.end())
    return {};
  auto taken = joined(actions);
  return fail_field(errc::invalid_argument, field + ".Action",
                    "{} does not take `{}`; it takes {}", name, t.action,
                    actions == json::array({""}) ? "none: it does what its name says" : taken);
}

void fill_in_seed(std::string& key, std::uint64_t seed) {
  constexpr std::string_view word = "{seed}";
  for (auto at = key.find(word); at != key.npos; at = key.find(word, at))
    key.replace(at, word.size(), std::to_string(seed));
}

drill_step order(double at, const std::string& node, const char* what, json arguments) {
  return {at, "OrderNode", {{"Name", node}, {"What", what}, {"Arguments", arguments}}, {}};
}

drill_step set_mode(double at, const std::string& node, const std::string& mode) {
  json body{{"Name", node}, {"Mode", mode}};
  if (mode != "active")
    body["Reason"] = "fault drill";
  return {at, "SetNodeMode", body, {}};
}

void add_trouble(std::vector<drill_step>& out, const drill_trouble& t, dice& d,
                 const std::vector<std::string>& nodes) {
  const auto node = t.node == "*" ? d.one_of(nodes) : t.node;
  const auto at = d.between(t.from, t.to);
  auto arguments = json::array({t.point});
  if (!t.action.empty())
    arguments.push_back(t.action);
  out.push_back(t.mode.empty() ? order(at, node, "fault arm", arguments)
                               : set_mode(at, node, t.mode));
  if (t.lasts <= 0)
    return;
  auto point = json::array({t.point.substr(0, t.point.find(':'))});
  out.push_back(t.mode.empty() ? order(at + t.lasts, node, "fault disarm", point)
                               : set_mode(at + t.lasts, node, "active"));
}

} // namespace

result<drill_scenario> parse_scenario(std::string_view text, std::uint64_t seed) {
  FM_TRY(auto in, parse_json(text));
  FM_TRY(auto scenario, from_json_value<drill_scenario>(in));
  for (auto& key : scenario.workload.objects)
    fill_in_seed(key, seed);
  FM_CHECK(check(scenario));
  return scenario;
}

result<void> check_faults(const drill_scenario& scenario, const json& points) {
  for (std::size_t i = 0; i < scenario.faults.size(); ++i)
    if (const auto& t = scenario.faults[i]; !t.point.empty())
      FM_CHECK(check(t, fmt::format("Faults.{}", i), points));
  return {};
}

std::vector<drill_step> plan_drill(const drill_scenario& scenario, std::uint64_t workflow,
                                   std::uint64_t seed, const std::vector<std::string>& nodes) {
  dice d{seed};
  std::vector<drill_step> out;
  const auto& w = scenario.workload;
  for (const auto& key : w.objects) {
    json body{{"Bucket", w.bucket}, {"Key", key}, {"WorkflowId", workflow}};
    const auto at = d.between(0, w.within);
    if (w.drop_file.empty())
      out.push_back({at, "SubmitRun", body, key});
    else
      out.push_back({at, "", {}, key});
  }
  for (const auto& t : scenario.faults)
    for (std::int32_t i = 0; i < t.count; ++i)
      add_trouble(out, t, d, nodes);
  std::ranges::stable_sort(out, {}, &drill_step::at);
  return out;
}

bool sets_clock_of(const std::vector<drill_step>& plan, const std::string& node) {
  return std::ranges::any_of(plan, [&](const drill_step& step) {
    return step.action == "OrderNode" && text_at(step.body, "Name") == node
           && joined(at(step.body, "Arguments")).starts_with("clock.");
  });
}

std::string describe(const drill_step& step) {
  if (step.action.empty())
    return "drop " + step.object;
  if (step.action == "SubmitRun")
    return "submit " + step.object;
  auto node = text_at(step.body, "Name");
  if (step.action == "SetNodeMode")
    return fmt::format("{}: {}", node, text_at(step.body, "Mode"));
  return fmt::format("{}: {} {}", node, text_at(step.body, "What"),
                     joined(at(step.body, "Arguments")));
}

} // namespace framemill::cli
