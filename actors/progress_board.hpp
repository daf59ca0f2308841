#pragma once

#include "cluster/progress_meter.hpp"
#include "core/run.hpp"

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

namespace framemill {

/// The latest progress of live runs: written by WORKFLOW actors, read by the
/// API, and told to followers as it changes. Nothing here is durable.
/// Thread-safe.
class progress_board {
public:
  using progress_fn = std::function<void(const run_progress&)>;

  void set(run_progress p, attempt_marks marks = {});
  void erase(run_id run);
  [[nodiscard]] std::optional<run_progress> find(run_id run) const;
  /// How far its attempts were then; {} when it is not live.
  [[nodiscard]] attempt_marks marks_of(run_id run) const;
  /// Ends when the token is dropped. `on_progress` must not block.
  [[nodiscard]] std::shared_ptr<void> follow(progress_fn on_progress);

private:
  mutable std::mutex mutex_;
  struct entry {
    run_progress progress;
    attempt_marks marks;
  };
  std::map<run_id, entry> latest_;
  std::list<std::weak_ptr<progress_fn>> followers_;
};

} // namespace framemill
