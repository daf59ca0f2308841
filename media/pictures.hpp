#pragma once

#include "core/codec.hpp"
#include "media/av.hpp"

#include <cstdio>
#include <memory>
#include <string>

namespace framemill {

/// The layout that an image format's encoder takes; "raw" is rgb.
[[nodiscard]] result<int> image_pixel_format(const std::string& format);

/// One image as the bytes of a jpg, png or webp file. `quality` 1–100, 0 =
/// default; png ignores it.
[[nodiscard]] result<std::string> encode_image(AVFrame& picture, const std::string& format,
                                               int quality);

// A raw picture file is a row of pictures, each a 4-byte little-endian length,
// the MessagePack of a raw_head, and width × height × 3 bytes of RGB.

struct raw_head {
  std::int32_t width = 0, height = 0;
  std::int64_t ordinal = 0;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Width", s.width);
    v("Height", s.height);
    v("Ordinal", s.ordinal);
  }
  bool operator==(const raw_head&) const = default;
};

class raw_writer {
public:
  [[nodiscard]] static result<raw_writer> create(const std::string& path);
  [[nodiscard]] result<void> add(const AVFrame& rgb, std::int64_t ordinal);
  [[nodiscard]] result<void> finish();

private:
  explicit raw_writer(std::FILE* file) : file_(file, std::fclose) {}
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
};

/// Reads the pictures of several raw files one after another.
class raw_reader {
public:
  explicit raw_reader(std::vector<std::string> paths) : paths_(std::move(paths)) {}
  /// Null after the last. `pts` is the picture's number from 0.
  [[nodiscard]] result<av::frame_ptr> next();

private:
  std::vector<std::string> paths_;
  std::size_t file_number_ = 0;
  std::int64_t count_ = 0;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_{nullptr, std::fclose};
};

} // namespace framemill
