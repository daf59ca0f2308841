#include "core/object_path.hpp"
#include "storage/bucket.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>

namespace framemill {

namespace {

constexpr std::uint32_t watch_mask = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE |
                                     IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR |
                                     IN_DONT_FOLLOW | IN_EXCL_UNLINK;
constexpr int retry_root_ms = 2000;
constexpr long fuse_magic = 0x65735546;
constexpr long smb2_magic = 0xFE534D42;
constexpr long cifs_magic = 0xFF534D42;

/// Changes that other machines make there raise no event here.
bool is_network_file_system(const std::string& path) {
  struct statfs info {};
  if (::statfs(path.c_str(), &info) < 0)
    return false;
  const auto type = static_cast<long>(static_cast<std::uint32_t>(info.f_type));
  return type == NFS_SUPER_MAGIC || type == SMB_SUPER_MAGIC || type == smb2_magic ||
         type == cifs_magic || type == fuse_magic || type == V9FS_MAGIC ||
         type == CEPH_SUPER_MAGIC;
}

/// The hints of one read, each key once.
class hint_batch {
public:
  void add(const std::string& key, bool closed) {
    const auto [i, is_new] = index_.emplace(key, hints_.size());
    if (is_new)
      hints_.push_back({key, closed});
    hints_[i->second].closed |= closed;
  }
  [[nodiscard]] std::vector<bucket_hints::hint> take() {
    index_.clear();
    return std::exchange(hints_, {});
  }

private:
  std::unordered_map<std::string, std::size_t> index_;
  std::vector<bucket_hints::hint> hints_;
};

/// Which directory each watch is for. Directory keys are "" or end in '/'.
class watch_table {
public:
  void put(int watch, const std::string& directory) {
    if (const auto old = by_watch_.find(watch); old != by_watch_.end())
      by_directory_.erase(old->second);
    by_watch_[watch] = directory;
    by_directory_[directory] = watch;
  }
  void erase(int watch) {
    const auto i = by_watch_.find(watch);
    if (i == by_watch_.end())
      return;
    if (const auto d = by_directory_.find(i->second);
        d != by_directory_.end() && d->second == watch)
      by_directory_.erase(d);
    by_watch_.erase(i);
  }
  /// Null when the watch was dropped meanwhile.
  [[nodiscard]] const std::string* directory_of(int watch) const {
    const auto i = by_watch_.find(watch);
    return i == by_watch_.end() ? nullptr : &i->second;
  }
  [[nodiscard]] bool contains(const std::string& directory) const {
    return by_directory_.contains(directory);
  }
  /// The watches of a directory and of all below it.
  [[nodiscard]] std::vector<int> below(const std::string& directory) const {
    std::vector<int> watches;
    for (auto i = by_directory_.lower_bound(directory);
         i != by_directory_.end() && i->first.starts_with(directory); ++i)
      watches.push_back(i->second);
    return watches;
  }

private:
  std::unordered_map<int, std::string> by_watch_;
  std::map<std::string, int> by_directory_;
};

/// Watches each directory of the tree with inotify. Owns a thread, which alone
/// touches the table after the start. Never reads a file, never follows a link;
/// a hint may be wrong (the tree can change under us): receivers look for
/// themselves.
class inotify_hints final : public bucket_hints {
public:
  inotify_hints(std::string path, hint_fn on_hints)
      : path_(std::move(path)), on_hints_(std::move(on_hints)),
        inotify_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
    if (!inotify_) {
      set_reason(errno == EMFILE
                     ? "inotify instance limit reached (fs.inotify.max_user_instances)"
                     : fmt::format("inotify does not work: {}", std::strerror(errno)));
      return;
    }
    stop_ = file_handle{::eventfd(0, EFD_CLOEXEC)};
    if (!stop_) {
      set_reason(fmt::format("no event descriptor: {}", std::strerror(errno)));
      return;
    }
    watch_root();
    thread_ = std::thread{[this] { run(); }};
  }

  ~inotify_hints() override {
    if (!thread_.joinable())
      return;
    const std::uint64_t one = 1;
    // An eventfd write of 1 to a counter of 0 cannot fall short.
    static_cast<void>(!::write(stop_.get(), &one, sizeof one));
    thread_.join();
  }

  [[nodiscard]] std::string mode() const override {
    std::lock_guard lock{mutex_};
    return reason_.empty() ? "inotify" : "scan: " + reason_;
  }

private:
  void run();
  [[nodiscard]] bool read_events();
  void take_event(const inotify_event& e);
  void take_directory_event(const inotify_event& e, const std::string& key);
  void rewatch_everything();
  void watch_root();
  void watch_tree(const std::string& directory);
  [[nodiscard]] bool watch_one(const std::string& directory);
  void add_subdirectories(const std::string& directory, std::vector<std::string>& pending);
  void unwatch_tree(const std::string& directory);
  void set_reason(std::string reason) {
    std::lock_guard lock{mutex_};
    reason_ = std::move(reason);
  }

  const std::string path_;
  const hint_fn on_hints_;
  file_handle inotify_;
  file_handle stop_;
  watch_table watches_;
  hint_batch batch_;
  mutable std::mutex mutex_;
  std::string reason_; ///< why hints are not complete; guarded by mutex_
  std::thread thread_;
};

void inotify_hints::run() {
  std::array<pollfd, 2> waits{{{inotify_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}}};
  for (;;) {
    // Without its root (unmounted, removed) there is nothing to wake us.
    const int timeout = watches_.contains("") ? -1 : retry_root_ms;
    const int ready = ::poll(waits.data(), waits.size(), timeout);
    if (waits[1].revents != 0)
      return;
    if (ready == 0)
      rewatch_everything();
    while (ready > 0 && read_events()) {
    }
    if (auto hints = batch_.take(); !hints.empty())
      on_hints_(std::move(hints));
  }
}

/// True: hints of a full buffer are on their way, there may be more.
bool inotify_hints::read_events() {
  alignas(inotify_event) std::array<char, 64 * 1024> buffer;
  const auto n = ::read(inotify_.get(), buffer.data(), buffer.size());
  if (n <= 0)
    return false;
  for (ssize_t at = 0; at < n;) {
    const auto* e = reinterpret_cast<const inotify_event*>(buffer.data() + at);
    take_event(*e);
    at += static_cast<ssize_t>(sizeof *e) + e->len;
  }
  if (auto hints = batch_.take(); !hints.empty())
    on_hints_(std::move(hints));
  return true;
}

void inotify_hints::take_event(const inotify_event& e) {
  if ((e.mask & IN_Q_OVERFLOW) != 0)
    return rewatch_everything();
  const auto* directory = watches_.directory_of(e.wd);
  if (directory == nullptr)
    return;
  if ((e.mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)) != 0) {
    if (directory->empty()) {
      unwatch_tree("");
      set_reason(fmt::format("{} is gone", path_));
      return batch_.add("", false);
    }
    if ((e.mask & IN_MOVE_SELF) == 0) // a move is told by its parents
      watches_.erase(e.wd);
    return;
  }
  const std::string_view name{e.name};
  if (e.len == 0 || is_ignored_name(name))
    return;
  const auto key = *directory + std::string{name};
  if (!normalize_key(key)) // the scan says why it is refused
    return batch_.add(*directory, false);
  if ((e.mask & IN_ISDIR) != 0)
    return take_directory_event(e, key + '/');
  batch_.add(key, (e.mask & (IN_CLOSE_WRITE | IN_MOVED_TO)) != 0);
}

/// Watch first, then have it scanned: files may have come before the watch.
void inotify_hints::take_directory_event(const inotify_event& e, const std::string& key) {
  if ((e.mask & (IN_MOVED_FROM | IN_DELETE)) != 0)
    unwatch_tree(key);
  if ((e.mask & (IN_CREATE | IN_MOVED_TO)) != 0)
    watch_tree(key);
  batch_.add(key, false);
}

/// Events were lost: also of new directories.
void inotify_hints::rewatch_everything() {
  watch_root();
  if (watches_.contains(""))
    batch_.add("", false);
}

void inotify_hints::watch_root() {
  set_reason(is_network_file_system(path_)
                 ? "changes by other machines raise no events on a network file system"
                 : "");
  watch_tree("");
}

void inotify_hints::watch_tree(const std::string& directory) {
  std::vector<std::string> pending{directory};
  while (!pending.empty()) {
    const auto next = std::move(pending.back());
    pending.pop_back();
    if (watch_one(next))
      add_subdirectories(next, pending);
  }
}

bool inotify_hints::watch_one(const std::string& directory) {
  // The root itself may be named by a link; what is below may not.
  const auto path = path_ + '/' + directory;
  const int watch = ::inotify_add_watch(inotify_.get(), path.c_str(), watch_mask);
  if (watch >= 0) {
    watches_.put(watch, directory);
    return true;
  }
  if (errno == ENOSPC)
    set_reason("inotify watch limit reached (fs.inotify.max_user_watches)");
  else if (directory.empty())
    set_reason(fmt::format("cannot watch {}: {}", path_, std::strerror(errno)));
  else if (errno == EACCES)
    set_reason(fmt::format("{} may not be read", path));
  return false; // gone again, or a link: not ours to watch
}

void inotify_hints::add_subdirectories(const std::string& directory,
                                       std::vector<std::string>& pending) {
  const file_handle opened{
      ::open((path_ + '/' + directory).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  auto* stream = opened ? ::fdopendir(::fcntl(opened.get(), F_DUPFD_CLOEXEC, 0)) : nullptr;
  if (stream == nullptr)
    return; // removed again
  while (const auto* entry = ::readdir(stream)) {
    const std::string name{entry->d_name};
    struct stat info {};
    if (!is_ignored_name(name) &&
        ::fstatat(opened.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISDIR(info.st_mode) && normalize_key(directory + name))
      pending.push_back(directory + name + '/');
  }
  ::closedir(stream);
}

void inotify_hints::unwatch_tree(const std::string& directory) {
  for (const int watch : watches_.below(directory)) {
    ::inotify_rm_watch(inotify_.get(), watch); // fails when it is gone already
    watches_.erase(watch);
  }
}

} // namespace

std::unique_ptr<bucket_hints> watch_local_bucket(const std::string& path,
                                                 bucket_hints::hint_fn on_hints) {
  return std::make_unique<inotify_hints>(path, std::move(on_hints));
}

} // namespace framemill
