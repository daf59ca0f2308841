#pragma once

#include "actors/delivery_desk.hpp"
#include "actors/interfaces.hpp"
#include "actors/services.hpp"
#include "notify/delivery.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include <map>
#include <memory>

namespace framemill {

/// What a NOTIFIER tells, and how.
struct notifier_place {
  std::string sink;
  std::shared_ptr<delivery_desk> desk; ///< its own
  microseconds retry_window{};
};

/// NOTIFIER: brings one sink what is pending for it, in notify/delivery.hpp's
/// order; ends when there is no more. What became of a try is in the books before
/// anything follows from it. It knows the books through its desk alone, and so lives
/// on any node. Started by its owner, the OUTBOX or a CREW, and ends with it.
struct notifier_state {
  static inline const char* name = "notifier";

  notifier_place place;
  delivery_schedule schedule;
  event_id read_until; ///< of the pending ones, all up to here are known or gone
  bool has_read_all = false;
  bool is_reading = false;                       ///< the desk was asked for a page
  bool reads_anew = false;                       ///< from the first again, after that page
  std::map<event_id, delivery_record> under_way; ///< from their sending until it is written
  std::map<std::uint64_t, delivery_outcome> settling; ///< by token
  std::uint64_t last_token = 0;
  std::optional<timestamp> armed; ///< when the next tick comes
};

[[nodiscard]] caf::behavior notifier(caf::stateful_actor<notifier_state>* self,
                                     node_services* services, notifier_place place,
                                     caf::actor owner);

/// NOTIFIER's desk → NOTIFIER.
struct pending_read {
  result<pending_page> page;
};
struct delivery_fetched {
  event_id event;
  timestamp asked; ///< by the uptime
  result<std::optional<delivery_record>> delivery;
};
struct delivery_settled {
  std::uint64_t token = 0;
  result<bool> is_booked;
};

} // namespace framemill

FM_LOCAL_MESSAGE(pending_read)
FM_LOCAL_MESSAGE(delivery_fetched)
FM_LOCAL_MESSAGE(delivery_settled)
