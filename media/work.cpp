#include "media/work.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>

namespace framemill {
namespace {

constexpr std::size_t warnings_max = 50;
using file_ptr = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

} // namespace

void progress::decoded(double source_seconds) {
  ++now_.frames_decoded;
  now_.source_seconds = std::max(now_.source_seconds, source_seconds);
  moved();
}

void progress::moved() {
  auto t = std::chrono::steady_clock::now();
  if (!sink_ || t - last_ < std::chrono::milliseconds{100})
    return;
  last_ = t;
  sink_(now_);
}

std::string work::input(const std::string& name) const {
  return directory_ + "/in/" + name;
}
std::string work::output(const std::string& name) const {
  return directory_ + "/out/" + name;
}

result<std::string> work::find(const std::string& name) const {
  for (auto path : {output(name), input(name)})
    if (::access(path.c_str(), R_OK) == 0)
      return path;
  return fail(errc::not_found, "the part `{}` is neither in out/ nor in in/", name);
}

void work::warn(std::string sentence) {
  if (warnings_.size() < warnings_max
      && std::find(warnings_.begin(), warnings_.end(), sentence) == warnings_.end())
    warnings_.push_back(std::move(sentence));
}

result<std::string> read_file(const std::string& path) {
  file_ptr file{std::fopen(path.c_str(), "rbe"), std::fclose};
  if (!file)
    return fail_errno(errno, path);
  std::string out;
  char buffer[65536];
  while (auto n = std::fread(buffer, 1, sizeof buffer, file.get()))
    out.append(buffer, n);
  if (std::ferror(file.get()))
    return fail_errno(errno, path);
  return out;
}

result<void> write_file(const std::string& path, std::string_view bytes) {
  file_ptr file{std::fopen(path.c_str(), "wbe"), std::fclose};
  if (!file || std::fwrite(bytes.data(), 1, bytes.size(), file.get()) != bytes.size()
      || std::fflush(file.get()) != 0)
    return fail_errno(errno, path);
  return {};
}

} // namespace framemill
