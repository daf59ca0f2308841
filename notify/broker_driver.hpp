#pragma once

#include "notify/broker_address.hpp"
#include "notify/queue_driver.hpp"
#include "notify/queue_sink.hpp"

#include <chrono>
#include <memory>

namespace framemill {

/// A message as a broker gets it.
struct broker_message {
  std::uint64_t ticket = 0; ///< of this send: its answer names it
  queue_model model = queue_model::queue;
  std::string name; ///< of the queue or topic
  std::string key;  ///< of a topic: the tags with dots between; "" = none
  std::string id;   ///< ORIGIN-EVENT, the same at every try; "" = no event's
  std::string body;
  message_attributes attributes;
};
/// malformed, naming the part that no broker takes: a name of other than letters,
/// digits, `-` and `_`; a tag that could not be filtered by (empty, with a dot, a
/// wildcard, a space or a control character); an attribute of more than one line; a
/// delay.
[[nodiscard]] result<broker_message> broker_message_of(queue_model model, std::string name,
                                                       outgoing_message m,
                                                       std::string_view origin);

struct broker_options {
  broker_address address;
  std::string origin;  ///< of message ids: two installations share none
  std::string ca_file; ///< PEM, whom TLS trusts; "" = the system's authorities
  bool create = true;  ///< queues and topics that are not there
  std::chrono::milliseconds connect_limit{3000}; ///< also of making a queue
  std::chrono::milliseconds answer_limit{10000}; ///< from `send` to its answer
  std::chrono::milliseconds reconnect_min{100}, reconnect_max{5000}; ///< back-off
  std::size_t unanswered_max = 512;                                  ///< at once; more wait
  std::size_t waiting_max = 10'000;                                  ///< then errc::busy
};

/// Wakes the thread that polls `descriptor`. Thread-safe.
class wake_signal {
public:
  wake_signal();
  wake_signal(const wake_signal&) = delete;
  wake_signal& operator=(const wake_signal&) = delete;
  ~wake_signal();
  void give() const;
  /// Waits for one, and takes it.
  void wait(std::chrono::milliseconds limit) const;
  void take() const;
  [[nodiscard]] int descriptor() const { return descriptor_; }

private:
  int descriptor_;
};

/// One live connection to a broker: what differs between them. Used by one thread; a
/// call blocks no longer than `connect_limit`. What a call returns is the connection's
/// failure, after which it is of no more use; what becomes of a message is answered.
class broker_link {
public:
  using answer_fn = std::function<void(std::uint64_t ticket, result<void>)>;

  virtual ~broker_link() = default;

  /// False: it would block now.
  [[nodiscard]] virtual bool is_ready() = 0;
  /// Success is answered when the broker has stored it; not_found: there is no such
  /// queue or topic.
  [[nodiscard]] virtual result<void> write(const broker_message& m,
                                           const answer_fn& answer) = 0;
  /// Waits for answers or a wake signal.
  [[nodiscard]] virtual result<void> collect(std::chrono::milliseconds wait,
                                             const answer_fn& answer) = 0;
  /// Makes the queue or topic of a message; its failure is the message's.
  [[nodiscard]] virtual result<void> create(const broker_message& m) = 0;
};
/// Blocks no longer than `connect_limit`, name service aside.
using connect_fn = std::function<result<std::unique_ptr<broker_link>>(const wake_signal&)>;

/// Queues and topics of a broker. One thread of its own connects, for ever and with
/// back-off, writes and reads, so that a broker which hangs holds up nobody. What is
/// under way is answered `unavailable` when the connection breaks, `timed_out` after
/// `answer_limit`, and `unavailable` at once while there is no connection: any of them
/// may have been stored, and is told from its repetition by its id. The destructor
/// answers everything, and waits for a call to the broker that is under way.
[[nodiscard]] std::unique_ptr<queue_driver> make_broker_driver(connect_fn connect,
                                                               broker_options options);

} // namespace framemill
