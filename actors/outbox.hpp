#pragma once

#include "actors/gateway.hpp"
#include "actors/interfaces.hpp"
#include "actors/notifier_set.hpp"
#include "actors/services.hpp"
#include "notify/route.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include <map>
#include <memory>

namespace framemill {

/// OUTBOX: reads the event log from its cursor on, and books what each sink is to
/// be told, with the cursor, in one batch: nothing is left out, nothing is booked
/// twice, and a body does not change between tries. Owns a NOTIFIER for each sink
/// that has deliveries, but for those that the CREWs tell, wherever they are: to them
/// it is announced. Supervised by the SUPERVISOR, which starts it again; its truth is
/// in the store.
struct outbox_state {
  static inline const char* name = "outbox";

  caf::stateful_actor<outbox_state>* self = nullptr;
  node_services* services = nullptr;
  event_id cursor;         ///< all up to here are dealt with
  event_id durable_cursor; ///< as the store has it
  bool writing = false;    ///< a batch of the log is under way
  std::shared_ptr<void> following;
  std::optional<notifier_set> notifiers;
  std::map<std::uint64_t, std::function<void(result<void>)>> commits; ///< by token
  std::uint64_t last_token = 0;

  void commit(changes c, std::function<void(result<void>)> then);
  /// There are deliveries for this sink; `anew`: some older than what it knows.
  void wake(const std::string& sink, bool anew);
  [[nodiscard]] result<delivery_record> render(const event_record& e, const destination& to);

  // The gateway's calls, on this actor only. They answer how many there were.
  /// Of all sinks when `sink` is empty, all events when `event` is 0.
  void redrive(std::string sink, event_id event, gateway::reply<std::uint64_t> done);
  void replay(event_id from, std::string sink, gateway::reply<std::uint64_t> done);
  void rotate_signing_key(gateway::reply<signing_key_record> done);
};

[[nodiscard]] caf::behavior outbox(caf::stateful_actor<outbox_state>* self,
                                   node_services* services);

} // namespace framemill
