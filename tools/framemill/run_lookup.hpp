#pragma once

#include "tools/framemill/client.hpp"

#include <chrono>
#include <string>

namespace framemill::cli {

struct object_name {
  std::string bucket;
  std::string key;
};

/// `BUCKET:KEY`, or `BUCKET/KEY` when there is no colon before the first slash.
[[nodiscard]] result<object_name> parse_object_name(const std::string& text);

/// The id of a run from what a person types: its number, its TaskId, or an
/// object (`BUCKET:KEY`) for the newest run of it. With `patience` an object
/// that has no run yet is waited for: it may still be settling.
[[nodiscard]] result<std::uint64_t> find_run(const client& server, const std::string& what,
                                             std::chrono::seconds patience = {});

} // namespace framemill::cli
