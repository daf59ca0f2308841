#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace framemill {

/// A running hash. Feed it, then ask once for `hex()`. Not thread-safe.
class digest {
public:
  enum class kind { sha256, md5 };

  explicit digest(kind k = kind::sha256);
  void update(std::string_view bytes);
  /// Lower hex; ends the digest.
  [[nodiscard]] std::string hex();

private:
  struct free_context {
    void operator()(void* context) const noexcept;
  };
  std::unique_ptr<void, free_context> context_; ///< EVP_MD_CTX: OpenSSL stays in the source
};

} // namespace framemill
