#pragma once

#include "tests/support/process.hpp"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace framemill::test {

struct daemon_options {
  std::string data_dir;
  std::map<std::string, std::string> buckets; ///< name → directory
  std::string config;                         ///< more lines of TOML
  std::vector<std::string> wrapper;           ///< words before the program's own
};

/// The real framemilld on a data directory of the test, on a free port. Its log
/// stays beside the data directory and is printed when the test fails. Ends
/// its own process when it goes, and no other.
class daemon_process {
public:
  explicit daemon_process(daemon_options o);
  daemon_process(const daemon_process&) = delete;
  daemon_process& operator=(const daemon_process&) = delete;
  ~daemon_process();

  /// Starts it and waits until it is ready; a failed assertion when it is not.
  void start(const std::vector<std::string>& arguments = {});
  /// Starts one that is expected to refuse, and waits for its end.
  [[nodiscard]] process_end start_refused(const std::vector<std::string>& arguments = {});
  void kill9();
  /// SIGTERM; it has to end with 0.
  void stop();
  void restart(const std::vector<std::string>& arguments = {});
  /// Waits until it ends by itself; a failed assertion when it does not.
  process_end wait_for_end(std::chrono::seconds limit = std::chrono::seconds{60});

  [[nodiscard]] bool is_running();
  [[nodiscard]] pid_t pid() const;
  [[nodiscard]] const std::string& data_dir() const { return options_.data_dir; }
  [[nodiscard]] std::string endpoint() const; ///< HOST:PORT
  [[nodiscard]] std::string log() const;      ///< of all its lives
  /// Processes that touch media now.
  [[nodiscard]] std::vector<pid_t> children() const;
  /// Processes of this or an earlier life that still use its scratch directory.
  [[nodiscard]] std::vector<pid_t> orphans() const;
  [[nodiscard]] std::vector<std::string> scratch() const;

private:
  void launch(const std::vector<std::string>& arguments);
  void write_config() const;

  daemon_options options_;
  std::string log_file_;
  std::size_t log_seen_ = 0; ///< bytes of the log that earlier lives wrote
  std::unique_ptr<process> process_;
};

/// The directory with the programs under test.
[[nodiscard]] std::string program(const std::string& name);

} // namespace framemill::test
