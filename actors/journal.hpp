#pragma once

#include "core/change.hpp"
#include "storage/state_store.hpp"

#include <functional>
#include <list>
#include <memory>
#include <mutex>

namespace framemill {

/// Decisions that become durable together, or not at all, in the order in which they
/// were added.
class journal_page {
public:
  void add(changes c);
  [[nodiscard]] bool empty() const { return records_.empty() && events_.empty(); }
  [[nodiscard]] std::size_t bytes() const { return records_.bytes(); } ///< without events

private:
  friend class journal;
  write_batch records_;
  std::vector<event_record> events_;
};

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

  /// `done` runs where the store's does and must not block. Of a `chain` nothing that
  /// still waits is written once one was refused: it builds on that.
  void commit(journal_page p, done_fn done, std::shared_ptr<commit_chain> chain = {});
  /// A page with one decision.
  void commit(changes c, done_fn done, std::shared_ptr<commit_chain> chain = {});

  /// By an actor with a thread of its own that waits for this anyway: writes it, with
  /// what else is queued, when nobody is writing. `done` may run before this returns.
  void commit_here(journal_page p, done_fn done);

  /// Calls `on_event` for every event after `after`, the stored ones first
  /// (before this returns), then live ones on the store's thread, one at a time.
  /// Ends when the returned token is dropped: after that no call is under way.
  /// `on_event` must not block.
  [[nodiscard]] std::shared_ptr<void> follow(event_id after, event_fn on_event);

  [[nodiscard]] const state_store& store() const { return store_; }

private:
  struct follower {
    event_id last;
    event_fn on_event;
    bool ended = false; ///< its token was dropped
  };
  /// Outlives the journal while the store still answers: a commit may be told
  /// of when nobody holds the journal any more. Recursive, because a follower
  /// may drop a token from within.
  struct audience {
    std::recursive_mutex mutex;
    std::list<std::shared_ptr<follower>> followers;
    void tell(const std::vector<event_record>& events);
  };

  journal(state_store& store, std::uint64_t last_event);
  /// Numbers events, and makes one batch of all; `done` tells of them too.
  [[nodiscard]] write_batch seal(journal_page p, done_fn& done);
  void catch_up(follower& f);

  state_store& store_;
  std::mutex commit_mutex_; ///< numbers are given in the order of commits
  std::uint64_t last_event_;
  std::shared_ptr<audience> audience_ = std::make_shared<audience>();
};

} // namespace framemill
