#include "api/authenticate.hpp"

#include "api/authorization.hpp"
#include "api/tc3.hpp"

#include <charconv>
#include <optional>

namespace framemill {

namespace {

constexpr std::int64_t age_seconds_max = 300;

struct signer {
  std::string secret_id;
  std::string date;
  std::string service;
};

/// `SecretId/Date/service…/tc3_request`: read from both ends, as a service may
/// hold anything.
std::optional<signer> parse_credential(std::string_view text) {
  auto first = text.find('/');
  auto last = text.rfind('/');
  if (first == std::string_view::npos || text.substr(last + 1) != "tc3_request")
    return std::nullopt;
  auto second = text.find('/', first + 1);
  if (first == 0 || second == std::string_view::npos || second >= last)
    return std::nullopt;
  return signer{std::string{text.substr(0, first)},
                std::string{text.substr(first + 1, second - first - 1)},
                std::string{text.substr(second + 1, last - second - 1)}};
}

std::optional<std::int64_t> parse_seconds(std::string_view text) {
  std::int64_t n = 0;
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (ec != std::errc{} || end != text.data() + text.size() || n < 0 || n > 253402300799)
    return std::nullopt; // beyond the year 9999
  return n;
}

std::string without_port(std::string_view host) {
  auto colon = host.rfind(':');
  auto bracket = host.rfind(']');
  bool has_port =
      colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
  return std::string{has_port ? host.substr(0, colon) : host};
}

enum class host_form : std::uint8_t { as_received, without_port };
enum class value_form : std::uint8_t { as_received, lower_case };

tc3::header_list signed_values(const http_request& r, const authorization& a, host_form host,
                               value_form values) {
  tc3::header_list out;
  for (const auto& name : a.signed_headers) {
    std::string value{trim(r.header(name))};
    if (name == "host" && host == host_form::without_port)
      value = without_port(value);
    out.emplace_back(name, values == value_form::lower_case ? lower(value) : value);
  }
  return out;
}

bool signature_fits(const http_request& r, const authorization& a, const signer& who,
                    std::int64_t seconds, std::string_view secret_key) {
  tc3::message m{r.method, "/", r.query, {}, tc3::sha256_hex(r.body), seconds, who.service};
  bool fits = false;
  for (const auto& path : {std::string{"/"}, r.path})
    for (auto values : {value_form::as_received, value_form::lower_case})
      for (auto host : {host_form::as_received, host_form::without_port}) {
        m.path = path;
        m.headers = signed_values(r, a, host, values);
        fits |= tc3::equal_in_constant_time(tc3::signature(m, secret_key), a.signature);
      }
  return fits;
}

} // namespace

tl::expected<std::string, api_error>
authenticate(const http_request& request, const credential_map& credentials, timestamp now) {
  auto a = parse_authorization(request.header("Authorization"), "TC3-HMAC-SHA256");
  auto who = a ? parse_credential(a->credential) : std::nullopt;
  if (!who || !a->signs("content-type") || !a->signs("host"))
    return refuse("AuthFailure.InvalidAuthorization",
                  "The request header `Authorization` is invalid: TC3-HMAC-SHA256 with "
                  "Credential, SignedHeaders (content-type;host) and Signature is wanted.");
  auto found = credentials.find(who->secret_id);
  if (found == credentials.end())
    return refuse("AuthFailure.SecretIdNotFound", "The SecretId is not found, please ensure "
                                                  "that your SecretId is correct.");
  auto seconds = parse_seconds(trim(request.header("X-TC-Timestamp")));
  if (!seconds)
    return refuse(
        "InvalidParameterValue",
        "A value specified in `X-TC-Timestamp` is not valid: unix seconds are wanted.");
  auto age = now.us / 1'000'000 - *seconds;
  if (age > age_seconds_max || -age > age_seconds_max || tc3::utc_date(*seconds) != who->date)
    return refuse("AuthFailure.SignatureExpire",
                  "Signature expired: `X-TC-Timestamp` must be within five minutes of the "
                  "server's time, and the Credential's date its UTC date.");
  if (!signature_fits(request, *a, *who, *seconds, found->second))
    return refuse("AuthFailure.SignatureFailure",
                  "The provided credentials could not be validated. Please check your "
                  "signature is correct.");
  return who->secret_id;
}

} // namespace framemill
