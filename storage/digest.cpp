#include "storage/digest.hpp"

#include <openssl/evp.h>

#include <cstdlib>

namespace framemill {

namespace {

EVP_MD_CTX* as_context(void* p) { return static_cast<EVP_MD_CTX*>(p); }

/// OpenSSL's hash calls fail only without memory or without the algorithm:
/// either way no result of ours could be trusted any more.
void require(int ok) {
  if (ok != 1)
    std::abort();
}

} // namespace

void digest::free_context::operator()(void* context) const noexcept {
  EVP_MD_CTX_free(as_context(context));
}

digest::digest(kind k) : context_(EVP_MD_CTX_new()) {
  require(EVP_DigestInit_ex(as_context(context_.get()),
                            k == kind::md5 ? EVP_md5() : EVP_sha256(), nullptr));
}

void digest::update(std::string_view bytes) {
  require(EVP_DigestUpdate(as_context(context_.get()), bytes.data(), bytes.size()));
}

std::string digest::hex() {
  static constexpr char digits[] = "0123456789abcdef";
  unsigned char raw[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  require(EVP_DigestFinal_ex(as_context(context_.get()), raw, &size));
  std::string out;
  for (unsigned int i = 0; i < size; ++i) {
    out.push_back(digits[raw[i] >> 4]);
    out.push_back(digits[raw[i] & 15]);
  }
  return out;
}

} // namespace framemill
