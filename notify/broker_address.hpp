#pragma once

#include "core/error.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace framemill {

enum class broker_protocol : std::uint8_t { nats, amqp };

/// Where a broker listens, and as whom we come. Holds secrets: what people see is
/// `shown`.
struct broker_address {
  broker_protocol protocol = broker_protocol::nats;
  bool tls = false;
  std::string host;       ///< an IPv6 address without its brackets
  std::uint16_t port = 0; ///< 4222; 5672, 5671 with TLS
  std::string user;       ///< "" = none; AMQP: guest
  std::string password;
  std::string token; ///< NATS, instead of both
  std::string vhost; ///< AMQP: "/" when the address has none

  bool operator==(const broker_address&) const = default;
};

/// `nats://`, `tls://` (NATS), `amqp://` or `amqps://`, then `[USER:PASSWORD@|TOKEN@]`
/// `HOST[:PORT][/VHOST]`; user, password, token and vhost may be percent-encoded.
/// malformed, unsupported: naming `field`, without repeating the text.
[[nodiscard]] result<broker_address> parse_broker_address(std::string_view text,
                                                          const std::string& field);
/// Adds what a file of its own says: one line, `USER:PASSWORD`, or a NATS token. It is
/// not percent-encoded. malformed, naming `field`, also when the address has some.
[[nodiscard]] result<void> add_credentials(broker_address& to, std::string_view content,
                                           const std::string& field);
/// `HOST:PORT`, `[IPV6]:PORT`.
[[nodiscard]] std::string host_and_port(const broker_address& a);
/// `amqp://HOST:PORT/VHOST`: without who we are.
[[nodiscard]] std::string shown(const broker_address& a);

} // namespace framemill
