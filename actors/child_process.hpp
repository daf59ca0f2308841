#pragma once

#include "cluster/stall_clock.hpp"
#include "core/error.hpp"
#include "storage/file_handle.hpp"

#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <poll.h>
#include <sys/types.h>

// What doors to child processes are made of (child_host, function_host).

namespace framemill {

struct pipe_pair {
  file_handle read, write;
};
/// Close-on-exec at both ends.
[[nodiscard]] result<pipe_pair> make_pipe();

/// A child, and the handle that signals are sent to: never another process.
struct spawned {
  pid_t pid = 0;
  file_handle pidfd;
};
/// Starts `words` (the program is found by PATH) at nice 5, in a process group of its
/// own, with exactly these descriptors, the first as 0, and no other. `directory`
/// "" = ours.
[[nodiscard]] result<spawned> spawn(std::vector<std::string> words,
                                    std::vector<file_handle> descriptors,
                                    const std::string& directory = {});
/// What waitpid says of it, once, when it has ended. Who is left of its group is killed:
/// bubblewrap's inner process waits for ever when the outer one dies before it has told
/// it to go on, and does not yet end with it then.
[[nodiscard]] std::optional<int> reap(const spawned& child);
/// Runs a short command to its end: its standard output, without newlines at the
/// end. It has `descriptors` from 3 on.
[[nodiscard]] result<std::string> run_and_read(std::vector<std::string> words,
                                               std::vector<file_handle> descriptors = {});
/// A file in memory, to be read from its beginning.
[[nodiscard]] result<file_handle> memory_file(std::string_view content);

/// How a process ended: its code, or the signal that killed it.
struct child_end {
  int code = -1;
  int signal = 0;
  [[nodiscard]] std::string text() const; ///< "exit 0", "signal 9 (Killed)"
};
/// Of what waitpid says; bubblewrap passes its child's signal on as 128 + n.
[[nodiscard]] child_end end_of(int status, bool in_bubblewrap);

void send_signal(const spawned& to, int number);

/// Appends what is there, up to about `bytes_max`: others wait for their turn.
/// Closes `from` at its end.
void drain(file_handle& from, std::string& to, std::size_t bytes_max);

/// Of a process and all its descendants.
struct process_use {
  std::int64_t resident_bytes = 0;
  cpu_use cpu;
  int processes = 0;
};
[[nodiscard]] process_use use_of(pid_t root);

/// The whole system call filter of sandboxed code that is not ours, as bubblewrap
/// reads it (--seccomp).
[[nodiscard]] result<std::string> guest_call_filter();

/// bubblewrap with namespaces of its own but for the user's and the network's,
/// the system's programs and libraries for reading, an own /proc and /dev: words
/// to add to. Ends with its parent. Nothing else of the machine can be seen, and
/// nothing of it changed.
[[nodiscard]] std::vector<std::string> bubblewrap();

/// Things to do on the thread that waits for `descriptor` to be readable. `post`
/// is thread-safe.
class posted_work {
public:
  posted_work();
  void post(std::function<void()> f);
  [[nodiscard]] int descriptor() const { return wake_.get(); }
  /// Does what was posted until now.
  void run_all();

private:
  file_handle wake_;
  std::mutex mutex_;
  std::deque<std::function<void()>> todo_;
};

/// The pipes of many children, waited for together: one turn of their loop.
class child_poll {
public:
  struct ready {
    std::uint64_t child;
    int which; ///< as it was added
  };
  /// Ends the wait too, when it is readable.
  explicit child_poll(int wake) : fds_{{wake, POLLIN, 0}}, owners_{{0, 0}} {}
  /// Nothing when `f` is closed.
  void add(std::uint64_t child, int which, const file_handle& f, short events);
  /// Those that are ready within so many milliseconds; −1 = for ever.
  [[nodiscard]] std::vector<ready> wait(int milliseconds);

private:
  std::vector<pollfd> fds_;
  std::vector<ready> owners_;
};

/// On this thread: a child that dies before it has read all must not take us along.
void block_broken_pipe();

} // namespace framemill
