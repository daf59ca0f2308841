#include "notify/route.hpp"

namespace framemill {

std::optional<mps::notified> told_by(const event_record& e) {
  if (e.type == "run.state") {
    auto state = from_name<run_state>(e.state);
    return state && is_terminal(*state) ? std::optional{mps::notified::end} : std::nullopt;
  }
  if (e.type != "job.state")
    return std::nullopt;
  auto state = from_name<job_state>(e.state);
  const bool told = state && (*state == job_state::processing || is_terminal(*state));
  return told ? std::optional{mps::notified::change} : std::nullopt;
}

std::vector<destination> destinations(const event_record& e, const run_record& run,
                                      bool function_is_bound) {
  auto what = told_by(e);
  if (!what)
    return {};
  const bool is_end = *what == mps::notified::end;
  std::vector<destination> out;
  auto add = [&](const notify_config& c) {
    out.push_back({sink_of(c, mps::event_type_of(run)), c});
  };
  const auto& asked = run.spec.notify;
  if (asked && (is_end || asked->notify_mode == "Change"))
    add(*asked);
  const bool is_told = asked && kind_of(*asked) == sink_kind::function;
  if (function_is_bound && is_end && !is_told)
    add(trigger_config());
  return out;
}

} // namespace framemill
