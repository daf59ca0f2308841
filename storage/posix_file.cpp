#include "storage/posix_file.hpp"

#include "storage/digest.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

namespace framemill {

namespace {

constexpr std::size_t piece_bytes = 1u << 20;

/// Repeats a call that a signal interrupted.
template <class F>
auto uninterrupted(F&& call) {
  auto n = call();
  while (n < 0 && errno == EINTR)
    n = call();
  return n;
}

std::string parent_of(const std::string& path) {
  const auto slash = path.find_last_of('/');
  if (slash == std::string::npos)
    return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

} // namespace

file_handle& file_handle::operator=(file_handle&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0)
      ::close(fd_);
    fd_ = other.release();
  }
  return *this;
}

file_handle::~file_handle() {
  if (fd_ >= 0)
    ::close(fd_);
}

int file_handle::release() noexcept { return std::exchange(fd_, -1); }

result<file_handle> open_at(int directory, const std::string& name, int flags,
                            std::string_view what, mode_t mode) {
  const int fd =
      uninterrupted([&] { return ::openat(directory, name.c_str(), flags | O_CLOEXEC, mode); });
  if (fd < 0)
    return fail_errno(errno, what);
  return file_handle{fd};
}

result<void> read_all(int fd, std::string_view what, const piece_fn& piece) {
  std::vector<char> buffer(piece_bytes);
  for (;;) {
    const auto n = uninterrupted([&] { return ::read(fd, buffer.data(), buffer.size()); });
    if (n < 0)
      return fail_errno(errno, fmt::format("cannot read {}", what));
    if (n == 0)
      return {};
    FM_CHECK(piece({buffer.data(), static_cast<std::size_t>(n)}));
  }
}

result<void> write_all(int fd, std::string_view bytes, std::string_view what) {
  while (!bytes.empty()) {
    const auto n = uninterrupted([&] { return ::write(fd, bytes.data(), bytes.size()); });
    if (n < 0)
      return fail_errno(errno, fmt::format("cannot write {}", what));
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

result<void> sync_to_disk(int fd, std::string_view what) {
  if (uninterrupted([&] { return ::fsync(fd); }) < 0)
    return fail_errno(errno, fmt::format("cannot make {} durable (fsync)", what));
  return {};
}

result<void> sync_directory(const std::string& path) {
  FM_TRY(auto directory, open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, path));
  return sync_to_disk(directory.get(), path);
}

result<void> make_directories(const std::string& path) {
  if (path.empty() || ::mkdir(path.c_str(), 0777) == 0)
    return path.empty() ? result<void>{} : sync_directory(parent_of(path));
  if (errno == ENOENT) {
    FM_CHECK(make_directories(parent_of(path)));
    if (::mkdir(path.c_str(), 0777) == 0)
      return sync_directory(parent_of(path));
  }
  struct stat info {};
  if (errno == EEXIST && ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode))
    return {};
  return fail_errno(errno, fmt::format("cannot create the directory {}", path));
}

result<void> write_whole_file(const std::string& path, std::string_view bytes, mode_t mode) {
  const auto temporary = path + ".new";
  FM_TRY(auto file, open_at(AT_FDCWD, temporary, O_WRONLY | O_CREAT | O_TRUNC, temporary, mode));
  FM_CHECK(write_all(file.get(), bytes, temporary));
  if (::fchmod(file.get(), mode) != 0) // whatever the umask, or who made it before
    return fail_errno(errno, temporary);
  FM_CHECK(sync_to_disk(file.get(), temporary));
  if (::rename(temporary.c_str(), path.c_str()) != 0)
    return fail_errno(errno, path);
  return {};
}

result<std::string> read_line(int directory, const std::string& name, std::string_view what,
                              std::size_t bytes_max) {
  FM_TRY(auto file, open_at(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, what));
  std::string text(bytes_max, '\0');
  const auto n = uninterrupted([&] { return ::read(file.get(), text.data(), text.size()); });
  if (n < 0)
    return fail_errno(errno, fmt::format("cannot read {}", what));
  text.resize(static_cast<std::size_t>(n));
  return text.substr(0, text.find('\n'));
}

result<copied_bytes> copy_and_hash(int from, std::string_view from_what, int to,
                                   std::string_view to_what) {
  digest hash;
  copied_bytes copied;
  FM_CHECK(read_all(from, from_what, [&](std::string_view piece) -> result<void> {
    hash.update(piece);
    copied.bytes += piece.size();
    return write_all(to, piece, to_what);
  }));
  copied.sha256 = hash.hex();
  return copied;
}

} // namespace framemill
