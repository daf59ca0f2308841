#include "api/tc3.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <ctime>

namespace framemill::tc3 {

namespace {

std::string signed_names(const header_list& headers) {
  std::string out;
  for (const auto& [name, value] : headers)
    out += (out.empty() ? "" : ";") + name;
  return out;
}

std::string scope(const message& m) {
  return utc_date(m.timestamp) + "/" + m.service + "/tc3_request";
}

} // namespace

std::string utc_date(std::int64_t unix_seconds) {
  auto t = static_cast<std::time_t>(unix_seconds);
  std::tm parts{};
  if (!gmtime_r(&t, &parts))
    return {}; // a year that does not fit: equal to no date
  char text[48];
  auto n = std::strftime(text, sizeof text, "%Y-%m-%d", &parts);
  return {text, n};
}

std::string hex(std::string_view bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (unsigned char c : bytes) {
    out.push_back(digits[c >> 4]);
    out.push_back(digits[c & 15]);
  }
  return out;
}

std::string hmac_sha256(std::string_view key, std::string_view text) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), out, &size);
  return {reinterpret_cast<const char*>(out), size};
}

std::string sha256_hex(std::string_view bytes) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_Digest(bytes.data(), bytes.size(), out, &size, EVP_sha256(), nullptr);
  return hex({reinterpret_cast<const char*>(out), size});
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string canonical_request(const message& m) {
  std::string out = m.method + "\n" + m.path + "\n" + m.query + "\n";
  for (const auto& [name, value] : m.headers)
    out += name + ":" + value + "\n";
  return out + "\n" + signed_names(m.headers) + "\n" + m.payload_sha256;
}

std::string signature(const message& m, std::string_view secret_key) {
  auto to_sign = "TC3-HMAC-SHA256\n" + std::to_string(m.timestamp) + "\n" + scope(m) + "\n" +
                 sha256_hex(canonical_request(m));
  auto date_key = hmac_sha256("TC3" + std::string{secret_key}, utc_date(m.timestamp));
  auto key = hmac_sha256(hmac_sha256(date_key, m.service), "tc3_request");
  return hex(hmac_sha256(key, to_sign));
}

header_list sign(const client_request& r, const credential& c) {
  message m{r.method,
            r.path,
            r.query,
            {{"content-type", r.content_type}, {"host", r.host}},
            sha256_hex(r.body),
            r.timestamp,
            "mps"};
  auto authorization = "TC3-HMAC-SHA256 Credential=" + c.secret_id + "/" + scope(m) +
                       ", SignedHeaders=" + signed_names(m.headers) +
                       ", Signature=" + signature(m, c.secret_key);
  header_list out{{"Host", r.host},
                  {"Content-Type", r.content_type},
                  {"X-TC-Timestamp", std::to_string(r.timestamp)},
                  {"Authorization", authorization}};
  if (!r.action.empty())
    out.emplace_back("X-TC-Action", r.action);
  if (!r.version.empty())
    out.emplace_back("X-TC-Version", r.version);
  return out;
}

} // namespace framemill::tc3
