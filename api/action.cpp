#include "api/action.hpp"

namespace framemill {

action_table mps_actions() {
  action_table table;
  add_workflow_actions(table);
  add_schedule_actions(table);
  add_task_actions(table);
  add_template_actions(table);
  add_notification_actions(table);
  return table;
}

result<void> check(const page& p, std::int64_t limit_max) {
  if (p.offset < 0)
    return fail_field(errc::invalid_argument, "Offset", "{} is negative", p.offset);
  if (p.limit < 1 || p.limit > limit_max)
    return fail_field(errc::invalid_argument, "Limit", "{} is not within 1 and {}", p.limit,
                      limit_max);
  return {};
}

} // namespace framemill
