#pragma once

#include "core/error.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace framemill {

struct host_port {
  std::string host;
  std::uint16_t port = 0;
};
/// `HOST:PORT`; an IPv6 host may stand in brackets, which are taken off. `field`
/// names the parameter in the error (malformed).
[[nodiscard]] result<host_port> parse_host_port(std::string_view text, std::string_view field);

} // namespace framemill
