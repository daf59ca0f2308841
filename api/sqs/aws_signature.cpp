#include "api/sqs/aws_signature.hpp"

#include "api/authorization.hpp"
#include "api/tc3.hpp"

#include <ctime>

namespace framemill {

namespace {

constexpr std::string_view scheme = "AWS4-HMAC-SHA256";
constexpr std::int64_t age_seconds_max = 15 * 60;

/// `KEY/20261121/REGION/sqs/aws4_request`.
struct scope {
  std::string key_id, date, region, service;
};

std::optional<scope> parse_scope(std::string_view credential) {
  const auto parts = split(credential, '/');
  if (parts.size() != 5 || parts[0].empty() || parts[2].empty() || parts[4] != "aws4_request")
    return std::nullopt;
  return scope{std::string{parts[0]}, std::string{parts[1]}, std::string{parts[2]},
               std::string{parts[3]}};
}

std::optional<std::int64_t> parse_date_time(const std::string& text) {
  std::tm parts{};
  const auto* end = strptime(text.c_str(), "%Y%m%dT%H%M%SZ", &parts);
  if (text.size() != 16 || end == nullptr || *end != '\0')
    return std::nullopt;
  return timegm(&parts);
}

/// Blanks in a row count as one.
std::string squeezed(std::string_view value) {
  std::string out;
  for (char c : trim(value))
    if (c != ' ' || !out.ends_with(' '))
      out.push_back(c);
  return out;
}

aws_message message_of(const http_request& r, const authorization& a, const scope& s) {
  aws_message m{r.method, r.path, r.query, {}, tc3::sha256_hex(r.body),
                std::string{r.header("X-Amz-Date")}, s.region, s.service};
  for (const auto& name : a.signed_headers)
    m.headers.emplace_back(name, squeezed(r.header(name)));
  return m;
}

} // namespace

std::string aws_signature(const aws_message& m, std::string_view secret_key) {
  // The canonical request has the form that TC3 took over.
  const auto canonical =
      tc3::canonical_request({m.method, m.path, m.query, m.headers, m.payload_sha256, 0, ""});
  const auto date = m.date_time.substr(0, 8);
  const auto to_sign = fmt::format("{}\n{}\n{}/{}/{}/aws4_request\n{}", scheme, m.date_time, date,
                                   m.region, m.service, tc3::sha256_hex(canonical));
  auto key = tc3::hmac_sha256("AWS4" + std::string{secret_key}, date);
  for (std::string_view part : {std::string_view{m.region}, std::string_view{m.service},
                                std::string_view{"aws4_request"}})
    key = tc3::hmac_sha256(key, part);
  return tc3::hex(tc3::hmac_sha256(key, to_sign));
}

tl::expected<std::string, sqs_error>
authenticate_sqs(const http_request& request, const credential_map& credentials, timestamp now) {
  if (!request.has_header("Authorization"))
    return refuse_sqs("MissingAuthenticationToken",
                      "the request is not signed: the header Authorization is missing", 403);
  const auto a = parse_authorization(request.header("Authorization"), scheme);
  const auto s = a ? parse_scope(a->credential) : std::nullopt;
  if (!s || s->service != "sqs" || !a->signs("host") || !a->signs("x-amz-date"))
    return refuse_sqs("IncompleteSignature",
                      "the header Authorization is not AWS4-HMAC-SHA256 with a Credential for "
                      "sqs, SignedHeaders (host and x-amz-date among them) and a Signature",
                      403);
  const auto found = credentials.find(s->key_id);
  if (found == credentials.end())
    return refuse_sqs("InvalidClientTokenId", "there is no access key (SecretId) of that name",
                      403);
  const auto m = message_of(request, *a, *s);
  const auto seconds = parse_date_time(m.date_time);
  const auto age = seconds ? now.us / 1'000'000 - *seconds : 0;
  if (!seconds || age > age_seconds_max || -age > age_seconds_max || !m.date_time.starts_with(s->date))
    return refuse_sqs("SignatureDoesNotMatch",
                      "Signature expired: X-Amz-Date must be within 15 minutes of the server's "
                      "time, and the Credential's date its UTC date",
                      403);
  if (!tc3::equal_in_constant_time(aws_signature(m, found->second), a->signature))
    return refuse_sqs("SignatureDoesNotMatch",
                      "the signature is not that of this request with that key's SecretKey", 403);
  return s->key_id;
}

} // namespace framemill
