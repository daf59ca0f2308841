#pragma once

#include "api/http_message.hpp"
#include "api/reply.hpp"
#include "core/time.hpp"

#include <map>
#include <string>

namespace framemill {

using credential_map = std::map<std::string, std::string>; ///< SecretId → SecretKey

/// Checks the TC3 signature of a request: format, SecretId, age (± 300 s),
/// signature, in this order. The host is tried as received and without its
/// port, header values as received and in lower case (clients differ).
/// Answers the SecretId.
[[nodiscard]] tl::expected<std::string, api_error>
authenticate(const http_request& request, const credential_map& credentials, timestamp now);

} // namespace framemill
