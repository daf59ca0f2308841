#pragma once

#include "cluster/critical_path.hpp"
#include "cluster/membership.hpp"
#include "cluster/shard_pace.hpp"
#include "core/node.hpp"
#include "core/run.hpp"
#include "core/service.hpp"

#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

// The cluster as people see it: answers of the gateway, values only. Nothing
// here is stored.

namespace framemill {

/// What a slot is doing.
struct running_attempt {
  shard_id shard;
  std::uint32_t epoch = 0;
  shard_role role = shard_role::probe;
  std::string node;
  std::string phase;   ///< of the child's last watermark; "" before the first
  double fraction = 0; ///< 0..1 of the shard
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Run", s.shard.run);
    v("Shard", s.shard.index);
    v("Epoch", s.epoch);
    v("Role", s.role);
    v("Node", s.node);
    v("Phase", s.phase);
    v("Fraction", s.fraction);
  }
};

/// One node: what is booked of it, and what is known of it now.
struct node_view {
  node_record record;
  node_presence presence = node_presence::away;
  timestamp last_heard; ///< of this life; 0 while away
  std::int32_t slots_busy = 0;
  bool drained = false; ///< draining, and nothing runs
  std::vector<running_attempt> running;
  std::vector<hosted_service> services; ///< placed there
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    std::remove_reference_t<decltype(s.record)>::fields(s.record, v);
    v("Presence", s.presence);
    v("LastHeard", s.last_heard);
    v("SlotsBusy", s.slots_busy);
    v("Drained", s.drained);
    v("Running", s.running);
    v("Services", s.services);
  }
};

/// Leave to enrol, told once: only a hash of the token is kept.
struct join_offer {
  std::string token;   ///< secret
  std::string command; ///< the line to type on the new machine
  timestamp expires;
  std::int32_t uses = 1;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Token", s.token);
    v("Command", s.command);
    v("Expires", s.expires);
    v("Uses", s.uses);
  }
};

struct cluster_status {
  std::string id;
  std::uint64_t term = 0;  ///< +1 with each start of the coordinator
  std::string coordinator; ///< its node's name
  std::string control_endpoint, enrolment_endpoint, data_endpoint; ///< host:port; "" = closed
  std::int64_t nodes_up = 0, nodes_away = 0;
  std::int64_t nodes_cordoned = 0;        ///< up, and takes no new work for whatever reason
  std::int64_t slots = 0, slots_busy = 0; ///< of nodes that are up
  std::int64_t shards_ready = 0;
  std::int64_t runs_live = 0, runs_queued = 0;
  /// Encoder fingerprint → nodes that have it. One output never mixes two.
  std::map<std::string, std::vector<std::string>> fingerprints;
  bool faults_allowed = false;
  std::vector<std::string> warnings;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Id", s.id);
    v("Term", s.term);
    v("Coordinator", s.coordinator);
    v("ControlEndpoint", s.control_endpoint);
    v("EnrolmentEndpoint", s.enrolment_endpoint);
    v("DataEndpoint", s.data_endpoint);
    v("NodesUp", s.nodes_up);
    v("NodesAway", s.nodes_away);
    v("NodesCordoned", s.nodes_cordoned);
    v("Slots", s.slots);
    v("SlotsBusy", s.slots_busy);
    v("ShardsReady", s.shards_ready);
    v("RunsLive", s.runs_live);
    v("RunsQueued", s.runs_queued);
    v("Fingerprints", s.fingerprints);
    v("FaultsAllowed", s.faults_allowed);
    v("Warnings", s.warnings);
  }
};

/// What the scheduler's predicates say of one node for one shard.
struct node_verdict {
  std::string node;
  bool eligible = false;
  std::string sentence; ///< "cordoned: failed its self-test", "busy: 2 of 2 slots"
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Node", s.node);
    v("Eligible", s.eligible);
    v("Sentence", s.sentence);
  }
};

enum class hedge_state : std::uint8_t {
  none,
  waiting, ///< a second attempt is wanted, and waits for a slot
  begun,   ///< a second attempt was given to a node beside the first
};

/// Why a shard that is not done is where it is.
struct shard_explanation {
  std::uint32_t shard = 0;
  shard_role role = shard_role::probe;
  shard_state state = shard_state::blocked;
  std::string why;                 ///< one sentence
  std::string node;                ///< that its newest lease was given to, or ""
  std::int64_t queue_position = 0; ///< from 1; 0 = not queued
  timestamp expected_start;        ///< 0 = unknown
  std::vector<node_verdict> nodes; ///< of a queued one: every node
  std::string needs;               ///< of a queued one: "2 cores, 120 MiB, label zone=a"
  hedge_state hedge = hedge_state::none;
  shard_pace pace;                 ///< its attempts, beside the others of its stage
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Shard", s.shard);
    v("Role", s.role);
    v("State", s.state);
    v("Why", s.why);
    v("Node", s.node);
    v("QueuePosition", s.queue_position);
    v("ExpectedStart", s.expected_start);
    v("Nodes", s.nodes);
    v("Needs", s.needs);
    v("Hedge", s.hedge);
    v("Attempts", s.pace.attempts);
    v("StageShards", s.pace.others);
    v("StageSeconds", s.pace.usual_seconds);
  }
};

/// Why a run is waiting, slow or failed; of a finished one, where its time went.
struct run_explanation {
  run_id run;
  run_state state = run_state::waiting;
  std::string why;                          ///< one sentence about the run as a whole
  std::vector<shard_explanation> shards;    ///< those that are not done
  std::vector<critical_step> critical_path; ///< in order; empty while it lives
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Run", s.run);
    v("State", s.state);
    v("Why", s.why);
    v("Shards", s.shards);
    v("CriticalPath", s.critical_path);
  }
};

} // namespace framemill

FM_ENUM_NAMES(framemill::hedge_state, "none", "waiting", "begun")
