#pragma once

#include "actors/interfaces.hpp"
#include "actors/services.hpp"
#include "cluster/catalog.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include <map>
#include <set>

namespace framemill {

/// COORDINATOR: owns the definitions, books what the watchers report, admits
/// runs, and supervises WORKFLOW actors (restarts them from the store). Its
/// rules are cluster/catalog.hpp and cluster/ingest.hpp.
struct coordinator_state {
  static inline const char* name = "coordinator";

  caf::stateful_actor<coordinator_state>* self = nullptr;
  node_services* services = nullptr;
  catalog definitions;
  caf::actor scheduler, publisher;
  caf::actor membership; ///< empty: this node is alone
  caf::actor placer;

  struct waiting_order {
    std::int32_t priority = 0;
    run_id run;
    friend bool operator<(const waiting_order& a, const waiting_order& b) {
      return std::tuple{-a.priority, a.run} < std::tuple{-b.priority, b.run};
    }
  };
  std::set<waiting_order> waiting;
  std::map<run_id, caf::actor> live;
  std::map<caf::actor_addr, run_id> run_of;
  std::map<run_id, int> restarts;
  std::map<std::string, std::set<run_id>> runs_of_object; ///< not ended, by object key
  std::map<run_id, std::string> object_of_run;
  std::set<std::string> being_booked; ///< object keys of commits under way
  std::map<std::string, run_id> sessions_in_flight;
  using attempt = std::pair<std::uint32_t, std::uint32_t>; ///< shard, epoch
  /// Until their runs are there; one that is told again is the same one.
  std::map<run_id, std::map<attempt, late_outcome>> late;

  std::map<std::uint64_t, std::function<void(result<void>)>> commits; ///< by token
  std::uint64_t last_token = 0;
  bool ahead_of_store = false; ///< a commit failed: read the definitions again

  // Verbs, used by handlers and by the gateway's calls (on this actor only).
  void commit(changes c, std::function<void(result<void>)> then);
  void reload_if_ahead();
  void remember(const run_record& run);
  void forget(run_id run);
  void admit();
  void spawn_run(run_id run);
  void take_late(late_outcome m);
  void cancel(run_id run, std::string why, gateway::reply<void> done);
  void submit(run_request request, gateway::reply<run_id> done);
  void retry(run_id run, gateway::reply<run_id> done);
};

[[nodiscard]] caf::behavior coordinator(caf::stateful_actor<coordinator_state>* self,
                                        node_services* services, caf::actor scheduler,
                                        caf::actor publisher, caf::actor membership);

/// Where the outputs of these activities go, of an input in that bucket. not_found: one is
/// not here.
[[nodiscard]] result<std::set<bucket*>> output_buckets(const node_services& services,
                                                       const workflow_spec& spec,
                                                       const std::string& input_bucket);

/// Reads the definitions and live runs back; before any actor starts.
[[nodiscard]] result<void> load_definitions(const state_store& store, catalog& into);

} // namespace framemill
