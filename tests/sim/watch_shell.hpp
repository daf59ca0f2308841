#pragma once

#include "cluster/watch_words.hpp"
#include "tests/sim/machines.hpp"

#include <map>
#include <set>
#include <string>

namespace framemill::sim {

/// BUCKET WATCHER: actors/bucket_watcher.cpp and ledger_view.cpp, on whichever
/// node; an input has settled as soon as it is seen. What it says goes through
/// its owner.
class watch_shell {
public:
  explicit watch_shell(const machines& disks) : disks_(disks) {}

  /// What the books have to be asked for.
  [[nodiscard]] watch_question scan() const;
  /// The answer: what there is to report.
  [[nodiscard]] watch_reports found(const watch_question& asked, const watch_unbooked& unbooked,
                                    timestamp now);
  /// The answer to a report, booked or not: another scan looks again.
  void told(const watch_reports& reports);
  /// The books are another coordinator's.
  void forget() { booked_.clear(); }

private:
  const machines& disks_;
  std::map<std::string, generation> booked_;
  std::set<std::string> in_flight_;
};

} // namespace framemill::sim
