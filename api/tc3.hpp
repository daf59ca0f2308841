#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// TC3-HMAC-SHA256, the signature of Tencent Cloud's API 3.0, for both sides:
// the server recomputes it, the CLI signs with it. Pure; needs only OpenSSL.

namespace framemill::tc3 {

struct credential {
  std::string secret_id;
  std::string secret_key;
};

using header_list = std::vector<std::pair<std::string, std::string>>;

/// What is signed. `headers` are the signed ones, in the order of
/// SignedHeaders, names in lower case, values trimmed.
struct message {
  std::string method = "POST";
  std::string path = "/";
  std::string query; ///< raw, as sent; "" for POST
  header_list headers;
  std::string payload_sha256; ///< lower hex
  std::int64_t timestamp = 0; ///< unix seconds
  std::string service = "mps";
};

[[nodiscard]] std::string canonical_request(const message& m);
/// Lower hex.
[[nodiscard]] std::string signature(const message& m, std::string_view secret_key);

/// `2019-02-25`, UTC.
[[nodiscard]] std::string utc_date(std::int64_t unix_seconds);
/// Lower hex.
[[nodiscard]] std::string hex(std::string_view bytes);
/// 32 bytes.
[[nodiscard]] std::string hmac_sha256(std::string_view key, std::string_view text);
[[nodiscard]] std::string sha256_hex(std::string_view bytes);
/// Takes the same time wherever the texts differ.
[[nodiscard]] bool equal_in_constant_time(std::string_view a, std::string_view b);

/// A request of a client, before it is signed.
struct client_request {
  std::string method = "POST";
  std::string path = "/";                        ///< `/`, or `/events`
  std::string query;                             ///< GET: raw, as it will be sent
  std::string host;                              ///< the Host header: `127.0.0.1:8700`
  std::string content_type = "application/json"; ///< GET: application/x-www-form-urlencoded
  std::string body;
  std::string action;
  std::string version;
  std::int64_t timestamp = 0; ///< unix seconds
};

/// The headers to send: Host, Content-Type, X-TC-Action, X-TC-Version,
/// X-TC-Timestamp, Authorization. Empty action and version are left out.
[[nodiscard]] header_list sign(const client_request& r, const credential& c);

} // namespace framemill::tc3
