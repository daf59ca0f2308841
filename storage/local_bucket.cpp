#include "core/limits.hpp"
#include "core/object_path.hpp"
#include "core/utf8.hpp"
#include "storage/beneath.hpp"
#include "storage/bucket.hpp"
#include "storage/posix_file.hpp"
#include "storage/temporary_name.hpp"

#include <linux/fs.h>
#include <sys/random.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>

namespace framemill {

namespace {

constexpr std::string_view own_prefix = ".framemill-"; ///< the sentinel, temporary names
const std::string sentinel_name = ".framemill-bucket";

generation generation_of(const struct stat& info) {
  generation g;
  g.size = static_cast<std::uint64_t>(info.st_size);
  g.mtime_ns = info.st_mtim.tv_sec * 1'000'000'000LL + info.st_mtim.tv_nsec;
  g.inode = info.st_ino;
  return g;
}

std::string_view kind_of(mode_t mode) {
  if (S_ISLNK(mode))
    return "a symbolic link, which is not followed";
  if (S_ISDIR(mode))
    return "a directory";
  if (S_ISFIFO(mode))
    return "a named pipe";
  if (S_ISSOCK(mode))
    return "a socket";
  return "a device";
}

/// Bytes that are not printable UTF-8 as \xNN.
std::string escaped(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    auto rest = text;
    const auto c = take_code_point(rest);
    const auto bytes = c ? text.size() - rest.size() : 1;
    if (c && !is_control(*c))
      out += text.substr(0, bytes);
    else
      for (unsigned char b : text.substr(0, bytes))
        out += fmt::format("\\x{:02x}", b);
    text.remove_prefix(bytes);
  }
  return out;
}

std::pair<std::string, std::string> split_directory(std::string_view key) {
  const auto slash = key.rfind('/');
  const auto name = slash == std::string_view::npos ? 0 : slash + 1;
  return {std::string{key.substr(0, name)}, std::string{key.substr(name)}};
}

/// A key as callers must give it; names of our own machinery are not objects.
result<void> check_key(std::string_view key) {
  auto normal = normalize_key(key);
  if (!normal)
    return fail(normal.error().code, "the key {}: {}", escaped(key), normal.error().message);
  if (*normal != key)
    return fail(errc::invalid_argument, "the key {} must not begin with `/`", escaped(key));
  if (split_directory(key).second.starts_with(own_prefix))
    return fail(errc::invalid_argument, "the key {} is reserved for Framemill itself", key);
  return {};
}

// ---- sentinel --------------------------------------------------------------

std::string random_id() {
  unsigned char raw[16];
  if (::getrandom(raw, sizeof raw, 0) != static_cast<ssize_t>(sizeof raw))
    std::abort(); // 16 bytes are never short once the pool is ready
  std::string id;
  for (auto b : raw)
    id += fmt::format("{:02x}", b);
  return id;
}

result<file_handle> open_root(const std::string& path) {
  auto root = open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY,
                      fmt::format("cannot open the bucket directory {}", path));
  if (!root)
    return fail(errc::unavailable, "{}", root.error().message);
  return root;
}

result<std::string> read_sentinel(int root, const std::string& path) {
  return read_line(root, sentinel_name, fmt::format("{}/{}", path, sentinel_name));
}

/// Never replaces `to`; 0 or the error number.
int rename_to_new(int directory, const std::string& from, const std::string& to) {
  if (::renameat2(directory, from.c_str(), directory, to.c_str(), RENAME_NOREPLACE) == 0)
    return 0;
  if (errno != EINVAL) // NFS cannot, but it has links
    return errno;
  return ::linkat(directory, from.c_str(), directory, to.c_str(), 0) == 0 ? 0 : errno;
}

/// Renamed into place whole; another process may be first, then its id stays.
result<std::string> create_sentinel(int root, const std::string& path) {
  const auto temporary = next_temporary_name();
  const auto id = random_id();
  FM_TRY(auto file, open_at(root, temporary, O_WRONLY | O_CREAT | O_EXCL, path));
  auto status = write_all(file.get(), id + "\n", path);
  if (status)
    status = sync_to_disk(file.get(), path);
  const int number = status ? rename_to_new(root, temporary, sentinel_name) : 0;
  ::unlinkat(root, temporary.c_str(), 0);
  FM_CHECK(status);
  if (number == EEXIST)
    return read_sentinel(root, path);
  if (number != 0)
    return fail_errno(number, fmt::format("cannot create {}/{}", path, sentinel_name));
  FM_CHECK(sync_to_disk(root, path));
  return id;
}

// ---- staging ---------------------------------------------------------------

/// A temporary file in the final directory, held open by its directory.
class staged_local_object final : public staged_object {
public:
  staged_local_object(file_handle directory, std::string temporary, object_ref object,
                      std::string what)
      : directory_(std::move(directory)), temporary_(std::move(temporary)),
        object_(std::move(object)), what_(std::move(what)) {}

  ~staged_local_object() override {
    if (!temporary_.empty())
      ::unlinkat(directory_.get(), temporary_.c_str(), 0);
  }

  [[nodiscard]] const object_ref& object() const override { return object_; }

  [[nodiscard]] result<void> publish() override {
    if (temporary_.empty())
      return fail(errc::conflict, "{} is published already", what_);
    const auto final_name = split_directory(object_.key).second;
    if (::renameat(directory_.get(), temporary_.c_str(), directory_.get(), final_name.c_str()) <
        0)
      return fail_errno(errno, fmt::format("cannot publish {}", what_));
    temporary_.clear();
    return sync_to_disk(directory_.get(), what_);
  }

  /// Fills the temporary file and learns the generation.
  [[nodiscard]] result<void> fill(const std::string& source_path, const std::string& sha256) {
    FM_TRY(auto source, open_at(AT_FDCWD, source_path, O_RDONLY,
                                fmt::format("cannot open {}", source_path)));
    FM_TRY(auto target, open_at(directory_.get(), temporary_, O_WRONLY | O_CREAT | O_EXCL,
                                fmt::format("cannot create a file for {}", what_)));
    FM_TRY(const auto copied, copy_and_hash(source.get(), source_path, target.get(), what_));
    if (copied.sha256 != sha256)
      return fail(errc::corrupt, "{}: the content's SHA-256 is {}, not {} as promised",
                  source_path, copied.sha256, sha256);
    FM_CHECK(sync_to_disk(target.get(), what_));
    struct stat info {};
    if (::fstat(target.get(), &info) < 0)
      return fail_errno(errno, what_);
    object_.generation = generation_of(info);
    if (object_.generation.size != copied.bytes)
      return fail(errc::io_failed, "{}: {} bytes arrived of {}", what_, object_.generation.size,
                  copied.bytes);
    return {};
  }

private:
  file_handle directory_;
  std::string temporary_; ///< empty: published
  object_ref object_;
  std::string what_;
};

// ---- the bucket ------------------------------------------------------------

/// Holds no descriptor between calls: an unmounted root can go, and each call
/// finds out whether it is still the directory with our sentinel.
class local_bucket final : public bucket {
public:
  local_bucket(std::string name, std::string path, std::string sentinel)
      : name_(std::move(name)), path_(std::move(path)), sentinel_(std::move(sentinel)) {}

  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] std::string location() const override { return path_; }
  [[nodiscard]] result<void> list(std::string_view prefix, const entry_fn& entry,
                                  const refused_fn& refused) const override;
  [[nodiscard]] result<generation> stat(std::string_view key) const override;
  [[nodiscard]] std::optional<bool> has_writer(std::string_view key) const override;
  [[nodiscard]] result<file_handle> open(const object_ref& object) const override;
  [[nodiscard]] result<std::unique_ptr<staged_object>>
  stage(std::string_view key, const std::string& source_path,
        const std::string& sha256) override;
  [[nodiscard]] result<std::size_t> sweep() override;
  [[nodiscard]] result<void> check_writable() const override;

private:
  [[nodiscard]] result<file_handle> root() const;
  [[nodiscard]] std::string what(std::string_view key) const {
    return fmt::format("{}/{}", path_, key);
  }
  [[nodiscard]] result<std::pair<file_handle, struct stat>> open_regular(std::string_view key,
                                                                         int flags) const;

  std::string name_;
  std::string path_;
  std::string sentinel_; ///< "" when the root could not be written: no check
};

result<file_handle> local_bucket::root() const {
  FM_TRY(auto root, open_root(path_));
  if (sentinel_.empty())
    return root;
  const auto found = read_sentinel(root.get(), path_);
  if (!found)
    return fail(errc::unavailable,
                "bucket {}: {} is not there; is the right file system mounted on {}? ({})",
                name_, sentinel_name, path_, found.error().message);
  if (*found != sentinel_)
    return fail(errc::unavailable,
                "bucket {}: {} is another directory than before (its id is {}, not {}); is the "
                "right file system mounted?",
                name_, path_, escaped(*found), sentinel_);
  return root;
}

/// Names that are not objects, sorted out of a walk.
class listing {
public:
  listing(const std::string& prefix, const bucket::entry_fn& entry,
          const bucket::refused_fn& refused)
      : prefix_(prefix), entry_(entry), refused_(refused) {}

  walk_step operator()(const walked_name& n) const {
    if (is_ignored_name(n.name) || !n.key.starts_with(prefix_))
      return is_above_prefix(n) ? walk_step::go_on : walk_step::skip_directory;
    if (const auto valid = normalize_key(n.key); !valid)
      return refuse(n, valid.error().message);
    if (S_ISDIR(n.info.st_mode))
      return walk_step::go_on;
    if (!S_ISREG(n.info.st_mode))
      return refuse(n, fmt::format("is {}", kind_of(n.info.st_mode)));
    return entry_({std::string{n.key}, generation_of(n.info)}) ? walk_step::go_on
                                                               : walk_step::stop;
  }

private:
  /// `a/` is visited for the prefix `a/`, which the bare name `a` has not.
  bool is_above_prefix(const walked_name& n) const {
    return !is_ignored_name(n.name) && S_ISDIR(n.info.st_mode) &&
           prefix_.starts_with(std::string{n.key} + '/');
  }
  walk_step refuse(const walked_name& n, std::string reason) const {
    refused_({escaped(n.key), std::move(reason)});
    return walk_step::skip_directory;
  }

  const std::string& prefix_;
  const bucket::entry_fn& entry_;
  const bucket::refused_fn& refused_;
};

result<void> local_bucket::list(std::string_view prefix, const entry_fn& entry,
                                const refused_fn& refused) const {
  const std::string wanted{prefix};
  const auto base = split_directory(wanted).first;
  if (!base.empty())
    FM_CHECK(normalize_key(base.substr(0, base.size() - 1)));
  FM_TRY(auto top, root());
  return walk_beneath(top.get(), base, path_, listing{wanted, entry, refused},
                      [&](const std::string& key, const error& e) {
                        refused({escaped(key), e.message});
                      });
}

result<generation> local_bucket::stat(std::string_view key) const {
  FM_TRY(const auto found, open_regular(key, O_PATH | O_NOFOLLOW));
  return generation_of(found.second);
}

/// O_NONBLOCK: opening a named pipe must not wait for its other end.
result<std::pair<file_handle, struct stat>> local_bucket::open_regular(std::string_view key,
                                                                       int flags) const {
  FM_CHECK(check_key(key));
  FM_TRY(auto top, root());
  FM_TRY(auto file, open_beneath(top.get(), std::string{key}, flags, what(key)));
  struct stat info {};
  if (::fstat(file.get(), &info) < 0)
    return fail_errno(errno, what(key));
  if (!S_ISREG(info.st_mode))
    return fail(S_ISDIR(info.st_mode) ? errc::not_found : errc::input_refused,
                "{} is {}, not an object", what(key), kind_of(info.st_mode));
  return std::pair{std::move(file), info};
}

/// A read lease is refused (EAGAIN) exactly while somebody has the file open for
/// writing. Held for a moment only; should a writer come in that moment, the
/// kernel tells us by a signal, which must be one that is ignored by default.
std::optional<bool> local_bucket::has_writer(std::string_view key) const {
  const auto opened = open_regular(key, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
  if (!opened)
    return std::nullopt;
  const int fd = opened->first.get();
  if (::fcntl(fd, F_SETSIG, SIGURG) < 0)
    return std::nullopt;
  if (::fcntl(fd, F_SETLEASE, F_RDLCK) == 0) {
    ::fcntl(fd, F_SETLEASE, F_UNLCK);
    return false;
  }
  return errno == EAGAIN ? std::optional{true} : std::nullopt;
}

result<file_handle> local_bucket::open(const object_ref& object) const {
  auto opened = open_regular(object.key, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
  if (!opened && opened.error().code == errc::unauthorized)
    return fail(errc::input_unreadable, "{}", opened.error().message);
  if (!opened)
    return failure{std::move(opened).error()};
  if (generation_of(opened->second) != object.generation)
    return fail(errc::input_changed, "{} was replaced or written to since it was taken up",
                what(object.key));
  return std::move(opened->first);
}

result<std::unique_ptr<staged_object>> local_bucket::stage(std::string_view key,
                                                           const std::string& source_path,
                                                           const std::string& sha256) {
  FM_CHECK(check_key(key));
  FM_TRY(auto top, root());
  const auto [directory_key, name] = split_directory(key);
  FM_TRY(auto directory, make_directories_beneath(top.get(), directory_key, what(key)));
  struct stat there {};
  if (::fstatat(directory.get(), name.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0 &&
      !S_ISREG(there.st_mode))
    return fail(errc::already_exists, "cannot publish {}: there is {} of that name", what(key),
                kind_of(there.st_mode));
  auto staged =
      std::make_unique<staged_local_object>(std::move(directory), next_temporary_name(),
                                            object_ref{name_, std::string{key}, {}}, what(key));
  FM_CHECK(staged->fill(source_path, sha256));
  return staged;
}

result<std::size_t> local_bucket::sweep() {
  FM_TRY(auto top, root());
  std::size_t removed = 0;
  FM_CHECK(walk_beneath(
      top.get(), "", path_,
      [&](const walked_name& n) {
        const std::string name{n.name};
        if (S_ISREG(n.info.st_mode) && is_abandoned_temporary(n.name) &&
            ::unlinkat(n.directory, name.c_str(), 0) == 0)
          ++removed;
        return walk_step::go_on;
      },
      [](const std::string&, const error&) { /* nothing of ours in there */ }));
  return removed;
}

result<void> local_bucket::check_writable() const {
  FM_TRY(auto top, root());
  const auto temporary = next_temporary_name();
  const auto where = fmt::format("bucket {}: cannot write in {}", name_, path_);
  FM_TRY(auto file, open_at(top.get(), temporary, O_WRONLY | O_CREAT | O_EXCL, where));
  auto status = write_all(file.get(), std::string(4096, '\0'), path_);
  if (status) // some file systems find out about a full disk only here
    status = sync_to_disk(file.get(), path_);
  ::unlinkat(top.get(), temporary.c_str(), 0);
  return status;
}

} // namespace

result<std::unique_ptr<bucket>> open_local_bucket(const local_bucket_options& o) {
  if (!o.expected_sentinel.empty()) // it may be mounted later
    return std::make_unique<local_bucket>(o.name, o.path, o.expected_sentinel);
  auto id = local_bucket_sentinel(o.path);
  if (!id && id.error().code == errc::not_found) {
    FM_TRY(auto root, open_root(o.path));
    id = create_sentinel(root.get(), o.path);
  }
  // A bucket that we may only read has no sentinel, and no check for it.
  if (!id && id.error().code != errc::unauthorized)
    return failure{std::move(id).error()};
  return std::make_unique<local_bucket>(o.name, o.path, id.value_or(""));
}

result<std::string> local_bucket_sentinel(const std::string& path) {
  FM_TRY(auto root, open_root(path));
  return read_sentinel(root.get(), path);
}

} // namespace framemill
