#pragma once

#include "actors/interfaces.hpp"
#include "actors/queue_service.hpp"
#include "notify/sink.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include <memory>

namespace framemill {

/// Sink → SUBSCRIPTION PUSHER.
struct push_answered {
  message_id message;
  timestamp sent;
  std::string receipt;
  std::uint32_t tries = 0;
  delivery_answer answer;
};

/// SUBSCRIPTION PUSHER: posts what waits in the queue of one HTTP subscription.
/// A client of the queues like any other: what it holds when it dies is visible
/// again after a while. Ends when the queue is gone.
struct subscription_pusher_state {
  static inline const char* name = "subscription-pusher";

  caf::stateful_actor<subscription_pusher_state>* self = nullptr;
  std::shared_ptr<queue_service> queues;
  caf::actor broker; ///< is told of every try
  const clock* time = nullptr;
  sink* to = nullptr;
  subscription_record subscription;
  std::string queue; ///< where its messages wait
  std::size_t under_way = 0;

  void ask();
  void push(std::vector<received_message> messages);
  void conclude(const push_answered& m);
  void give_up(const push_answered& m);
};

/// QUEUES → SUBSCRIPTION PUSHER: what it asked for.
struct push_batch {
  result<std::vector<received_message>> messages;
};
/// SUBSCRIPTION PUSHER → QUEUE BROKER, after each try: for its troubles. A lost one
/// is made up for by the next.
struct push_tried {
  queue_id queue; ///< the subscription's own
  delivery_answer answer;
};
/// SUBSCRIPTION PUSHER → itself, after a pause.
struct push_again {};

/// `time` and `to` outlive it; `queues` is a door to `broker`.
[[nodiscard]] caf::behavior
subscription_pusher(caf::stateful_actor<subscription_pusher_state>* self,
                    std::shared_ptr<queue_service> queues, caf::actor broker,
                    const clock* time, sink* to, subscription_record subscription);

} // namespace framemill

FM_LOCAL_MESSAGE(push_batch)
FM_LOCAL_MESSAGE(push_answered)
FM_LOCAL_MESSAGE(push_tried)
FM_LOCAL_MESSAGE(push_again)
