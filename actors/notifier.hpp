#pragma once

#include "actors/interfaces.hpp"
#include "actors/services.hpp"
#include "notify/delivery.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include <map>

namespace framemill {

/// The part of a delivery_record that is read of all that are pending: the body
/// is read when it is sent.
struct delivery_line {
  std::string sink;
  event_id event;
  run_id run;
  notify_config config;
  timestamp happened, since, next_try;
  std::uint32_t attempts = 0;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Sink", s.sink);
    v("Event", s.event);
    v("Run", s.run);
    v("TaskNotifyConfig", s.config);
    v("Happened", s.happened);
    v("Since", s.since);
    v("NextTry", s.next_try);
    v("Attempts", s.attempts);
  }
};

/// NOTIFIER: brings one sink what is pending for it, in notify/delivery.hpp's
/// order; ends when there is no more. What became of a try is in the books before
/// anything follows from it. Of the coordinator it needs reading its deliveries
/// and writing `changes`, and nothing else. Started by the OUTBOX, and ends with it.
struct notifier_state {
  static inline const char* name = "notifier";

  std::string sink;
  delivery_schedule schedule;
  std::string read_until; ///< of the sink's pending ones, keys before are known or gone
  bool has_read_all = false;
  std::map<event_id, delivery_record> under_way; ///< from their sending until it is written
  struct settling {
    changes record;
    delivery_outcome outcome;
    timestamp answered;
  };
  std::map<std::uint64_t, settling> writes; ///< by token
  std::uint64_t last_token = 0;
  std::optional<timestamp> armed; ///< when the next tick comes
};

[[nodiscard]] caf::behavior notifier(caf::stateful_actor<notifier_state>* self,
                                     node_services* services, std::string sink,
                                     caf::actor outbox);

} // namespace framemill
