#pragma once

#include "core/media_message.hpp"

#include <string>

namespace framemill {

/// The process side of framemill-media: pipes, log, death, sandbox. One per
/// process; the work itself is execute().
class child {
public:
  struct options {
    std::string directory = ".";
    int source_fd = -1;
  };
  explicit child(options o) : options_(std::move(o)) {}

  /// Reads the request from fd 0, works, writes watermarks and one result to
  /// fd 1. Ends the process when fd 0 closes or the parent dies. Fails when no
  /// result could be sent.
  [[nodiscard]] result<void> serve();

  /// Runs `directory`/request.msgpack on `directory`/source in this terminal.
  [[nodiscard]] static result<void> reproduce(const std::string& directory);
  [[nodiscard]] static std::string fingerprint();
  [[nodiscard]] static std::string cpu();
  [[nodiscard]] static std::string encoders(); ///< "libx264 aac png"

private:
  options options_;
};

/// One frame of the pipe protocol.
[[nodiscard]] result<void> write_frame(int fd, std::string_view body);
[[nodiscard]] result<std::string> read_frame(int fd);

} // namespace framemill
