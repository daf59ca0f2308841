#pragma once

#include "actors/interfaces.hpp"
#include "actors/queue_service.hpp"
#include "notify/sink.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include <memory>

namespace framemill {

/// SUBSCRIPTION PUSHER: posts what waits in the queue of one HTTP subscription.
/// A client of the queues like any other: what it holds when it dies is visible
/// again after a while. Ends when the queue is gone.
struct subscription_pusher_state {
  static inline const char* name = "subscription-pusher";

  caf::stateful_actor<subscription_pusher_state>* self = nullptr;
  std::shared_ptr<queue_service> queues;
  sink* to = nullptr;
  subscription_record subscription;
  std::string queue;             ///< where its messages wait
  bool has_dead_letters = false; ///< the queue itself moves them there
  std::size_t under_way = 0;

  void ask();
  void push(std::vector<received_message> messages);
  void conclude(const std::string& receipt, std::uint32_t tries, const delivery_answer& a);
};

/// QUEUES → SUBSCRIPTION PUSHER: what it asked for.
struct push_batch {
  result<std::vector<received_message>> messages;
};
/// Sink → SUBSCRIPTION PUSHER.
struct push_answered {
  std::string receipt;
  std::uint32_t tries = 0;
  delivery_answer answer;
};
/// SUBSCRIPTION PUSHER → itself, after a pause.
struct push_again {};

/// `to` outlives it.
[[nodiscard]] caf::behavior
subscription_pusher(caf::stateful_actor<subscription_pusher_state>* self,
                    std::shared_ptr<queue_service> queues, sink* to,
                    subscription_record subscription, bool has_dead_letters);

} // namespace framemill

FM_LOCAL_MESSAGE(push_batch)
FM_LOCAL_MESSAGE(push_answered)
FM_LOCAL_MESSAGE(push_again)
