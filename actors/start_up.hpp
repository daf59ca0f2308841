#pragma once

#include "actors/services.hpp"

#include <filesystem>
#include <functional>
#include <future>
#include <memory>

#include <caf/fwd.hpp>

namespace framemill {

// What every kind of node does first.

[[nodiscard]] std::unique_ptr<caf::actor_system> make_actor_system();
[[nodiscard]] std::string host_name();
/// Takes the checked configuration, with what it leaves out filled in, and
/// makes the node's directories below its data directory.
[[nodiscard]] result<void> configure(node_services& s, node_config config);
/// Scratch of a former life is worthless: its children are killed, it is emptied.
[[nodiscard]] result<void> clear_scratch(node_services& s);
/// Makes the door to children unless there is one. errc::io_failed when
/// framemill-media does not run.
[[nodiscard]] result<void> start_children(node_services& s);
/// A bucket's sentinel is noted by `noted` when it is first opened; a mount that
/// is not there later, or another one in its place, freezes the bucket.
[[nodiscard]] result<void>
open_buckets(node_services& s,
             const std::function<result<std::string>(const std::string& name,
                                                     const std::string& path)>& noted);

// And last.

/// Waits until a node has left. False: `is_enough`, asked ten times a second, said so
/// first.
bool await_leave(std::future<void>& left, const std::function<bool()>& is_enough);

} // namespace framemill
