#include "api/authenticate.hpp"

#include "api/tc3.hpp"

#include <algorithm>
#include <charconv>
#include <cctype>
#include <optional>

namespace framemill {

namespace {

constexpr std::int64_t age_seconds_max = 300;

struct authorization {
  std::string secret_id;
  std::string date;
  std::string service;
  std::vector<std::string> signed_headers; ///< lower case
  std::string signature;
};

std::string_view trim(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t'))
    s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t'))
    s.remove_suffix(1);
  return s;
}

std::string lower(std::string_view s) {
  std::string out{s};
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::vector<std::string_view> split(std::string_view s, char at) {
  std::vector<std::string_view> out;
  for (;;) {
    auto i = s.find(at);
    out.push_back(s.substr(0, i));
    if (i == std::string_view::npos)
      return out;
    s.remove_prefix(i + 1);
  }
}

/// `SecretId/Date/service…/tc3_request`: read from both ends, as a service may
/// hold anything.
bool parse_credential(std::string_view text, authorization& a) {
  auto first = text.find('/');
  auto last = text.rfind('/');
  if (first == std::string_view::npos || text.substr(last + 1) != "tc3_request")
    return false;
  auto second = text.find('/', first + 1);
  if (first == 0 || second == std::string_view::npos || second >= last)
    return false;
  a.secret_id = text.substr(0, first);
  a.date = text.substr(first + 1, second - first - 1);
  a.service = text.substr(second + 1, last - second - 1);
  return true;
}

std::optional<authorization> parse_authorization(std::string_view text) {
  static constexpr std::string_view scheme = "TC3-HMAC-SHA256";
  if (!text.starts_with(scheme))
    return std::nullopt;
  authorization a;
  bool has_credential = false;
  for (auto part : split(text.substr(scheme.size()), ',')) {
    part = trim(part);
    auto equals = part.find('=');
    if (equals == std::string_view::npos)
      return std::nullopt;
    auto name = part.substr(0, equals);
    auto value = part.substr(equals + 1);
    if (name == "Credential")
      has_credential = parse_credential(value, a);
    else if (name == "SignedHeaders")
      for (auto h : split(value, ';'))
        a.signed_headers.push_back(lower(trim(h)));
    else if (name == "Signature")
      a.signature = value;
  }
  auto has = [&](std::string_view h) {
    return std::find(a.signed_headers.begin(), a.signed_headers.end(), h) !=
           a.signed_headers.end();
  };
  if (!has_credential || a.signature.empty() || !has("content-type") || !has("host"))
    return std::nullopt;
  return a;
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

bool signature_fits(const http_request& r, const authorization& a, std::int64_t seconds,
                    std::string_view secret_key) {
  tc3::message m{r.method, "/", r.query, {}, tc3::sha256_hex(r.body), seconds, a.service};
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
  auto a = parse_authorization(request.header("Authorization"));
  if (!a)
    return refuse("AuthFailure.InvalidAuthorization",
                  "The request header `Authorization` is invalid: TC3-HMAC-SHA256 with "
                  "Credential, SignedHeaders (content-type;host) and Signature is wanted.");
  auto found = credentials.find(a->secret_id);
  if (found == credentials.end())
    return refuse("AuthFailure.SecretIdNotFound", "The SecretId is not found, please ensure "
                                                  "that your SecretId is correct.");
  auto seconds = parse_seconds(trim(request.header("X-TC-Timestamp")));
  if (!seconds)
    return refuse(
        "InvalidParameterValue",
        "A value specified in `X-TC-Timestamp` is not valid: unix seconds are wanted.");
  auto age = now.us / 1'000'000 - *seconds;
  if (age > age_seconds_max || -age > age_seconds_max || tc3::utc_date(*seconds) != a->date)
    return refuse("AuthFailure.SignatureExpire",
                  "Signature expired: `X-TC-Timestamp` must be within five minutes of the "
                  "server's time, and the Credential's date its UTC date.");
  if (!signature_fits(request, *a, *seconds, found->second))
    return refuse("AuthFailure.SignatureFailure",
                  "The provided credentials could not be validated. Please check your "
                  "signature is correct.");
  return a->secret_id;
}

} // namespace framemill
