#pragma once

#include "core/error.hpp"
#include "core/fields.hpp"

#include <string>
#include <vector>

// Queues and topics of the embedded queue, as they are stored. Semantics follow
// Tencent's CMQ; what travels through them is in queue_message.hpp.

namespace framemill {

using queue_id = strong_id<struct queue_tag>; ///< of one life of a name

/// What the owner of a queue decides. Bounds: `check`, limits.hpp.
struct queue_settings {
  std::int64_t visibility_seconds = 30; ///< a received message is hidden so long
  std::int64_t delay_seconds = 0;       ///< a sent message is hidden so long
  std::int64_t wait_seconds = 0;        ///< a receive waits so long for a message
  std::int64_t retention_seconds = 4 * 24 * 3600;
  std::int64_t message_bytes_max = 1 << 20; ///< body and attributes
  std::int64_t messages_max = 1'000'000;    ///< beyond it a send is refused
  std::string dead_letter_queue;            ///< "" = none
  std::int64_t receives_max = 0; ///< then it goes there; 0 without that queue
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("VisibilitySeconds", s.visibility_seconds);
    v("DelaySeconds", s.delay_seconds);
    v("WaitSeconds", s.wait_seconds);
    v("RetentionSeconds", s.retention_seconds);
    v("MessageBytesMax", s.message_bytes_max);
    v("MessagesMax", s.messages_max);
    v("DeadLetterQueue", s.dead_letter_queue);
    v("ReceivesMax", s.receives_max);
  }
  bool operator==(const queue_settings&) const = default;
};

struct queue_record {
  queue_id id;
  std::string name;
  timestamp created;
  timestamp modified;
  std::uint64_t purged_before = 0; ///< messages at lower places are gone
  queue_settings settings;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Id", s.id);
    v("Name", s.name);
    v("Created", s.created);
    v("Modified", s.modified);
    v("PurgedBefore", s.purged_before);
    v("Settings", s.settings);
  }
  bool operator==(const queue_record&) const = default;
};

struct topic_record {
  std::string name;
  timestamp created;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Name", s.name);
    v("Created", s.created);
  }
  bool operator==(const topic_record&) const = default;
};

/// How often an HTTP subscriber that fails is tried, as CMQ names it.
enum class push_retry : std::uint8_t {
  exponential_decay, ///< after 1, 2, 4 … 512, 512 … seconds: 176 tries, about a day
  backoff,           ///< 3 tries, 10 to 20 seconds apart
};
/// What an HTTP subscriber is sent.
enum class push_format : std::uint8_t {
  json, ///< the body in an envelope with the topic's and the message's names
  raw,  ///< the body alone
};

struct subscription_record {
  std::string topic;
  std::string name; ///< unique within the topic
  timestamp created;
  std::string endpoint;          ///< `queue/NAME`, or an http or https URL
  std::vector<std::string> tags; ///< messages with one of these; none = all messages
  push_format format = push_format::json;
  push_retry retry = push_retry::exponential_decay;
  queue_id queue; ///< where its messages wait: the queue, or one of its own
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Topic", s.topic);
    v("Name", s.name);
    v("Created", s.created);
    v("Endpoint", s.endpoint);
    v("Tags", s.tags);
    v("Format", s.format);
    v("Retry", s.retry);
    v("Queue", s.queue);
  }
  bool operator==(const subscription_record&) const = default;
};

/// A queue as it is now.
struct queue_view {
  queue_record record;
  std::uint64_t visible = 0;
  std::uint64_t in_flight = 0;
  std::uint64_t delayed = 0;
  timestamp oldest; ///< arrival of the oldest visible message; 0 = none
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Queue", s.record);
    v("Visible", s.visible);
    v("InFlight", s.in_flight);
    v("Delayed", s.delayed);
    v("Oldest", s.oldest);
  }
};

/// What went wrong with a subscription since its node started.
struct subscription_trouble {
  std::string name;
  std::string last_error;   ///< of the last try to post; "" = it was delivered
  timestamp since;          ///< nothing was delivered from then on; 0 = no error
  std::uint64_t missed = 0; ///< messages that did not stay in its queue to be delivered
  std::string missed_why;   ///< of the last of them
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Name", s.name);
    v("LastError", s.last_error);
    v("Since", s.since);
    v("Missed", s.missed);
    v("MissedWhy", s.missed_why);
  }
  bool operator==(const subscription_trouble&) const = default;
};

struct topic_view {
  topic_record record;
  std::vector<subscription_record> subscriptions;
  std::vector<subscription_trouble> troubles; ///< of those that have any, by name
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Topic", s.record);
    v("Subscriptions", s.subscriptions);
    v("Troubles", s.troubles);
  }
};

/// 1 to 80 of letters, digits, `-` and `_`, as SQS has it. `field` is named in
/// the failure, as below.
[[nodiscard]] result<void> check_queue_name(std::string_view name, std::string field);
/// Bounds, each with its field; not whether the dead-letter queue is there.
[[nodiscard]] result<void> check(const queue_settings& s);
/// Names, tags, and the endpoint's form, as parse_http_url takes it.
[[nodiscard]] result<void> check(const subscription_record& s);

} // namespace framemill

FM_ENUM_NAMES(framemill::push_retry, "exponential_decay", "backoff")
FM_ENUM_NAMES(framemill::push_format, "json", "raw")
