#pragma once

#include "core/workflow.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace framemill {

/// The kinds of places that notifications go to. `function` stands for whichever
/// function is bound to the event's type.
enum class sink_kind : std::uint8_t { http, queue, topic, function, sqs };

/// Everything that is wrong with it, first problem first. Whether this server has
/// such sinks is another question.
[[nodiscard]] result<void> validate(const notify_config& config);

/// Where a workflow's notifications go; of a configuration that is valid.
[[nodiscard]] sink_kind kind_of(const notify_config& config);
/// The place as one endpoint: `http://host:port`, `queue/NAME`, `topic/NAME`,
/// `function/EVENTTYPE`, `sqs/REGION/NAME`.
[[nodiscard]] std::string sink_of(const notify_config& config, std::string_view event_type);
/// What a function is told by that is bound to a type of events.
[[nodiscard]] notify_config trigger_config();
/// As it may be shown: without the key to somebody's account.
[[nodiscard]] std::optional<notify_config>
without_secret_key(std::optional<notify_config> config);
/// Of a sink by its name. not_found: no kind has such names.
[[nodiscard]] result<sink_kind> kind_of_sink(std::string_view sink);
/// Reached over the network, from any node alike. The others (the embedded queue and
/// its topics, functions) are the coordinator's own.
[[nodiscard]] bool is_reached_anywhere(sink_kind kind);
/// Tells apart the targets behind one sink: one that does not answer must not
/// hold the others up. Of an HTTP sink the path, of AWS-SQS the account's key id,
/// else "".
[[nodiscard]] std::string lane_of(const notify_config& config);

enum class delivery_state : std::uint8_t {
  pending, ///< on its way
  dead,    ///< given up, kept until it is redriven
};

/// One event for one sink, from the moment that the event is durable until the
/// sink has it: family `deliveries`. One that has arrived is erased.
struct delivery_record {
  std::string sink;
  event_id event;
  run_id run;
  std::string event_type;   ///< WorkflowTask, EditMediaTask, ScheduleTask
  std::string body;         ///< JSON; the same at every try
  notify_config config;     ///< of the run
  delivery_state state = delivery_state::pending;
  timestamp happened;       ///< the event's own time
  timestamp since;          ///< its tries are counted from here; anew when redriven
  std::uint32_t attempts = 0; ///< that failed, since then
  timestamp last_try;
  timestamp next_try;       ///< not before
  std::string last_error;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Sink", s.sink);
    v("Event", s.event);
    v("Run", s.run);
    v("EventType", s.event_type);
    v("Body", s.body);
    v("TaskNotifyConfig", s.config);
    v("State", s.state);
    v("Happened", s.happened);
    v("Since", s.since);
    v("Attempts", s.attempts);
    v("LastTry", s.last_try);
    v("NextTry", s.next_try);
    v("LastError", s.last_error);
  }
  bool operator==(const delivery_record&) const = default;
};

/// What became of a try.
enum class delivery_end : std::uint8_t { delivered, again, dead };

/// A key that signs what goes to HTTP endpoints. Two are live: receivers that
/// know either accept what is sent while they are given the new one.
struct signing_key_record {
  std::string id;
  std::string secret;
  timestamp created;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Id", s.id);
    v("Secret", s.secret);
    v("Created", s.created);
  }
  bool operator==(const signing_key_record&) const = default;
};

/// A sink as who runs the cluster sees it. Counts are since the start.
struct sink_status {
  std::string sink;
  std::uint64_t pending = 0;
  std::uint64_t delivered = 0;
  std::uint64_t failed_tries = 0;
  std::uint64_t dead = 0;   ///< given up
  timestamp oldest;         ///< when the first of the pending happened
  std::string last_error;   ///< "" when the last try succeeded
  timestamp last_error_time;
  timestamp next_try;       ///< not before, of the last one that failed
  std::string node;         ///< whose NOTIFIER tells it; "" = nobody's just now
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Sink", s.sink);
    v("Pending", s.pending);
    v("Delivered", s.delivered);
    v("FailedTries", s.failed_tries);
    v("Dead", s.dead);
    v("Oldest", s.oldest);
    v("LastError", s.last_error);
    v("LastErrorTime", s.last_error_time);
    v("NextTry", s.next_try);
    v("Node", s.node);
  }
  bool operator==(const sink_status&) const = default;
};

} // namespace framemill

FM_ENUM_NAMES(framemill::sink_kind, "http", "queue", "topic", "function", "sqs")
FM_ENUM_NAMES(framemill::delivery_state, "pending", "dead")
FM_ENUM_NAMES(framemill::delivery_end, "delivered", "again", "dead")
