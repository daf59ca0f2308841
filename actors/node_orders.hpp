#pragma once

#include "actors/services.hpp"
#include "cluster/protocol.hpp"

#include <functional>
#include <optional>
#include <string>

namespace framemill {

using order_answer = std::function<void(result<std::string>)>;

/// Carries out a word of the operator to this node and answers, once, what to
/// tell them: before it returns, or later on a thread of its own when it takes
/// long (`self-test`). Never blocks; `done` must not either. Errors:
/// unknown_argument names an order that there is not; unauthorized: faults are
/// not allowed here; contract_broken: the self-test failed, and how.
void carry_out(node_services& services, const node_order& order, order_answer done);

} // namespace framemill
