#pragma once

#include "core/error.hpp"

#include <memory>
#include <string>

namespace framemill {

enum class digest_kind : std::uint8_t { sha256, md5 };

/// A running hash. Not shared between threads.
class digest {
public:
  explicit digest(digest_kind kind);
  digest(digest&&) noexcept;
  digest& operator=(digest&&) noexcept;
  ~digest();
  void add(std::string_view bytes);
  /// Lower hex; nothing may be added afterwards.
  [[nodiscard]] std::string finish();

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

struct file_digests {
  std::int64_t size = 0;
  std::string sha256, md5;
};

/// Both hashes of a file from one read.
[[nodiscard]] result<file_digests> digests_of(const std::string& path);

} // namespace framemill
