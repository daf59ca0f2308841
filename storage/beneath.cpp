#include "storage/beneath.hpp"

#include "storage/posix_file.hpp"

#include <dirent.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

namespace framemill {

namespace {

struct close_directory {
  void operator()(DIR* d) const noexcept { ::closedir(d); }
};
using directory_stream = std::unique_ptr<DIR, close_directory>;

failure open_failed(int number, std::string_view what) {
  if (number == ELOOP || number == EXDEV)
    return fail(errc::input_refused, "{}: leads through a symbolic link, which is not followed",
                what);
  if (number == ENXIO)
    return fail(errc::input_refused, "{}: is a socket or a device, not a file", what);
  return fail_errno(number, what);
}

/// A renaming neighbour makes openat2 give up with EAGAIN, harmlessly.
int try_openat2(int root, const char* key, int flags) {
  struct open_how how {};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  long fd = -1;
  for (int tries = 0; tries < 100; ++tries) {
    fd = ::syscall(SYS_openat2, root, key, &how, sizeof how);
    if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
      break;
  }
  return static_cast<int>(fd);
}

bool is_link(int directory, const std::string& name) {
  struct stat info {};
  return ::fstatat(directory, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 &&
         S_ISLNK(info.st_mode);
}

result<file_handle> open_directory_at(int directory, const std::string& name,
                                      std::string_view what) {
  const int fd =
      ::openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd >= 0)
    return file_handle{fd};
  const int number = errno;
  return open_failed(is_link(directory, name) ? ELOOP : number, what);
}

/// Takes `a/` off `a/b/c`.
std::string take_component(std::string_view& key) {
  const auto slash = key.find('/');
  std::string component{key.substr(0, slash)};
  key.remove_prefix(slash == std::string_view::npos ? key.size() : slash + 1);
  return component;
}

result<file_handle> make_directory_at(int directory, const std::string& name,
                                      std::string_view what) {
  const bool is_new = ::mkdirat(directory, name.c_str(), 0777) == 0;
  if (!is_new && errno != EEXIST)
    return fail_errno(errno, fmt::format("cannot create the directory {} of {}", name, what));
  if (is_new) {
    FM_CHECK(sync_to_disk(directory, what));
  }
  return open_directory_at(directory, name, what);
}

/// What a walk has still to do: directories, deepest last.
struct walk_state {
  int root;
  std::string_view what;
  const std::function<walk_step(const walked_name&)>& visit;
  std::vector<std::string> pending;
};

result<file_handle> open_walked(int root, const std::string& key, std::string_view what) {
  return open_beneath(root, key.empty() ? "." : key, O_RDONLY | O_DIRECTORY,
                      key.empty() ? std::string{what} : fmt::format("{}/{}", what, key));
}

/// False: the visitor wants no more.
result<bool> visit_name(walk_state& w, int directory, const std::string& base,
                        std::string_view name) {
  struct stat info {};
  if (::fstatat(directory, name.data(), &info, AT_SYMLINK_NOFOLLOW) < 0) {
    if (errno == ENOENT) // removed since readdir
      return true;
    return fail_errno(errno, fmt::format("{}/{}{}", w.what, base, name));
  }
  auto key = base + std::string{name};
  const auto step = w.visit({directory, key, name, info});
  if (step == walk_step::go_on && S_ISDIR(info.st_mode))
    w.pending.push_back(key + '/');
  return step != walk_step::stop;
}

result<bool> visit_directory(walk_state& w, file_handle opened, const std::string& base) {
  const directory_stream stream{::fdopendir(opened.get())};
  if (!stream)
    return fail_errno(errno, w.what);
  const int directory = opened.release();
  for (;;) {
    errno = 0;
    const auto* entry = ::readdir(stream.get());
    if (entry == nullptr && errno != 0)
      return fail_errno(errno, fmt::format("cannot list {}/{}", w.what, base));
    if (entry == nullptr)
      return true;
    const std::string_view name{entry->d_name};
    if (name == "." || name == "..")
      continue;
    FM_TRY(const bool more, visit_name(w, directory, base, name));
    if (!more)
      return false;
  }
}

/// Gone, replaced, or closed to us: the rest of the tree is still sound.
bool is_harmless(const error& e) {
  return e.code == errc::not_found || e.code == errc::input_refused ||
         e.code == errc::unauthorized || e.code == errc::too_large;
}

} // namespace

result<file_handle> open_beneath(int root, const std::string& key, int flags,
                                 std::string_view what) {
  static std::atomic<bool> has_openat2{true};
  if (has_openat2) {
    const int fd = try_openat2(root, key.c_str(), flags);
    if (fd >= 0)
      return file_handle{fd};
    if (errno != ENOSYS && errno != EPERM)
      return open_failed(errno, what);
    // EPERM may be a container's system call filter, or about this file.
    if (errno == ENOSYS)
      has_openat2 = false;
  }
  return open_stepwise(root, key, flags, what);
}

result<file_handle> open_stepwise(int root, const std::string& key, int flags,
                                  std::string_view what) {
  std::string_view rest{key};
  file_handle parent;
  int directory = root;
  for (;;) {
    const auto component = take_component(rest);
    if (component == "..")
      return open_failed(EXDEV, what);
    if (rest.empty()) {
      const int fd = ::openat(directory, component.c_str(), flags | O_NOFOLLOW | O_CLOEXEC);
      const int number = errno;
      if (fd >= 0)
        return file_handle{fd};
      return open_failed(is_link(directory, component) ? ELOOP : number, what);
    }
    FM_TRY(parent, open_directory_at(directory, component, what));
    directory = parent.get();
  }
}

result<file_handle> make_directories_beneath(int root, std::string_view key,
                                             std::string_view what) {
  FM_TRY(auto directory, open_directory_at(root, ".", what));
  while (!key.empty()) {
    const auto component = take_component(key);
    FM_TRY(directory, make_directory_at(directory.get(), component, what));
  }
  return directory;
}

result<void>
walk_beneath(int root, const std::string& base, std::string_view what,
             const std::function<walk_step(const walked_name&)>& visit,
             const std::function<void(const std::string& key, const error&)>& unreadable) {
  walk_state w{root, what, visit, {base}};
  while (!w.pending.empty()) {
    const auto key = std::move(w.pending.back());
    w.pending.pop_back();
    auto directory = open_walked(root, key, what);
    if (!directory && is_harmless(directory.error())) {
      if (directory.error().code != errc::not_found)
        unreadable(key, directory.error());
      continue;
    }
    if (!directory)
      return failure{std::move(directory).error()};
    FM_TRY(const bool more, visit_directory(w, std::move(*directory), key));
    if (!more)
      return {};
  }
  return {};
}

} // namespace framemill
