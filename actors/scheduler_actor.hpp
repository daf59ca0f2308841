#pragma once

#include "actors/interfaces.hpp"
#include "actors/services.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include <map>

namespace framemill {

/// SCHEDULER: matches offered shards with idle workers. The deciding is
/// cluster/scheduler.hpp; this keeps the handles. Supervised by the node.
struct scheduler_state {
  static inline const char* name = "scheduler";

  framemill::scheduler core{scheduler::options{}};
  std::map<worker_key, caf::actor> workers;
  std::map<shard_id, caf::actor> waiting;              ///< who offered
  std::map<worker_key, caf::actor_addr> reserved_for;  ///< until the worker is idle again
};

[[nodiscard]] caf::behavior scheduler_actor(caf::stateful_actor<scheduler_state>* self,
                                            node_services* services);

} // namespace framemill
