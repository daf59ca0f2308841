#pragma once

#include "core/error.hpp"

#include <string>
#include <vector>

namespace framemill {

/// A group of processes that together may have so much memory and be so many.
struct control_group {
  std::vector<std::string> directories; ///< none: nothing is bounded
  std::string events;                   ///< file with a line `oom_kill N`
  std::string peak;                     ///< file with the most bytes that it had

  /// A process that writes its id into each of these files is in it, and all
  /// that it starts.
  [[nodiscard]] std::vector<std::string> doors() const;
  /// The kernel has killed something in it for its memory.
  [[nodiscard]] bool was_over_memory() const;
  [[nodiscard]] std::int64_t peak_bytes() const; ///< 0 = not known
};

/// The door to the kernel's control groups: version 2 where this process may
/// divide its own group (as root, or by systemd's Delegate=), else version 1
/// where it may write, else none. Groups are made below our own and named
/// `framemill-fn-…`. One thread.
class control_groups {
public:
  /// Leftovers of former lives are removed. `proc` and `sys` are /proc/self and
  /// /sys/fs/cgroup.
  control_groups(const std::string& proc, const std::string& sys);

  [[nodiscard]] bool are_available() const { return version_ != 0; }
  /// "cgroup v2", or what is missing and why.
  [[nodiscard]] const std::string& summary() const { return summary_; }
  [[nodiscard]] result<control_group> make(std::int64_t memory_bytes_max, int processes_max);
  /// Now, or, while something in it still dies, with a later one.
  void remove(control_group group);

private:
  [[nodiscard]] result<void> find_v2(const std::string& proc, const std::string& sys);
  [[nodiscard]] result<void> find_v1(const std::string& proc, const std::string& sys);
  [[nodiscard]] result<void> fill(const control_group& group, std::int64_t memory_bytes_max,
                                  int processes_max) const;
  void sweep() const;
  [[nodiscard]] std::string fresh_name() const;

  int version_ = 0;
  std::string summary_;
  std::vector<std::string> parents_; ///< v2: one; v1: memory, pids
  std::vector<std::string> left_; ///< directories to be removed yet
};

} // namespace framemill
