#include "media/child.hpp"

#include "core/codec.hpp"
#include "core/limits.hpp"
#include "media/av.hpp"
#include "media/executor.hpp"
#include "media/fingerprint.hpp"
#include "media/sandbox.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>

namespace framemill {
namespace {

constexpr int request_fd = 0, result_fd = 1, log_fd = 2;

result<void> write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    auto n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno != EINTR)
      return fail_errno(errno, "writing to the daemon");
    if (n > 0)
      bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

result<void> read_all(int fd, char* to, std::size_t size) {
  while (size > 0) {
    auto n = ::read(fd, to, size);
    if (n == 0)
      return fail(errc::cancelled, "the daemon closed the pipe");
    if (n < 0 && errno != EINTR)
      return fail_errno(errno, "reading from the daemon");
    if (n > 0)
      to += n, size -= static_cast<std::size_t>(n);
  }
  return {};
}

/// Log lines of libav: the same line twice in a row is said once, and after
/// many the rest is dropped: a damaged source can make millions.
void log_line(std::string_view line) {
  static std::mutex lock;
  static std::string last;
  static std::size_t lines = 0;
  std::lock_guard hold{lock};
  if (line == last || lines > limits::attempt_log_lines_max)
    return;
  last = line;
  const bool full = ++lines > limits::attempt_log_lines_max;
  auto text = full ? std::string{"(more lines are dropped)\n"} : std::string{line} + "\n";
  (void)!::write(log_fd, text.data(), text.size());
}

/// Nobody waits any more: there is nothing to tidy that the daemon would not.
void exit_when_abandoned() {
  std::thread{[] {
    char byte;
    while (true) {
      auto n = ::read(request_fd, &byte, 1);
      if (n == 0 || (n < 0 && errno != EINTR))
        ::_exit(3);
    }
  }}.detach();
}

void send_watermark(const watermark& w) {
  if (!write_frame(result_fd, encode(child_message{w})))
    ::_exit(3);
}

void drop_rights() {
  if (auto given_up = give_up_rights(); !given_up)
    log_line(given_up.error().message + "; going on without it");
}

std::string file_bytes(const std::string& path, result<void>& status) {
  auto bytes = read_file(path);
  if (!bytes)
    status = failure{bytes.error()};
  return bytes ? std::move(*bytes) : std::string{};
}

void print(const media_result& r) {
  for (const auto& w : r.warnings)
    std::printf("warning: %s\n", w.c_str());
  for (const auto& f : r.files)
    std::printf("%s  %lld bytes  %s\n", f.name.c_str(), static_cast<long long>(f.size),
                f.sha256.c_str());
  if (r.failure)
    std::printf("failed: %s\n", r.failure->message.c_str());
  std::printf("%.2f CPU s, %lld MiB, %lld frames decoded\n", r.cpu_seconds,
              static_cast<long long>(r.peak_rss_bytes >> 20),
              static_cast<long long>(r.frames_decoded));
}

} // namespace

result<void> write_frame(int fd, std::string_view body) {
  std::string frame(4, '\0');
  for (std::size_t i = 0; i < 4; ++i)
    frame[i] = static_cast<char>(body.size() >> 8 * i & 0xff);
  return write_all(fd, frame.append(body));
}

result<std::string> read_frame(int fd) {
  unsigned char b[4];
  FM_CHECK(read_all(fd, reinterpret_cast<char*>(b), 4));
  auto size = std::size_t{b[0]} | std::size_t{b[1]} << 8 | std::size_t{b[2]} << 16
              | std::size_t{b[3]} << 24;
  if (size > limits::child_frame_bytes_max)
    return fail(errc::malformed, "a frame of {} bytes; the limit is {}", size,
                limits::child_frame_bytes_max);
  std::string body(size, '\0');
  FM_CHECK(read_all(fd, body.data(), size));
  return body;
}

result<void> child::serve() {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::signal(SIGPIPE, SIG_IGN);
  av::log_to(log_line);
  FM_TRY(auto body, read_frame(request_fd));
  FM_TRY(auto request, decode<media_request>(body));
  exit_when_abandoned();
  drop_rights();
  auto done = execute(request, {options_.source_fd, options_.directory, send_watermark});
  FM_CHECK(write_frame(result_fd, encode(child_message{std::move(done)})));
  ::_exit(0); // the watching thread still reads
}

result<void> child::reproduce(const std::string& directory) {
  av::log_to(log_line);
  result<void> status;
  auto bytes = file_bytes(directory + "/request.msgpack", status);
  FM_CHECK(status);
  FM_TRY(auto request, decode<media_request>(bytes));
  auto fd = ::open((directory + "/source").c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 && request.source_bytes > 0)
    return fail_errno(errno, directory + "/source");
  auto done = execute(request, {fd, directory, {}});
  print(done);
  if (done.failure)
    return failure{*done.failure};
  return {};
}

std::string child::fingerprint() { return framemill::fingerprint(); }
std::string child::cpu() { return cpu_features(); }
std::string child::encoders() {
  return fmt::format("{}", fmt::join(framemill::encoders(), " "));
}

} // namespace framemill
