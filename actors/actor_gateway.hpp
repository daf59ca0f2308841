#pragma once

#include "actors/gateway.hpp"
#include "actors/services.hpp"

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>

#include <memory>

namespace framemill {

/// The gateway over actors: turns each call into a message to the COORDINATOR.
[[nodiscard]] std::unique_ptr<gateway> make_actor_gateway(caf::actor_system& system,
                                                          node_services& services,
                                                          caf::actor coordinator,
                                                          caf::actor scheduler,
                                            caf::actor membership);

} // namespace framemill
