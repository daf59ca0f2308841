#pragma once

#include "actors/child_process.hpp"
#include "core/time.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>

namespace framemill {

/// How code of users is shut in.
struct function_sandbox {
  bool is_available = false; ///< else no function runs
  std::string summary;       ///< what there is, or what is missing and why
};

/// A process that is called: its program and everything that it can see.
struct function_process {
  std::string code;                 ///< directory, for reading: /fn/code
  std::vector<std::string> command; ///< as it is called inside
  std::map<std::string, std::string> environment;
  std::int64_t memory_bytes_max = 0;
  std::chrono::seconds cpu_max{0};  ///< of each process inside; 0 = unlimited
  bool network = false;             ///< the machine's; else none
  /// It serves many calls: each a line on its standard input, each answered by a
  /// line on descriptor 3, after a first line that says that it is ready. Else
  /// the call is all of its standard input, and its end is the end of the call.
  bool is_warm = false;
};

struct function_call {
  std::string input;
  microseconds time_max{0};
  std::uint64_t output_bytes_max = 0; ///< on standard output and error together
};

/// How a process ended.
struct function_end : child_end {
  std::string killed_for; ///< we, or the kernel for its memory: why; "" = by itself
  [[nodiscard]] std::string text() const;
};

struct call_outcome {
  std::string answer;             ///< what it wrote on descriptor 3
  std::string output;             ///< the end of what it printed
  std::uint64_t output_bytes = 0; ///< all that it printed
  microseconds start_up{0};       ///< of a warm process, before its first call
  microseconds duration{0};
  std::int64_t memory_peak_bytes = 0; ///< of the process, since it started
  std::optional<function_end> end;    ///< with it ended its process
};

/// Run on the host's thread; must not block.
struct function_listener {
  std::function<void(call_outcome)> on_call_ended;
  std::function<void(function_end)> on_gone; ///< last, exactly once
};

using function_key = std::uint64_t;

/// The door to code that is not ours: one thread that starts processes in
/// bubblewrap (no network unless asked for, no file of this machine but programs
/// and libraries, an own directory in memory, a system call filter, bounds on
/// memory, processes, time and output), feeds them calls, hears their answers,
/// and kills all of a process when a call goes beyond a bound. Thread-safe.
class function_host {
public:
  struct options {
    std::string runtime; ///< directory of the bootstrap, for reading: /fn/runtime
  };
  explicit function_host(options o);
  ~function_host(); ///< kills and reaps what is left
  function_host(const function_host&) = delete;
  function_host& operator=(const function_host&) = delete;

  /// With its first call.
  [[nodiscard]] function_key start(function_process p, function_call first,
                                   function_listener listener);
  /// The next one of a warm process whose last call has ended.
  void call(function_key key, function_call c);
  void stop(function_key key);
  /// What is started later never runs.
  void close();

  [[nodiscard]] const function_sandbox& sandbox() const { return sandbox_; }

private:
  class loop;
  function_sandbox sandbox_;
  std::unique_ptr<loop> loop_;
};

/// The program `node` as sandboxed processes see it; errc::unsupported says how
/// to get it.
[[nodiscard]] result<std::string> find_node();

} // namespace framemill
