#include "core/codec.hpp"
#include "core/media_message.hpp"

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <vector>

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

// A child that misbehaves in the way its request names.

using namespace framemill;

namespace {

void write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    auto n = ::write(fd, bytes.data(), bytes.size());
    if (n <= 0)
      ::_exit(3);
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

std::string read_exactly(std::size_t size) {
  std::string out(size, '\0');
  for (std::size_t have = 0; have < size;) {
    auto n = ::read(0, out.data() + have, size - have);
    if (n <= 0)
      ::_exit(3);
    have += static_cast<std::size_t>(n);
  }
  return out;
}

std::uint32_t little_endian(const std::string& bytes) {
  std::uint32_t out = 0;
  for (int i = 3; i >= 0; --i)
    out = out << 8 | static_cast<unsigned char>(bytes[static_cast<std::size_t>(i)]);
  return out;
}

std::string frame(std::string_view body) {
  std::string out;
  for (int shift = 0; shift < 32; shift += 8)
    out.push_back(static_cast<char>(body.size() >> shift));
  return out.append(body);
}

std::string mark(std::int64_t frames) {
  watermark w;
  w.frames_encoded = frames;
  return frame(encode(child_message{w}));
}

std::string result_frame() {
  media_result r;
  r.frames_decoded = 42;
  return frame(encode(child_message{r}));
}

void log(const std::string& line) { write_all(2, line + "\n"); }

[[noreturn]] void hang() {
  for (;;)
    ::pause();
}

void answer() {
  for (int i = 1; i <= 3; ++i)
    write_all(1, mark(i));
  log("working");
  write_all(1, result_frame());
}

void flood_marks() {
  std::string many;
  for (int i = 1; i <= 200'000; ++i)
    many += mark(i);
  write_all(1, many + result_frame());
}

void flood_log() {
  for (int i = 0; i < 100'000; ++i)
    log("line " + std::to_string(i));
  log(std::string(100'000, 'x')); // and a line without an end
  log("last");
}

void eat() {
  std::vector<std::string> eaten;
  for (int i = 0; i < 24; ++i) // not without end, should nobody stop us
    eaten.emplace_back(8u << 20, 'x');
  hang();
}

void leave_grandchild() {
  if (::fork() == 0) {
    ::alarm(20);
    hang();
  }
  write_all(1, result_frame());
}

void list_descriptors() {
  std::string found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    auto number = std::atoi(entry.path().filename().c_str());
    if (::access(entry.path().c_str(), F_OK) == 0 && number < 60)
      found += " " + std::to_string(number);
  }
  log("descriptors" + found + " ");
}

void read_source() {
  char bytes[100];
  auto n = ::read(3, bytes, sizeof bytes);
  log("source " + std::string(bytes, n > 0 ? static_cast<std::size_t>(n) : 0));
}

/// Opens a sysctl for writing, and writes nothing.
void reach_for_sysctls() {
  auto fd = ::open("/proc/sys/kernel/core_pattern", O_WRONLY | O_CLOEXEC);
  log(fd < 0 ? "sysctls are closed" : "sysctls are open");
}

const std::map<std::string, void (*)()> ways{
    {"answer", answer},
    {"crash", [] { std::raise(SIGSEGV); }},
    {"hang",
     [] {
       log("here");
       hang();
     }},
    {"flood marks", flood_marks},
    {"flood log", flood_log},
    {"garbage",
     [] {
       write_all(1, frame("\xc1garbage"));
       hang();
     }},
    {"answer, then garbage",
     [] {
       answer();
       write_all(1, frame("\xc1"));
       hang();
     }},
    {"giant",
     [] {
       write_all(1, "\xff\xff\xff\x7f");
       hang();
     }},
    {"half a frame", [] { write_all(1, result_frame().substr(0, 9)); }},
    {"eat", eat},
    {"spin",
     [] {
       ::alarm(60);
       for (volatile std::uint64_t turns = 0;; turns = turns + 1) {
       }
     }},
    {"grandchild", leave_grandchild},
    {"descriptors", list_descriptors},
    {"source", read_source},
    {"sysctls", reach_for_sysctls},
    {"exit 7", [] { ::_exit(7); }},
};

} // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "--fingerprint") == 0)
    return write_all(1, "fake\nsse2+avx\nlibx264 aac\n"), 0;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (std::filesystem::exists("in/do-not-read"))
    return 5;
  auto request = decode<media_request>(read_exactly(little_endian(read_exactly(4))));
  if (!request)
    return 4;
  ways.at(request->source_name)();
  return 0;
}
