#pragma once

#include "core/function.hpp"
#include "storage/state_store.hpp"

#include <set>
#include <string>

namespace framemill {

/// The code of functions as files, for sandboxes to look into: laid out from the
/// store when a version first runs, and anew in each life. One thread.
class function_code {
public:
  /// Empties `root`, after killing what a former life left running there. The
  /// store must outlive this.
  [[nodiscard]] result<void> open(std::string root, const state_store& store);
  /// The directory with all files of a version, and nothing else.
  [[nodiscard]] result<std::string> directory(const std::string& function,
                                              const function_version& v);
  [[nodiscard]] std::string name_of(const std::string& function, const function_version& v) const;
  /// Removes all directories but these.
  void keep(const std::set<std::string>& wanted);

private:
  std::string root_;
  const state_store* store_ = nullptr;
  std::set<std::string> made_;
};

} // namespace framemill
