#include "actors/child_host.hpp"

#include "actors/child_process.hpp"
#include "core/codec.hpp"
#include "core/limits.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <optional>
#include <sstream>
#include <thread>

namespace framemill {

namespace fs = std::filesystem;

namespace {

constexpr std::chrono::milliseconds look_every{200}; ///< at what children use
constexpr std::size_t pipe_bytes_max = 1u << 20; ///< a pipe holds no more (F_SETPIPE_SZ)
constexpr std::size_t log_line_bytes_max = 2000;

/// The command line: the program itself, or bubblewrap around it.
std::vector<std::string> command(const std::string& program, const std::string& scratch,
                                 bool sandbox, std::vector<std::string> arguments) {
  std::vector<std::string> out;
  if (sandbox) {
    out = bubblewrap();
    out.insert(out.end(), {"--unshare-net", "--clearenv", "--ro-bind-try", "/etc/fonts",
                           "/etc/fonts", "--tmpfs", "/tmp", "--ro-bind", program,
                           "/framemill-media"});
    if (!scratch.empty())
      out.insert(out.end(), {"--bind", scratch, "/scratch", "--ro-bind", scratch + "/in",
                             "/scratch/in", "--chdir", "/scratch"});
    out.insert(out.end(), {"--", "/framemill-media"});
  } else {
    out.push_back(program);
  }
  for (auto& a : arguments)
    out.push_back(std::move(a));
  return out;
}

} // namespace

std::string child_exit::text() const {
  if (!spawn_error.empty())
    return "not started: " + spawn_error;
  if (over_memory)
    return "killed over its memory limit";
  if (!violation.empty())
    return "killed for breaking the protocol: " + violation;
  return child_end{code, signal}.text();
}

/// The thread and everything that only it touches.
class sandboxed_child_host::loop {
public:
  loop(std::string program, bool sandbox)
      : program_(std::move(program)), sandbox_(sandbox),
        thread_([this] { run(); }) {}

  ~loop() { close(); }

  void close() {
    posted_.post([this] { ending_ = true; });
    if (thread_.joinable())
      thread_.join();
  }

  child_key spawn(child_spec spec, child_listener listener) {
    auto key = ++last_key_;
    auto shared = std::make_shared<std::pair<child_spec, child_listener>>(std::move(spec),
                                                                          std::move(listener));
    posted_.post([this, key, shared] {
      start(key, std::move(shared->first), std::move(shared->second));
    });
    return key;
  }

  void stop(child_key key) {
    posted_.post([this, key] {
      if (auto c = children_.find(key); c != children_.end()) {
        c->second.exit.stopped = true;
        kill(c->second);
      }
    });
  }

  void signal(child_key key, int number) {
    posted_.post([this, key, number] {
      if (auto c = children_.find(key); c != children_.end())
        send(c->second, number);
    });
  }

  cpu_use use_of(child_key key) const {
    std::lock_guard lock{mutex_};
    auto use = uses_.find(key);
    return use == uses_.end() ? cpu_use{} : use->second;
  }

private:
  struct child {
    spawned process;
    file_handle input, output, log;
    std::string to_write;    ///< rest of the request
    std::string frames;      ///< bytes of an unfinished frame
    std::string line;        ///< bytes of an unfinished log line
    child_listener listener;
    child_exit exit;
    std::int64_t memory_bytes_max = 0;
    bool exited = false;
  };

  void run() {
    block_broken_pipe();
    while (!ending_ || !children_.empty()) {
      poll_once();
      posted_.run_all();
      if (ending_)
        for (auto& [key, c] : children_)
          kill(c);
      look_at_use();
    }
  }

  void poll_once() {
    child_poll all{posted_.descriptor()};
    for (const auto& [key, c] : children_) {
      if (!c.to_write.empty())
        all.add(key, 0, c.input, POLLOUT);
      all.add(key, 1, c.output, POLLIN);
      all.add(key, 2, c.log, POLLIN);
      if (!c.exited)
        all.add(key, 3, c.process.pidfd, POLLIN);
    }
    for (auto [key, which] : all.wait(children_.empty() ? -1 : static_cast<int>(look_every.count())))
      serve(key, which);
  }

  void serve(child_key key, int which) {
    auto entry = children_.find(key);
    if (entry == children_.end())
      return;
    auto& c = entry->second;
    switch (which) {
      case 0: write_request(c); break;
      case 1: read_output(c); break;
      case 2: read_log(c); break;
      case 3: reap(c); break;
    }
    // The end is told once it is dead and everything it said has been heard.
    if (c.exited && !c.output && !c.log) {
      auto listener = std::move(c.listener);
      auto how = std::move(c.exit);
      children_.erase(entry);
      listener.on_exit(std::move(how));
    }
  }

  void start(child_key key, child_spec spec, child_listener listener) {
    if (ending_)
      return; // nobody will be told: the node stops
    child c;
    c.listener = std::move(listener);
    c.memory_bytes_max = spec.memory_bytes_max;
    if (auto r = launch(c, spec); !r) {
      c.exit.spawn_error = r.error().message;
      c.listener.on_exit(std::move(c.exit));
      return;
    }
    children_.emplace(key, std::move(c));
  }

  result<void> launch(child& c, child_spec& spec) {
    FM_TRY(auto in, make_pipe());
    FM_TRY(auto out, make_pipe());
    FM_TRY(auto log, make_pipe());
    std::vector<file_handle> descriptors;
    for (auto* f : {&in.read, &out.write, &log.write, &spec.source})
      if (*f)
        descriptors.push_back(std::move(*f));
    FM_TRY(c.process,
           framemill::spawn(command(program_, spec.scratch, sandbox_, {}), std::move(descriptors),
                            sandbox_ ? "" : spec.scratch));
    c.input = std::move(in.write);
    c.output = std::move(out.read);
    c.log = std::move(log.read);
    for (auto* f : {&c.input, &c.output, &c.log})
      ::fcntl(f->get(), F_SETFL, O_NONBLOCK);
    auto body = encode(spec.request);
    auto length = static_cast<std::uint32_t>(body.size());
    for (int shift = 0; shift < 32; shift += 8)
      c.to_write.push_back(static_cast<char>(length >> shift));
    c.to_write += body;
    return {};
  }

  static void write_request(child& c) {
    auto n = ::write(c.input.get(), c.to_write.data(), c.to_write.size());
    if (n > 0)
      c.to_write.erase(0, static_cast<std::size_t>(n));
    else if (n < 0 && errno != EAGAIN && errno != EINTR)
      c.to_write.clear(); // it is dying; its exit will tell
  }

  void read_output(child& c, std::size_t bytes_max = 1) {
    drain(c.output, c.frames, bytes_max);
    std::optional<child_message> mark; // the newest is enough
    auto tell_mark = [&] {
      if (mark)
        c.listener.on_message(*std::exchange(mark, std::nullopt));
    };
    std::size_t at = 0;
    while (c.frames.size() - at >= 4) {
      std::uint32_t length = 0;
      for (int i = 3; i >= 0; --i)
        length = length << 8 | static_cast<unsigned char>(c.frames[at + static_cast<std::size_t>(i)]);
      if (length > limits::child_frame_bytes_max)
        return distrust(c, "frame of " + std::to_string(length) + " bytes");
      if (c.frames.size() - at - 4 < length)
        break;
      auto message = decode<child_message>(std::string_view{c.frames}.substr(at + 4, length));
      if (!message)
        return distrust(c, message.error().message);
      if (std::holds_alternative<media_result>(*message)) {
        tell_mark();
        c.listener.on_message(std::move(*message));
      } else {
        mark = std::move(*message);
      }
      at += 4 + length;
    }
    tell_mark();
    c.frames.erase(0, at);
  }

  /// A child that does not speak the protocol has been taken over or is broken.
  void distrust(child& c, const std::string& why) {
    c.exit.violation = why;
    c.frames.clear();
    c.output = {};
    kill(c);
  }

  static void read_log(child& c, std::size_t bytes_max = 1) {
    drain(c.log, c.line, bytes_max);
    std::deque<std::string> lines; // the newest are enough
    auto add = [&](std::string line) {
      lines.push_back(std::move(line));
      if (lines.size() > limits::attempt_log_lines_max)
        lines.pop_front();
    };
    std::size_t at = 0;
    for (;;) {
      auto end = c.line.find('\n', at);
      if (end == std::string::npos && c.line.size() - at <= log_line_bytes_max)
        break;
      end = std::min(end, at + log_line_bytes_max);
      add(c.line.substr(at, end - at));
      at = end + (end < c.line.size() && c.line[end] == '\n' ? 1 : 0);
    }
    c.line.erase(0, at);
    if (!c.log && !c.line.empty())
      add(std::exchange(c.line, {}));
    for (auto& line : lines)
      c.listener.on_log(std::move(line));
  }

  void reap(child& c) {
    const auto status = framemill::reap(c.process);
    if (!status)
      return;
    c.exited = true;
    c.input = {};
    auto end = end_of(*status, sandbox_);
    c.exit.code = end.code;
    c.exit.signal = end.signal;
    // Nothing of it is alive to write more; do not wait for a leaked pipe.
    if (c.output)
      read_output(c, pipe_bytes_max);
    if (c.log)
      read_log(c, pipe_bytes_max);
    c.output = {};
    c.log = {};
  }

  static void send(child& c, int number) {
    if (!c.exited)
      send_signal(c.process, number);
  }
  static void kill(child& c) { send(c, SIGKILL); }

  /// Kills who has more memory than it may; keeps what all took of the CPUs.
  void look_at_use() {
    auto now = std::chrono::steady_clock::now();
    if (now - looked_ < look_every)
      return;
    looked_ = now;
    std::map<child_key, cpu_use> uses;
    for (auto& [key, c] : children_) {
      if (c.exited)
        continue;
      auto use = framemill::use_of(c.process.pid);
      uses[key] = use.cpu;
      if (c.memory_bytes_max > 0 && use.resident_bytes > c.memory_bytes_max
          && !std::exchange(c.exit.over_memory, true))
        kill(c);
    }
    std::lock_guard lock{mutex_};
    uses_ = std::move(uses);
  }

  std::string program_;
  bool sandbox_;
  posted_work posted_;
  mutable std::mutex mutex_;
  std::map<child_key, cpu_use> uses_; ///< of those that live
  std::map<child_key, child> children_;
  std::atomic<child_key> last_key_{0};
  std::chrono::steady_clock::time_point looked_;
  bool ending_ = false;
  std::thread thread_; ///< last: starts when the rest is there
};

sandboxed_child_host::sandboxed_child_host(options o)
    : fingerprint_(run_and_read({o.program, "--fingerprint"})) {
  if (fingerprint_) {
    std::istringstream said{*fingerprint_};
    std::getline(said, *fingerprint_);
    std::getline(said, cpu_);
    for (std::string name; said >> name;)
      encoders_.push_back(std::move(name));
  }
  auto inside = o.sandbox
                    ? run_and_read(command(o.program, "", true, {"--fingerprint"}))
                    : result<std::string>{fail(errc::unsupported, "switched off")};
  sandbox_.bubblewrap = inside.has_value();
  sandbox_.summary = inside ? "bubblewrap (no network, own scratch only) + seccomp"
                            : "seccomp only; bubblewrap refused: " + inside.error().message;
  loop_ = std::make_unique<loop>(std::move(o.program), sandbox_.bubblewrap);
}

sandboxed_child_host::~sandboxed_child_host() = default;
void sandboxed_child_host::close() { loop_->close(); }

child_key sandboxed_child_host::spawn(child_spec spec, child_listener listener) {
  return loop_->spawn(std::move(spec), std::move(listener));
}

void sandboxed_child_host::stop(child_key key) { loop_->stop(key); }
cpu_use sandboxed_child_host::use_of(child_key key) const { return loop_->use_of(key); }
void sandboxed_child_host::signal(child_key key, int number) { loop_->signal(key, number); }

std::size_t kill_orphans(const std::string& scratch_root) {
  std::size_t killed = 0;
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator("/proc", ec)) {
    auto name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos)
      continue;
    std::error_code gone;
    auto cwd = fs::read_symlink(entry.path() / "cwd", gone).string();
    // From outside of its namespaces the child's own cwd reads `/scratch`; the
    // bubblewrap around it has the real path in its arguments.
    std::string words;
    std::getline(std::ifstream{entry.path() / "cmdline"}, words);
    auto ours = cwd.starts_with(scratch_root + "/")
                || (words.starts_with("bwrap") && words.find(scratch_root + "/") != words.npos);
    if (ours && ::kill(static_cast<pid_t>(std::stol(name)), SIGKILL) == 0)
      ++killed;
  }
  return killed;
}

} // namespace framemill
