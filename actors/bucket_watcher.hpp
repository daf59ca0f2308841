#pragma once

#include "actors/interfaces.hpp"
#include "actors/ledger_view.hpp"
#include "actors/service_line.hpp"
#include "actors/services.hpp"
#include "cluster/watch_words.hpp"
#include "storage/settle.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include <deque>
#include <map>
#include <memory>
#include <set>

namespace framemill {

/// Where and how a bucket is watched.
struct watcher_place {
  bucket* watched = nullptr; ///< as this node has it mounted
  service_line line;
  watch_order how;
  std::shared_ptr<ledger_view> books;
};

/// BUCKET WATCHER: finds objects of one bucket that have stopped changing and
/// are not in the books yet, and tells the coordinator, whichever node it is on.
/// Detached: it lists directories and asks the books. Notifications are hints, the
/// reconciling scan is the truth. Holds nothing that a scan would not find again.
struct bucket_watcher_state {
  static inline const char* name = "bucket-watcher";

  watcher_place place;
  std::unique_ptr<settle_machine> settling;
  std::unique_ptr<bucket_hints> hints;
  std::set<std::string> closed;     ///< keys with a close hint since the last look
  std::deque<settled_report> ready; ///< to be told
  std::map<std::uint64_t, std::vector<settled_report>> told; ///< awaiting the books
  std::set<std::string> in_flight;                           ///< keys in `ready` or `told`
  std::uint64_t last_batch = 0;
  bool tick_armed = false;
  bool status_armed = false;
  bool is_blind = false; ///< the books could not be asked: a scan makes up for it
  std::string problem;
  std::uint64_t settling_told = 0;
  timestamp last_scan;
};

[[nodiscard]] caf::behavior bucket_watcher(caf::stateful_actor<bucket_watcher_state>* self,
                                           node_services* services, watcher_place place);

} // namespace framemill
