#include "api/mps/definition_list.hpp"
#include "api/mps/workflow_json.hpp"

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
  definition_query asked;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("WorkflowIds", s.asked.ids);
    v("Status", s.asked.status);
    framemill::page::fields(s.asked.page, v);
  }
};

/// As in_mps_terms, of these activities.
auto terms_of(std::vector<activity> activities) {
  return [activities = std::move(activities)](error e) {
    return in_mps_terms(std::move(e), activities);
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
                                 in_terms(terms_of(std::move(activities)), std::move(reply)));
}

void reset(const action_context& context, reset_workflow request, api_reply done) {
  auto spec = to_spec(std::move(request.definition));
  if (!spec)
    return done(refuse(spec.error()));
  auto activities = spec->activities;
  auto reply = answer_empty(std::move(done), definition_rules);
  context.system.reset_workflow(request.id, std::move(*spec),
                                in_terms(terms_of(std::move(activities)), std::move(reply)));
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

result<json> list(const action_context& context, const describe_workflows& r) {
  FM_CHECK(check(r.asked, "WorkflowIds"));
  return list_definitions(context.system.store(), r.asked, "WorkflowInfoSet", to_workflow_info);
}

void describe(const action_context& context, describe_workflows request, api_reply done) {
  answer(done, list(context, request));
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
