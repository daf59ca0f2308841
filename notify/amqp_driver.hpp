#pragma once

#include "notify/broker_driver.hpp"

namespace framemill {

/// Queues and topics on RabbitMQ, AMQP 0-9-1 (docs/queues.md). A queue NAME is a durable
/// queue, reached by the default exchange; a topic NAME a durable topic exchange with the
/// tag as routing key. What is there already is used as it is. Messages are persistent,
/// attributes are headers, the message id is the event's. Success: RabbitMQ confirmed it.
/// A topic's message that no queue is bound for is confirmed too, and gone, like one to a
/// topic without subscriptions. `address` is an AMQP one.
[[nodiscard]] std::unique_ptr<queue_driver> make_amqp_driver(broker_options options);

} // namespace framemill
