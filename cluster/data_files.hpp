#pragma once

#include "cluster/data_message.hpp"
#include "cluster/data_plane.hpp"

#include <sys/stat.h>

#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string_view>

namespace framemill::data {

/// An owned descriptor.
class open_file {
public:
  explicit open_file(int fd) noexcept : fd_(fd) {}
  open_file(const open_file&) = delete;
  open_file& operator=(const open_file&) = delete;
  ~open_file();
  [[nodiscard]] int fd() const noexcept { return fd_; }

private:
  int fd_;
};

/// pread and pwrite of the whole range; a short read ends at the file's end.
[[nodiscard]] result<std::size_t> read_at(int fd, char* to, std::size_t size,
                                          std::uint64_t offset, std::string_view what);
[[nodiscard]] result<void> write_at(int fd, std::string_view bytes, std::uint64_t offset,
                                    std::string_view what);

/// Files being read, a few of them kept open between two chunks. A file that
/// does not look as it did when it was opened is opened anew, which checks its
/// generation. Thread-safe; holds no lock while a disk works.
class open_files {
public:
  using opener = std::function<result<int>()>;
  using buffer_fn = std::function<char*(std::size_t bytes)>;

  /// At most `size` bytes at `offset` into what `buffer` gives (asked once per
  /// try, with what will be read); returns the size of the file.
  [[nodiscard]] result<std::uint64_t> read(const std::string& key, const opener& open,
                                           std::uint64_t offset, std::uint32_t size,
                                           const buffer_fn& buffer);

private:
  struct entry {
    std::string key;
    std::shared_ptr<const open_file> file;
    struct stat seen {};
  };
  static constexpr std::size_t entries_max = 64;

  [[nodiscard]] result<entry> of(const std::string& key, const opener& open);
  [[nodiscard]] static result<bool> read_unchanged(const entry& e, std::uint64_t offset,
                                                   std::uint32_t size, const buffer_fn& buffer);
  void forget(const std::string& key);

  std::mutex mutex_;
  std::list<entry> entries_; ///< last used first
};

/// Artifacts on their way in: `incoming_directory/SHA256.part`, whose size is
/// how much of it there is, so that a delivery goes on after a restart. Any
/// number of clients may put the same one: what is there is not written again.
/// Thread-safe.
class incoming_artifacts {
public:
  /// `source` outlives this.
  explicit incoming_artifacts(const data_source& source) : source_(source) {}
  /// Removes what nobody has gone on with for a day.
  void sweep() const;

  struct outcome {
    delivery_state state;
    bool is_whole = false; ///< by these bytes: the caller has `finish` called
  };
  [[nodiscard]] result<outcome> put(const put_artifact& p, std::string_view bytes);
  /// Verifies the whole and has it adopted; long. Once per `is_whole`.
  /// errc::corrupt, and nothing is left, when the bytes are not those of the name.
  [[nodiscard]] result<void> finish(const std::string& sha256);

private:
  struct delivery {
    std::mutex mutex;
    std::shared_ptr<const open_file> file;
    std::uint64_t have = 0;
    delivery_stage stage = delivery_stage::receiving;
    bool is_over = false; ///< no longer in `deliveries_`
  };
  using delivery_ptr = std::shared_ptr<delivery>;
  static constexpr std::size_t deliveries_max = 64; ///< kept open; the rest are on disk

  [[nodiscard]] std::string path_of(const std::string& sha256) const;
  [[nodiscard]] bool is_stored(const std::string& sha256) const;
  [[nodiscard]] result<delivery_ptr> of(const std::string& sha256);
  [[nodiscard]] result<void> take(delivery& d, const put_artifact& p,
                                  std::string_view bytes) const;
  [[nodiscard]] result<void> verify(const delivery& d, const std::string& sha256) const;
  void close_idle();

  const data_source& source_;
  std::mutex mutex_;
  std::map<std::string, delivery_ptr> deliveries_;
};

} // namespace framemill::data
