#pragma once

#include "actors/function_code.hpp"
#include "actors/function_host.hpp"
#include "actors/interfaces.hpp"
#include "actors/services.hpp"
#include "notify/function_catalog.hpp"
#include "notify/function_pool.hpp"
#include "notify/sink.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include <deque>
#include <map>

namespace framemill {

/// FUNCTIONS: the functions of users, and their calls. What may be is
/// notify/function_catalog.hpp, who runs where notify/function_pool.hpp, how
/// they are shut in function_host.hpp. Every call leaves a line in the log before
/// it is answered.
struct functions_state {
  static inline const char* name = "functions";

  caf::stateful_actor<functions_state>* self = nullptr;
  node_services* services = nullptr;
  std::unique_ptr<function_host> host;
  function_code code;
  function_catalog catalog;
  std::optional<function_pool> pool;

  using change_fn = std::function<result<changes>(function_catalog&)>;
  struct change {
    change_fn decide;
    gateway::reply<void> done;
  };
  std::deque<change> waiting_changes; ///< one is made at a time
  bool is_changing = false;

  struct call {
    function_invocation what;
    std::string request_id;
    function_version version; ///< the newest when it came
    gateway::reply<invocation_result> done;
  };
  std::map<function_pool::call_id, call> calls; ///< not ended
  function_pool::call_id last_call = 0;
  struct process {
    function_key key = 0;
    std::string directory; ///< of its code
    std::optional<function_pool::call_id> at_work;
  };
  std::map<function_pool::process_id, process> processes;
  std::uint64_t calls_since_sweep = 0;
  std::optional<timestamp> wake; ///< the earliest tick that is under way

  // Verbs, used by handlers and by the gateway's calls (on this actor only).
  /// Decides on a copy of the catalogue, which is the catalogue when it is durable.
  void make_change(change_fn decide, gateway::reply<void> done);
  void invoke(function_invocation what, gateway::reply<invocation_result> done);
  [[nodiscard]] function_status status() const;
};

[[nodiscard]] caf::behavior functions_actor(caf::stateful_actor<functions_state>* self,
                                            node_services* services);

/// Calls `f` on the state of FUNCTIONS, on its thread.
void tell_functions(const caf::actor& functions, std::function<void(functions_state&)> f);

/// Which function gets the events of this type; "" = none does now.
[[nodiscard]] result<std::string> bound_function(const state_store& store,
                                                 std::string_view event_type);
/// Deliveries to the functions that are bound. `services` outlives it.
[[nodiscard]] std::unique_ptr<sink> make_function_sink(caf::actor functions,
                                                       const node_services& services);

} // namespace framemill
