#pragma once

#include "actors/interfaces.hpp"
#include "actors/services.hpp"
#include "cluster/progress_meter.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/sec.hpp>
#include <caf/stateful_actor.hpp>

#include <deque>
#include <map>
#include <optional>
#include <set>

namespace framemill {

/// WORKFLOW: one live run. Everything it decides is cluster/run_machine.hpp;
/// this commits each step, does its actions once they are durable, and talks.
/// Supervised by the COORDINATOR, which starts it again from the store.
struct workflow_state {
  static inline const char* name = "workflow";

  std::optional<run_machine> machine;
  progress_meter meter;
  caf::actor scheduler, publisher, coordinator;
  /// Steps on their way to disk, oldest first; actions wait for their commit.
  struct pending_step {
    std::uint64_t token = 0;
    bool durable = false;
    std::vector<run_action> actions;
    std::vector<std::string_view> passed; ///< fail points this step passes
  };
  std::deque<pending_step> pending;
  std::uint64_t last_token = 0;
  struct lease {
    worker_key worker = 0;
    caf::actor handle;
    grant_number grant = 0;
  };
  std::map<worker_key, lease> granted;   ///< until the step that takes or declines it is durable
  std::map<std::uint32_t, lease> leases; ///< by shard: what its worker was told to do
  std::set<caf::actor_addr> watched;     ///< workers of leases, once each
  int plan_attempts = 0;
  std::map<std::uint32_t, int> publish_attempts;  ///< by job
  std::vector<gateway::reply<void>> when_cancelled;
  timestamp last_shown;
};

struct workflow_places {
  caf::actor scheduler, publisher, coordinator;
};

/// Why it quits when the store refused a step: not the run's fault.
inline constexpr auto workflow_store_failed = caf::sec::unavailable_or_would_block;

[[nodiscard]] caf::behavior workflow_actor(caf::stateful_actor<workflow_state>* self,
                                           node_services* services, run_id run,
                                           workflow_places places);

} // namespace framemill
