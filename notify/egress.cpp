#include "notify/egress.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace framemill {

namespace {

struct default_rule {
  std::string_view network;
  std::string_view why;
};
constexpr default_rule defaults[] = {
    {"127.0.0.0/8", "a loopback address"},   {"::1", "a loopback address"},
    {"169.254.0.0/16", "link-local"},        {"fe80::/10", "link-local"},
    {"0.0.0.0/8", "an unspecified address"}, {"::", "an unspecified address"},
    {"224.0.0.0/4", "a multicast address"},  {"ff00::/8", "a multicast address"},
    {"255.255.255.255", "the broadcast address"},
};

bool begins(std::span<const std::uint8_t> bytes, std::initializer_list<std::uint8_t> with) {
  return std::equal(with.begin(), with.end(), bytes.begin());
}

} // namespace

std::optional<ip_address> ip_address::of_bytes(std::span<const std::uint8_t> bytes) {
  if (bytes.size() == 16 && begins(bytes, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}))
    bytes = bytes.subspan(12);
  if (bytes.size() != 4 && bytes.size() != 16)
    return std::nullopt;
  ip_address out;
  out.v4_ = bytes.size() == 4;
  std::copy(bytes.begin(), bytes.end(), out.bytes_.begin());
  return out;
}

result<ip_address> ip_address::parse(std::string_view text) {
  std::array<std::uint8_t, 16> bytes{};
  const std::string copy{text};
  if (::inet_pton(AF_INET, copy.c_str(), bytes.data()) == 1)
    return *of_bytes(std::span{bytes}.first(4));
  if (::inet_pton(AF_INET6, copy.c_str(), bytes.data()) == 1)
    return *of_bytes(bytes);
  return fail(errc::malformed, "`{}` is not an IP address", text);
}

std::string ip_address::text() const {
  char out[INET6_ADDRSTRLEN] = {};
  ::inet_ntop(v4_ ? AF_INET : AF_INET6, bytes_.data(), out, sizeof out);
  return out;
}

bool ip_address::shares(const ip_address& other, int bits) const {
  if (v4_ != other.v4_)
    return false;
  for (int i = 0; i < bits; i += 8) {
    auto at = static_cast<std::size_t>(i / 8);
    auto mask = bits - i >= 8 ? 0xff : 0xff << (8 - (bits - i));
    if (((bytes_[at] ^ other.bytes_[at]) & mask) != 0)
      return false;
  }
  return true;
}

std::optional<ip_address> ip_address::translated() const {
  const std::span<const std::uint8_t> bytes{bytes_};
  if (!v4_ && begins(bytes, {0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0}))
    return of_bytes(bytes.subspan(12));
  if (!v4_ && begins(bytes, {0x20, 0x02}))
    return of_bytes(bytes.subspan(2, 4));
  return std::nullopt;
}

result<void> egress_policy::add(std::string_view network, bool allows, std::string why) {
  auto slash = network.find('/');
  FM_TRY(auto base, ip_address::parse(network.substr(0, slash)));
  int bits = base.bits();
  if (slash != network.npos) {
    auto digits = network.substr(slash + 1);
    auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
    if (ec != std::errc{} || end != digits.data() + digits.size() || bits < 0
        || bits > base.bits())
      return fail(errc::malformed, "`{}` is not a network: ADDRESS/BITS", network);
  }
  rules_.push_back({base, bits, allows, std::move(why)});
  return {};
}

result<egress_policy> egress_policy::make(std::span<const std::string> allow,
                                          std::span<const std::string> deny) {
  egress_policy out;
  for (const auto& d : defaults)
    FM_CHECK(out.add(d.network, false, std::string{d.why}));
  for (const auto& network : deny)
    FM_CHECK(out.add(network, false, fmt::format("denied by `[egress] deny` {}", network)));
  for (const auto& network : allow)
    FM_CHECK(out.add(network, true, {}));
  return out;
}

std::string egress_policy::judge(const ip_address& to, std::span<const ip_address> own) const {
  const rule* best = nullptr;
  auto is_better = [&](const rule& r) {
    return best == nullptr || r.bits > best->bits || (r.bits == best->bits && r.allows);
  };
  for (const auto& r : rules_)
    if (to.shares(r.network, r.bits) && is_better(r))
      best = &r;
  // Loopback and link-local addresses are the host's own too; who allows their
  // networks means them.
  const rule here{to, to.bits(), false, "an address of this host"};
  const bool is_special =
      std::any_of(rules_.begin(), rules_.begin() + std::size(defaults),
                  [&](const rule& r) { return to.shares(r.network, r.bits); });
  if (!is_special && std::ranges::find(own, to) != own.end() && is_better(here))
    best = &here;
  return best == nullptr || best->allows ? std::string{} : best->why;
}

std::string egress_policy::refusal(const ip_address& to,
                                   std::span<const ip_address> own) const {
  auto why = judge(to, own);
  if (auto inner = to.translated(); why.empty() && inner)
    if (why = judge(*inner, own); !why.empty())
      why = fmt::format("{} behind a translator", why);
  if (why.empty())
    return {};
  return fmt::format("{} is {}; what may be connected to is set by `[egress] allow` "
                     "(--egress-allow {}/{})",
                     to.text(), why, to.text(), to.bits());
}

} // namespace framemill
