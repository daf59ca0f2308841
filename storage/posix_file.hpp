#pragma once

#include "core/error.hpp"
#include "storage/file_handle.hpp"

#include <fcntl.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

// System calls on files as results: EINTR and short counts are dealt with, and
// every error names the file (`what`).

namespace framemill {

/// O_CLOEXEC is added. `directory` may be AT_FDCWD.
[[nodiscard]] result<file_handle> open_at(int directory, const std::string& name, int flags,
                                          std::string_view what, mode_t mode = 0666);
/// Reads to the end, in pieces.
using piece_fn = std::function<result<void>(std::string_view piece)>;
[[nodiscard]] result<void> read_all(int fd, std::string_view what, const piece_fn& piece);
[[nodiscard]] result<void> write_all(int fd, std::string_view bytes, std::string_view what);
/// fsync, of a file or of a directory (which makes its names durable).
[[nodiscard]] result<void> sync_to_disk(int fd, std::string_view what);
[[nodiscard]] result<void> sync_directory(const std::string& path);
/// mkdir -p, each new name made durable.
[[nodiscard]] result<void> make_directories(const std::string& path);
/// A small file appears whole under its name, or not at all: temporary name
/// beside it, fsync, rename.
[[nodiscard]] result<void> write_whole_file(const std::string& path, std::string_view bytes,
                                            mode_t mode);
/// The first line, without its end; at most `bytes_max`.
[[nodiscard]] result<std::string> read_line(int directory, const std::string& name,
                                            std::string_view what, std::size_t bytes_max = 256);

/// What went through a copy.
struct copied_bytes {
  std::uint64_t bytes = 0;
  std::string sha256;
};
[[nodiscard]] result<copied_bytes> copy_and_hash(int from, std::string_view from_what, int to,
                                                 std::string_view to_what);

} // namespace framemill
