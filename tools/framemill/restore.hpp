#pragma once

#include "core/error.hpp"

#include <string>

namespace framemill::cli {

/// Makes a data directory of a backup: every file of `backup` is copied into
/// `data_dir`, made durable, and belongs to whom the directory belongs. The
/// state gets its final name last, so that a restore cut short is no data
/// directory.
///
/// Errors: not_found (no backup there), in_use (`data_dir` is not empty),
/// refused kinds of file, and what opening the state says: corrupt,
/// schema_newer.
[[nodiscard]] result<void> restore_backup(const std::string& backup,
                                          const std::string& data_dir);

} // namespace framemill::cli
