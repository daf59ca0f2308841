#pragma once

#include "actors/interfaces.hpp"
#include "actors/services.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include <optional>

namespace framemill {

/// Where a slot is.
struct remote_slot {
  worker_slot worker;      ///< as the SCHEDULER knows it
  std::uint32_t index = 0; ///< of the node
  std::optional<held_attempt> held; ///< since a former life of the coordinator
  std::optional<reservation> holds; ///< what that takes, by the books
};

/// REMOTE WORKER: one slot of another node, as WORKFLOW and SCHEDULER see a
/// TASK WORKER. Lives as long as the node is here in one life; its end breaks
/// the leases of its slot. Repeats what the node has not heard, by what the
/// node says it holds. Never decides about retries.
struct remote_worker_state {
  static inline const char* name = "remote-worker";

  remote_slot slot;
  caf::actor scheduler, membership;
  struct work {
    shard_id shard;
    std::uint32_t epoch = 0;
    caf::actor owner;              ///< may be empty: not claimed yet
    grant_number grant = 0;
    std::optional<assign_attempt> order; ///< until the node is seen to hold it
    timestamp told;                ///< when, last
    int times_unheard = 0;         ///< the order was said again
    std::optional<watermark> mark;
    bool stopping = false;
    std::string vacated;           ///< why it was stopped, when others shall do it
  };
  std::optional<work> job;
};

[[nodiscard]] caf::behavior remote_worker(caf::stateful_actor<remote_worker_state>* self,
                                          node_services* services, remote_slot slot,
                                          caf::actor scheduler, caf::actor membership);

} // namespace framemill
