#pragma once

#include "core/error.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace framemill {

/// What an http:// or https:// address names. It tells endpoints apart and is no
/// judgement of safety: that is made of the address that is connected to
/// (notify/egress.hpp).
struct http_url {
  std::string scheme;     ///< http, https
  std::string host;       ///< lower case; an IPv6 address without its brackets
  std::uint16_t port = 0; ///< the scheme's, when the text has none
  std::string path;       ///< begins with '/'; without query and fragment

  bool operator==(const http_url&) const = default;
};

/// malformed: no absolute http(s) address of printable ASCII, or longer than
/// limits::notify_url_bytes_max.
[[nodiscard]] result<http_url> parse_http_url(std::string_view text);

/// `https://host:443`, always with its port.
[[nodiscard]] std::string origin_of(const http_url& url);

} // namespace framemill
