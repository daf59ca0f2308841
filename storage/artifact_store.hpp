#pragma once

#include "core/error.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace framemill {

/// Immutable files by their SHA-256, below `directory/ab/abcdef…`. Thread-safe.
class artifact_store {
public:
  explicit artifact_store(std::string directory);

  /// Takes over the file (rename) after checking that its content has this
  /// hash; durable on return. Having it already is success.
  [[nodiscard]] result<void> adopt(const std::string& path, std::string_view sha256);
  /// Stores bytes; returns their hash.
  [[nodiscard]] result<std::string> put(std::string_view bytes);
  [[nodiscard]] bool contains(std::string_view sha256) const;
  [[nodiscard]] std::string path_of(std::string_view sha256) const;
  /// Hash of the stored bytes again: errc::corrupt when they changed.
  [[nodiscard]] result<void> verify(std::string_view sha256) const;
  /// Hard-links (or copies, across file systems) the artifact to `target`.
  [[nodiscard]] result<void> link_to(std::string_view sha256, const std::string& target) const;
  /// Removes every artifact that `is_live` does not want. Returns bytes freed.
  [[nodiscard]] result<std::uint64_t>
  collect(const std::function<bool(std::string_view sha256)>& is_live);

private:
  std::string directory_;
};

/// Lower hex SHA-256 of a file or of bytes; MD5 likewise.
[[nodiscard]] result<std::string> sha256_of_file(const std::string& path);
[[nodiscard]] std::string sha256_of(std::string_view bytes);
[[nodiscard]] std::string md5_of(std::string_view bytes);

} // namespace framemill
