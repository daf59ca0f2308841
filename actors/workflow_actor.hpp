#pragma once

#include "actors/interfaces.hpp"
#include "actors/services.hpp"
#include "actors/step_queue.hpp"
#include "cluster/progress_meter.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/sec.hpp>
#include <caf/stateful_actor.hpp>

#include <map>
#include <optional>
#include <set>
#include <utility>

namespace framemill {

/// WORKFLOW: one live run. Everything it decides is cluster/run_machine.hpp;
/// this commits each step, does its actions once they are durable, and talks.
/// Supervised by the COORDINATOR, which starts it again from the store.
struct workflow_state {
  static inline const char* name = "workflow";

  std::optional<run_machine> machine;
  progress_meter meter;
  caf::actor scheduler, publisher, coordinator;
  caf::actor membership; ///< empty: this node is alone
  struct consequence {
    std::vector<run_action> actions;
    std::vector<std::string_view> passed; ///< fail points the step passes
    std::function<void()> noted;          ///< tells who waits for it to be durable
  };
  step_queue<consequence> steps;
  std::shared_ptr<commit_chain> chain = std::make_shared<commit_chain>(); ///< of this life's steps
  struct lease {
    std::string node;
    caf::actor handle;
    grant_number grant = 0;
  };
  std::map<worker_key, lease> granted;   ///< until the step that takes or declines it is durable
  using attempt = std::pair<std::uint32_t, std::uint32_t>; ///< shard, epoch
  std::map<attempt, lease> leases; ///< what the workers were told to do
  std::set<caf::actor_addr> watched;     ///< workers of leases, once each
  int plan_attempts = 0;
  std::map<std::uint32_t, int> publish_attempts;  ///< by job
  std::vector<gateway::reply<void>> when_cancelled;
  timestamp last_shown;
  timestamp build_missed; ///< since when no node has the run's encoder build; 0 = one has
};

struct workflow_places {
  caf::actor scheduler, publisher, coordinator;
  caf::actor membership = {}; ///< empty: this node is alone
};

/// Why it quits when the store refused a step: not the run's fault.
inline constexpr auto workflow_store_failed = caf::sec::unavailable_or_would_block;

[[nodiscard]] caf::behavior workflow_actor(caf::stateful_actor<workflow_state>* self,
                                           node_services* services, run_id run,
                                           workflow_places places);

} // namespace framemill
