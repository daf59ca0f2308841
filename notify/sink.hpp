#pragma once

#include "core/id.hpp"
#include "core/time.hpp"
#include "core/workflow.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace framemill {

/// One event on its way to one place. The body is the same at every try; what
/// depends on the time of the try (Timestamp, Sign, headers) the sink adds.
struct notification {
  std::string sink;        ///< where to: `http://host:port`, `queue/NAME`, `function/NAME`, …
  event_id event;          ///< the same at every try: receivers drop repetitions by it
  run_id run;
  std::uint32_t attempt = 1;
  std::string event_type;  ///< WorkflowTask, EditMediaTask, ScheduleTask
  std::string body;        ///< JSON, as ParseNotification answers it
  notify_config config;    ///< of the run
  /// Asked when a try begins that had to wait for its turn: may it still? Empty: yes.
  std::function<bool()> may_begin;
};

/// What became of a try.
struct delivery_answer {
  enum class verdict : std::uint8_t {
    delivered, ///< the other side has it for good
    again,     ///< not now: no connection, overloaded, no answer
    parked,    ///< never, unless somebody changes something
  };
  verdict what = verdict::again;
  std::string why;                        ///< one sentence; "" when delivered
  std::optional<microseconds> not_before; ///< the other side's wish: wait this long
};

[[nodiscard]] std::string_view to_string(delivery_answer::verdict v) noexcept;

/// Where notifications go: an HTTP endpoint, a queue, a function. Implementations
/// neither repeat nor remember; the NOTIFIER does. Thread-safe.
class sink {
public:
  using done_fn = std::function<void(delivery_answer)>;

  virtual ~sink() = default;

  /// Tries once, and calls `done` exactly once, on any thread, also when it
  /// takes too long. Does not block. What is under way when the last of the sinks
  /// that share a door is destroyed is answered `again` before its destructor returns.
  virtual void deliver(notification n, done_fn done) = 0;
};

} // namespace framemill
