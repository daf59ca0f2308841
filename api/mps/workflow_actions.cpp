#include "api/action.hpp"
#include "api/mps/workflow_json.hpp"
#include "storage/records.hpp"

#include <algorithm>

namespace framemill {

namespace {

using namespace mps;

constexpr code_rule definition_rules[] = {
    {errc::missing_argument, "MediaProcessTask", "InvalidParameterValue"},
    {errc::not_found, "Bucket", "ResourceNotFound.CosBucketNotExist"},
    {errc::not_found, "Definition", "InvalidParameterValue"},
    {errc::not_found, "", "ResourceNotFound.TemplateNotExist"},
    {errc::too_large, "", "LimitExceeded.TooMuchTemplate"},
    {errc::unavailable, "Bucket", "FailedOperation.CosStatusInavlid"},
    {errc::in_use, "", "FailedOperation"},
};

struct reset_workflow {
  workflow_id id;
  workflow_definition definition;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("WorkflowId", s.id, required);
    workflow_definition::fields(s.definition, v);
  }
};

struct workflow_by_id {
  workflow_id id;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("WorkflowId", s.id, required);
  }
};

struct describe_workflows {
  std::vector<std::uint64_t> ids;
  std::string status;
  framemill::page page;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("WorkflowIds", s.ids);
    v("Status", s.status);
    framemill::page::fields(s.page, v);
  }
};

/// Translates failures at activities before they are answered.
template <class T>
gateway::reply<T> in_mps_terms(std::vector<activity> activities, gateway::reply<T> next) {
  return [activities = std::move(activities), next = std::move(next)](result<T> r) {
    if (!r)
      return next(failure{mps::in_mps_terms(r.error(), activities)});
    next(std::move(r));
  };
}

void create(const action_context& context, workflow_definition request, api_reply done) {
  auto spec = to_spec(std::move(request));
  if (!spec)
    return done(refuse(spec.error()));
  auto activities = spec->activities;
  auto reply = answer_with<workflow_id>(std::move(done), definition_rules, [](workflow_id id) {
    return json{{"WorkflowId", id.value}};
  });
  context.system.create_workflow(std::move(*spec),
                                 in_mps_terms(std::move(activities), std::move(reply)));
}

void reset(const action_context& context, reset_workflow request, api_reply done) {
  auto spec = to_spec(std::move(request.definition));
  if (!spec)
    return done(refuse(spec.error()));
  auto activities = spec->activities;
  auto reply = answer_empty(std::move(done), definition_rules);
  context.system.reset_workflow(request.id, std::move(*spec),
                                in_mps_terms(std::move(activities), std::move(reply)));
}

void enable(const action_context& context, workflow_by_id request, api_reply done) {
  context.system.set_enabled({request.id}, true, answer_empty(std::move(done), definition_rules));
}

void disable(const action_context& context, workflow_by_id request, api_reply done) {
  context.system.set_enabled({request.id}, false,
                             answer_empty(std::move(done), definition_rules));
}

void erase(const action_context& context, workflow_by_id request, api_reply done) {
  context.system.delete_workflow({request.id}, answer_empty(std::move(done), definition_rules));
}

result<void> check(const describe_workflows& r) {
  FM_CHECK(framemill::check(r.page, 100));
  if (r.ids.size() > 100)
    return fail_field(errc::invalid_argument, "WorkflowIds", "more than 100 ids");
  if (!r.status.empty() && r.status != "Enabled" && r.status != "Disabled")
    return fail_field(errc::invalid_argument, "Status", "`{}` is not one of: Enabled, Disabled",
                      r.status);
  return {};
}

bool is_wanted(const describe_workflows& r, const workflow_record& w) {
  bool by_id =
      r.ids.empty() || std::find(r.ids.begin(), r.ids.end(), w.id.value) != r.ids.end();
  return w.spec.kind == task_kind::workflow && by_id
         && (r.status.empty() || (r.status == "Enabled") == w.enabled);
}

/// Newest first: ids count up.
result<json> list(const action_context& context, const describe_workflows& r) {
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
  json out{{"TotalCount", found.size()}, {"WorkflowInfoSet", json::array()}};
  for (const auto& w : window(std::move(found), r.page))
    out["WorkflowInfoSet"].push_back(to_workflow_info(w));
  return out;
}

void describe(const action_context& context, describe_workflows request, api_reply done) {
  auto answer = list(context, request);
  if (!answer)
    return done(refuse(answer.error()));
  done(std::move(*answer));
}

} // namespace

void add_workflow_actions(action_table& table) {
  table["CreateWorkflow"] = make_action(effect::changes, create);
  table["ResetWorkflow"] = make_action(effect::changes, reset);
  table["EnableWorkflow"] = make_action(effect::changes, enable);
  table["DisableWorkflow"] = make_action(effect::changes, disable);
  table["DeleteWorkflow"] = make_action(effect::changes, erase);
  table["DescribeWorkflows"] = make_action(effect::reads, describe);
}

} // namespace framemill
