#include "tests/support/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace framemill::test {

namespace fs = std::filesystem;

namespace {

file_handle memory_file(const std::string& content = {}) {
  file_handle f{::memfd_create("framemill-test", MFD_CLOEXEC)};
  if (!f
      || ::write(f.get(), content.data(), content.size())
             != static_cast<ssize_t>(content.size()))
    throw std::runtime_error{"memfd_create failed"};
  ::lseek(f.get(), 0, SEEK_SET);
  return f;
}

file_handle log_at(const std::string& path) {
  file_handle f{::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)};
  if (!f)
    throw std::runtime_error{"cannot open " + path};
  return f;
}

std::string content_of(const file_handle& f) {
  std::string text;
  char buffer[65536];
  for (ssize_t n;
       (n = ::pread(f.get(), buffer, sizeof buffer, static_cast<off_t>(text.size()))) > 0;)
    text.append(buffer, static_cast<std::size_t>(n));
  return text;
}

/// What there is of it: a process may end while it is read.
std::string text_of(const fs::path& path) {
  std::ifstream file{path, std::ios::binary};
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<pid_t> all_processes() {
  std::vector<pid_t> out;
  for (const auto& entry : fs::directory_iterator{"/proc"}) {
    auto name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") == std::string::npos)
      out.push_back(static_cast<pid_t>(std::stol(name)));
  }
  return out;
}

/// The kernel keeps 15 bytes of a program's name.
std::string program_of(pid_t pid) {
  auto name = text_of("/proc/" + std::to_string(pid) + "/comm");
  return name.substr(0, name.find('\n'));
}

bool is_zombie(const fs::path& proc) {
  return text_of(proc / "stat").find(") Z ") != std::string::npos;
}

} // namespace

process::process(process_options o)
    : input_(memory_file(o.input)), output_(memory_file()),
      complaint_(o.log_file.empty() ? memory_file() : log_at(o.log_file)) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input_.get(), 0);
  posix_spawn_file_actions_adddup2(&actions, output_.get(), 1);
  posix_spawn_file_actions_adddup2(&actions, complaint_.get(), 2);
  std::vector<char*> arguments;
  for (auto& word : o.words)
    arguments.push_back(word.data());
  arguments.push_back(nullptr);
  auto status = posix_spawnp(&pid_, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (status != 0)
    throw std::runtime_error{o.words[0] + ": " + std::strerror(status)};
  pidfd_ = file_handle{static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0))};
}

process::~process() {
  if (end_)
    return;
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

bool process::is_running() { return !wait(std::chrono::milliseconds{0}); }

void process::signal(int number) {
  if (!end_)
    ::kill(pid_, number);
}

std::optional<process_end> process::wait(std::chrono::milliseconds limit) {
  if (end_)
    return end_;
  pollfd ended{pidfd_.get(), POLLIN, 0};
  if (::poll(&ended, 1, static_cast<int>(limit.count())) <= 0)
    return std::nullopt;
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  end_ = WIFSIGNALED(status) ? process_end{-1, WTERMSIG(status)}
                             : process_end{WEXITSTATUS(status), 0};
  return end_;
}

std::string process::output() const { return content_of(output_); }
std::string process::complaint() const { return content_of(complaint_); }

outcome run(std::vector<std::string> words, std::string input,
            std::chrono::milliseconds limit) {
  auto name = words.front();
  process p{{std::move(words), std::move(input), {}}};
  auto end = p.wait(limit);
  if (!end)
    throw std::runtime_error{name + " does not end: " + p.output() + p.complaint()};
  return {*end, p.output(), p.complaint()};
}

std::vector<pid_t> descendants(pid_t root, const std::string& name) {
  std::vector<pid_t> out, todo{root};
  while (!todo.empty()) {
    auto pid = todo.back();
    todo.pop_back();
    std::error_code gone;
    for (const auto& task :
         fs::directory_iterator{"/proc/" + std::to_string(pid) + "/task", gone}) {
      std::ifstream children{task.path() / "children"};
      for (pid_t child; children >> child;) {
        todo.push_back(child);
        if (program_of(child) == name.substr(0, 15))
          out.push_back(child);
      }
    }
  }
  return out;
}

std::vector<pid_t> users_of(const std::string& directory) {
  std::vector<pid_t> out;
  for (auto pid : all_processes()) {
    auto proc = fs::path{"/proc"} / std::to_string(pid);
    std::error_code gone;
    auto uses = text_of(proc / "cmdline").find(directory) != std::string::npos
                || text_of(proc / "mountinfo").find(directory) != std::string::npos
                || fs::read_symlink(proc / "cwd", gone).string().starts_with(directory);
    if (pid != ::getpid() && uses && !is_zombie(proc))
      out.push_back(pid);
  }
  return out;
}

} // namespace framemill::test
