#pragma once

#include "actors/services.hpp"

#include <filesystem>
#include <memory>

#include <caf/fwd.hpp>

namespace framemill {

// What every kind of node does first.

[[nodiscard]] std::unique_ptr<caf::actor_system> make_actor_system();
/// Name, slots, memory and an absolute data directory.
void fill_defaults(node_config& c);
[[nodiscard]] result<void> make_directory(const std::string& path, std::filesystem::perms mode);
/// The directories of the node, below its data directory.
[[nodiscard]] result<void> make_directories(node_services& s);
/// Scratch of a former life is worthless: its children are killed, it is emptied.
[[nodiscard]] result<void> clear_scratch(node_services& s);
/// errc::io_failed when framemill-media does not run.
[[nodiscard]] result<void> start_children(node_services& s);
/// A bucket's sentinel is noted by `noted` when it is first opened; a mount that
/// is not there later, or another one in its place, freezes the bucket.
[[nodiscard]] result<void>
open_buckets(node_services& s,
             const std::function<result<std::string>(const std::string& name,
                                                     const std::string& path)>& noted);

} // namespace framemill
