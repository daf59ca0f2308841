#pragma once

#include "core/queue_message.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace framemill {

/// The embedded queue as the API sees it, free of actors. Thread-safe. Replies
/// run on an actor's thread and must not block; a change is durable when its
/// reply comes. What each call refuses is in notify/queue_machine.hpp;
/// errc::unavailable: the store refused a write, and the books are read back.
class queue_service {
public:
  template <class T>
  using reply = std::function<void(result<T>)>;
  template <class T>
  using each = std::vector<result<T>>; ///< in the order of what was asked

  struct receive_request {
    std::size_t count_max = 1;
    std::optional<std::int64_t> visibility_seconds;
    std::optional<std::int64_t> wait_seconds; ///< the reply comes that late
  };
  struct hide_request {
    std::string receipt;
    std::int64_t seconds = 0;
  };

  virtual ~queue_service() = default;

  virtual void create_queue(std::string name, queue_settings s, reply<void> done) = 0;
  virtual void reset_queue(std::string name, queue_settings s, reply<void> done) = 0;
  virtual void remove_queue(std::string name, reply<void> done) = 0;
  virtual void purge_queue(std::string name, reply<void> done) = 0;
  virtual void queue(std::string name, reply<queue_view> done) = 0;
  virtual void queues(std::string prefix, reply<std::vector<queue_view>> done) = 0;

  virtual void send(std::string queue, std::vector<outgoing_message> messages,
                    std::string sender, reply<each<message_id>> done) = 0;
  virtual void receive(std::string queue, receive_request r,
                       reply<std::vector<received_message>> done) = 0;
  virtual void erase(std::string queue, std::vector<std::string> receipts,
                     reply<each<void>> done) = 0;
  virtual void hide(std::string queue, std::vector<hide_request> orders,
                    reply<each<void>> done) = 0;
  /// Answers the dead-letter queue that each went to; "": it is deleted.
  virtual void give_up(std::string queue, std::vector<std::string> receipts,
                       reply<each<std::string>> done) = 0;

  virtual void create_topic(std::string name, reply<void> done) = 0;
  virtual void remove_topic(std::string name, reply<void> done) = 0;
  virtual void topics(reply<std::vector<topic_view>> done) = 0;
  virtual void topic(std::string name, reply<topic_view> done) = 0;
  virtual void subscribe(subscription_record s, std::string dead_letter_queue,
                         reply<void> done) = 0;
  virtual void unsubscribe(std::string topic, std::string name, reply<void> done) = 0;
  /// The ids of the copies, one for each subscription that wants the message.
  virtual void publish(std::string topic, outgoing_message m, std::string sender,
                       reply<std::vector<message_id>> done) = 0;
};

} // namespace framemill
