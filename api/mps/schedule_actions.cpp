#include "api/action.hpp"
#include "api/mps/schedule_json.hpp"
#include "storage/records.hpp"

#include <algorithm>

namespace framemill {

namespace {

using namespace mps;

constexpr code_rule schedule_rules[] = {
    {errc::not_found, "Bucket", "ResourceNotFound.CosBucketNotExist"},
    {errc::not_found, "Definition", "InvalidParameterValue"},
    {errc::not_found, "", "ResourceNotFound.TemplateNotExist"},
    {errc::unavailable, "Bucket", "FailedOperation.CosStatusInavlid"},
    {errc::in_use, "", "FailedOperation"},
};

struct modify_schedule {
  workflow_id id;
  schedule_definition change;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("ScheduleId", s.id, required);
    schedule_definition::fields(s.change, v);
  }
};

struct schedule_by_id {
  workflow_id id;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("ScheduleId", s.id, required);
  }
  [[nodiscard]] definition_ref ref() const { return {id, task_kind::schedule}; }
};

struct describe_schedules {
  std::vector<std::uint64_t> ids;
  std::string trigger_type;
  std::string status;
  framemill::page page;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("ScheduleIds", s.ids);
    v("TriggerType", s.trigger_type);
    v("Status", s.status);
    framemill::page::fields(s.page, v);
  }
};

/// Translates failures before they are answered.
template <class T>
gateway::reply<T> in_schedule_terms(gateway::reply<T> next) {
  return [next = std::move(next)](result<T> r) {
    if (!r)
      return next(failure{mps::in_schedule_terms(r.error())});
    next(std::move(r));
  };
}

result<void> check_whole(const schedule_definition& d) {
  const std::pair<const char*, bool> parts[] = {{"ScheduleName", d.name.has_value()},
                                                {"Trigger", d.trigger.has_value()},
                                                {"Activities", d.activities.has_value()}};
  for (const auto& [name, is_given] : parts)
    if (!is_given)
      return fail_field(errc::missing_argument, name,
                        "the request is missing a required parameter `{}`", name);
  return {};
}

void create(const action_context& context, schedule_definition request, api_reply done) {
  if (auto whole = check_whole(request); !whole)
    return done(refuse(whole.error()));
  auto change = to_change(std::move(request));
  if (!change)
    return done(refuse(change.error()));
  workflow_spec empty;
  empty.kind = task_kind::schedule;
  context.system.create_workflow(
      changed(std::move(empty), std::move(*change)),
      in_schedule_terms(answer_with<workflow_id>(
          std::move(done), schedule_rules,
          [](workflow_id id) { return json{{"ScheduleId", id.value}}; })));
}

void modify(const action_context& context, modify_schedule request, api_reply done) {
  auto change = to_change(std::move(request.change));
  if (!change)
    return done(refuse(change.error()));
  context.system.modify_workflow({request.id, task_kind::schedule}, std::move(*change),
                                 in_schedule_terms(answer_empty(std::move(done), schedule_rules)));
}

void enable(const action_context& context, schedule_by_id request, api_reply done) {
  context.system.set_enabled(request.ref(), true, answer_empty(std::move(done), schedule_rules));
}

void disable(const action_context& context, schedule_by_id request, api_reply done) {
  context.system.set_enabled(request.ref(), false, answer_empty(std::move(done), schedule_rules));
}

void erase(const action_context& context, schedule_by_id request, api_reply done) {
  context.system.delete_workflow(request.ref(), answer_empty(std::move(done), schedule_rules));
}

result<void> check(const describe_schedules& r) {
  FM_CHECK(framemill::check(r.page, 100));
  if (r.ids.size() > 100)
    return fail_field(errc::invalid_argument, "ScheduleIds", "more than 100 ids");
  if (!r.status.empty() && r.status != "Enabled" && r.status != "Disabled")
    return fail_field(errc::invalid_argument, "Status", "`{}` is not one of: Enabled, Disabled",
                      r.status);
  if (!r.trigger_type.empty() && r.trigger_type != "CosFileUpload"
      && r.trigger_type != "AwsS3FileUpload")
    return fail_field(errc::invalid_argument, "TriggerType",
                      "`{}` is not one of: CosFileUpload, AwsS3FileUpload", r.trigger_type);
  return {};
}

bool is_wanted(const describe_schedules& r, const workflow_record& w) {
  return w.spec.kind == task_kind::schedule
         && (r.ids.empty() || std::ranges::find(r.ids, w.id.value) != r.ids.end())
         && (r.status.empty() || (r.status == "Enabled") == w.enabled)
         && r.trigger_type != "AwsS3FileUpload"; // there is none
}

/// Newest first: ids count up.
result<json> list(const action_context& context, const describe_schedules& r) {
  FM_CHECK(check(r));
  std::vector<workflow_record> found;
  FM_CHECK(scan_records<workflow_record>(
      context.system.store(), family::workflows, "", "",
      [&](workflow_record w) {
        if (is_wanted(r, w))
          found.push_back(std::move(w));
        return true;
      },
      true));
  json out{{"TotalCount", found.size()}, {"ScheduleInfoSet", json::array()}};
  for (const auto& w : window(std::move(found), r.page))
    out["ScheduleInfoSet"].push_back(to_schedules_info(w));
  return out;
}

void describe(const action_context& context, describe_schedules request, api_reply done) {
  auto answer = list(context, request);
  if (!answer)
    return done(refuse(answer.error()));
  done(std::move(*answer));
}

} // namespace

void add_schedule_actions(action_table& table) {
  table["CreateSchedule"] = make_action(effect::changes, create);
  table["ModifySchedule"] = make_action(effect::changes, modify);
  table["EnableSchedule"] = make_action(effect::changes, enable);
  table["DisableSchedule"] = make_action(effect::changes, disable);
  table["DeleteSchedule"] = make_action(effect::changes, erase);
  table["DescribeSchedules"] = make_action(effect::reads, describe);
}

} // namespace framemill
