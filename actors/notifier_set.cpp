#include "actors/notifier_set.hpp"

#include <caf/all.hpp>
#include <spdlog/spdlog.h>

namespace framemill {

namespace {
constexpr std::chrono::seconds again_after{1};
} // namespace

void notifier_set::wake(const std::string& sink, bool anew) {
  auto& n = by_sink_[sink];
  if (n.actor) {
    n.was_woken = true;
    return owner_->send(n.actor, deliveries_there{anew});
  }
  n.actor = spawn_(sink); // it reads all that there is
  owner_->monitor(n.actor);
  sink_of_[n.actor.address()] = sink;
}

void notifier_set::ended(const caf::down_msg& down) {
  auto entry = sink_of_.extract(down.source);
  if (entry.empty())
    return;
  const auto sink = entry.mapped();
  const bool was_woken = by_sink_.extract(sink).mapped().was_woken;
  if (down.reason) {
    spdlog::error("{}: the NOTIFIER of {} died; another starts", role_, sink);
    owner_->delayed_send(owner_, again_after, start_notifier{sink});
  } else if (was_woken) {
    wake(sink, false);
  }
}

} // namespace framemill
