#pragma once

#include "storage/file_handle.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace framemill::test {

/// How a process ended: its exit code, or the signal that killed it.
struct process_end {
  int exit_code = -1;
  int signal = 0;
};

struct process_options {
  std::vector<std::string> words; ///< the program, found by PATH, and its arguments
  std::string input;              ///< all of its standard input
  std::string log_file;           ///< standard error is appended here; "" = captured
};

/// A child process of the test. Owned: one that still runs when this goes is
/// killed, and always reaped. Touches no other process.
class process {
public:
  explicit process(process_options o);
  process(const process&) = delete;
  process& operator=(const process&) = delete;
  ~process();

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] bool is_running();
  void signal(int number);
  /// nullopt: it did not end within the limit.
  [[nodiscard]] std::optional<process_end> wait(std::chrono::milliseconds limit);
  /// What it has written so far.
  [[nodiscard]] std::string output() const;
  [[nodiscard]] std::string complaint() const;

private:
  pid_t pid_ = -1;
  file_handle pidfd_, input_, output_, complaint_;
  std::optional<process_end> end_;
};

struct outcome {
  process_end end;
  std::string output;
  std::string complaint;
};
/// Runs a command to its end; throws when that takes longer than the limit.
[[nodiscard]] outcome run(std::vector<std::string> words, std::string input = {},
                          std::chrono::milliseconds limit = std::chrono::minutes{2});

/// Processes below `root` whose program is called `name`.
[[nodiscard]] std::vector<pid_t> descendants(pid_t root, const std::string& name);
/// Processes, of anyone, that have something below `directory` mounted, as
/// current directory or among their arguments.
[[nodiscard]] std::vector<pid_t> users_of(const std::string& directory);

} // namespace framemill::test
