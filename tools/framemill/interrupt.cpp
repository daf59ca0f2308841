#include "tools/framemill/interrupt.hpp"

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

} // namespace framemill::cli
