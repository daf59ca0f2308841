#pragma once

#include <condition_variable>
#include <mutex>
#include <vector>

namespace framemill {

/// SIGTERM and SIGINT, heard by a thread of their own. One that comes while the daemon
/// starts ends the process at once: that harms no more than a power cut. Lives as long
/// as the process.
class stop_signals {
public:
  /// Blocks them for all threads to come.
  [[nodiscard]] static stop_signals& listen();

  void started();
  /// Waits for the first one after that.
  [[nodiscard]] int wait();
  /// Has another one come since? Who sends it is out of patience.
  [[nodiscard]] bool came_again() const;

private:
  stop_signals() = default;
  void hear(int which);

  mutable std::mutex mutex_;
  std::condition_variable came_;
  bool is_starting_ = true;
  std::vector<int> heard_;
};

[[nodiscard]] const char* name_of_signal(int which);

} // namespace framemill
