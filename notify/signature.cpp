#include "notify/signature.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <cstdlib>

namespace framemill {

namespace {

constexpr std::int64_t valid_seconds = 600; ///< MPS

std::int64_t unix_seconds(timestamp t) { return t.us / 1'000'000; }

struct raw_digest {
  unsigned char bytes[EVP_MAX_MD_SIZE] = {};
  unsigned int size = 0;

  [[nodiscard]] std::string hex() const {
    if (size == 0) // no memory, or no such algorithm: nothing may be sent unsigned
      std::abort();
    return fmt::format("{:02x}", fmt::join(bytes, bytes + size, ""));
  }
};

} // namespace

std::string mps_sign(std::int64_t expires_unix, std::string_view notify_key) {
  auto text = fmt::format("{}{}", expires_unix, notify_key);
  raw_digest out;
  EVP_Digest(text.data(), text.size(), out.bytes, &out.size, EVP_md5(), nullptr);
  return out.hex();
}

std::string with_mps_sign(std::string body, std::string_view notify_key, timestamp now) {
  if (notify_key.empty() || !body.ends_with('}'))
    return body;
  const auto expires = unix_seconds(now) + valid_seconds;
  body.back() = ',';
  return body
         + fmt::format(R"("Timestamp":{},"Sign":"{}"}})", expires, mps_sign(expires, notify_key));
}

std::string signature_header(std::string_view body, std::span<const std::string> secrets,
                             timestamp now) {
  if (secrets.empty())
    return {};
  const auto text = fmt::format("{}.{}", unix_seconds(now), body);
  auto header = fmt::format("t={}", unix_seconds(now));
  for (const auto& secret : secrets) {
    raw_digest mac;
    HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
         reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac.bytes, &mac.size);
    header += ",v1=" + mac.hex();
  }
  return header;
}

} // namespace framemill
