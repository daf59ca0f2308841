#pragma once

#include "core/queue_message.hpp"

#include <functional>
#include <string>

namespace framemill {

/// Queues and topics to send to, wherever they are: in our own store, or a
/// broker's. Thread-safe.
class queue_driver {
public:
  /// Success: the message is durable there.
  using done_fn = std::function<void(result<void>)>;

  virtual ~queue_driver() = default;

  /// Neither blocks nor repeats; calls `done` exactly once, on any thread, also
  /// when nobody answers. not_found: there is no such queue or topic; too_large,
  /// malformed: it cannot take that message; else it may be tried again.
  virtual void send(std::string queue, outgoing_message m, done_fn done) = 0;
  virtual void publish(std::string topic, outgoing_message m, done_fn done) = 0;
};

} // namespace framemill
