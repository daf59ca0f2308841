#include "tests/sim/watch_shell.hpp"

#include <algorithm>

namespace framemill::sim {

watch_question watch_shell::scan() const {
  watch_question out;
  for (const auto& [key, input] : disks_.inputs) {
    auto known = booked_.find(key);
    const auto& now = input.object.generation;
    if (!in_flight_.contains(key) && !(known != booked_.end() && known->second == now))
      out.found.push_back({key, now});
  }
  return out;
}

watch_reports watch_shell::found(const watch_question& asked, const watch_unbooked& unbooked,
                                 timestamp now) {
  watch_reports out;
  for (std::uint32_t i = 0; i < asked.found.size(); ++i) {
    const auto& [key, seen] = asked.found[i];
    const auto& places = unbooked.places;
    if (std::find(places.begin(), places.end(), i) == places.end())
      booked_.insert_or_assign(key, seen);
    else if (in_flight_.insert(key).second)
      out.reports.push_back({{"in", key, seen}, {"close-write"}, now, {}});
  }
  return out;
}

void watch_shell::told(const watch_reports& reports) {
  for (const auto& r : reports.reports)
    in_flight_.erase(r.object.key);
}

} // namespace framemill::sim
