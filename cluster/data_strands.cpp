#include "cluster/data_strands.hpp"

namespace framemill::data {

strands::strands(unsigned threads) {
  for (unsigned i = 0; i < threads; ++i)
    threads_.emplace_back([this] { run(); });
}

strands::~strands() {
  {
    std::lock_guard hold{mutex_};
    ending_ = true;
  }
  work_.notify_all();
  for (auto& t : threads_)
    t.join();
}

void strands::post(const std::string& key, task t) {
  std::lock_guard hold{mutex_};
  auto [at, is_new] = waiting_.try_emplace(key);
  at->second.push_back(std::move(t));
  if (!is_new)
    return; // it is ready already, or will be when its task ends
  ready_.push_back(key);
  work_.notify_one();
}

void strands::run() {
  std::unique_lock hold{mutex_};
  while (true) {
    work_.wait(hold, [this] { return ending_ || !ready_.empty(); });
    if (ending_)
      return;
    auto key = std::move(ready_.front());
    ready_.pop_front();
    auto& queue = waiting_.at(key);
    auto t = std::move(queue.front());
    queue.pop_front();
    hold.unlock();
    t();
    t = {}; // frees what it held before others wait for the lock
    hold.lock();
    if (queue.empty()) {
      waiting_.erase(key);
    } else {
      ready_.push_back(std::move(key));
      work_.notify_one();
    }
  }
}

} // namespace framemill::data
