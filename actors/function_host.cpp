#include "actors/function_host.hpp"

#include "actors/control_groups.hpp"
#include "core/limits.hpp"
#include "notify/function_log.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <thread>

namespace framemill {

namespace {

using steady = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr std::size_t pipe_bytes_max = 1u << 20; ///< a pipe holds no more
constexpr auto look_every = 200ms;               ///< at what a call uses
constexpr auto look_idle_every = 2000ms;
constexpr microseconds idle_cpu_max = 1s; ///< while it is not called
constexpr int sandbox_processes = 8;         ///< bubblewrap's own, and whatever is dying

microseconds since(steady::time_point t) {
  return std::chrono::duration_cast<microseconds>(steady::now() - t);
}

void add(std::vector<std::string>& to, std::initializer_list<std::string> words) {
  to.insert(to.end(), words);
}

/// What no command line shows: other users of the machine can read those.
result<file_handle> environment_file(const std::map<std::string, std::string>& variables) {
  std::string words;
  for (const auto& [name, value] : variables)
    for (const auto* word : {"--setenv", name.c_str(), value.c_str()})
      words.append(word).push_back('\0');
  return memory_file(words);
}

/// Joins the groups, then becomes what follows `--`.
constexpr const char* join_groups =
    "while [ \"$1\" != -- ]; do echo $$ >\"$1\" || exit 1; shift; done; shift; exec \"$@\"";

/// Descriptors of the process: 0, 1 and 2 as usual, 3 for answers; 4 and 5 are
/// read by bubblewrap.
std::vector<std::string> command(const function_process& p, const std::string& runtime,
                                 const control_group& group, bool is_filtered) {
  std::vector<std::string> out;
  if (!group.directories.empty()) {
    out = {"sh", "-c", join_groups, "sh"};
    for (auto& door : group.doors())
      out.push_back(std::move(door));
    out.push_back("--");
  }
  for (auto& word : bubblewrap())
    out.push_back(std::move(word));
  add(out, {"--unshare-user", "--disable-userns", "--uid", "65534", "--gid", "65534",
            "--clearenv", "--args", "4"});
  if (is_filtered)
    add(out, {"--seccomp", "5"});
  else
    out.push_back("--new-session"); // without the filter it could type at our terminal
  add(out, {"--ro-bind-try", "/etc/ssl/certs", "/etc/ssl/certs"});
  add(out, {"--ro-bind-try", "/etc/ssl/openssl.cnf", "/etc/ssl/openssl.cnf"});
  if (p.network)
    for (std::string file :
         {"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/gai.conf"})
      add(out, {"--ro-bind-try", file, file});
  else
    out.push_back("--unshare-net");
  add(out, {"--size", std::to_string(limits::function_work_bytes_max), "--tmpfs", "/fn/work",
            "--symlink", "fn/work", "/tmp", "--ro-bind", runtime, "/fn/runtime"});
  if (!p.code.empty())
    add(out, {"--ro-bind", p.code, "/fn/code"});
  add(out, {"--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/fn/work", "--", "prlimit",
            fmt::format("--nproc={}", limits::function_processes_inside_max), "--nofile=256",
            "--core=0", fmt::format("--fsize={}", limits::function_work_bytes_max)});
  if (p.cpu_max > 0s)
    out.push_back(fmt::format("--cpu={}", p.cpu_max.count()));
  out.push_back("--");
  out.insert(out.end(), p.command.begin(), p.command.end());
  return out;
}

/// Everything of the sandbox, with nothing in it.
result<void> try_sandbox(const std::string& runtime, const std::string& filter) {
  function_process nothing;
  nothing.command = {"/bin/true"};
  std::vector<file_handle> descriptors;
  for (const auto& content : {std::string{}, std::string{}, filter}) {
    FM_TRY(auto file, memory_file(content));
    descriptors.push_back(std::move(file));
  }
  FM_CHECK(
      run_and_read(command(nothing, runtime, {}, !filter.empty()), std::move(descriptors)));
  return {};
}

} // namespace

std::string function_end::text() const {
  return killed_for.empty() ? child_end::text() : "killed: " + killed_for;
}

result<std::string> find_node() {
  for (auto path : {"/usr/bin/node", "/usr/local/bin/node"})
    if (::access(path, X_OK) == 0)
      return path;
  return fail_field(errc::unsupported, "Runtime",
                    "there is no node here, which `nodejs` functions are run by: install the "
                    "package nodejs (apt install nodejs)");
}

/// The thread and everything that only it touches.
class function_host::loop {
public:
  loop(std::string runtime, std::string filter, control_groups groups, bool is_open)
      : runtime_(std::move(runtime)), filter_(std::move(filter)), groups_(std::move(groups)),
        ending_(!is_open), thread_([this] { run(); }) {}
  ~loop() { close(); }

  void close() {
    posted_.post([this] { ending_ = true; });
    if (thread_.joinable())
      thread_.join();
  }

  function_key start(function_process p, function_call first, function_listener listener) {
    auto key = ++last_key_;
    auto all = std::make_shared<std::tuple<function_process, function_call, function_listener>>(
        std::move(p), std::move(first), std::move(listener));
    posted_.post([this, key, all] {
      auto& [process, call, heard] = *all;
      begin(key, std::move(process), std::move(call), std::move(heard));
    });
    return key;
  }

  void call(function_key key, function_call c) {
    posted_.post([this, key, shared = std::make_shared<function_call>(std::move(c))] {
      if (auto found = children_.find(key); found != children_.end())
        give(found->second, std::move(*shared));
    });
  }

  void stop(function_key key) {
    posted_.post([this, key] {
      if (auto found = children_.find(key); found != children_.end())
        kill(found->second, "stopped");
    });
  }

private:
  struct current_call {
    function_call call;
    std::optional<steady::time_point> began; ///< empty: the process is not ready
    steady::time_point deadline;
    microseconds start_up{0};
  };
  struct child {
    function_process what;
    function_listener listener;
    spawned process;
    file_handle input, answers, printed;
    control_group group;
    steady::time_point started = steady::now();
    bool is_ready = false;
    std::optional<current_call> current;
    std::string to_write; ///< rest of a call
    std::string answer;
    output_tail output{limits::function_output_kept_bytes};
    function_end end;
    bool has_ended = false;
    std::int64_t resident_peak = 0;
    std::optional<microseconds> idle_from; ///< CPU that it had used at its last answer
  };

  void run() {
    block_broken_pipe();
    while (!ending_ || !children_.empty()) {
      poll_once();
      posted_.run_all();
      if (ending_)
        for (auto& [key, c] : children_)
          kill(c, "the daemon stops");
      check_deadlines();
      look();
    }
  }

  [[nodiscard]] int patience() const {
    if (children_.empty())
      return -1;
    auto until = steady::now() + look_idle_every;
    for (const auto& [key, c] : children_)
      if (c.current)
        until = std::min({until, c.current->deadline, looked_ + look_every});
    auto left = std::chrono::ceil<std::chrono::milliseconds>(until - steady::now());
    return std::max(0, static_cast<int>(left.count()));
  }

  void poll_once() {
    child_poll all{posted_.descriptor()};
    for (const auto& [key, c] : children_) {
      if (!c.to_write.empty())
        all.add(key, 0, c.input, POLLOUT);
      all.add(key, 1, c.answers, POLLIN);
      all.add(key, 2, c.printed, POLLIN);
      if (!c.has_ended)
        all.add(key, 3, c.process.pidfd, POLLIN);
    }
    for (auto [key, which] : all.wait(patience()))
      serve(key, which);
  }

  void serve(function_key key, int which) {
    auto found = children_.find(key);
    if (found == children_.end())
      return;
    auto& c = found->second;
    switch (which) {
      case 0: write_call(c); break;
      case 1: read_answer(c, 1); break;
      case 2: read_printed(c, 1); break;
      case 3: reap(c); break;
    }
    if (!c.has_ended)
      return;
    if (c.current)
      finish(c, std::exchange(c.answer, {}), c.end);
    auto listener = std::move(c.listener);
    auto end = std::move(c.end);
    groups_.remove(std::move(c.group));
    children_.erase(found);
    listener.on_gone(std::move(end));
  }

  void begin(function_key key, function_process p, function_call first,
             function_listener listener) {
    if (ending_)
      return; // nobody will be told: the node stops
    child c;
    c.what = std::move(p);
    c.listener = std::move(listener);
    if (auto r = launch(c); !r) {
      c.end.killed_for = "not started: " + r.error().message;
      call_outcome o;
      o.end = c.end;
      groups_.remove(std::move(c.group));
      c.listener.on_call_ended(std::move(o));
      c.listener.on_gone(std::move(c.end));
      return;
    }
    give(children_.emplace(key, std::move(c)).first->second, std::move(first));
  }

  result<void> launch(child& c) {
    FM_TRY(c.group, groups_.make(c.what.memory_bytes_max,
                                 limits::function_processes_inside_max + sandbox_processes));
    FM_TRY(auto in, make_pipe());
    FM_TRY(auto printed, make_pipe());
    FM_TRY(auto answers, make_pipe());
    FM_TRY(auto environment, environment_file(c.what.environment));
    FM_TRY(auto filter, memory_file(filter_));
    std::vector<file_handle> descriptors;
    descriptors.push_back(std::move(in.read));
    descriptors.emplace_back(::fcntl(printed.write.get(), F_DUPFD_CLOEXEC, 10));
    descriptors.push_back(std::move(printed.write));
    descriptors.push_back(std::move(answers.write));
    descriptors.push_back(std::move(environment));
    descriptors.push_back(std::move(filter));
    FM_TRY(c.process,
           spawn(command(c.what, runtime_, c.group, !filter_.empty()), std::move(descriptors)));
    c.input = std::move(in.write);
    c.answers = std::move(answers.read);
    c.printed = std::move(printed.read);
    for (auto* f : {&c.input, &c.answers, &c.printed})
      ::fcntl(f->get(), F_SETFL, O_NONBLOCK);
    // Node.js keeps in memory what a pipe does not take at once: it shall take what may
    // be printed. Without the leave for it the memory bound ends the call instead.
    (void)::fcntl(c.printed.get(), F_SETPIPE_SZ, pipe_bytes_max);
    return {};
  }

  void give(child& c, function_call call) {
    if (c.current)
      return kill(c, "called while it was at work"); // the pool never does that
    c.current.emplace();
    c.current->call = std::move(call);
    c.current->deadline = steady::now() + limits::function_start_max;
    if (c.is_ready || !c.what.is_warm)
      begin_call(c);
  }

  void begin_call(child& c) {
    auto& now = *c.current;
    now.began = c.what.is_warm ? steady::now() : c.started;
    now.deadline = *now.began + now.call.time_max;
    c.output = output_tail{limits::function_output_kept_bytes};
    c.answer.clear();
    c.to_write = std::move(now.call.input);
    if (c.what.is_warm)
      c.to_write.push_back('\n');
    write_call(c);
  }

  void write_call(child& c) {
    auto n = ::write(c.input.get(), c.to_write.data(), c.to_write.size());
    if (n > 0)
      c.to_write.erase(0, static_cast<std::size_t>(n));
    else if (n < 0 && errno != EAGAIN && errno != EINTR)
      c.to_write.clear(); // it does not read: an executable need not
    if (c.to_write.empty() && !c.what.is_warm)
      c.input = {};
  }

  void read_answer(child& c, std::size_t bytes_max) {
    drain(c.answers, c.answer, bytes_max);
    if (c.answer.size() > limits::function_answer_bytes_max)
      return kill(c, fmt::format("its answer has more than {} bytes",
                                 limits::function_answer_bytes_max));
    if (!c.what.is_warm)
      return;
    for (std::size_t end;
         c.end.killed_for.empty() && (end = c.answer.find('\n')) != std::string::npos;) {
      auto line = c.answer.substr(0, end);
      c.answer.erase(0, end + 1);
      take_line(c, std::move(line));
    }
  }

  void take_line(child& c, std::string line) {
    if (!c.is_ready) {
      c.is_ready = true;
      if (c.current) {
        c.current->start_up = since(c.started);
        begin_call(c);
      }
    } else if (c.current && c.current->began) {
      read_printed(c, pipe_bytes_max); // what it printed before it answered
      if (c.end.killed_for.empty())
        finish(c, std::move(line), std::nullopt);
    } else {
      kill(c, "it answered without being called");
    }
  }

  void read_printed(child& c, std::size_t bytes_max) {
    std::string bytes;
    drain(c.printed, bytes, bytes_max);
    c.output.add(bytes);
    auto bound = c.current ? c.current->call.output_bytes_max
                           : static_cast<std::uint64_t>(limits::function_output_bytes_max);
    if (c.output.bytes() > bound)
      kill(c, fmt::format("it printed more than {} bytes", bound));
  }

  void finish(child& c, std::string answer, std::optional<function_end> end) {
    call_outcome o;
    o.answer = std::move(answer);
    o.output = c.output.text();
    o.output_bytes = c.output.bytes();
    o.start_up = c.current->start_up;
    if (c.current->began)
      o.duration = since(*c.current->began);
    o.memory_peak_bytes = std::max(c.group.peak_bytes(), c.resident_peak);
    if (!end && o.memory_peak_bytes == 0)
      o.memory_peak_bytes = use_of(c.process.pid).resident_bytes;
    o.end = std::move(end);
    c.current.reset();
    c.to_write.clear();
    c.output = output_tail{limits::function_output_kept_bytes};
    c.idle_from.reset();
    c.listener.on_call_ended(std::move(o));
  }

  void reap(child& c) {
    const auto status = framemill::reap(c.process);
    if (!status)
      return;
    static_cast<child_end&>(c.end) = end_of(*status, true);
    // Nothing of it is alive to write more.
    if (c.answers)
      read_answer(c, pipe_bytes_max);
    if (c.printed)
      read_printed(c, pipe_bytes_max);
    c.has_ended = true;
    if (c.end.killed_for.empty() && c.group.was_over_memory())
      c.end.killed_for = over_memory(c);
  }

  static std::string over_memory(const child& c) {
    return fmt::format("it needs more than {} MiB of memory", c.what.memory_bytes_max >> 20);
  }

  /// All of it: the first process of its pid namespace dies with bubblewrap.
  void kill(child& c, std::string why) {
    if (c.has_ended || !c.end.killed_for.empty())
      return;
    c.end.killed_for = std::move(why);
    send_signal(c.process, SIGKILL);
  }

  void check_deadlines() {
    auto now = steady::now();
    for (auto& [key, c] : children_)
      if (c.current && now >= c.current->deadline)
        kill(c, c.current->began
                    ? fmt::format("no answer within {:g} s",
                                  static_cast<double>(c.current->call.time_max.count()) / 1e6)
                    : fmt::format("its code was not loaded within {} s",
                                  limits::function_start_max.count()));
  }

  /// What the kernel does not bound for us is looked at.
  void look() {
    auto now = steady::now();
    if (now - looked_ < look_every)
      return;
    looked_ = now;
    const bool is_bounded = groups_.are_available();
    for (auto& [key, c] : children_) {
      if (c.has_ended || (is_bounded && c.current))
        continue;
      auto use = use_of(c.process.pid);
      if (!is_bounded)
        check_use(c, use);
      if (c.current)
        continue;
      if (!c.idle_from)
        c.idle_from = use.cpu.ran;
      else if (use.cpu.ran - *c.idle_from > idle_cpu_max)
        kill(c, "it worked on after its answer");
    }
  }

  void check_use(child& c, const process_use& use) {
    c.resident_peak = std::max(c.resident_peak, use.resident_bytes);
    if (use.resident_bytes > c.what.memory_bytes_max)
      kill(c, over_memory(c));
    if (use.processes > limits::function_processes_inside_max + sandbox_processes)
      kill(c, fmt::format("it has {} processes", use.processes));
  }

  const std::string runtime_, filter_;
  control_groups groups_;
  posted_work posted_;
  std::map<function_key, child> children_;
  std::atomic<function_key> last_key_{0};
  steady::time_point looked_;
  bool ending_;
  std::thread thread_; ///< last: starts when the rest is there
};

function_host::function_host(options o) {
  std::string filter;
  auto made = guest_call_filter();
  if (made)
    filter = std::move(*made);
  auto tried = try_sandbox(o.runtime, filter);
  if (!tried && !filter.empty()) {
    filter.clear();
    tried = try_sandbox(o.runtime, filter);
  }
  control_groups groups{"/proc/self", "/sys/fs/cgroup"};
  sandbox_.is_available = tried.has_value();
  sandbox_.summary = tried ? fmt::format("bubblewrap{}, {}", filter.empty() ? "" : " + seccomp",
                                         groups.summary())
                           : "no functions: bubblewrap refused: " + tried.error().message;
  loop_ = std::make_unique<loop>(std::move(o.runtime), std::move(filter), std::move(groups),
                                 tried.has_value());
}

function_host::~function_host() = default;
void function_host::close() { loop_->close(); }

function_key function_host::start(function_process p, function_call first,
                                  function_listener listener) {
  return loop_->start(std::move(p), std::move(first), std::move(listener));
}
void function_host::call(function_key key, function_call c) { loop_->call(key, std::move(c)); }
void function_host::stop(function_key key) { loop_->stop(key); }

} // namespace framemill
