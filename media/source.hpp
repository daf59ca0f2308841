#pragma once

#include "media/av.hpp"
#include "media/work.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace framemill {

/// Bytes as one stream: a file descriptor, or several files one after another
/// (the segments of an HLS output). Reads with pread, or asks for ranges when
/// the descriptor is a socket (core/range_message.hpp); never opens anything but
/// the paths it was given.
class byte_stream {
public:
  enum class access : std::uint8_t { file, socket };
  struct piece {
    std::string path; ///< "" = the descriptor
    int fd = -1;
    std::int64_t size = 0;
    access how = access::file;
  };
  explicit byte_stream(std::vector<piece> pieces,
                       std::function<void(std::int64_t)> on_read = {});
  ~byte_stream();
  byte_stream(const byte_stream&) = delete;
  byte_stream& operator=(const byte_stream&) = delete;

  /// Bytes read, 0 at the end, negative errno.
  int read(std::uint8_t* to, int size);
  std::int64_t seek(std::int64_t position) noexcept { return position_ = position; }
  [[nodiscard]] std::int64_t position() const noexcept { return position_; }
  [[nodiscard]] std::int64_t size() const noexcept { return total_; }
  [[nodiscard]] int failed_errno() const noexcept { return failed_; }

private:
  int descriptor_of(std::size_t piece);
  std::vector<piece> pieces_;
  std::vector<std::int64_t> begins_;
  std::function<void(std::int64_t)> on_read_;
  std::int64_t total_ = 0, position_ = 0;
  std::size_t open_piece_ = SIZE_MAX;
  int open_fd_ = -1;
  int failed_ = 0;
};

/// A media file opened through our own AVIO with a closed list of formats and
/// no protocol at all: it can reach nothing but its own bytes. What exceeds the
/// limits of core/limits.hpp is refused before a decoder sees it.
class source {
public:
  /// The request's source object.
  [[nodiscard]] static result<source> open(work& w);
  /// Own results, for verification.
  [[nodiscard]] static result<source> open(std::vector<byte_stream::piece> pieces,
                                           std::string name);
  source(source&&) noexcept = default;
  source& operator=(source&&) noexcept = default;

  /// Fails with input_not_media, input_incomplete, input_refused.
  [[nodiscard]] AVFormatContext& format() noexcept { return *format_; }
  [[nodiscard]] const char* format_name() const noexcept { return format_->iformat->name; }
  [[nodiscard]] AVStream& stream(int index) noexcept { return *format_->streams[index]; }
  [[nodiscard]] result<AVStream*> checked_stream(int index);
  [[nodiscard]] byte_stream& bytes() noexcept { return *bytes_; }
  /// Reads only packets of these streams.
  void select(std::initializer_list<int> streams) noexcept;
  /// The next packet; false at the end. A read error of the system fails;
  /// damage within the file ends it and is told by `broken`.
  [[nodiscard]] result<bool> read(AVPacket& packet);
  [[nodiscard]] bool broken() const noexcept { return broken_; }

private:
  source() = default;
  result<void> open_format(const std::string& name);
  result<const AVInputFormat*> recognise(const std::string& name);
  result<void> refuse_excess(const std::string& name);

  std::unique_ptr<byte_stream> bytes_;
  av::io_ptr io_;
  av::input_ptr format_; ///< before io_ in destruction
  bool broken_ = false;
};

/// What the container says of its streams.
[[nodiscard]] media_info describe(source& s);

} // namespace framemill
