#include "cluster/transport.hpp"

#include <zmq.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <utility>

namespace framemill {

namespace {

constexpr std::string_view heading = "framemill-key-1";
constexpr std::size_t z85_chars = 40;
constexpr std::size_t file_bytes_max = 256;

class descriptor {
public:
  explicit descriptor(int fd) : fd_{fd} {}
  descriptor(descriptor&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
  descriptor& operator=(descriptor&&) = delete;
  ~descriptor() {
    if (fd_ >= 0)
      ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] explicit operator bool() const { return fd_ >= 0; }

private:
  int fd_;
};

/// The public key that belongs to a secret one; "" when that is no key.
std::string public_key_of(const std::string& secret_key) {
  std::array<char, z85_chars + 1> text{};
  if (secret_key.size() != z85_chars ||
      ::zmq_curve_public(text.data(), secret_key.c_str()) != 0)
    return {};
  return text.data();
}

std::string to_file(const key_pair& keys) {
  return fmt::format("{}\n{}\n{}\n", heading, keys.public_key, keys.secret_key);
}

/// Exactly what `to_file` writes: a key that lost a character is another key.
result<key_pair> from_file(const std::string& content, const std::string& path) {
  key_pair keys;
  const auto start = heading.size() + 1;
  if (content.size() == start + 2 * (z85_chars + 1))
    keys = {content.substr(start, z85_chars), content.substr(start + z85_chars + 1, z85_chars)};
  if (content != to_file(keys) || public_key_of(keys.secret_key) != keys.public_key ||
      keys.public_key.empty())
    return fail(errc::corrupt, "{} is not a key file, or is damaged: restore it, or remove it "
                               "to begin with a new identity", path);
  return keys;
}

result<void> check_privacy(int fd, const std::string& path) {
  struct stat s {};
  if (::fstat(fd, &s) != 0)
    return fail_errno(errno, path);
  if (!S_ISREG(s.st_mode))
    return fail(errc::unauthorized, "{} is not a file", path);
  if (s.st_uid != ::geteuid() && s.st_uid != 0)
    return fail(errc::unauthorized, "{} belongs to another user (uid {})", path, s.st_uid);
  if ((s.st_mode & 077) != 0)
    return fail(errc::unauthorized,
                "{} is open to others (mode {:04o}): make it 0600, and a new one if somebody "
                "may have read it", path, s.st_mode & 07777);
  return {};
}

result<key_pair> load(const descriptor& file, const std::string& path) {
  FM_CHECK(check_privacy(file.get(), path));
  std::string content(file_bytes_max, '\0');
  const auto n = ::pread(file.get(), content.data(), content.size(), 0);
  if (n < 0)
    return fail_errno(errno, path);
  content.resize(static_cast<std::size_t>(n));
  return from_file(content, path);
}

result<void> write_out(const descriptor& file, const std::string& content,
                       const std::string& path) {
  const auto n = ::write(file.get(), content.data(), content.size());
  if (n < 0 || ::fsync(file.get()) != 0)
    return fail_errno(errno, path);
  if (static_cast<std::size_t>(n) != content.size())
    return fail(errc::no_space, "{}: written only in part", path);
  return {};
}

result<void> sync_directory_of(const std::string& path) {
  auto directory = std::filesystem::path{path}.parent_path().string();
  if (directory.empty())
    directory = ".";
  const descriptor d{::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!d || ::fsync(d.get()) != 0)
    return fail_errno(errno, directory);
  return {};
}

/// The whole file appears under its name or nothing does. Somebody else's that
/// came in between stays.
result<void> make(const key_pair& keys, const std::string& path) {
  const auto draft = fmt::format("{}.new-{}", path, ::getpid());
  ::unlink(draft.c_str()); // of a life before this with the same number
  const descriptor file{::open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
  if (!file)
    return fail_errno(errno, draft);
  auto made = write_out(file, to_file(keys), draft);
  if (made && ::link(draft.c_str(), path.c_str()) != 0 && errno != EEXIST)
    made = fail_errno(errno, path);
  ::unlink(draft.c_str());
  FM_CHECK(std::move(made));
  return sync_directory_of(path);
}

descriptor open_keys(const std::string& path) {
  // Not through a symbolic link, nor waiting for a FIFO's writer.
  return descriptor{::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)};
}

} // namespace

key_pair make_key_pair() {
  std::array<char, z85_chars + 1> open{}, secret{};
  if (::zmq_curve_keypair(open.data(), secret.data()) != 0)
    std::abort(); // a libzmq without CURVE: nothing here could be safe
  return {open.data(), secret.data()};
}

result<key_pair> load_or_make_keys(const std::string& path) {
  auto file = open_keys(path);
  if (file)
    return load(file, path);
  if (errno != ENOENT)
    return fail_errno(errno, path);
  FM_CHECK(make(make_key_pair(), path));
  auto made = open_keys(path);
  if (!made)
    return fail_errno(errno, path);
  return load(made, path);
}

} // namespace framemill
