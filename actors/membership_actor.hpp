#pragma once

#include "actors/interfaces.hpp"
#include "actors/mailbag.hpp"
#include "actors/services.hpp"
#include "actors/step_queue.hpp"
#include "cluster/data_plane.hpp"
#include "cluster/membership.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <set>

namespace framemill {

/// The keys that the doorkeepers (ZAP) let in. Thread-safe.
class key_list {
public:
  void set(std::vector<std::string> keys);
  [[nodiscard]] hub::options::verdict judge(std::string_view key) const;

private:
  mutable std::mutex mutex_;
  std::set<std::string, std::less<>> keys_;
};

/// Where a cluster listens.
struct cluster_endpoints {
  std::string host;
  std::uint16_t control = 0;
  std::uint16_t enrolment = 0;
  std::uint16_t data = 0;
};

/// What a coordinator's life has in common with no other.
struct coordinator_life {
  std::string cluster;    ///< id, for ever
  std::string timeline;   ///< id, until a backup is restored
  std::uint64_t term = 0; ///< of this life
  key_pair keys;
};
/// Reads the cluster's id and begins a new term, durably.
[[nodiscard]] result<coordinator_life> begin_term(node_services& services);

/// MEMBERSHIP: who is in the cluster, and the ear and mouth of the coordinator.
/// Owns the sockets (control, enrolment, data); one REMOTE WORKER per slot of
/// each node that is here. What it decides is cluster/membership.hpp. It never
/// touches a run: a node that is gone takes its REMOTE WORKERs with it.
struct membership_state {
  static inline const char* name = "membership";

  caf::stateful_actor<membership_state>* self = nullptr;
  node_services* services = nullptr;
  caf::actor scheduler, coordinator, placer;
  coordinator_life life;
  cluster_endpoints endpoints;
  std::optional<membership> core;
  blame_matrix blame{blame_matrix::options{}};
  key_list keys;
  std::unique_ptr<framemill::hub> hub;
  std::unique_ptr<enrolment_desk> desk;
  std::unique_ptr<data_server> data;

  struct action {
    std::vector<membership_action> of_core;
    std::function<void(result<void>)> then; ///< an answer that waited for the commit
    changes record;                         ///< written again if the store refused it
  };
  step_queue<action> steps;

  struct remote_node {
    connection_key connection = 0;
    std::vector<caf::actor> slots;
    std::set<worker_key> keys; ///< of its slots: those of a former life are not heard
    struct place {
      std::uint32_t slot = 0;
      std::uint32_t epoch = 0;
      timestamp told = {}; ///< when it last told of it; 0 = not yet
    };
    std::map<shard_id, place> places; ///< what it was told to do, where
    std::uint64_t sequence = 0;
    int busy = 0;
    std::vector<held_attempt> held; ///< as last told
    std::optional<std::int64_t> scratch_left; ///< as the SCHEDULER was last told
    std::optional<std::vector<hosted_service>> services; ///< likewise
  };
  std::map<std::string, remote_node> nodes;                  ///< those that are here
  /// What a hello said was held, until it is acted on: its connection may be gone.
  std::map<connection_key, std::vector<held_attempt>> hellos;
  using attempt = std::pair<shard_id, std::uint32_t>; ///< and its epoch: some are hedged
  std::map<attempt, claim_lease> claims;     ///< leases of a former life
  std::map<attempt, late_outcome> unclaimed; ///< outcomes that came before their claims
  timestamp claims_end;
  /// What a node told is in the books, and it may forget it. Told with the next tick,
  /// all that has gathered: nobody waits for it.
  struct booked_outcome {
    std::string node;
    shard_id shard;
    std::uint32_t epoch = 0;
  };
  std::shared_ptr<mailbag<booked_outcome>> booked = std::make_shared<mailbag<booked_outcome>>();
  worker_key last_key = remote_workers_first;
  struct asked {
    std::string node;
    gateway::reply<std::string> done;
    timestamp until;
  };
  std::map<std::uint64_t, asked> orders;
  std::uint64_t last_order = 0;

  // Verbs, used by handlers and by the gateway's calls (on this actor only).
  /// Writes what the core decided, and with it what BLAME has learned.
  void apply(membership::step step, std::function<void(result<void>)> then = {});
  void write(std::uint64_t token, changes record);
  void write_again(std::uint64_t token);
  void order(const std::string& node, std::string what, std::vector<std::string> arguments,
             gateway::reply<std::string> done);
  void say(const std::string& node, cluster_message word);
  /// The PLACER is there: tells it of every node, and from now on what changes.
  void introduce(caf::actor who);
  void tell_placer(const std::string& node, const std::string& ended = {});
};

/// COORDINATOR → MEMBERSHIP, once: where late outcomes go.
struct coordinator_known {
  caf::actor coordinator;
};

/// MEMBERSHIP → itself, after a pause: the store refused this step.
struct write_step_again {
  std::uint64_t token = 0;
};

/// Opens the sockets on `endpoints` (ports of 0 are chosen) and says in
/// `opened` where, or why not.
[[nodiscard]] caf::behavior
membership_actor(caf::stateful_actor<membership_state>* self, node_services* services,
                 coordinator_life life, cluster_endpoints endpoints, caf::actor scheduler,
                 std::shared_ptr<std::promise<result<cluster_endpoints>>> opened);

} // namespace framemill

FM_LOCAL_MESSAGE(coordinator_known)
FM_LOCAL_MESSAGE(write_step_again)
