#include "cluster/data_files.hpp"

#include "cluster/data_hash.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>

namespace framemill::data {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view part_suffix = ".part";
constexpr std::chrono::hours abandoned_after{24};

bool is_same(const struct stat& a, const struct stat& b) {
  auto same_time = [](const timespec& x, const timespec& y) {
    return x.tv_sec == y.tv_sec && x.tv_nsec == y.tv_nsec;
  };
  return a.st_size == b.st_size && a.st_nlink == b.st_nlink && same_time(a.st_mtim, b.st_mtim)
         && same_time(a.st_ctim, b.st_ctim);
}

result<struct stat> stat_of(int fd, std::string_view what) {
  struct stat s {};
  if (::fstat(fd, &s) != 0)
    return fail_errno(errno, what);
  return s;
}

} // namespace

open_file::~open_file() {
  if (fd_ >= 0)
    ::close(fd_);
}

result<std::size_t> read_at(int fd, char* to, std::size_t size, std::uint64_t offset,
                            std::string_view what) {
  std::size_t done = 0;
  while (done < size) {
    auto n = ::pread(fd, to + done, size - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno != EINTR)
      return fail_errno(errno, what);
    if (n == 0)
      break;
    done += n > 0 ? static_cast<std::size_t>(n) : 0;
  }
  return done;
}

result<void> write_at(int fd, std::string_view bytes, std::uint64_t offset,
                      std::string_view what) {
  while (!bytes.empty()) {
    auto n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno != EINTR)
      return fail_errno(errno, what);
    if (n > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(n));
      offset += static_cast<std::uint64_t>(n);
    }
  }
  return {};
}

// ---- open_files ----------------------------------------------------------------

result<std::uint64_t> open_files::read(const std::string& key, const opener& open,
                                       std::uint64_t offset, std::uint32_t size,
                                       const buffer_fn& buffer) {
  for (int attempt = 0; attempt < 2; ++attempt) {
    FM_TRY(auto e, of(key, open));
    FM_TRY(auto unchanged, read_unchanged(e, offset, size, buffer));
    if (unchanged)
      return static_cast<std::uint64_t>(e.seen.st_size);
    forget(key); // opening it again finds out what that means
  }
  return fail(errc::input_changed, "it changes while it is being read");
}

result<bool> open_files::read_unchanged(const entry& e, std::uint64_t offset,
                                        std::uint32_t size, const buffer_fn& buffer) {
  const auto total = static_cast<std::uint64_t>(e.seen.st_size);
  const auto wanted = offset < total ? std::min<std::uint64_t>(size, total - offset) : 0;
  FM_TRY(auto n, read_at(e.file->fd(), buffer(wanted), wanted, offset, "reading"));
  FM_TRY(auto now, stat_of(e.file->fd(), "reading"));
  return n == wanted && is_same(now, e.seen);
}

result<open_files::entry> open_files::of(const std::string& key, const opener& open) {
  {
    std::lock_guard hold{mutex_};
    auto found = std::find_if(entries_.begin(), entries_.end(),
                              [&](const entry& e) { return e.key == key; });
    if (found != entries_.end()) {
      entries_.splice(entries_.begin(), entries_, found);
      return *found;
    }
  }
  FM_TRY(auto fd, open());
  entry e{key, std::make_shared<open_file>(fd), {}};
  FM_TRY(e.seen, stat_of(fd, "reading"));
  std::lock_guard hold{mutex_};
  entries_.push_front(e);
  if (entries_.size() > entries_max)
    entries_.pop_back();
  return e;
}

void open_files::forget(const std::string& key) {
  std::lock_guard hold{mutex_};
  entries_.remove_if([&](const entry& e) { return e.key == key; });
}

// ---- incoming_artifacts ----------------------------------------------------------

void incoming_artifacts::sweep() const {
  std::error_code ec;
  for (const auto& file : fs::directory_iterator(source_.incoming_directory, ec)) {
    std::error_code gone;
    const auto written = file.last_write_time(gone);
    if (!gone && file.path().extension() == part_suffix
        && fs::file_time_type::clock::now() - written > abandoned_after)
      fs::remove(file.path(), gone);
  }
}

std::string incoming_artifacts::path_of(const std::string& sha256) const {
  return fmt::format("{}/{}{}", source_.incoming_directory, sha256, part_suffix);
}

bool incoming_artifacts::is_stored(const std::string& sha256) const {
  auto fd = source_.open_artifact(sha256);
  return fd && open_file{*fd}.fd() >= 0;
}

result<incoming_artifacts::outcome> incoming_artifacts::put(const put_artifact& p,
                                                            std::string_view bytes) {
  if (!source_.adopt_artifact || source_.incoming_directory.empty())
    return fail(errc::unsupported, "no artifacts are taken in here");
  if (!is_sha256(p.sha256))
    return fail(errc::malformed, "an artifact is named by its SHA-256");
  if (p.size > INT64_MAX || p.offset > p.size || bytes.size() > p.size - p.offset)
    return fail(errc::malformed, "bytes beyond the artifact's {}", p.size);
  if (p.run != run_id{}) // an older worker does not say
    FM_CHECK(source_.want_artifact(p.run, p.sha256));
  FM_TRY(auto d, of(p.sha256));
  std::lock_guard hold{d->mutex};
  if (d->stage == delivery_stage::receiving && !d->is_over) {
    FM_CHECK(take(*d, p, bytes));
    if (d->have == p.size) {
      d->stage = delivery_stage::checking;
      return outcome{{d->stage, d->have}, true};
    }
  }
  return outcome{{d->stage, d->is_over ? 0 : d->have}, false};
}

/// The delivery, open; one that is `stored` when there is nothing to be put.
result<incoming_artifacts::delivery_ptr> incoming_artifacts::of(const std::string& sha256) {
  std::lock_guard hold{mutex_};
  if (auto found = deliveries_.find(sha256); found != deliveries_.end())
    return found->second;
  auto d = std::make_shared<delivery>();
  if (is_stored(sha256)) {
    d->stage = delivery_stage::stored;
    return d;
  }
  close_idle();
  const auto path = path_of(sha256);
  d->file = std::make_shared<open_file>(
      ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (d->file->fd() < 0)
    return fail_errno(errno, path);
  FM_TRY(auto s, stat_of(d->file->fd(), path));
  d->have = static_cast<std::uint64_t>(s.st_size);
  deliveries_.emplace(sha256, d);
  return d;
}

/// Keeps the number of open files bounded; their bytes stay. Nobody can begin to
/// use one meanwhile: that takes `mutex_`.
void incoming_artifacts::close_idle() {
  auto is_idle = [](const delivery_ptr& d) {
    std::unique_lock hold{d->mutex, std::try_to_lock};
    return hold && d.use_count() == 1 && d->stage == delivery_stage::receiving;
  };
  for (auto i = deliveries_.begin();
       deliveries_.size() >= deliveries_max && i != deliveries_.end();)
    i = is_idle(i->second) ? deliveries_.erase(i) : std::next(i);
}

result<void> incoming_artifacts::take(delivery& d, const put_artifact& p,
                                      std::string_view bytes) const {
  if (d.have > p.size) { // a left-over that cannot be the same artifact
    if (::ftruncate(d.file->fd(), 0) != 0)
      return fail_errno(errno, path_of(p.sha256));
    d.have = 0;
  }
  const auto end = p.offset + bytes.size();
  if (p.offset > d.have || end <= d.have || xxh64(bytes) != p.hash)
    return {};
  FM_CHECK(write_at(d.file->fd(), bytes, p.offset, path_of(p.sha256)));
  d.have = end;
  return {};
}

result<void> incoming_artifacts::finish(const std::string& sha256) {
  delivery_ptr d;
  {
    std::lock_guard hold{mutex_};
    d = deliveries_.at(sha256);
  }
  auto done = verify(*d, sha256); // nobody writes to it while it is `checking`
  if (done)
    done = source_.adopt_artifact(path_of(sha256), sha256);
  if (!done && done.error().code == errc::corrupt)
    ::unlink(path_of(sha256).c_str());
  std::scoped_lock hold{mutex_, d->mutex};
  d->stage = done ? delivery_stage::stored : delivery_stage::receiving;
  d->is_over = true;
  deliveries_.erase(sha256);
  return done;
}

result<void> incoming_artifacts::verify(const delivery& d, const std::string& sha256) const {
  FM_TRY(auto found, sha256_of_file(d.file->fd(), path_of(sha256)));
  if (found != sha256)
    return fail(errc::corrupt, "what was delivered as artifact {} hashes to {}", sha256, found);
  return {};
}

} // namespace framemill::data
