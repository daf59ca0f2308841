#pragma once

#include "actors/supply.hpp"
#include "cluster/data_plane.hpp"

#include <atomic>
#include <mutex>

namespace framemill {

/// Where the coordinator's data plane is; told by its welcome. While the control
/// plane has lost it, whoever waits for data goes on waiting: the lease may be
/// taken up again when it is back, and if not the child is stopped by its word.
/// Thread-safe.
class data_place {
public:
  void set(data_client::options o);
  void lost(); ///< until it is set again
  /// errc::unavailable before the first welcome.
  [[nodiscard]] result<data_client::options> current() const;

private:
  mutable std::mutex mutex_;
  std::optional<data_client::options> current_;
  std::shared_ptr<std::atomic<bool>> is_away_ = std::make_shared<std::atomic<bool>>(false);
};

/// A worker node's supply: objects from the bucket where it is mounted, by
/// ranges over the data plane otherwise; artifacts from and to the coordinator.
[[nodiscard]] std::unique_ptr<supply> make_remote_supply(node_services& services,
                                                         std::shared_ptr<data_place> place);

} // namespace framemill
