#pragma once

#include "core/change.hpp"

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace framemill {

/// One receive that was asked for; chosen by the caller, never twice.
using waiter_id = std::uint64_t;

/// Names one receive of one message: void when the message is received again,
/// or goes to the dead-letter queue.
[[nodiscard]] std::string receipt_of(const message_state& s);

/// Queues and topics, as CMQ has them. Pure; owned by the QUEUE BROKER, which
/// makes `record` of each step durable before it answers, in the order of the
/// steps. Bodies are in the store alone; here are 16 bytes for each message that
/// waits, and a state for each that is hidden or was received.
///
///            delay over, or none
///   hidden ──────────────────────→ visible ──retention over──→ gone
///     ↑  │ deleted by receipt        │
///     │  └──────────────→ gone       │ received: hidden for the visibility time
///     └──────────────────────────────┘
///        after `receives_max` receives it does not become visible again, but
///        goes to the dead-letter queue
///
/// Messages are received in order of arrival, but for those that come back. A
/// message is hidden from all but one receiver, who has to delete it in time:
/// at least once.
class queue_machine {
public:
  /// A receive that has its answer. Empty: it waited in vain. not_found: the
  /// queue was removed.
  struct served_waiter {
    waiter_id waiter = 0;
    result<std::vector<message_state>> messages;
  };
  /// Messages that do not stay in a subscription's queue, though nobody asked for
  /// that: the owner says so in the log.
  struct mishap {
    std::string subscription; ///< TOPIC/NAME
    std::uint64_t messages = 0;
    std::string went_to; ///< the dead-letter queue; "" = dropped
    std::string why;
  };
  struct step {
    changes record;
    std::vector<served_waiter> served;
    std::vector<mishap> mishaps;
  };
  template <class T>
  struct answers {
    std::vector<result<T>> each; ///< in the order of what was asked
    step made;
  };
  struct receive_order {
    waiter_id waiter = 0;
    std::size_t count_max = 1;              ///< 1 … limits::queue_batch_max
    std::optional<std::int64_t> visibility; ///< seconds; default: the queue's
    std::optional<std::int64_t> wait;       ///< seconds; default: the queue's
  };
  struct hide_order {
    std::string receipt;
    std::int64_t seconds = 0; ///< from now; 0: visible at once
  };

  // ---- from the store, before anything else ---------------------------------------
  void load(queue_record r);
  void load(topic_record r);
  void load(subscription_record r);
  void load_counter(std::string_view name, std::uint64_t value);
  /// In order of id, after all queues and counters. What belongs to none is erased by ticks.
  void load(message_state s);

  // ---- queues. not_found names the queue -------------------------------------------
  /// Errors: already_exists, too_large (limits::queues_max), and what `check`
  /// and the dead-letter queue (not_found) refuse.
  [[nodiscard]] result<step> create(timestamp now, const std::string& name, queue_settings s);
  [[nodiscard]] result<step> reset(timestamp now, const std::string& name, queue_settings s);
  /// in_use: a subscription or another queue's dead letters go there.
  [[nodiscard]] result<step> remove(timestamp now, const std::string& name);
  /// All messages that are there, also those in flight, are gone.
  [[nodiscard]] result<step> purge(timestamp now, const std::string& name);
  /// busy: the queue is full. Each message is taken or refused by itself.
  [[nodiscard]] result<answers<message_id>> send(timestamp now, const std::string& name,
                                                 std::vector<outgoing_message> messages,
                                                 const std::string& sender);
  /// Answered by `served` of this step, or of a later one. busy: too many
  /// messages in flight, or receives that wait.
  [[nodiscard]] result<step> receive(timestamp now, const std::string& name, receive_order o);
  /// What was deleted already is so again. conflict: the receipt is void;
  /// malformed: it never was one of this queue.
  [[nodiscard]] result<answers<void>> erase(timestamp now, const std::string& name,
                                            const std::vector<std::string>& receipts);
  /// As above; in_use: the message is visible again, or deleted.
  [[nodiscard]] result<answers<void>> hide(timestamp now, const std::string& name,
                                           const std::vector<hide_order>& orders);
  /// Not to be received again: each goes to the dead-letter queue at once, however
  /// often it was received, or is deleted when there is none. Answers that queue's
  /// name, or "". Errors: those of `erase`; in_use: it is deleted already.
  [[nodiscard]] result<answers<std::string>> give_up(timestamp now, const std::string& name,
                                                     const std::vector<std::string>& receipts);
  /// The store has no body of it: it is no message.
  [[nodiscard]] step forget(message_id id, queue_id queue);

  // ---- topics. not_found names the topic or the subscription -------------------------
  [[nodiscard]] result<step> create_topic(timestamp now, const std::string& name);
  /// Its subscriptions go with it.
  [[nodiscard]] result<step> remove_topic(const std::string& name);
  /// An HTTP endpoint gets a queue of its own, `TOPIC/NAME`; what cannot be
  /// delivered goes to `dead_letter_queue`, "" = nowhere.
  [[nodiscard]] result<step> subscribe(timestamp now, subscription_record s,
                                       const std::string& dead_letter_queue);
  [[nodiscard]] result<step> unsubscribe(const std::string& topic, const std::string& name);
  /// A copy for each subscription that wants it, in one step; answers their ids. One
  /// whose queue has no room for it does not hold up the others: its copy goes to
  /// that queue's dead-letter queue, if there is one with room, and is a mishap.
  /// busy, too_large: none of those that want it has room; nothing is done then.
  [[nodiscard]] result<answers<message_id>> publish(timestamp now, const std::string& topic,
                                                    const outgoing_message& m,
                                                    const std::string& sender);

  // ---- time and questions ------------------------------------------------------------
  /// Serves and ends waits, erases what is past its retention (of a subscription's
  /// own queue it is a dead letter); some ten times a second, unless idle.
  [[nodiscard]] step tick(timestamp now);
  [[nodiscard]] bool is_idle() const; ///< no message, no wait: ticks do nothing
  [[nodiscard]] result<queue_view> view(const std::string& name) const;
  [[nodiscard]] std::vector<queue_view> views(std::string_view prefix) const; ///< by name
  [[nodiscard]] result<topic_view> topic(const std::string& name) const;
  [[nodiscard]] std::vector<topic_view> topics() const; ///< by name
  [[nodiscard]] std::string name_of(queue_id id) const; ///< "" = removed

private:
  struct waiting_message {
    message_id id;
    timestamp arrived;
  };
  struct waiter {
    receive_order order;
    timestamp until;
  };
  struct queue {
    queue_record record;
    std::deque<waiting_message> fresh;                ///< never received; place = id
    std::map<std::uint64_t, message_id> ready;        ///< visible again, by place
    std::set<std::pair<timestamp, message_id>> hidden; ///< until when
    std::unordered_map<message_id, message_state> states; ///< of ready and hidden ones
    std::size_t delayed = 0;                          ///< of the hidden ones
    std::deque<waiter> waiters;
  };
  using topic_subscriptions = std::map<std::string, subscription_record, std::less<>>;
  struct topic_state {
    topic_record record;
    topic_subscriptions subscriptions;
  };

  [[nodiscard]] result<queue*> find(const std::string& name);
  [[nodiscard]] queue* find(queue_id id);
  struct taker {
    const subscription_record* subscription;
    queue* to;
  };

  [[nodiscard]] result<topic_state*> find_topic(const std::string& name);
  [[nodiscard]] result<std::vector<taker>> takers_of(const topic_state& t,
                                                     const outgoing_message& m);
  [[nodiscard]] queue* dead_letters_of(const queue& q);
  [[nodiscard]] result<void> check_dead_letters(const queue_settings& s,
                                                const std::string& name) const;
  [[nodiscard]] result<void> check_unused(const queue& q) const;
  [[nodiscard]] static result<void> check_room(const queue& q, const outgoing_message& m);
  [[nodiscard]] static std::optional<timestamp> retained_until(const queue& q);
  static void add_mishap(step& to, mishap m);
  [[nodiscard]] static queue_view view_of(const queue& q);
  [[nodiscard]] static topic_view view_of(const topic_state& t);

  std::uint64_t next_number(step& out);
  void reserve(step& out);
  queue& add_queue(step& out, timestamp now, const std::string& name, queue_settings s);
  void drop_queue(step& out, queue& q);
  void discard_all(queue& q);
  message_id add_body(step& out, timestamp now, outgoing_message m, const std::string& sender);
  message_id put(step& out, timestamp now, queue& q, outgoing_message m,
                 const std::string& sender);
  void miss(step& out, timestamp now, const taker& t, outgoing_message m,
            const std::string& sender, std::string why);
  void settle(step& out, timestamp now, queue& q);
  void unhide(step& out, timestamp now, queue& q, message_id id);
  void bury(step& out, timestamp now, const queue& from, queue& to, message_id id);
  void end_retention(step& out, timestamp now, const queue& q, message_id id);
  void expire(step& out, timestamp now, queue& q);
  void serve(step& out, timestamp now, queue& q);
  [[nodiscard]] std::vector<message_state> take(step& out, timestamp now, queue& q,
                                                const receive_order& o);
  [[nodiscard]] static std::optional<message_state> next_visible(timestamp now, queue& q);
  static void hide_until_due(queue& q, message_state s);
  static void show(queue& q, message_state s);
  static void take_out(queue& q, const message_state& s);
  [[nodiscard]] result<message_state*> holder(queue& q, const std::string& receipt);
  [[nodiscard]] result<void> erase_one(step& out, queue& q, const std::string& receipt);
  [[nodiscard]] result<std::string> give_up_one(step& out, timestamp now, queue& q,
                                                const std::string& receipt);
  [[nodiscard]] result<void> hide_one(step& out, timestamp now, queue& q, const hide_order& o);
  void end_waits(step& out, timestamp now, queue& q);
  void collect_garbage(step& out);
  [[nodiscard]] result<queue_id> queue_for(step& out, timestamp now, const subscription_record& s,
                                           const std::string& dead_letter_queue);
  void end_subscription(step& out, topic_state& t, const std::string& name);

  std::map<std::string, queue, std::less<>> queues_;
  std::unordered_map<queue_id, queue*> by_id_;
  std::map<std::string, topic_state, std::less<>> topics_;
  std::deque<message_id> garbage_; ///< of purged and removed queues
  std::size_t waiters_ = 0;
  std::uint64_t last_queue_ = 0;
  std::uint64_t last_number_ = 0; ///< of messages, and of places
  std::uint64_t reserved_ = 0;    ///< numbers up to here are in the books as given
  bool lacks_reservation_ = false; ///< the store refused it, but took a message behind it
};

} // namespace framemill
