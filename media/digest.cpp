#include "media/digest.hpp"

#include <openssl/evp.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <new>

namespace framemill {

struct digest::impl {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~impl() { EVP_MD_CTX_free(context); }
};

digest::digest(digest_kind kind) : impl_(std::make_unique<impl>()) {
  auto algorithm = kind == digest_kind::sha256 ? EVP_sha256() : EVP_md5();
  if (!impl_->context || EVP_DigestInit_ex(impl_->context, algorithm, nullptr) != 1)
    throw std::bad_alloc{};
}
digest::digest(digest&&) noexcept = default;
digest& digest::operator=(digest&&) noexcept = default;
digest::~digest() = default;

void digest::add(std::string_view bytes) {
  if (EVP_DigestUpdate(impl_->context, bytes.data(), bytes.size()) != 1)
    throw std::bad_alloc{};
}

std::string digest::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned size = 0;
  EVP_DigestFinal_ex(impl_->context, out.data(), &size);
  std::string hex;
  for (unsigned i = 0; i < size; ++i)
    hex += fmt::format("{:02x}", out[i]);
  return hex;
}

result<file_digests> digests_of(const std::string& path) {
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file{std::fopen(path.c_str(), "rbe"),
                                                       std::fclose};
  if (!file)
    return fail_errno(errno, path);
  digest sha{digest_kind::sha256}, md5{digest_kind::md5};
  file_digests out;
  std::array<char, 65536> buffer;
  while (auto n = std::fread(buffer.data(), 1, buffer.size(), file.get())) {
    sha.add({buffer.data(), n});
    md5.add({buffer.data(), n});
    out.size += static_cast<std::int64_t>(n);
  }
  if (std::ferror(file.get()))
    return fail_errno(errno, path);
  out.sha256 = sha.finish();
  out.md5 = md5.finish();
  return out;
}

} // namespace framemill
