#pragma once

#include "core/time.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

// What an HTTP receiver can tell by that a notification is ours, and fresh: MPS's
// Timestamp and Sign within the body, and a header over all of it. Pure. Made anew
// at every try.

namespace framemill {

/// MPS: lower hex MD5 of the decimal time, immediately followed by NotifyKey.
[[nodiscard]] std::string mps_sign(std::int64_t expires_unix, std::string_view notify_key);

/// A JSON object with `Timestamp` (when the signature expires, ten minutes from
/// `now`, Unix seconds) and `Sign`. Without a key the body stays as it is.
[[nodiscard]] std::string with_mps_sign(std::string body, std::string_view notify_key,
                                        timestamp now);

/// `t=UNIX,v1=HEX[,v1=HEX]`: HMAC-SHA256 of `UNIX.BODY` under each live key, the
/// newest first. "" when there is no key.
[[nodiscard]] std::string signature_header(std::string_view body,
                                           std::span<const std::string> secrets,
                                           timestamp now);

} // namespace framemill
