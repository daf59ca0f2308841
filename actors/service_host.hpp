#pragma once

#include "actors/interfaces.hpp"
#include "actors/services.hpp"
#include "cluster/service_book.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include <atomic>
#include <map>
#include <memory>

namespace framemill {

/// SERVICE HOST: runs the services that are placed on this node (BUCKET WATCHERs,
/// CREWs), each an actor of its own, and starts again those that die. One per
/// node; on the coordinator its owner is the PLACER, elsewhere the NODE AGENT.
/// What it knows of a kind of service is a row of a table in its source. It goes
/// on while the coordinator is away. Never decides where anything runs.
struct service_host_state {
  static inline const char* name = "service-host";

  caf::stateful_actor<service_host_state>* self = nullptr;
  node_services* services = nullptr;
  caf::actor owner;
  std::optional<service_book> book;
  struct running {
    caf::actor actor;
    host_service order;
    int deaths = 0;
  };
  std::map<service_id, running> live;
  struct waiting {
    service_id service;
    std::function<void(result<std::string>)> answered;
  };
  std::map<std::uint64_t, waiting> words; ///< by number
  std::shared_ptr<std::atomic<std::uint64_t>> term =
      std::make_shared<std::atomic<std::uint64_t>>(0);
};

[[nodiscard]] caf::behavior service_host(caf::stateful_actor<service_host_state>* self,
                                         node_services* services, caf::actor owner);

/// The kinds of services that a node of this version can host.
[[nodiscard]] std::vector<std::string> service_kinds();

} // namespace framemill
