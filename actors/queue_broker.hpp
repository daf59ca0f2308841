#pragma once

#include "actors/interfaces.hpp"
#include "actors/mailbag.hpp"
#include "actors/queue_service.hpp"
#include "actors/services.hpp"
#include "actors/step_queue.hpp"
#include "notify/push.hpp"
#include "notify/queue_driver.hpp"
#include "notify/queue_machine.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include <functional>
#include <map>
#include <memory>

namespace framemill {

struct queue_broker_state;
/// A call of the service, on the broker's own thread.
using queue_call = std::function<void(queue_broker_state&)>;

/// QUEUE BROKER: the embedded queue, notify/queue_machine.hpp and its commits.
/// The machine runs ahead; what it decides in one go is one commit. Each step is
/// answered when it and those before it are durable. When the store refuses a step,
/// that one and all behind it are answered with the failure, though some may be
/// durable (a message may then be there twice, never not at all), and the machine is
/// read back from the store.
/// Detached: it reads bodies.
struct queue_broker_state {
  static inline const char* name = "queue-broker";
  using messages_reply = queue_service::reply<std::vector<received_message>>;

  caf::stateful_actor<queue_broker_state>* self = nullptr;
  node_services* services = nullptr;
  queue_machine core;
  std::map<waiter_id, messages_reply> waiters;
  waiter_id last_waiter = 0;

  struct action {
    std::vector<queue_machine::served_waiter> served;
    std::vector<queue_machine::mishap> mishaps;
    std::function<void(const result<void>&)> then; ///< may be empty
    bool changes_subscriptions = false;
  };
  step_queue<action> steps;
  journal_page page;              ///< of steps that were made since the last commit
  std::uint64_t last_on_page = 0; ///< the token of the last of them
  std::shared_ptr<mailbag<committed>> answers = std::make_shared<mailbag<committed>>(); ///< of the store
  std::size_t commits = 0;        ///< that the store has not answered
  std::optional<error> refused;   ///< set from a refused commit until the books are read
  bool is_ticking = false;
  std::map<queue_id, caf::actor> pushers; ///< of HTTP subscriptions
  std::shared_ptr<queue_service> door;    ///< to ourselves, for them
  subscription_troubles troubles;

  // Verbs, used by handlers and by calls (on this actor only).
  void apply(queue_machine::step made, std::function<void(const result<void>&)> then);
  /// At the end of each handler: what it decided is one commit, or a few.
  enum class by { store, us };
  void write_page(by writer = by::store);
  void receive(const std::string& queue, const queue_service::receive_request& r,
               messages_reply done);

  void on_calls(std::vector<queue_call> calls);
  void on_answers();
  void on_tick();
  void read_books();
  void answer_ready();
  void serve(queue_machine::served_waiter w);
  void keep_ticking();
  void tend_pushers();
  void forget_old_troubles();
  void on_push_tried(queue_id queue, const delivery_answer& a);
  void on_pusher_gone(const caf::actor_addr& who);
  void tell_missed();
  [[nodiscard]] result<topic_view> topic(const std::string& name) const; ///< with troubles
  [[nodiscard]] std::vector<topic_view> topics() const;
  [[nodiscard]] result<std::vector<received_message>>
  messages_of(const std::vector<message_state>& states);
  [[nodiscard]] timestamp now() const { return services->clock.now(); }
};

/// Gateway → QUEUE BROKER: there are calls in this bag.
struct queue_calls {
  std::shared_ptr<mailbag<queue_call>> bag;
};
/// Store → QUEUE BROKER: there are answers to its commits.
struct queue_answers {};
/// QUEUE BROKER → itself, every 100 ms while there is something to wait for.
struct queue_tick {};
/// QUEUE BROKER → itself, after a pause: the books could not be read.
struct read_queue_books {};

[[nodiscard]] caf::behavior queue_broker(caf::stateful_actor<queue_broker_state>* self,
                                         node_services* services);

/// Queues, topics and messages as they are in the store.
[[nodiscard]] result<queue_machine> load_queues(const state_store& store);

/// The door to a QUEUE BROKER.
[[nodiscard]] std::unique_ptr<queue_service> make_queue_service(caf::actor broker);
/// Sends for the system itself. `queues` outlives it.
[[nodiscard]] std::unique_ptr<queue_driver> make_embedded_queue(queue_service& queues);

} // namespace framemill

FM_LOCAL_MESSAGE(queue_calls)
FM_LOCAL_MESSAGE(queue_answers)
FM_LOCAL_MESSAGE(queue_tick)
FM_LOCAL_MESSAGE(read_queue_books)
