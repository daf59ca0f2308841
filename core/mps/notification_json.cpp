#include "core/mps/notification_json.hpp"

#include <algorithm>

namespace framemill::mps {

namespace {

/// Event types, each with the member that holds it.
constexpr std::pair<std::string_view, const char*> members[] = {
    {to_string(task_kind::workflow), "WorkflowTaskEvent"},
    {to_string(task_kind::edit_media), "EditMediaTaskEvent"},
    {to_string(task_kind::schedule), "ScheduleTaskEvent"},
    {"BatchTask", "BatchTaskEvent"},
};

const char* member_of(std::string_view event_type) {
  auto row = std::find_if(std::begin(members), std::end(members),
                          [&](const auto& m) { return m.first == event_type; });
  return row == std::end(members) ? nullptr : row->second;
}

void undo_end(run_record& run) {
  if (!is_terminal(run.state))
    return;
  run.state = run_state::processing;
  run.finished = {};
  run.failure.reset();
}

std::string_view text_in(const json& body, const char* name) {
  auto found = body.find(name);
  return found != body.end() && found->is_string() ? found->get_ref<const std::string&>()
                                                   : std::string_view{};
}

} // namespace

std::string_view event_type_of(const run_record& run) { return to_string(run.spec.kind); }

json to_notification(task_view task, const template_source& templates, notified what) {
  if (what == notified::change)
    undo_end(task.run);
  const auto type = event_type_of(task.run);
  json out{{"EventType", type},
           {"SessionId", task.run.session_id},
           {"SessionContext", task.run.session_context}};
  for (const auto& [name, member] : members)
    out[member] = nullptr;
  out[member_of(type)] = to_task(task, templates);
  return out;
}

result<json> parse_notification(std::string_view content) {
  FM_TRY(auto body, parse_json(content));
  if (!body.is_object())
    return fail(errc::malformed, "a notification is a JSON object, not {}", body.type_name());
  auto type = text_in(body, "EventType");
  const char* holder = member_of(type);
  if (holder == nullptr)
    return fail(errc::malformed, "EventType is not one of: WorkflowTask, EditMediaTask, "
                                 "ScheduleTask, BatchTask");
  if (auto event = body.find(holder); event == body.end() || !event->is_object())
    return fail(errc::malformed, "`{}` is missing, which a {} has", holder, type);
  json out{{"EventType", type},
           {"SessionId", text_in(body, "SessionId")},
           {"SessionContext", text_in(body, "SessionContext")},
           {"Timestamp", 0},
           {"Sign", text_in(body, "Sign")}};
  for (const auto& [name, member] : members)
    out[member] = body.contains(member) ? body[member] : json(nullptr);
  if (auto t = body.find("Timestamp"); t != body.end() && t->is_number_integer())
    out["Timestamp"] = *t;
  return out;
}

} // namespace framemill::mps
