#include "core/url.hpp"

#include "core/limits.hpp"

#include <algorithm>
#include <charconv>

namespace framemill {

namespace {

failure not_a_url(std::string_view why) {
  return fail(errc::malformed, "not an http:// or https:// address: {}", why);
}

bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

/// Of `:8080`; the scheme's own for "".
result<std::uint16_t> port_of(std::string_view text, std::uint16_t own) {
  if (text.empty())
    return own;
  std::uint16_t port = 0;
  auto [end, ec] = std::from_chars(text.data() + 1, text.data() + text.size(), port);
  if (text.front() != ':' || ec != std::errc{} || end != text.data() + text.size() || port == 0)
    return not_a_url("its port is not a number from 1 to 65535");
  return port;
}

bool is_host(std::string_view host, bool in_brackets) {
  auto allowed = in_brackets ? std::string_view{"0123456789abcdef:."}
                             : std::string_view{"abcdefghijklmnopqrstuvwxyz0123456789-._"};
  return !host.empty() && host.find_first_not_of(allowed) == host.npos;
}

std::string lower(std::string_view text) {
  std::string out{text};
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

} // namespace

result<http_url> parse_http_url(std::string_view text) {
  if (text.size() > limits::notify_url_bytes_max)
    return not_a_url(fmt::format("longer than {} bytes", limits::notify_url_bytes_max));
  if (!is_printable(text))
    return not_a_url("it holds a space, a control character or a letter beyond ASCII");
  http_url out;
  auto colon = text.find("://");
  out.scheme = lower(text.substr(0, colon));
  if (colon == text.npos || (out.scheme != "http" && out.scheme != "https"))
    return not_a_url("it does not begin with http:// or https://");
  auto rest = text.substr(colon + 3);
  auto authority = rest.substr(0, rest.find_first_of("/?#\\"));
  rest.remove_prefix(authority.size());
  if (rest.starts_with('\\'))
    return not_a_url("it holds a backslash where its path should begin");
  authority.remove_prefix(authority.rfind('@') + 1); // npos + 1 is 0: no user named
  const bool in_brackets = authority.starts_with('[');
  auto host_end = in_brackets ? authority.find(']') : authority.find(':');
  if (in_brackets && host_end == authority.npos)
    return not_a_url("the bracket of its host is open");
  out.host = lower(authority.substr(in_brackets, host_end - in_brackets));
  if (!is_host(out.host, in_brackets))
    return not_a_url("its host is missing or malformed");
  auto behind = host_end == authority.npos ? std::string_view{}
                                           : authority.substr(host_end + in_brackets);
  FM_TRY(out.port, port_of(behind, out.scheme == "http" ? 80 : 443));
  auto path = rest.substr(0, rest.find_first_of("?#"));
  out.path = path.empty() ? "/" : std::string{path};
  return out;
}

std::string origin_of(const http_url& url) {
  const bool is_v6 = url.host.find(':') != std::string::npos;
  return is_v6 ? fmt::format("{}://[{}]:{}", url.scheme, url.host, url.port)
               : fmt::format("{}://{}:{}", url.scheme, url.host, url.port);
}

} // namespace framemill
