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

struct host_port {
  std::string host;
  std::uint16_t port = 0;
};
/// `HOST:PORT`; an IPv6 host may stand in brackets.
[[nodiscard]] result<host_port> parse_host_port(std::string_view text, std::string_view field);
/// Where the node dials instead, in a fault drill: `control` or `data`.
[[nodiscard]] std::optional<host_port> via_of(const node_services& services,
                                              const std::string& plane);

} // namespace framemill
