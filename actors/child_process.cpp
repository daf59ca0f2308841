#include "actors/child_process.hpp"

#include "core/forbidden_calls.hpp"
#include "storage/posix_file.hpp"

#include <seccomp.h>

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>

namespace framemill {

namespace fs = std::filesystem;

namespace {

std::vector<char*> argv_of(std::vector<std::string>& words) {
  std::vector<char*> out;
  for (auto& w : words)
    out.push_back(w.data());
  out.push_back(nullptr);
  return out;
}

/// posix_spawn's list, freed at its end.
struct file_actions {
  posix_spawn_file_actions_t list;
  file_actions() { posix_spawn_file_actions_init(&list); }
  file_actions(const file_actions&) = delete;
  file_actions& operator=(const file_actions&) = delete;
  ~file_actions() { posix_spawn_file_actions_destroy(&list); }
};

/// posix_spawn's word for a process group of its own, freed likewise.
struct own_group {
  posix_spawnattr_t attributes;
  own_group() {
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  }
  own_group(const own_group&) = delete;
  own_group& operator=(const own_group&) = delete;
  ~own_group() { posix_spawnattr_destroy(&attributes); }
};

result<pid_t> start(std::vector<std::string>& words, const file_actions& actions,
                    const posix_spawnattr_t* attributes = nullptr) {
  auto argv = argv_of(words);
  pid_t pid = 0;
  auto status = posix_spawnp(&pid, argv[0], &actions.list, attributes, argv.data(), environ);
  if (status != 0)
    return fail_errno(status, words[0]);
  return pid;
}

std::string read_to_end(int fd) {
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = ::read(fd, buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(n));
  return text;
}

/// waitpid's status. Its whole group is killed, while the number is still its own.
int end_group(pid_t leader) {
  ::kill(-leader, SIGKILL);
  int status = 0;
  while (::waitpid(leader, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

/// Of all its threads, from the kernel's accounts in nanoseconds.
void add_cpu(cpu_use& to, pid_t pid) {
  std::error_code gone;
  for (fs::directory_iterator i{fmt::format("/proc/{}/task", pid), gone}, end; !gone && i != end;
       i.increment(gone)) {
    std::int64_t ran = 0, waited = 0;
    std::ifstream{i->path() / "schedstat"} >> ran >> waited;
    to.ran += microseconds{ran / 1000};
    to.waited += microseconds{waited / 1000};
  }
}

/// These and no others, from `first` on. Sources are lifted above the targets,
/// which could overwrite them; sockets of libraries are not close-on-exec.
void hand_over(file_actions& to, std::vector<file_handle>& descriptors, int first) {
  const auto end = first + static_cast<int>(descriptors.size());
  for (auto& f : descriptors)
    if (f.get() < end)
      f = file_handle{::fcntl(f.get(), F_DUPFD_CLOEXEC, end)};
  for (const auto& f : descriptors)
    posix_spawn_file_actions_adddup2(&to.list, f.get(), first++);
  posix_spawn_file_actions_addclosefrom_np(&to.list, end);
}

} // namespace

result<pipe_pair> make_pipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0)
    return fail_errno(errno, "pipe");
  return pipe_pair{file_handle{fds[0]}, file_handle{fds[1]}};
}

result<spawned> spawn(std::vector<std::string> words, std::vector<file_handle> descriptors,
                      const std::string& directory) {
  file_actions actions;
  hand_over(actions, descriptors, 0);
  if (!directory.empty())
    posix_spawn_file_actions_addchdir_np(&actions.list, directory.c_str());
  spawned out;
  const own_group group;
  FM_TRY(out.pid, start(words, actions, &group.attributes));
  (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(out.pid), 5);
  out.pidfd = file_handle{static_cast<int>(::syscall(SYS_pidfd_open, out.pid, 0))};
  if (!out.pidfd) { // it could be neither watched nor stopped
    auto why = fail_errno(errno, "pidfd_open");
    end_group(out.pid);
    return why;
  }
  return out;
}

std::optional<int> reap(const spawned& child) {
  siginfo_t ended{};
  if (::waitid(P_PID, static_cast<id_t>(child.pid), &ended, WEXITED | WNOHANG | WNOWAIT) != 0
      || ended.si_pid != child.pid)
    return std::nullopt;
  return end_group(child.pid);
}

result<std::string> run_and_read(std::vector<std::string> words,
                                 std::vector<file_handle> descriptors) {
  FM_TRY(auto out, make_pipe());
  FM_TRY(auto err, make_pipe());
  file_actions actions;
  posix_spawn_file_actions_addopen(&actions.list, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions.list, out.write.get(), 1);
  posix_spawn_file_actions_adddup2(&actions.list, err.write.get(), 2);
  hand_over(actions, descriptors, 3);
  FM_TRY(auto pid, start(words, actions));
  out.write = {};
  err.write = {};
  auto text = read_to_end(out.read.get());
  auto complaint = read_to_end(err.read.get());
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  while (!text.empty() && text.back() == '\n')
    text.pop_back();
  if (status != 0)
    return fail(errc::io_failed, "{}: {}", words[0],
                complaint.empty() ? end_of(status, false).text() : complaint.substr(0, 300));
  return text;
}

result<file_handle> memory_file(std::string_view content) {
  file_handle f{::memfd_create("framemill", MFD_CLOEXEC)};
  if (!f)
    return fail_errno(errno, "memfd_create");
  FM_CHECK(write_all(f.get(), content, "a file in memory"));
  ::lseek(f.get(), 0, SEEK_SET);
  return f;
}

std::string child_end::text() const {
  return signal != 0 ? fmt::format("signal {} ({})", signal, ::strsignal(signal))
                     : fmt::format("exit {}", code);
}

child_end end_of(int status, bool in_bubblewrap) {
  if (WIFSIGNALED(status))
    return {-1, WTERMSIG(status)};
  const int code = WEXITSTATUS(status);
  if (in_bubblewrap && code > 128 && code < 128 + 65)
    return {-1, code - 128};
  return {code, 0};
}

void send_signal(const spawned& to, int number) {
  (void)::syscall(SYS_pidfd_send_signal, to.pidfd.get(), number, nullptr, 0);
}

void drain(file_handle& from, std::string& to, std::size_t bytes_max) {
  char buffer[65536];
  for (std::size_t taken = 0; taken < bytes_max;) {
    auto n = ::read(from.get(), buffer, sizeof buffer);
    if (n > 0) {
      to.append(buffer, static_cast<std::size_t>(n));
      taken += static_cast<std::size_t>(n);
    } else {
      if (n == 0 || (errno != EAGAIN && errno != EINTR))
        from = {};
      return;
    }
  }
}

process_use use_of(pid_t root) {
  static const auto page = ::sysconf(_SC_PAGESIZE);
  process_use out;
  std::vector<pid_t> todo{root};
  while (!todo.empty()) {
    auto pid = todo.back();
    todo.pop_back();
    std::int64_t size = 0, resident = 0;
    std::ifstream{fmt::format("/proc/{}/statm", pid)} >> size >> resident;
    out.resident_bytes += resident * page;
    add_cpu(out.cpu, pid);
    ++out.processes;
    std::ifstream children{fmt::format("/proc/{}/task/{}/children", pid, pid)};
    for (pid_t child; children >> child;)
      todo.push_back(child);
  }
  return out;
}

result<std::string> guest_call_filter() {
  std::unique_ptr<void, void (*)(scmp_filter_ctx)> filter{seccomp_init(SCMP_ACT_ALLOW),
                                                          seccomp_release};
  if (!filter)
    return fail(errc::no_memory, "no memory for the system call filter");
  for (auto name : calls_nobody_needs)
    if (auto number = seccomp_syscall_resolve_name(name); number != __NR_SCMP_ERROR)
      if (auto n = seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(EPERM), number, 0); n < 0)
        return fail_errno(-n, std::string{"the system call filter: "} + name);
  // Typing for whoever sits at the daemon's terminal.
  for (unsigned long request : {TIOCSTI, TIOCLINUX})
    if (auto n = seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
                                  SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffUL, request));
        n < 0)
      return fail_errno(-n, "the system call filter: ioctl");
  FM_TRY(auto file, memory_file(""));
  if (auto n = seccomp_export_bpf(filter.get(), file.get()); n < 0)
    return fail_errno(-n, "the system call filter");
  ::lseek(file.get(), 0, SEEK_SET);
  std::string out;
  FM_CHECK(read_all(file.get(), "the system call filter", [&](std::string_view piece) {
    out += piece;
    return result<void>{};
  }));
  return out;
}

std::vector<std::string> bubblewrap() {
  return {"bwrap", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try",
          "--die-with-parent", "--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin",
          "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--ro-bind-try",
          "/etc/alternatives", "/etc/alternatives", "--ro-bind-try", "/etc/ld.so.cache",
          "/etc/ld.so.cache", "--proc", "/proc",
          // A daemon of root's has children whose user may write sysctls,
          // core_pattern among them; bubblewrap 0.8 leaves these as they are.
          "--ro-bind", "/proc/sys", "/proc/sys", "--ro-bind-try", "/proc/sysrq-trigger",
          "/proc/sysrq-trigger", "--dev", "/dev", "--cap-drop", "ALL"};
}

posted_work::posted_work() : wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void posted_work::post(std::function<void()> f) {
  {
    std::lock_guard lock{mutex_};
    todo_.push_back(std::move(f));
  }
  std::uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
}

void posted_work::run_all() {
  std::uint64_t drained = 0;
  (void)!::read(wake_.get(), &drained, sizeof drained);
  std::deque<std::function<void()>> work;
  {
    std::lock_guard lock{mutex_};
    work.swap(todo_);
  }
  for (auto& f : work)
    f();
}

void child_poll::add(std::uint64_t child, int which, const file_handle& f, short events) {
  if (!f)
    return;
  fds_.push_back({f.get(), events, 0});
  owners_.push_back({child, which});
}

std::vector<child_poll::ready> child_poll::wait(int milliseconds) {
  std::vector<ready> out;
  if (::poll(fds_.data(), fds_.size(), milliseconds) > 0)
    for (std::size_t i = 1; i < fds_.size(); ++i)
      if (fds_[i].revents != 0)
        out.push_back(owners_[i]);
  return out;
}

void block_broken_pipe() {
  sigset_t broken_pipe;
  sigemptyset(&broken_pipe);
  sigaddset(&broken_pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &broken_pipe, nullptr);
}

} // namespace framemill
