#pragma once

#include "core/error.hpp"

#include <string>
#include <string_view>

namespace framemill {

/// Standard alphabet, padded, in one line.
[[nodiscard]] std::string encode_base64(std::string_view bytes);
/// Standard alphabet (RFC 4648 §4); white space is skipped, a `data:…;base64,`
/// prefix is accepted. Fails with errc::malformed.
[[nodiscard]] result<std::string> decode_base64(std::string_view text);

} // namespace framemill
