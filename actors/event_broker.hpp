#pragma once

#include "notify/queue_driver.hpp"

#include <memory>

namespace framemill {

struct node_services;

/// The broker that `[events] queue` names, when it names one. It connects by itself: one
/// that is not up is no failure, a file of credentials that strangers can read is. Needs
/// the store, in which this installation's id for brokers is kept.
[[nodiscard]] result<std::unique_ptr<queue_driver>> open_event_broker(node_services& services);

} // namespace framemill
