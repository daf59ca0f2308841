#include "storage/temporary_name.hpp"

#include "storage/bucket.hpp"
#include "storage/digest.hpp"
#include "storage/posix_file.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <charconv>

namespace framemill {

namespace {

std::string line_of(const std::string& path) {
  return read_line(AT_FDCWD, path, path, 4096).value_or("");
}

std::string short_hash(std::string_view text) {
  digest hash;
  hash.update(text);
  return hash.hex().substr(0, 8);
}

/// Process ids mean something only within one pid namespace of one host.
std::string host_tag() {
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  struct stat pids {};
  ::stat("/proc/self/ns/pid", &pids);
  return short_hash(
      fmt::format("{}\n{}\n{}", line_of("/etc/machine-id"), name.data(), pids.st_ino));
}

/// When a process started, in clock ticks since boot; "" when there is none.
/// Tells a process from a later one that got the same id.
std::string start_of(std::string_view pid) {
  const auto stat = line_of(fmt::format("/proc/{}/stat", pid));
  auto at = stat.rfind(')'); // the name before it may hold anything
  for (int field = 2; at != std::string::npos && field < 22; ++field)
    at = stat.find(' ', at + 1);
  if (at == std::string::npos)
    return {};
  return stat.substr(at + 1, stat.find(' ', at + 1) - at - 1);
}

struct owner_tags {
  std::string host = host_tag();
  std::string boot = short_hash(line_of("/proc/sys/kernel/random/boot_id"));
};

const owner_tags& tags() {
  static const owner_tags t;
  return t;
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

std::string_view take_part(std::string_view& rest) {
  const auto dash = rest.find('-');
  const auto part = rest.substr(0, dash);
  rest.remove_prefix(dash == std::string_view::npos ? rest.size() : dash + 1);
  return part;
}

} // namespace

std::string next_temporary_name() {
  static std::atomic<std::uint64_t> count{0};
  // Asked each time, not kept: after a fork the child is another process.
  const auto pid = std::to_string(::getpid());
  return fmt::format("{}{}-{}{}-{}-{}", temporary_prefix, pid, tags().host, tags().boot,
                     start_of(pid), ++count);
}

bool is_abandoned_temporary(std::string_view file_name) {
  if (!file_name.starts_with(temporary_prefix))
    return false;
  auto rest = file_name.substr(temporary_prefix.size());
  const auto pid = take_part(rest);
  const auto place = take_part(rest);
  const auto start = take_part(rest);
  const bool is_ours = is_number(pid) && place.size() == 16 && place.starts_with(tags().host) &&
                       is_number(start) && is_number(rest);
  return is_ours && (!place.ends_with(tags().boot) || start_of(pid) != start);
}

} // namespace framemill
