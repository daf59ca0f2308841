#pragma once

#include "core/queue.hpp"

#include <map>

// Messages of the embedded queue: before they are sent, as they are stored, and
// in the hands of a receiver.

namespace framemill {

using message_id = strong_id<struct message_tag>; ///< never given out twice

/// A typed value beside the body, as SQS has it: String, Number, Binary, with or
/// without `.suffix`.
struct message_attribute {
  std::string type;
  std::string value; ///< of a Binary: the bytes themselves
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Type", s.type);
    v("Value", s.value);
  }
  bool operator==(const message_attribute&) const = default;
};
using message_attributes = std::map<std::string, message_attribute>;

/// A message before it is sent.
struct outgoing_message {
  std::string body;
  message_attributes attributes;
  std::vector<std::string> tags;             ///< for topics
  std::optional<std::int64_t> delay_seconds; ///< default: the queue's
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Body", s.body, required);
    v("Attributes", s.attributes);
    v("Tags", s.tags);
    v("DelaySeconds", s.delay_seconds);
  }
  bool operator==(const outgoing_message&) const = default;
};

/// What of a message never changes; stored once.
struct message_record {
  message_id id;
  std::string body;
  message_attributes attributes;
  std::vector<std::string> tags;
  timestamp sent;
  std::string sender; ///< SecretId; "" = the system itself
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Id", s.id);
    v("Body", s.body);
    v("Attributes", s.attributes);
    v("Tags", s.tags);
    v("Sent", s.sent);
    v("Sender", s.sender);
  }
  bool operator==(const message_record&) const = default;
};

/// Where a message is and how far; small, written anew at each receive.
struct message_state {
  message_id id;
  queue_id queue;
  std::uint64_t place = 0; ///< order in its queue; of a dead letter, that of its move
  timestamp arrived;       ///< in this queue: retention counts from here
  timestamp hidden_until;  ///< 0: never was
  std::uint32_t receives = 0;
  timestamp first_received;
  queue_id source; ///< of a dead letter: the queue that it failed in
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Id", s.id);
    v("Queue", s.queue);
    v("Place", s.place);
    v("Arrived", s.arrived);
    v("HiddenUntil", s.hidden_until);
    v("Receives", s.receives);
    v("FirstReceived", s.first_received);
    v("Source", s.source);
  }
  bool operator==(const message_state&) const = default;
};

/// A message in the hands of a receiver.
struct received_message {
  message_record message;
  std::string receipt; ///< for deleting it, or changing how long it is hidden
  std::uint32_t receives = 0;
  timestamp first_received;
  std::string source; ///< of a dead letter: the name of the queue it failed in
};

/// Size, characters (what XML allows, as in SQS), attributes, tags, delay. `field`
/// names the one at fault.
[[nodiscard]] result<void> check(const outgoing_message& m, std::int64_t bytes_max);
/// At most 5, of 1 to 16 characters: of a message, and of a subscription's filter.
[[nodiscard]] result<void> check_tags(const std::vector<std::string>& tags);
/// Body and attributes, as they count against a queue's bound.
[[nodiscard]] std::size_t size_of(const outgoing_message& m);

} // namespace framemill
