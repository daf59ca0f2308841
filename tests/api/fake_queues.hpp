#pragma once

#include "actors/queue_service.hpp"
#include "core/time.hpp"
#include "notify/queue_machine.hpp"

#include <map>
#include <mutex>

namespace framemill::test {

/// The queues over the machine alone: nothing is stored, every reply comes
/// before the call returns. Time passes by the clock and `tick`.
class fake_queues final : public queue_service {
public:
  explicit fake_queues(const clock& time) : time_(time) {}

  void tick();
  /// Receives that wait.
  [[nodiscard]] std::size_t waiters() {
    std::lock_guard lock{mutex_};
    return waiters_.size();
  }

  void create_queue(std::string name, queue_settings s, reply<void> done) override;
  void reset_queue(std::string name, queue_settings s, reply<void> done) override;
  void remove_queue(std::string name, reply<void> done) override;
  void purge_queue(std::string name, reply<void> done) override;
  void queue(std::string name, reply<queue_view> done) override;
  void queues(std::string prefix, reply<std::vector<queue_view>> done) override;
  void send(std::string queue, std::vector<outgoing_message> messages, std::string sender,
            reply<each<message_id>> done) override;
  void receive(std::string queue, receive_request r,
               reply<std::vector<received_message>> done) override;
  void erase(std::string queue, std::vector<std::string> receipts,
             reply<each<void>> done) override;
  void hide(std::string queue, std::vector<hide_request> orders,
            reply<each<void>> done) override;
  void give_up(std::string queue, std::vector<std::string> receipts,
               reply<each<std::string>> done) override;
  void create_topic(std::string name, reply<void> done) override;
  void remove_topic(std::string name, reply<void> done) override;
  void topics(reply<std::vector<topic_view>> done) override;
  void topic(std::string name, reply<topic_view> done) override;
  void subscribe(subscription_record s, std::string dead_letter_queue,
                 reply<void> done) override;
  void unsubscribe(std::string topic, std::string name, reply<void> done) override;
  void publish(std::string topic, outgoing_message m, std::string sender,
               reply<std::vector<message_id>> done) override;

private:
  result<void> take(result<queue_machine::step> made);
  template <class T>
  result<each<T>> take_each(result<queue_machine::answers<T>> made);

  const clock& time_;
  std::recursive_mutex mutex_;
  queue_machine machine_;
  std::map<message_id, message_record> bodies_;
  std::map<waiter_id, reply<std::vector<received_message>>> waiters_;
  waiter_id last_waiter_ = 0;
};

} // namespace framemill::test
