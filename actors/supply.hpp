#pragma once

#include "actors/services.hpp"
#include "core/object.hpp"
#include "storage/file_handle.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace framemill {

/// A source as a child gets it: its fd 3, and whatever has to live as long as
/// the child does.
struct opened_source {
  file_handle file;
  std::shared_ptr<void> served_by;
  /// Why reads through it failed, when they did.
  std::function<std::optional<error>()> failure = [] { return std::optional<error>{}; };
  /// Has the child asked for bytes that it has not been given yet?
  std::function<bool()> is_waited_for = [] { return false; };
};

/// Where a TASK WORKER's inputs come from and where its results go: the node's
/// own disks, or the coordinator's over the data plane. Owned and used by one
/// TASK WORKER; its calls block.
class supply {
public:
  virtual ~supply() = default;
  /// The artifact as the new file `target`, not to be written to.
  [[nodiscard]] virtual result<void> hand(const std::string& sha256, const std::string& target) = 0;
  /// corrupt, not_found: it would not be handed out as its name says. What comes from
  /// another node is looked at on its way.
  [[nodiscard]] virtual result<void> verify(const std::string& sha256) = 0;
  [[nodiscard]] virtual result<opened_source> open(const object_ref& object) = 0;
  /// Takes over a result file; on return it is durable where every node finds it.
  [[nodiscard]] virtual result<void> deliver(run_id run, const std::string& path,
                                             const std::string& sha256) = 0;
};

/// From and to this node's artifact store and buckets.
[[nodiscard]] std::unique_ptr<supply> make_local_supply(node_services& services);

} // namespace framemill
