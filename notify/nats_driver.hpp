#pragma once

#include "notify/broker_driver.hpp"

namespace framemill {

/// Queues and topics on NATS JetStream (docs/queues.md). A queue's messages go to the
/// subject `queue.NAME`, a topic's to `topic.NAME.TAG`, whatever stream stores that; when
/// none does, a stream `queue-NAME` (work queue) or `topic-NAME` (interest) is made, in
/// files. Attributes are headers, Nats-Msg-Id the event's id. Success: JetStream
/// acknowledged it. `address` is a NATS one.
[[nodiscard]] std::unique_ptr<queue_driver> make_nats_driver(broker_options options);

/// `queue.NAME`, `topic.NAME` or `topic.NAME.TAG`. Pure.
[[nodiscard]] std::string nats_subject(const broker_message& m);
/// What JetStream answered to a publish, as JSON. Pure.
[[nodiscard]] result<void> judge_nats_answer(std::string_view answer);

} // namespace framemill
