#pragma once

#include "actors/interfaces.hpp"
#include "actors/services.hpp"
#include "storage/settle.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include <deque>
#include <map>
#include <memory>
#include <set>

namespace framemill {

/// BUCKET WATCHER: finds objects of one bucket that have stopped changing and
/// are not in the books yet, and tells the COORDINATOR. Detached: it lists
/// directories. Notifications are hints, the reconciling scan is the truth.
/// Holds nothing that a scan would not find again.
struct bucket_watcher_state {
  static inline const char* name = "bucket-watcher";

  framemill::bucket* bucket = nullptr;
  caf::actor coordinator;
  std::unique_ptr<settle_machine> settling;
  std::unique_ptr<bucket_hints> hints;
  std::set<std::string> closed;  ///< keys with a close hint since the last look
  std::deque<settled_report> ready; ///< to be told
  std::map<std::uint64_t, std::vector<settled_report>> told; ///< awaiting the books
  std::set<std::string> in_flight; ///< keys in `ready` or `told`
  std::uint64_t last_batch = 0;
  bool tick_armed = false;
  bool available = true;
  std::string problem;
  timestamp last_scan;
};

[[nodiscard]] caf::behavior bucket_watcher(caf::stateful_actor<bucket_watcher_state>* self,
                                           node_services* services, bucket* watched,
                                           caf::actor coordinator);

} // namespace framemill
