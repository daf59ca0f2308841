#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace framemill::data {

/// A few threads for calls that block on disks. Tasks of one key run one after
/// another, in order; keys take turns: a key whose disk hangs holds one thread.
class strands {
public:
  using task = std::function<void()>;

  explicit strands(unsigned threads);
  /// Waits for the tasks that run; those that do not yet are dropped.
  ~strands();
  strands(const strands&) = delete;
  strands& operator=(const strands&) = delete;

  /// Any thread. The caller bounds how many it posts.
  void post(const std::string& key, task t);

private:
  void run();
  std::mutex mutex_;
  std::condition_variable work_;
  std::map<std::string, std::deque<task>> waiting_; ///< a key that runs has an entry too
  std::deque<std::string> ready_;                   ///< keys with work that do not run
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

} // namespace framemill::data
