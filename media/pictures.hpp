#pragma once

#include "core/codec.hpp"
#include "media/av.hpp"
#include "media/digest.hpp"

#include <cstdio>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace framemill {

/// The layout that an image format's encoder takes; "raw" is rgb.
[[nodiscard]] result<int> image_pixel_format(const std::string& format);

/// One image as the bytes of a jpg, png or webp file. `quality` 1–100, 0 =
/// default; png ignores it.
[[nodiscard]] result<std::string> encode_image(AVFrame& picture, const std::string& format,
                                               int quality);

/// libavcodec's names of the encoders of these formats.
[[nodiscard]] std::vector<const char*> image_encoder_names();

// A raw picture file is a row of records, each a 4-byte little-endian length and
// the MessagePack of a raw_record; a raw_head is followed by width × height × 3
// bytes of RGB. Last is a raw_foot; a file without it is torn.

struct raw_head {
  static constexpr std::uint64_t kind = 1;
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

struct raw_foot {
  static constexpr std::uint64_t kind = 2;
  std::int64_t pictures = 0;
  std::string sha256; ///< of all heads and pixels
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Pictures", s.pictures);
    v("Sha256", s.sha256);
  }
  bool operator==(const raw_foot&) const = default;
};

using raw_record = std::variant<raw_head, raw_foot>;

/// Writes one raw picture file. Without finish() the file is torn.
class raw_writer {
public:
  [[nodiscard]] static result<raw_writer> create(const std::string& path);
  [[nodiscard]] result<void> add(const AVFrame& rgb, std::int64_t ordinal);
  [[nodiscard]] result<void> finish();

private:
  explicit raw_writer(std::FILE* file) : file_(file, std::fclose) {}
  void put(std::string_view bytes);
  void put_record(const raw_record& record);
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  digest sha_{digest_kind::sha256};
  std::int64_t pictures_ = 0;
};

/// Reads the pictures of several raw files one after another. Each is held
/// against its foot before its first picture is given: a damaged file is
/// errc::corrupt, and nothing of it is used.
class raw_reader {
public:
  explicit raw_reader(std::vector<std::string> paths) : paths_(std::move(paths)) {}
  /// Null after the last. `pts` is the picture's number from 0.
  [[nodiscard]] result<av::frame_ptr> next();

private:
  result<void> open_file();
  result<void> check();
  result<void> take(char* to, std::size_t size);
  result<std::string> record_bytes();
  result<raw_record> parse(const std::string& bytes) const;
  failure damaged(std::string_view why) const;

  std::vector<std::string> paths_;
  std::size_t file_number_ = 0; ///< of the next to open
  std::int64_t count_ = 0;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_{nullptr, std::fclose};
};

} // namespace framemill
