#pragma once

#include "core/limits.hpp"
#include "core/notify.hpp"
#include "notify/sink.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace framemill {

/// When a delivery is tried again, and when no more.
struct delivery_rules {
  microseconds window = limits::delivery_window;         ///< from `since`: then it is dead
  microseconds delay_first = limits::delivery_delay_first; ///< doubles up to delay_max, ±50 %
  microseconds delay_max = limits::delivery_delay_max;
  microseconds wish_max = limits::delivery_wish_max;     ///< of an answer's own wish
  std::size_t in_flight_max = 32;
  std::size_t in_flight_per_lane = 8; ///< 1 while the lane's last answer was `again`
  std::size_t known_max = 16'384;
  std::size_t known_of_failing = 512; ///< of a lane: the rest is left in the books
};

/// What the schedule needs to know of a delivery_record.
struct delivery_brief {
  event_id event;
  run_id run;
  std::string lane; ///< lane_of its configuration
  timestamp since;
  timestamp next_try;
  std::uint32_t attempts = 0;
};

/// What became of a try: to be written before anything follows from it.
struct delivery_outcome {
  using kind = delivery_end;
  event_id event;
  kind what = kind::again;
  std::uint32_t attempts = 0; ///< that failed
  timestamp next_try;         ///< of `again`
  std::string why;            ///< "" when delivered
};

/// What one sink is sent, and when: pure. Of each run one event is under way at a
/// time, the earliest first; the next goes when what became of it is written. One
/// that is dead holds nobody back. Behind a lane that does not answer, the other
/// lanes go on: of its events only the first are known, however many wait, and the
/// others are asked for again (`read_again_from`). Owned by a NOTIFIER.
///
///    load()           due()            answered()           written()
///   ───────→ waiting ───────→ in flight ─────────→ answered ─────────→ gone
///               ↑                                      │ again
///               └──────────────────────────────────────┘
class delivery_schedule {
public:
  explicit delivery_schedule(delivery_rules rules = {}) : rules_(rules) {}

  /// In order of their events. One that it knows already is left as it is; one of a
  /// failing lane may be left in the books. Needs room().
  void load(timestamp now, const delivery_brief& d);
  /// What to try now; each is in flight until it is answered.
  [[nodiscard]] std::vector<event_id> due(timestamp now);
  /// Of one in flight.
  [[nodiscard]] delivery_outcome answered(timestamp now, event_id event,
                                          const delivery_answer& answer);
  /// What `answered` said is durable.
  void written(event_id event);
  /// One in flight is not in the books any more.
  void forget(event_id event);

  [[nodiscard]] std::size_t room() const { return rules_.known_max - known_.size(); }
  /// Leaves in the books what failing lanes have too much of.
  void make_room();
  /// The first that was left in the books and is wanted now: all from there on is to
  /// be loaded again. Asked once.
  [[nodiscard]] std::optional<event_id> read_again_from();
  [[nodiscard]] bool is_empty() const { return known_.empty(); }
  [[nodiscard]] std::size_t in_flight() const { return in_flight_; }
  /// When `due` has something again, unless an answer comes first.
  [[nodiscard]] std::optional<timestamp> wake_at() const;
  /// The earliest event that it knows.
  [[nodiscard]] std::optional<event_id> oldest() const;

private:
  struct lane {
    std::uint64_t number = 0;
    std::size_t known = 0;
    std::size_t in_flight = 0;
    bool failing = false;
    std::optional<event_id> left; ///< from here on all are left in the books
    std::set<std::pair<timestamp, event_id>> offered; ///< the first of each run, by time
    std::optional<timestamp> queued;                  ///< its place in ready_
  };
  using lanes = std::map<std::string, lane>;
  struct entry {
    run_id run;
    lanes::iterator lane;
    timestamp since, next_try;
    std::uint32_t attempts = 0;
    bool is_over = false; ///< its answer was not `again`
  };
  struct run_line {
    std::set<event_id> events;
    std::optional<event_id> busy;    ///< in flight or answered
    std::optional<event_id> offered; ///< in its lane's `offered`
  };

  void offer_next(run_line& line);
  void queue(lane& l);
  void land(entry& e, bool failed);
  void remove(event_id event);
  void leave(std::map<event_id, entry>::iterator known);
  void forget_if_empty(lanes::iterator l);
  [[nodiscard]] std::size_t limit() const;
  [[nodiscard]] timestamp next_try_of(timestamp now, event_id event, const entry& e,
                                      const delivery_answer& answer) const;

  delivery_rules rules_;
  std::map<event_id, entry> known_;
  std::map<run_id, run_line> runs_;
  lanes lanes_;
  std::map<std::pair<timestamp, std::uint64_t>, lane*> ready_; ///< those that may send
  std::uint64_t last_lane_ = 0;
  std::size_t in_flight_ = 0;
  std::size_t failed_in_a_row_ = 0;
};

} // namespace framemill
