#include "notify/broker_address.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace framemill {

namespace {

struct scheme {
  std::string_view name;
  broker_protocol protocol;
  bool tls;
  std::uint16_t port;
};
constexpr scheme schemes[] = {{"nats", broker_protocol::nats, false, 4222},
                              {"tls", broker_protocol::nats, true, 4222},
                              {"amqp", broker_protocol::amqp, false, 5672},
                              {"amqps", broker_protocol::amqp, true, 5671}};

std::optional<std::string> decode_percent(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    unsigned byte = 0;
    auto digits = text.substr(i + 1, 2);
    const auto* end = digits.data() + digits.size();
    if (digits.size() != 2 || std::from_chars(digits.data(), end, byte, 16).ptr != end)
      return std::nullopt;
    out += static_cast<char>(byte);
    i += 2;
  }
  return out;
}

bool is_plain(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

/// Takes `HOST` or `[HOST]` off the front; "" when its bracket is open.
std::string_view take_host(std::string_view& authority) {
  const bool in_brackets = authority.starts_with('[');
  const auto end = authority.find(in_brackets ? ']' : ':');
  if (in_brackets && end == authority.npos)
    return {};
  auto host = authority.substr(in_brackets, end - in_brackets);
  authority.remove_prefix(std::min(authority.size(), host.size() + 2 * in_brackets));
  return host;
}

bool is_host(std::string_view host) {
  return !host.empty()
         && host.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "0123456789-._:")
                == host.npos;
}

/// Of `:4222`; 0 = it is none.
std::uint16_t port_of(std::string_view text, std::uint16_t otherwise) {
  if (text.empty())
    return otherwise;
  std::uint16_t port = 0;
  const auto* end = text.data() + text.size();
  const auto read = std::from_chars(text.data() + 1, end, port);
  return text.front() == ':' && read.ec == std::errc{} && read.ptr == end ? port : 0;
}

bool has_credentials(const broker_address& a) { return !a.user.empty() || !a.token.empty(); }

} // namespace

result<broker_address> parse_broker_address(std::string_view text, const std::string& field) {
  const auto wrong = [&](std::string_view why) {
    return fail_field(errc::malformed, field, "{} is no broker's address: {}", field, why);
  };
  const auto colon = text.find("://");
  const auto* found = std::ranges::find(schemes, text.substr(0, colon), &scheme::name);
  if (colon == text.npos || found == std::end(schemes))
    return fail_field(
        errc::unsupported, field,
        "{} must be `embedded`, or begin with nats://, tls://, amqp:// or amqps://", field);
  if (!is_plain(text))
    return wrong("it holds a space, a control character or a letter beyond ASCII");
  broker_address out;
  out.protocol = found->protocol;
  out.tls = found->tls;
  const bool is_nats = out.protocol == broker_protocol::nats;
  auto rest = text.substr(colon + 3);
  auto authority = rest.substr(0, rest.find_first_of("/?#"));
  auto path = rest.substr(authority.size());
  if (const auto at = authority.rfind('@'); at != authority.npos) {
    const auto whoever = authority.substr(0, at);
    const auto parting = whoever.find(':');
    auto first = decode_percent(whoever.substr(0, parting));
    auto second = decode_percent(parting == whoever.npos ? "" : whoever.substr(parting + 1));
    if (!first || !second || first->empty())
      return wrong("what stands before its @ is empty, or not percent-encoded as it should");
    if (is_nats && parting == whoever.npos)
      out.token = *first;
    else
      out.user = *first, out.password = *second;
    authority.remove_prefix(at + 1);
  }
  out.host = take_host(authority);
  out.port = port_of(authority, found->port);
  if (!is_host(out.host))
    return wrong("its host is missing or malformed");
  if (out.port == 0)
    return wrong("its port is not a number from 1 to 65535");
  if (path.starts_with('/'))
    path.remove_prefix(1);
  auto vhost = decode_percent(path);
  if (!vhost || path.find_first_of("/?#") != path.npos || (is_nats && !path.empty()))
    return wrong(is_nats ? "nothing may stand behind its port"
                         : "behind its port stands one virtual host, percent-encoded");
  if (!is_nats)
    out.vhost = vhost->empty() ? "/" : *vhost;
  return out;
}

result<void> add_credentials(broker_address& to, std::string_view content,
                             const std::string& field) {
  while (!content.empty() && (content.back() == '\n' || content.back() == '\r'))
    content.remove_suffix(1);
  if (has_credentials(to))
    return fail_field(errc::malformed, field,
                      "{}: the broker's address has a user or token already; keep one of both",
                      field);
  const auto parting = content.find(':');
  const bool is_token = parting == content.npos && to.protocol == broker_protocol::nats;
  if (content.empty() || content.find('\n') != content.npos || parting == 0
      || (parting == content.npos && !is_token))
    return fail_field(errc::malformed, field, "{} must hold one line, USER:PASSWORD{}", field,
                      to.protocol == broker_protocol::nats ? " or a token" : "");
  if (is_token) {
    to.token = content;
    return {};
  }
  to.user = content.substr(0, parting);
  to.password = content.substr(parting + 1);
  return {};
}

std::string host_and_port(const broker_address& a) {
  const bool is_v6 = a.host.find(':') != std::string::npos;
  return is_v6 ? fmt::format("[{}]:{}", a.host, a.port) : fmt::format("{}:{}", a.host, a.port);
}

std::string shown(const broker_address& a) {
  const auto* s = std::ranges::find_if(
      schemes, [&](const scheme& x) { return x.protocol == a.protocol && x.tls == a.tls; });
  auto out = fmt::format("{}://{}", s->name, host_and_port(a));
  if (a.protocol == broker_protocol::amqp && a.vhost != "/")
    out += "/" + a.vhost;
  return out;
}

} // namespace framemill
