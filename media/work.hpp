#pragma once

#include "core/media_message.hpp"

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace framemill {

using watermark_sink = std::function<void(const watermark&)>;

/// Counters that prove life. Owned by the attempt's one thread; `moved` is only
/// called where work was done, so a loop that hangs sends nothing.
class progress {
public:
  explicit progress(watermark_sink sink) : sink_(std::move(sink)) {}
  void enter(work_phase phase) noexcept { now_.phase = phase; }
  void step(std::uint32_t index) noexcept { now_.step = index; }
  void read(std::int64_t bytes) { now_.bytes_in += bytes, moved(); }
  void wrote(std::int64_t bytes) { now_.bytes_out += bytes, moved(); }
  void decoded(double source_seconds);
  void encoded() { ++now_.frames_encoded, moved(); }
  [[nodiscard]] const watermark& now() const noexcept { return now_; }

private:
  void moved();
  watermark now_;
  watermark_sink sink_;
  std::chrono::steady_clock::time_point last_{};
};

/// What the steps of one attempt share: the source, the scratch directory,
/// progress and warnings. Lives on the attempt's one thread.
class work {
public:
  /// `directory` holds in/ and out/; `source_fd` −1 when there is no source.
  work(const media_request& request, int source_fd, std::string directory,
       watermark_sink sink)
      : request_(request), source_fd_(source_fd), directory_(std::move(directory)),
        progress_(std::move(sink)) {}

  [[nodiscard]] const media_request& request() const noexcept { return request_; }
  [[nodiscard]] bool has_source() const noexcept { return source_fd_ >= 0; }
  [[nodiscard]] int source_fd() const noexcept { return source_fd_; }
  [[nodiscard]] std::string input(const std::string& name) const;
  [[nodiscard]] std::string output(const std::string& name) const;
  /// The file in out/, else in in/; errc::not_found.
  [[nodiscard]] result<std::string> find(const std::string& name) const;
  [[nodiscard]] framemill::progress& progress() noexcept { return progress_; }

  /// Adds a sentence to the result's warnings, once.
  void warn(std::string sentence);
  [[nodiscard]] const std::vector<std::string>& warnings() const noexcept { return warnings_; }

  std::optional<media_info> probed;  ///< by a probe_step
  std::vector<result_file> described; ///< what steps know of the files they made

private:
  const media_request& request_;
  int source_fd_;
  std::string directory_;
  framemill::progress progress_;
  std::vector<std::string> warnings_;
};

/// Reads a whole small file (an index, an image).
[[nodiscard]] result<std::string> read_file(const std::string& path);
[[nodiscard]] result<void> write_file(const std::string& path, std::string_view bytes);

} // namespace framemill
