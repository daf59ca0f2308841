#pragma once

#include "actors/gateway.hpp"
#include "actors/services.hpp"

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>

#include <memory>

namespace framemill {

/// Whom it speaks to.
struct gateway_actors {
  caf::actor coordinator;
  caf::actor scheduler;
  caf::actor membership; ///< empty: this node is alone
  caf::actor functions;
};

/// The gateway over actors: turns each call into a message to one of them.
[[nodiscard]] std::unique_ptr<gateway> make_actor_gateway(caf::actor_system& system,
                                                          node_services& services,
                                                          gateway_actors to);

} // namespace framemill
