#include "tools/framemill/interrupt.hpp"

#include <poll.h>

#include <algorithm>
#include <climits>
#include <csignal>

namespace framemill::cli {

namespace {
volatile std::sig_atomic_t interrupted = 0;
void on_signal(int) { interrupted = 1; }
} // namespace

void catch_interrupt() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool is_interrupted() noexcept { return interrupted != 0; }

void forget_interrupt() noexcept { interrupted = 0; }

bool pause_for(std::chrono::milliseconds time) {
  if (!is_interrupted()) // a signal cuts it short
    ::poll(nullptr, 0, static_cast<int>(std::min<std::int64_t>(time.count(), INT_MAX)));
  return !is_interrupted();
}

} // namespace framemill::cli
