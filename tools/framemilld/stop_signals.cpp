#include "tools/framemilld/stop_signals.hpp"

#include <spdlog/spdlog.h>

#include <signal.h>

#include <cstdlib>
#include <thread>

namespace framemill {

stop_signals& stop_signals::listen() {
  static auto& all = *new stop_signals; // its thread outlives main
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::thread{[set] {
    for (int which = 0;;)
      if (sigwait(&set, &which) == 0)
        all.hear(which);
  }}.detach();
  return all;
}

void stop_signals::hear(int which) {
  std::lock_guard lock{mutex_};
  if (is_starting_) {
    spdlog::info("framemilld: stopping on {} before it was ready", name_of_signal(which));
    std::_Exit(0); // children die with us
  }
  heard_.push_back(which);
  came_.notify_all();
}

void stop_signals::started() {
  std::lock_guard lock{mutex_};
  is_starting_ = false;
}

int stop_signals::wait() {
  std::unique_lock lock{mutex_};
  came_.wait(lock, [&] { return !heard_.empty(); });
  return heard_.front();
}

bool stop_signals::came_again() const {
  std::lock_guard lock{mutex_};
  return heard_.size() > 1;
}

const char* name_of_signal(int which) { return which == SIGINT ? "SIGINT" : "SIGTERM"; }

} // namespace framemill
