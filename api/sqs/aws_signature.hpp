#pragma once

#include "api/authenticate.hpp"
#include "api/sqs/sqs_error.hpp"

namespace framemill {

/// What AWS's Signature Version 4 signs. `headers` are the signed ones, in the
/// order of SignedHeaders, names in lower case, values trimmed.
struct aws_message {
  std::string method = "POST";
  std::string path = "/";
  std::string query;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string payload_sha256; ///< lower hex
  std::string date_time;      ///< 20261121T203736Z
  std::string region;
  std::string service = "sqs";
};
/// Lower hex.
[[nodiscard]] std::string aws_signature(const aws_message& m, std::string_view secret_key);

/// Checks the signature of a request in its header form: format, key, age
/// (± 15 minutes), signature, in this order. Any region will do. Answers the
/// SecretId, which is the access key.
[[nodiscard]] tl::expected<std::string, sqs_error>
authenticate_sqs(const http_request& request, const credential_map& credentials, timestamp now);

} // namespace framemill
