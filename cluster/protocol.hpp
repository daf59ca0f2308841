#pragma once

#include "cluster/run_machine.hpp"
#include "core/node.hpp"
#include "core/service.hpp"

#include <optional>
#include <string>
#include <variant>
#include <vector>

// What nodes and the coordinator say to each other over the control plane
// (docs/protocol.md). Every message may be lost, repeated or late: whoever
// holds an attempt says so in each beat, and both sides put right what differs.
// Kind numbers are append-only.

namespace framemill {

/// One lease as the node sees it.
struct held_attempt {
  shard_id shard;
  std::uint32_t epoch = 0;
  std::uint32_t slot = 0;   ///< of the node, from 0
  bool ended = false;       ///< its outcome is kept until it is noted
  std::optional<watermark> mark;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Shard", s.shard);
    v("Epoch", s.epoch);
    v("Slot", s.slot);
    v("Ended", s.ended);
    v("Mark", s.mark);
  }
  bool operator==(const held_attempt&) const = default;
};

// ---- node → coordinator -----------------------------------------------------------

/// First on every connection.
struct node_hello {
  static constexpr std::uint64_t kind = 1;
  std::string name;
  std::string boot;          ///< new at each start of the daemon
  node_facts facts;
  std::vector<held_attempt> held;
  bool leaving = false;      ///< it has said, or would say, `node_leaving`
  std::string timeline;      ///< of the state under which it holds that
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Name", s.name);
    v("Boot", s.boot);
    v("Facts", s.facts);
    v("Held", s.held);
    v("Leaving", s.leaving);
    v("Timeline", s.timeline);
  }
  bool operator==(const node_hello&) const = default;
};

/// Every `beat_every`, and at once when something moved.
struct node_beat {
  static constexpr std::uint64_t kind = 2;
  std::vector<held_attempt> held;
  std::int64_t scratch_bytes = 0; ///< free
  std::vector<hosted_service> services;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Held", s.held);
    v("ScratchBytes", s.scratch_bytes);
    v("Services", s.services);
  }
  bool operator==(const node_beat&) const = default;
};

/// An attempt ended. Its artifacts have been delivered before. Told again with
/// each connection, and now and then, until it is noted.
struct node_outcome {
  static constexpr std::uint64_t kind = 3;
  shard_id shard;
  attempt_outcome outcome;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Shard", s.shard);
    v("Outcome", s.outcome);
  }
  bool operator==(const node_outcome&) const = default;
};

/// The node stops of its own will (systemctl stop): give it nothing more. It
/// breaks the connection when all that it held is noted.
struct node_leaving {
  static constexpr std::uint64_t kind = 4;
  template <class Self, class V>
  static void fields(Self&, V&) {}
  bool operator==(const node_leaving&) const = default;
};

/// Answer to `node_order`.
struct node_report {
  static constexpr std::uint64_t kind = 5;
  std::uint64_t order = 0;
  std::optional<error> failure;
  std::string text;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Order", s.order);
    v("Failure", s.failure);
    v("Text", s.text);
  }
  bool operator==(const node_report&) const = default;
};

/// What a service of the node tells or asks, opaque to all but its kind. Said
/// again with each connection, and now and then, until it is answered; refused
/// by `end_service` when its epoch is old. Idempotent by (epoch, number): a node
/// never uses a number twice, over all its lives.
struct service_word {
  static constexpr std::uint64_t kind = 6;
  service_id service;
  std::uint64_t epoch = 0;
  std::uint64_t number = 0;
  std::string payload;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Service", s.service);
    v("Epoch", s.epoch);
    v("Number", s.number);
    v("Payload", s.payload);
  }
  bool operator==(const service_word&) const = default;
};

// ---- coordinator → node -----------------------------------------------------------

struct node_welcome {
  static constexpr std::uint64_t kind = 16;
  std::string cluster;       ///< its id, so that nobody joins another by mistake
  std::uint16_t data_port = 0;
  std::string timeline;      ///< another with each restore of a backup: see node_hello
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Cluster", s.cluster);
    v("DataPort", s.data_port);
    v("Timeline", s.timeline);
  }
  bool operator==(const node_welcome&) const = default;
};

/// The connection will not be served. When `final`, coming again cannot help.
struct node_refused {
  static constexpr std::uint64_t kind = 17;
  std::string reason;
  bool final = false;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Reason", s.reason);
    v("Final", s.final);
  }
  bool operator==(const node_refused&) const = default;
};

/// Proof of life of the coordinator.
struct coordinator_beat {
  static constexpr std::uint64_t kind = 18;
  template <class Self, class V>
  static void fields(Self&, V&) {}
  bool operator==(const coordinator_beat&) const = default;
};

/// Execute this attempt: it is leased in the books. Repeating it does nothing.
struct assign_attempt {
  static constexpr std::uint64_t kind = 19;
  shard_id shard;
  std::uint32_t epoch = 0;
  std::uint32_t slot = 0;
  media_request request;
  std::optional<object_ref> source;
  std::vector<handed_file> inputs;
  std::int64_t memory_bytes = 0;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Shard", s.shard);
    v("Epoch", s.epoch);
    v("Slot", s.slot);
    v("Request", s.request);
    v("Source", s.source);
    v("Inputs", s.inputs);
    v("MemoryBytes", s.memory_bytes);
  }
  bool operator==(const assign_attempt&) const = default;
};

/// Kill that attempt if it is held. Its outcome says `cancelled`.
struct stop_held {
  static constexpr std::uint64_t kind = 20;
  shard_id shard;
  std::uint32_t epoch = 0;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Shard", s.shard);
    v("Epoch", s.epoch);
  }
  bool operator==(const stop_held&) const = default;
};

/// The outcome is in the books, or refused for its epoch: forget it.
struct outcome_noted {
  static constexpr std::uint64_t kind = 21;
  shard_id shard;
  std::uint32_t epoch = 0;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Shard", s.shard);
    v("Epoch", s.epoch);
  }
  bool operator==(const outcome_noted&) const = default;
};

/// A word of the operator to one node: "self-test", "fault arm NAME …",
/// "fault list". Answered by `node_report` of the same number.
struct node_order {
  static constexpr std::uint64_t kind = 22;
  std::uint64_t order = 0;
  std::string what;
  std::vector<std::string> arguments;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Order", s.order);
    v("What", s.what);
    v("Arguments", s.arguments);
  }
  bool operator==(const node_order&) const = default;
};

/// Do this from now on, under this epoch: the placement is in the books. Said
/// again until a beat tells of it; repeating it does nothing, a newer epoch (or
/// another payload) begins it anew, an older one is not heard.
struct host_service {
  static constexpr std::uint64_t kind = 23;
  service_id service;
  std::uint64_t epoch = 0;
  std::string payload; ///< how, opaque to all but its kind
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Service", s.service);
    v("Epoch", s.epoch);
    v("Payload", s.payload);
  }
  bool operator==(const host_service&) const = default;
};

/// Do it no more, up to and including this epoch.
struct end_service {
  static constexpr std::uint64_t kind = 24;
  service_id service;
  std::uint64_t epoch = 0;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Service", s.service);
    v("Epoch", s.epoch);
  }
  bool operator==(const end_service&) const = default;
};

/// Answer to a `service_word`: what it told is in the books, what it asked is in
/// the payload. Lost, it is given again when the word is said again.
struct service_answer {
  static constexpr std::uint64_t kind = 25;
  service_id service;
  std::uint64_t epoch = 0;
  std::uint64_t number = 0;
  std::string payload;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Service", s.service);
    v("Epoch", s.epoch);
    v("Number", s.number);
    v("Payload", s.payload);
  }
  bool operator==(const service_answer&) const = default;
};

using cluster_message =
    std::variant<node_hello, node_beat, node_outcome, node_leaving, node_report, service_word,
                 node_welcome, node_refused, coordinator_beat, assign_attempt, stop_held,
                 outcome_noted, host_service, end_service, service_answer, node_order>;

/// One frame. `term` is the coordinator's: it grows with each of its starts. A
/// node refuses words of an older term than it has heard; a coordinator
/// refuses words to another term than its own, a hello excepted.
struct envelope {
  std::uint32_t version = 1;   ///< of the protocol
  std::string sender;          ///< the node's name; "" = the coordinator
  std::uint64_t term = 0;
  std::uint64_t sequence = 0;  ///< per connection and direction, from 1
  cluster_message body;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Version", s.version);
    v("Sender", s.sender);
    v("Term", s.term);
    v("Sequence", s.sequence);
    v("Body", s.body);
  }
  bool operator==(const envelope&) const = default;
};

/// Of one frame of the control plane; a longer one breaks the connection.
inline constexpr std::size_t control_frame_bytes_max = 16u << 20;
inline constexpr std::chrono::milliseconds beat_every{250};

// ---- enrolment: its own socket, where any key may speak but only this ---------------

struct enrol_request {
  static constexpr std::uint64_t kind = 1;
  std::string token_id;
  std::string secret;
  std::string name;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("TokenId", s.token_id);
    v("Secret", s.secret);
    v("Name", s.name);
  }
  bool operator==(const enrol_request&) const = default;
};
struct enrol_reply {
  static constexpr std::uint64_t kind = 2;
  std::optional<error> failure;
  std::string cluster;
  std::uint16_t control_port = 0; ///< on the host that was dialled
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Failure", s.failure);
    v("Cluster", s.cluster);
    v("ControlPort", s.control_port);
  }
  bool operator==(const enrol_reply&) const = default;
};

} // namespace framemill
