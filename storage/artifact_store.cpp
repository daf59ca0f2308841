#include "storage/artifact_store.hpp"

#include "storage/digest.hpp"
#include "storage/posix_file.hpp"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>

namespace framemill {

namespace {

namespace fs = std::filesystem;
constexpr std::string_view temporary_start = "tmp-";
constexpr auto temporary_age_min = std::chrono::hours{1};

/// Also keeps `..` and '/' out of paths.
result<void> check_hash(std::string_view sha256) {
  if (sha256.size() != 64 ||
      sha256.find_first_not_of("0123456789abcdef") != std::string_view::npos)
    return fail(errc::invalid_argument, "not a SHA-256 in lower hex: {}", sha256);
  return {};
}

failure not_as_named(const std::string& path, std::string_view wanted, std::string_view found) {
  return fail(errc::corrupt, "{}: the content's SHA-256 is {}, not {}", path, found, wanted);
}

std::string temporary_in(const std::string& directory) {
  static std::atomic<std::uint64_t> count{0};
  return fmt::format("{}/{}{}-{}", directory, temporary_start, ::getpid(), ++count);
}

/// Removes a temporary file unless it was renamed away.
struct temporary_file {
  std::string path;
  ~temporary_file() { ::unlink(path.c_str()); }
};

/// A new file of this content, read-only (it may be hard-linked), durable.
result<void> copy_durably(const std::string& from, const std::string& to,
                          std::string_view sha256) {
  FM_TRY(auto source, open_at(AT_FDCWD, from, O_RDONLY | O_NOFOLLOW, from));
  FM_TRY(auto target, open_at(AT_FDCWD, to, O_WRONLY | O_CREAT | O_EXCL, to, 0444));
  FM_TRY(const auto copied, copy_and_hash(source.get(), from, target.get(), to));
  if (copied.sha256 != sha256)
    return not_as_named(from, sha256, copied.sha256);
  return sync_to_disk(target.get(), to);
}

bool is_old(const fs::directory_entry& file) {
  std::error_code ignored;
  const auto written = file.last_write_time(ignored);
  return !ignored && fs::file_time_type::clock::now() - written > temporary_age_min;
}

/// Bytes freed; 0 when it went away by itself.
result<std::uint64_t> remove_file(const fs::directory_entry& file) {
  std::error_code ec;
  const auto bytes = file.file_size(ec);
  if (::unlink(file.path().c_str()) == 0)
    return ec ? 0 : bytes;
  if (errno == ENOENT)
    return 0;
  return fail_errno(errno, fmt::format("cannot remove {}", file.path().string()));
}

result<fs::directory_iterator> entries_of(const std::string& directory) {
  std::error_code ec;
  fs::directory_iterator entries{directory, ec};
  if (ec && ec.value() != ENOENT)
    return fail_errno(ec.value(), fmt::format("cannot list {}", directory));
  return entries;
}

} // namespace

artifact_store::artifact_store(std::string directory) : directory_(std::move(directory)) {}

result<void> artifact_store::adopt(const std::string& path, std::string_view sha256) {
  FM_CHECK(check_hash(sha256));
  FM_TRY(const auto found, sha256_of_file(path));
  if (found != sha256)
    return not_as_named(path, sha256, found);
  const auto directory = directory_ + '/' + std::string{sha256.substr(0, 2)};
  FM_CHECK(make_directories(directory));
  FM_TRY(auto file, open_at(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW, path));
  ::fchmod(file.get(), 0444); // others hard-link it: nobody should write to it
  FM_CHECK(sync_to_disk(file.get(), path));
  FM_CHECK(move_in(path, sha256, directory));
  return sync_directory(directory);
}

/// Renames over what is there: the same content, or a damaged copy of it.
result<void> artifact_store::move_in(const std::string& path, std::string_view sha256,
                                     const std::string& directory) {
  const auto target = path_of(sha256);
  std::unique_lock lock{names_};
  if (::rename(path.c_str(), target.c_str()) == 0) {
    ::unlink(path.c_str()); // renaming one hard link over another leaves both
    return {};
  }
  if (errno != EXDEV)
    return fail_errno(errno, fmt::format("cannot move {} to {}", path, target));
  lock.unlock();
  const temporary_file copy{temporary_in(directory)};
  FM_CHECK(copy_durably(path, copy.path, sha256));
  lock.lock();
  if (::rename(copy.path.c_str(), target.c_str()) < 0)
    return fail_errno(errno, fmt::format("cannot create {}", target));
  ::unlink(path.c_str());
  return {};
}

result<std::string> artifact_store::put(std::string_view bytes) {
  FM_CHECK(make_directories(directory_));
  const temporary_file copy{temporary_in(directory_)};
  FM_TRY(auto file, open_at(AT_FDCWD, copy.path, O_WRONLY | O_CREAT | O_EXCL, copy.path));
  FM_CHECK(write_all(file.get(), bytes, copy.path));
  auto sha256 = sha256_of(bytes);
  FM_CHECK(adopt(copy.path, sha256));
  return sha256;
}

bool artifact_store::contains(std::string_view sha256) const {
  struct stat info {};
  return check_hash(sha256) && ::lstat(path_of(sha256).c_str(), &info) == 0 &&
         S_ISREG(info.st_mode);
}

std::string artifact_store::path_of(std::string_view sha256) const {
  return fmt::format("{}/{}/{}", directory_, sha256.substr(0, 2), sha256);
}

result<file_handle> artifact_store::open(std::string_view sha256) {
  FM_CHECK(check_hash(sha256));
  const auto path = path_of(sha256);
  const std::lock_guard lock{names_}; // a removal that was decided before is over
  return open_at(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW, path);
}

result<void> artifact_store::verify(std::string_view sha256) {
  FM_CHECK(check_hash(sha256));
  FM_TRY(const auto found, sha256_of_file(path_of(sha256)));
  if (found == sha256)
    return {};
  FM_CHECK(discard(sha256, [](std::string_view) { return false; }));
  return not_as_named(path_of(sha256), sha256, found);
}

result<void> artifact_store::link_to(std::string_view sha256, const std::string& target) const {
  FM_CHECK(check_hash(sha256));
  const auto path = path_of(sha256);
  if (::link(path.c_str(), target.c_str()) == 0)
    return {};
  if (errno != EXDEV && errno != EPERM && errno != EMLINK)
    return fail_errno(errno, fmt::format("cannot link {} to {}", path, target));
  auto copied = copy_durably(path, target, sha256);
  if (!copied && copied.error().code != errc::already_exists)
    ::unlink(target.c_str());
  return copied;
}

result<std::uint64_t>
artifact_store::collect(const std::function<bool(std::string_view sha256)>& is_live) {
  std::uint64_t freed = 0;
  FM_TRY(const auto top, entries_of(directory_));
  for (const auto& entry : top) {
    FM_TRY(const auto bytes, entry.is_directory() ? collect_in(entry.path(), is_live)
                                                  : collect_one(entry, is_live));
    freed += bytes;
  }
  return freed;
}

result<std::uint64_t> artifact_store::collect_in(const std::string& directory,
                                                 const live_fn& is_live) {
  std::uint64_t freed = 0;
  FM_TRY(const auto files, entries_of(directory));
  for (const auto& file : files) {
    FM_TRY(const auto bytes, collect_one(file, is_live));
    freed += bytes;
  }
  return freed;
}

/// Leaves what it does not know. Asked and removed under one lock, so that an
/// artifact adopted meanwhile, after it was made live, cannot be the one removed.
result<std::uint64_t> artifact_store::collect_one(const fs::directory_entry& file,
                                                  const live_fn& is_live) {
  const auto name = file.path().filename().string();
  if (name.starts_with(temporary_start))
    return is_old(file) ? remove_file(file) : 0;
  const std::lock_guard lock{names_};
  if (!check_hash(name) || is_live(name))
    return 0;
  return remove_file(file);
}

result<void> artifact_store::discard(std::string_view sha256, const live_fn& is_live) {
  FM_CHECK(check_hash(sha256));
  const auto path = path_of(sha256);
  const std::lock_guard lock{names_};
  if (is_live(sha256) || ::unlink(path.c_str()) == 0 || errno == ENOENT)
    return {};
  return fail_errno(errno, fmt::format("cannot remove {}", path));
}

result<std::string> sha256_of_file(const std::string& path) {
  FM_TRY(auto file, open_at(AT_FDCWD, path, O_RDONLY | O_NONBLOCK, path));
  digest hash;
  FM_CHECK(read_all(file.get(), path, [&](std::string_view piece) -> result<void> {
    hash.update(piece);
    return {};
  }));
  return hash.hex();
}

std::string sha256_of(std::string_view bytes) {
  digest hash;
  hash.update(bytes);
  return hash.hex();
}

std::string md5_of(std::string_view bytes) {
  digest hash{digest::kind::md5};
  hash.update(bytes);
  return hash.hex();
}

} // namespace framemill
