#pragma once

#include "core/error.hpp"
#include "storage/file_handle.hpp"

#include <sys/stat.h>

#include <functional>
#include <string>
#include <string_view>

// Opening and walking below a directory without ever leaving it: no `..`, no
// symbolic link in any component, also when somebody renames things meanwhile.

namespace framemill {

/// Opens `key` below the directory `root`. input_refused when a component is a
/// symbolic link; otherwise as open(2). With O_PATH a link itself is opened.
/// `what` names the thing in errors. Uses openat2, else one component a time.
[[nodiscard]] result<file_handle> open_beneath(int root, const std::string& key, int flags,
                                               std::string_view what);
/// The way for kernels without openat2.
[[nodiscard]] result<file_handle> open_stepwise(int root, const std::string& key, int flags,
                                                std::string_view what);
/// Opens the directory `key` ("" = root itself), creating what is missing;
/// each created name is durable on return.
[[nodiscard]] result<file_handle> make_directories_beneath(int root, std::string_view key,
                                                           std::string_view what);

/// One name in a walk.
struct walked_name {
  int directory;        ///< for *at() calls on `name`
  std::string_view key; ///< directory key + name
  std::string_view name;
  const struct stat& info; ///< of the name itself, never of a link's target
};
enum class walk_step { go_on, skip_directory, stop };

/// Visits every name below the directory `base` ("" or ends in '/'), one
/// directory at a time; a directory is entered after `go_on`. Directories that
/// may not be read go to `unreadable` with the reason; other failures end the
/// walk, for half a listing must not be taken for a whole one.
[[nodiscard]] result<void>
walk_beneath(int root, const std::string& base, std::string_view what,
             const std::function<walk_step(const walked_name&)>& visit,
             const std::function<void(const std::string& key, const error&)>& unreadable);

} // namespace framemill
