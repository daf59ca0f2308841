#pragma once

#include "notify/queue_driver.hpp"
#include "notify/sink.hpp"

#include <memory>

namespace framemill {

enum class queue_model : std::uint8_t { queue, topic };

/// Notifications as messages of the queue, or published to the topic, that their
/// configuration names: `queue/NAME`, `topic/NAME`. The body is the notification's;
/// the attributes EventId, RunId and EventType stand beside it. A topic's message has
/// one tag, its event type. A queue that is not there yet is tried again. `driver`
/// outlives the sink.
[[nodiscard]] std::unique_ptr<sink> make_queue_sink(queue_driver& driver, queue_model model);

} // namespace framemill
