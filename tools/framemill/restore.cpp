#include "tools/framemill/restore.hpp"

#include "core/random.hpp"
#include "storage/posix_file.hpp"
#include "storage/timeline.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

namespace framemill::cli {

namespace {

namespace fs = std::filesystem;

/// Who the copies belong to: root restores for the daemon's user.
struct owner {
  uid_t user;
  gid_t group;
};

result<owner> owner_of(const std::string& directory) {
  struct stat s {};
  if (::stat(directory.c_str(), &s) != 0)
    return fail_errno(errno, directory);
  return owner{s.st_uid, s.st_gid};
}

result<void> give(int fd, const owner& to, mode_t mode, const std::string& what) {
  if (::geteuid() == 0 && ::fchown(fd, to.user, to.group) != 0)
    return fail_errno(errno, what);
  if (::fchmod(fd, mode & 0777) != 0)
    return fail_errno(errno, what);
  return {};
}

result<void> copy_file(const std::string& from, const std::string& to, const owner& o) {
  FM_TRY(auto in, open_at(AT_FDCWD, from, O_RDONLY | O_NOFOLLOW, from));
  struct stat s {};
  if (::fstat(in.get(), &s) != 0)
    return fail_errno(errno, from);
  FM_TRY(auto out, open_at(AT_FDCWD, to, O_WRONLY | O_CREAT | O_EXCL, to, 0600));
  FM_CHECK(copy_and_hash(in.get(), from, out.get(), to));
  FM_CHECK(give(out.get(), o, s.st_mode, to));
  return sync_to_disk(out.get(), to);
}

result<void> make_directory(const std::string& path, const owner& o) {
  if (::mkdir(path.c_str(), 0700) != 0)
    return fail_errno(errno, path);
  FM_TRY(auto directory, open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, path));
  return give(directory.get(), o, 0700, path);
}

/// The entries of a directory; names of links are followed nowhere.
result<std::vector<fs::directory_entry>> entries_of(const std::string& directory) {
  std::error_code ec;
  std::vector<fs::directory_entry> out;
  for (fs::directory_iterator i{directory, ec}, end; !ec && i != end; i.increment(ec))
    out.push_back(*i);
  if (ec)
    return fail_errno(ec.value(), directory);
  return out;
}

result<void> copy_tree(const std::string& from, const std::string& to, const owner& o);

result<void> copy_entry(const fs::directory_entry& entry, const std::string& to,
                        const owner& o) {
  auto from = entry.path().string();
  std::error_code ec;
  auto kind = entry.symlink_status(ec).type();
  if (ec)
    return fail_errno(ec.value(), from);
  if (kind == fs::file_type::directory)
    return copy_tree(from, to, o);
  if (kind == fs::file_type::regular)
    return copy_file(from, to, o);
  return fail(errc::malformed, "{} is neither a file nor a directory: no backup holds such",
              from);
}

result<void> copy_tree(const std::string& from, const std::string& to, const owner& o) {
  FM_CHECK(make_directory(to, o));
  FM_TRY(auto entries, entries_of(from));
  for (const auto& entry : entries)
    FM_CHECK(copy_entry(entry, to + "/" + entry.path().filename().string(), o));
  return sync_directory(to);
}

/// A state that this program can open.
result<void> check_backup(const std::string& backup) {
  std::error_code ec;
  if (!fs::exists(backup + "/state/CURRENT", ec))
    return fail(errc::not_found, "{} holds no backup: there is no {}/state", backup, backup);
  FM_CHECK(open_rocks_state_store({.directory = backup + "/state", .read_only = true}));
  return {};
}

/// There, and empty.
result<void> prepare(const std::string& data_dir) {
  std::error_code ec;
  if (!fs::exists(data_dir, ec)) {
    FM_CHECK(make_directories(data_dir));
    return {};
  }
  FM_TRY(auto entries, entries_of(data_dir));
  if (entries.empty())
    return {};
  bool is_node = fs::exists(data_dir + "/state", ec);
  return fail(errc::in_use, "{} is not empty: {}; name a new directory or move this one away",
              data_dir,
              is_node ? "it is the data directory of a node"
                      : "it holds " + entries.front().path().filename().string());
}

/// All below it, which may have been written by somebody else since.
result<void> give_tree(const std::string& directory, const owner& to) {
  FM_TRY(auto entries, entries_of(directory));
  for (const auto& entry : entries) {
    auto path = entry.path().string();
    FM_TRY(auto file, open_at(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW, path));
    struct stat s {};
    if (::fstat(file.get(), &s) != 0)
      return fail_errno(errno, path);
    FM_CHECK(give(file.get(), to, s.st_mode, path));
  }
  return {};
}

/// What the lost time numbered is not numbered so again.
result<void> part_from_lost_time(const std::string& state, const owner& o) {
  {
    FM_TRY(auto store, open_rocks_state_store({.directory = state}));
    FM_CHECK(begin_timeline(*store, random_hex(8)));
  }
  FM_CHECK(give_tree(state, o));
  return sync_directory(state);
}

} // namespace

result<void> restore_backup(const std::string& backup, const std::string& data_dir) {
  FM_CHECK(check_backup(backup));
  FM_CHECK(prepare(data_dir));
  FM_TRY(auto o, owner_of(data_dir));
  FM_TRY(auto entries, entries_of(backup));
  for (const auto& entry : entries)
    if (auto name = entry.path().filename().string(); name != "state")
      FM_CHECK(copy_entry(entry, data_dir + "/" + name, o));
  FM_CHECK(copy_tree(backup + "/state", data_dir + "/state.restoring", o));
  FM_CHECK(part_from_lost_time(data_dir + "/state.restoring", o));
  auto from = data_dir + "/state.restoring", to = data_dir + "/state";
  if (::rename(from.c_str(), to.c_str()) != 0)
    return fail_errno(errno, to);
  return sync_directory(data_dir);
}

} // namespace framemill::cli
