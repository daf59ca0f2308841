#pragma once

#include <mutex>
#include <utility>
#include <vector>

namespace framemill {

/// What many threads have for one actor, handed over together: whoever finds it
/// empty wakes the actor by a message, and the actor takes all that has gathered.
/// Thread-safe; items keep the order in which they were put.
template <class T>
class mailbag {
public:
  /// True: it was empty, and its owner is to be woken.
  [[nodiscard]] bool put(T item) {
    std::lock_guard lock{mutex_};
    items_.push_back(std::move(item));
    return items_.size() == 1;
  }
  [[nodiscard]] std::vector<T> take() {
    std::lock_guard lock{mutex_};
    return std::exchange(items_, {});
  }

private:
  std::mutex mutex_;
  std::vector<T> items_;
};

} // namespace framemill
