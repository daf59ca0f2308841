#pragma once

#include "actors/gateway.hpp"
#include "api/http_message.hpp"

namespace framemill {

struct event_stream_options {
  event_id after; ///< events with a greater id
  run_id run;     ///< 0 = all
  bool with_progress = false;
};

/// Feeds a client with events as `text/event-stream`: the durable ones from the
/// store, as fast as the client reads, then the live ones. Ends with the
/// client; `guard` is kept as long.
void stream_events(gateway& system, const event_stream_options& options,
                   const std::shared_ptr<http_exchange>& exchange, std::shared_ptr<void> guard);

} // namespace framemill
