#pragma once

#include "core/change.hpp"
#include "storage/state_store.hpp"

#include <functional>
#include <list>
#include <memory>
#include <mutex>

namespace framemill {

/// The one way to write, and the one source of events: gives each event its
/// number, makes one batch of records and events, and tells followers after the
/// batch is durable, in order. Thread-safe. This is the seam at which a
/// replicated log will stand (design §5).
class journal {
public:
  using done_fn = state_store::done_fn;
  using event_fn = std::function<void(const event_record&)>;

  /// `store` must outlive the journal. Reads the last event number.
  [[nodiscard]] static result<std::unique_ptr<journal>> open(state_store& store);

  /// `done` runs on the store's thread and must not block.
  void commit(changes c, done_fn done);

  /// Calls `on_event` for every event after `after`, the stored ones first
  /// (before this returns), then live ones on the store's thread. Ends when the
  /// returned token is dropped.
  [[nodiscard]] std::shared_ptr<void> follow(event_id after, event_fn on_event);

  [[nodiscard]] const state_store& store() const { return store_; }

private:
  struct follower {
    event_id last;
    event_fn on_event;
  };

  journal(state_store& store, std::uint64_t last_event);
  void tell(const std::vector<event_record>& events);
  void catch_up(follower& f);

  state_store& store_;
  std::mutex commit_mutex_; ///< numbers are given in the order of commits
  std::uint64_t last_event_;
  std::mutex followers_mutex_;
  std::list<std::weak_ptr<follower>> followers_;
};

} // namespace framemill
