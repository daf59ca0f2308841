#pragma once

#include "actors/interfaces.hpp"
#include "actors/services.hpp"
#include "actors/supply.hpp"
#include "cluster/stall_clock.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include <deque>
#include <memory>
#include <optional>
#include <vector>

namespace framemill {

/// TASK WORKER: one slot of a node. Owns at most one child process, from its
/// scratch directory to its artifacts. Detached (its own thread), because it
/// links, hashes and renames files. Never decides about retries.
struct task_worker_state {
  static inline const char* name = "task-worker";

  worker_slot slot;
  caf::actor scheduler;            ///< on a worker node: its NODE AGENT
  std::shared_ptr<framemill::supply> supply;
  opened_source source;            ///< of the child
  std::optional<assignment> job;   ///< what it works on
  std::string scratch;
  child_key child = 0;
  std::uint64_t serial = 0;        ///< tells words of an earlier child
  attempt_outcome outcome;
  bool has_result = false;
  stall_clock liveness;
  std::optional<error> stalled;    ///< why it was killed
  std::string vacated;             ///< why it was stopped, when others shall do it
  bool looking = false;            ///< a `check_liveness` is on its way
  std::deque<std::string> log;
  timestamp last_told; ///< to the WORKFLOW, of a watermark
  using waiting = std::vector<std::shared_ptr<void>>; ///< see `tell_when_noted`
  std::weak_ptr<waiting> unnoted; ///< held by what has ended and is not in the books
};

/// SCHEDULER → TASK WORKER: let go of this when all that has ended here is in the
/// books, or nobody is there to note it.
struct tell_when_noted {
  std::shared_ptr<void> told;
};

[[nodiscard]] caf::behavior task_worker(caf::stateful_actor<task_worker_state>* self,
                                        node_services* services, worker_slot slot,
                                        caf::actor scheduler,
                                        std::shared_ptr<framemill::supply> supply);

} // namespace framemill

FM_LOCAL_MESSAGE(tell_when_noted)
