#pragma once

#include "actors/services.hpp"

namespace framemill {

/// Encodes the built-in clip with the node's own child, as a shard, its audio
/// and their join would be, twice in one decode, and looks at the result with
/// another child: every frame there, at its time, decodable, and the same bytes
/// both times. "" = this node encodes right; else one sentence about what is
/// wrong with it. Errors: the test itself could not be run (scratch).
///
/// Blocks, at most 30 s and what it takes to kill a child; not for an actor's
/// thread. Thread-safe.
[[nodiscard]] result<std::string> self_test(node_services& services);

} // namespace framemill
