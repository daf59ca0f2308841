#pragma once

#include "actors/services.hpp"
#include "cluster/protocol.hpp"

#include <optional>
#include <string>

namespace framemill {

/// Carries out a word of the operator to this node and answers what to tell
/// them. errc::unknown_argument names an order that there is not;
/// errc::unauthorized: faults are not allowed here.
[[nodiscard]] result<std::string> carry_out(node_services& services, const node_order& order);

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
