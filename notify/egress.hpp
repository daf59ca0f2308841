#pragma once

#include "core/error.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace framemill {

/// An IPv4 or IPv6 address. An IPv4 address in IPv6 clothes (::ffff:1.2.3.4) is
/// IPv4.
class ip_address {
public:
  /// From 4 or 16 bytes in network order; anything else is no address.
  [[nodiscard]] static std::optional<ip_address> of_bytes(std::span<const std::uint8_t> bytes);
  [[nodiscard]] static result<ip_address> parse(std::string_view text);

  [[nodiscard]] std::string text() const;
  [[nodiscard]] bool is_v4() const { return v4_; }
  [[nodiscard]] int bits() const { return v4_ ? 32 : 128; }
  /// The first `bits` are those of `other`, of the same family.
  [[nodiscard]] bool shares(const ip_address& other, int bits) const;
  /// The IPv4 address that a translator makes of it (NAT64, 6to4).
  [[nodiscard]] std::optional<ip_address> translated() const;

  bool operator==(const ip_address&) const = default;

private:
  bool v4_ = false;
  std::array<std::uint8_t, 16> bytes_{}; ///< IPv4 in the first four
};

/// Which addresses may be connected to on behalf of who writes workflows: pure. By
/// default not this host's own services: loopback, link-local, unspecified and
/// multicast addresses, and what the host itself is called. The most specific rule
/// decides; of two alike, the one that allows.
class egress_policy {
public:
  /// Networks as `10.0.0.0/8`, `fd00::/8`, or one address. malformed names it.
  [[nodiscard]] static result<egress_policy> make(std::span<const std::string> allow,
                                                  std::span<const std::string> deny);

  /// `own`: the host's addresses. Why the address is refused, with the setting
  /// that allows it; "" when it is allowed.
  [[nodiscard]] std::string refusal(const ip_address& to,
                                    std::span<const ip_address> own) const;

private:
  struct rule {
    ip_address network;
    int bits = 0;
    bool allows = false;
    std::string why;
  };
  egress_policy() = default;
  result<void> add(std::string_view network, bool allows, std::string why);
  [[nodiscard]] std::string judge(const ip_address& to, std::span<const ip_address> own) const;

  std::vector<rule> rules_;
};

} // namespace framemill
