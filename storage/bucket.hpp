#pragma once

#include "core/object.hpp"
#include "storage/file_handle.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace framemill {

struct bucket_entry {
  std::string key;
  framemill::generation generation;
};

/// Something in the bucket that is not an object and never will be: why.
struct refused_entry {
  std::string key; ///< escaped for display if it is not a valid key
  std::string reason;
};

/// A written but not yet visible object: has its generation already, and
/// becomes visible by `publish`. Dropped unpublished, it leaves nothing.
class staged_object {
public:
  virtual ~staged_object() = default;
  [[nodiscard]] virtual const object_ref& object() const = 0;
  /// Atomic: rename, fsync of the directory. Replaces an older object.
  [[nodiscard]] virtual result<void> publish() = 0;
};

/// A named store of objects. Thread-safe. Keys are normalised ones
/// (core/object_path.hpp); nothing outside of the bucket is ever touched, not
/// through `..`, not through symbolic links.
class bucket {
public:
  virtual ~bucket() = default;
  [[nodiscard]] virtual const std::string& name() const = 0;
  /// For people: `/srv/media/in`.
  [[nodiscard]] virtual std::string location() const = 0;

  /// Lists every object whose key begins with `prefix`, in no order, until
  /// `entry` returns false; what is not an object goes to `refused`. Ignored
  /// names (`is_ignored_name`, also of directories) are left out. A listing is
  /// whole or an error: unavailable when the mount is gone.
  using entry_fn = std::function<bool(const bucket_entry&)>;
  using refused_fn = std::function<void(const refused_entry&)>;
  [[nodiscard]] virtual result<void> list(std::string_view prefix, const entry_fn& entry,
                                          const refused_fn& refused) const = 0;
  /// The current generation; not_found, or input_refused for what is there but
  /// is not a regular file.
  [[nodiscard]] virtual result<generation> stat(std::string_view key) const = 0;
  /// Is it open for writing in some process? nullopt when that cannot be known.
  [[nodiscard]] virtual std::optional<bool> has_writer(std::string_view key) const {
    static_cast<void>(key);
    return std::nullopt;
  }
  /// Read-only; input_changed when the object is of another generation.
  [[nodiscard]] virtual result<file_handle> open(const object_ref& object) const = 0;
  /// Copies `source_path` to a temporary name beside the final one, verifies
  /// size and sha256 (lower hex) of what was written, fsyncs.
  [[nodiscard]] virtual result<std::unique_ptr<staged_object>>
  stage(std::string_view key, const std::string& source_path, const std::string& sha256) = 0;
  /// Removes temporary files of ours that no live process owns. Count.
  [[nodiscard]] virtual result<std::size_t> sweep() = 0;
  /// Can we write, and is there space? For the workflow's checks at enable.
  [[nodiscard]] virtual result<void> check_writable() const = 0;
};

/// A directory tree as a bucket. The root gets a sentinel file
/// `.framemill-bucket` with a random id; when `expected_sentinel` is given and
/// differs or is missing, every call fails with errc::unavailable.
struct local_bucket_options {
  std::string name;
  std::string path;
  std::string expected_sentinel;
};
[[nodiscard]] result<std::unique_ptr<bucket>> open_local_bucket(const local_bucket_options& o);
/// The id in the sentinel file of a local bucket.
[[nodiscard]] result<std::string> local_bucket_sentinel(const std::string& path);

/// Dotfiles, `*.part`, and our own temporary prefix: never objects.
[[nodiscard]] bool is_ignored_name(std::string_view file_name);
inline constexpr std::string_view temporary_prefix = ".framemill-tmp-";

/// Change hints of a local bucket. Owns a thread; calls back on it.
class bucket_hints {
public:
  struct hint {
    std::string key;     ///< "" = scan everything
    bool closed = false; ///< close-after-write or rename-in was seen
  };
  using hint_fn = std::function<void(std::vector<hint>)>;
  virtual ~bucket_hints() = default;
  /// "inotify", or "scan" with the reason why hints are not complete
  /// (watch limit reached, queue overflow).
  [[nodiscard]] virtual std::string mode() const = 0;
};
/// Never fails for want of watches: then mode() says so and the scan has to do.
[[nodiscard]] std::unique_ptr<bucket_hints> watch_local_bucket(const std::string& path,
                                                               bucket_hints::hint_fn on_hints);

} // namespace framemill
