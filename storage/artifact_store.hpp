#pragma once

#include "core/error.hpp"
#include "storage/file_handle.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

namespace framemill {

/// Immutable, read-only files by their SHA-256, at `directory/ab/abcdef…`.
/// Thread-safe; one process per directory.
class artifact_store {
public:
  using live_fn = std::function<bool(std::string_view sha256)>;

  explicit artifact_store(std::string directory);

  /// Takes over the file (rename) after checking that its content has this
  /// hash; durable on return. Having it already is success.
  [[nodiscard]] result<void> adopt(const std::string& path, std::string_view sha256);
  /// Stores bytes; returns their hash.
  [[nodiscard]] result<std::string> put(std::string_view bytes);
  [[nodiscard]] bool contains(std::string_view sha256) const;
  [[nodiscard]] std::string path_of(std::string_view sha256) const;
  /// Read-only; errc::not_found. One that was live before is here to stay.
  [[nodiscard]] result<file_handle> open(std::string_view sha256);
  /// Hash of the stored bytes again: errc::corrupt when they changed. They are
  /// removed then: a delivery of the same artifact would find it there and leave it
  /// as it is.
  [[nodiscard]] result<void> verify(std::string_view sha256);
  /// Hard-links (or copies, across file systems) the artifact to `target`, which
  /// must not be there yet and must not be written to.
  [[nodiscard]] result<void> link_to(std::string_view sha256, const std::string& target) const;
  /// Removes every artifact that `is_live` does not want, and temporary files
  /// older than an hour. Returns bytes freed. A hash must be live before its
  /// `adopt` or `put` begins; `is_live` must not call the store.
  [[nodiscard]] result<std::uint64_t> collect(const live_fn& is_live);
  /// The same for one artifact; one that is not there is success.
  [[nodiscard]] result<void> discard(std::string_view sha256, const live_fn& is_live);

private:
  [[nodiscard]] result<void> move_in(const std::string& path, std::string_view sha256,
                                     const std::string& directory);
  [[nodiscard]] result<std::uint64_t> collect_in(const std::string& directory,
                                                 const live_fn& is_live);
  [[nodiscard]] result<std::uint64_t> collect_one(const std::filesystem::directory_entry& file,
                                                  const live_fn& is_live);

  std::mutex names_; ///< between a rename in and a removal
  std::string directory_;
};

/// Lower hex SHA-256 of a file or of bytes; MD5 likewise.
[[nodiscard]] result<std::string> sha256_of_file(const std::string& path);
[[nodiscard]] std::string sha256_of(std::string_view bytes);
[[nodiscard]] std::string md5_of(std::string_view bytes);

} // namespace framemill
