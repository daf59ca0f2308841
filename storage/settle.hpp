#pragma once

#include "core/object.hpp"
#include "core/time.hpp"

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace framemill {

/// Decides when an object that lands in a bucket is whole. Pure: owned by a
/// BUCKET WATCHER, which looks and tells; no clock, no thread, no file.
///
///                     another generation, or the clock ran backwards
///              +----------------------------------------------------+
///              v                                                    |
///   observe  quiet ---- same generation, closed, no writer, -----> settled
///   ------>  span  \    quiet_after_close later                     ^  |
///              ^    \                                               |  | take_settled
///              |     `- same generation over stable_scans looks, ---'  v
///              |        quiet(size) long, mtime as old, no writer     (out)
///   open for writing: waits, and the span begins again
///
/// Whatever is settled rests on recorded evidence. A writer that closes and
/// opens again is seen as a new generation: the run made for the old one ends.
class settle_machine {
public:
  using milliseconds = std::chrono::milliseconds;
  struct options {
    milliseconds quiet_after_close{30};
    milliseconds quiet_min{2000};  ///< for an empty object; +1 s per GiB …
    milliseconds quiet_max{30000}; ///< … up to this
    int stable_scans = 3;          ///< looks that must agree
  };
  struct settled_object {
    std::string key;
    framemill::generation generation;
    std::vector<std::string> evidence;
    timestamp first_seen;
  };
  struct settling_view {
    std::string key;
    framemill::generation generation;
    timestamp first_seen;
    timestamp last_change;
    microseconds remaining; ///< at least, if nothing changes any more
    std::string waiting_for;
  };

  explicit settle_machine(options o) : options_(o) {}

  /// One look at an object. `closed`: a close-after-write or rename-in hint came
  /// since the last look. `has_writer`: nullopt = unknown; true holds it back.
  void observe(timestamp now, std::string_view key, const generation& g, bool closed,
               std::optional<bool> has_writer);
  void gone(std::string_view key);
  /// Removes them from the machine, in key order.
  [[nodiscard]] std::vector<settled_object> take_settled(timestamp now);

  /// When the next look could settle something. A wall clock may be set back, so
  /// callers with something unsettled do well to ask `due` every few seconds.
  [[nodiscard]] std::optional<timestamp> next_look() const;
  /// Keys worth a look now.
  [[nodiscard]] std::vector<std::string> due(timestamp now) const;
  [[nodiscard]] std::vector<settling_view> settling(timestamp now) const;
  [[nodiscard]] std::size_t size() const { return objects_.size(); }

private:
  struct entry {
    framemill::generation generation;
    timestamp first_seen;
    timestamp last_change;
    timestamp last_look;
    timestamp quiet_since; ///< first look of the present span
    int looks = 0;         ///< in the span
    std::optional<timestamp> closed_seen;
    std::optional<bool> has_writer;
    timestamp next_look;
    bool settled = false;
  };
  using entry_map = std::map<std::string, entry, std::less<>>;

  [[nodiscard]] microseconds quiet(const entry& e) const;
  [[nodiscard]] microseconds age_of_content(const entry& e) const;
  [[nodiscard]] bool is_closed_and_quiet(const entry& e) const;
  [[nodiscard]] bool is_stable(const entry& e) const;
  [[nodiscard]] timestamp settles_at(const entry& e) const;
  [[nodiscard]] timestamp look_after(const entry& e) const;
  [[nodiscard]] std::vector<std::string> evidence(const entry& e) const;
  [[nodiscard]] std::string waiting_for(const entry& e) const;
  void begin_span(entry& e, timestamp now) const;
  void schedule(entry_map::iterator i);
  void unschedule(entry_map::iterator i);

  options options_;
  timestamp last_now_; ///< of the last look at anything
  entry_map objects_;
  std::set<std::pair<timestamp, std::string_view>> looks_; ///< views into objects_' keys
  std::set<std::string_view> settled_;                     ///< likewise
};

} // namespace framemill
