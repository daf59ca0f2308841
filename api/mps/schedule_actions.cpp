#include "api/mps/definition_list.hpp"
#include "api/mps/schedule_json.hpp"

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
  definition_query asked{.kind = task_kind::schedule};
  std::string trigger_type;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("ScheduleIds", s.asked.ids);
    v("TriggerType", s.trigger_type);
    v("Status", s.asked.status);
    framemill::page::fields(s.asked.page, v);
  }
};

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
      in_terms(in_schedule_terms, answer_with<workflow_id>(
                                      std::move(done), schedule_rules, [](workflow_id id) {
                                        return json{{"ScheduleId", id.value}};
                                      })));
}

void modify(const action_context& context, modify_schedule request, api_reply done) {
  auto change = to_change(std::move(request.change));
  if (!change)
    return done(refuse(change.error()));
  context.system.modify_workflow({request.id, task_kind::schedule}, std::move(*change),
                                 in_terms(in_schedule_terms,
                                          answer_empty(std::move(done), schedule_rules)));
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

result<json> list(const action_context& context, const describe_schedules& r) {
  constexpr std::string_view s3 = "AwsS3FileUpload";
  FM_CHECK(check(r.asked, "ScheduleIds"));
  if (!r.trigger_type.empty() && r.trigger_type != "CosFileUpload" && r.trigger_type != s3)
    return fail_field(errc::invalid_argument, "TriggerType",
                      "`{}` is not one of: CosFileUpload, {}", r.trigger_type, s3);
  if (r.trigger_type == s3) // there is none
    return json{{"TotalCount", 0}, {"ScheduleInfoSet", json::array()}};
  return list_definitions(context.system.store(), r.asked, "ScheduleInfoSet",
                          to_schedules_info);
}

void describe(const action_context& context, describe_schedules request, api_reply done) {
  answer(done, list(context, request));
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
