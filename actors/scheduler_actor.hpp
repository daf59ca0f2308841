#pragma once

#include "actors/interfaces.hpp"
#include "actors/services.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

namespace framemill {

/// SCHEDULER: matches offered shards with idle workers. The deciding is
/// cluster/scheduler.hpp; this keeps the handles. Supervised by the node.
struct scheduler_state {
  static inline const char* name = "scheduler";

  framemill::scheduler core{scheduler::options{}};
  std::map<std::string, std::string> fingerprints; ///< of nodes that are here
  std::map<worker_key, caf::actor> workers;
  std::map<caf::actor_addr, worker_key> key_of;
  std::map<shard_id, caf::actor> waiting; ///< who offered
  std::set<caf::actor_addr> watched;      ///< who offered ever, and lives
  struct reservation {
    grant_number grant = 0;
    caf::actor_addr owner;
  };
  std::map<worker_key, reservation> reserved; ///< until the worker is idle again
  grant_number last_grant = 0;
  timestamp scratch_looked; ///< of this machine, last
  bool is_looking = false;  ///< `look_at_scratch` is on its way
  caf::actor membership;    ///< none: this node is alone
  std::optional<scheduler_node> own; ///< this machine, as MEMBERSHIP told of it
  int own_busy = 0;         ///< of its slots, as MEMBERSHIP was told
  bool is_stopping = false; ///< it takes nothing new
  std::vector<std::shared_ptr<void>> left; ///< while its slots hold something
};

/// NODE → SCHEDULER, once, before any slot joins.
struct membership_known {
  caf::actor membership;
};

/// MEMBERSHIP → SCHEDULER: stop what this machine's slots hold; other nodes shall do it.
struct vacate_own_slots {
  std::string why;
};

/// NODE → SCHEDULER: this machine is stopping, and takes nothing new. `left` is let go
/// when all that its slots held has ended and is in the books.
struct stop_own_slots {
  std::shared_ptr<void> left;
};

/// This machine, as a node that works: what it has, and its buckets.
[[nodiscard]] scheduler_node own_machine(const node_services& services);

[[nodiscard]] caf::behavior scheduler_actor(caf::stateful_actor<scheduler_state>* self,
                                            node_services* services);

} // namespace framemill

FM_LOCAL_MESSAGE(membership_known)
FM_LOCAL_MESSAGE(vacate_own_slots)
FM_LOCAL_MESSAGE(stop_own_slots)
