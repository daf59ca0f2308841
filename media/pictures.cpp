#include "media/pictures.hpp"

#include "core/limits.hpp"

#include <algorithm>
#include <cerrno>

namespace framemill {
namespace {

struct image_codec {
  const char* format;
  const char* encoder;
  AVPixelFormat pixels;
};
constexpr image_codec codecs[] = {
    {"jpg", "mjpeg", AV_PIX_FMT_YUVJ420P},
    {"png", "png", AV_PIX_FMT_RGB24},
    {"webp", "libwebp", AV_PIX_FMT_YUV420P},
};

const image_codec* codec_named(const std::string& format) {
  for (const auto& c : codecs)
    if (format == c.format)
      return &c;
  return nullptr;
}

/// JPEG's 1–100 on the encoder's scale of 31 (worst) to 2.
int jpeg_scale(int quality) {
  return quality <= 0 ? 3 : std::clamp(31 - (quality * 29 + 50) / 100, 2, 31);
}

result<std::size_t> read_length(std::FILE* file) {
  unsigned char b[4];
  auto n = std::fread(b, 1, 4, file);
  if (n == 0)
    return std::size_t{0};
  std::size_t size = std::size_t{b[0]} | std::size_t{b[1]} << 8 | std::size_t{b[2]} << 16
                     | std::size_t{b[3]} << 24;
  if (n != 4 || size == 0 || size > 4096)
    return fail(errc::corrupt, "a raw picture file is torn");
  return size;
}

} // namespace

result<int> image_pixel_format(const std::string& format) {
  if (format == "raw")
    return int{AV_PIX_FMT_RGB24};
  if (auto c = codec_named(format))
    return int{c->pixels};
  return fail(errc::invalid_argument, "`{}` is not an image format", format);
}

result<std::string> encode_image(AVFrame& picture, const std::string& format, int quality) {
  auto chosen = codec_named(format);
  auto encoder = chosen ? avcodec_find_encoder_by_name(chosen->encoder) : nullptr;
  if (!encoder)
    return fail(errc::invalid_argument, "`{}` is not an image format", format);
  FM_TRY(auto c, av::make_codec(encoder));
  c->width = picture.width;
  c->height = picture.height;
  c->pix_fmt = chosen->pixels;
  c->color_range =
      chosen->pixels == AV_PIX_FMT_YUVJ420P ? AVCOL_RANGE_JPEG : AVCOL_RANGE_UNSPECIFIED;
  c->time_base = {1, 1};
  c->thread_count = 1;
  c->flags |= AV_CODEC_FLAG_BITEXACT;
  av::options o;
  if (format == "jpg") {
    c->flags |= AV_CODEC_FLAG_QSCALE;
    c->global_quality = jpeg_scale(quality) * FF_QP2LAMBDA;
    picture.quality = c->global_quality;
  } else if (format == "webp") {
    o.set("quality", std::to_string(quality > 0 ? quality : 75));
  }
  FM_CHECK(av::check(avcodec_open2(c.get(), encoder, o.pass()),
                     "cannot start the image encoder", errc::invalid_argument));
  FM_TRY(auto packet, av::make_packet());
  picture.pts = 0;
  FM_CHECK(av::check(avcodec_send_frame(c.get(), &picture), "encoding an image"));
  FM_CHECK(av::check(avcodec_send_frame(c.get(), nullptr), "encoding an image"));
  FM_CHECK(av::check(avcodec_receive_packet(c.get(), packet.get()), "encoding an image"));
  return std::string{reinterpret_cast<char*>(packet->data),
                     static_cast<std::size_t>(packet->size)};
}

result<raw_writer> raw_writer::create(const std::string& path) {
  auto file = std::fopen(path.c_str(), "wbe");
  if (!file)
    return fail_errno(errno, path);
  return raw_writer{file};
}

result<void> raw_writer::add(const AVFrame& rgb, std::int64_t ordinal) {
  auto head = encode(raw_head{rgb.width, rgb.height, ordinal});
  const unsigned char length[4] = {static_cast<unsigned char>(head.size()),
                                   static_cast<unsigned char>(head.size() >> 8), 0, 0};
  std::fwrite(length, 1, 4, file_.get());
  std::fwrite(head.data(), 1, head.size(), file_.get());
  for (int y = 0; y < rgb.height; ++y)
    std::fwrite(rgb.data[0] + std::ptrdiff_t{y} * rgb.linesize[0], 3,
                static_cast<std::size_t>(rgb.width), file_.get());
  return std::ferror(file_.get()) ? fail_errno(errno, "writing raw pictures") : result<void>{};
}

result<void> raw_writer::finish() {
  return std::fflush(file_.get()) != 0 ? fail_errno(errno, "writing raw pictures")
                                       : result<void>{};
}

result<av::frame_ptr> raw_reader::next() {
  std::size_t size = 0;
  while (size == 0) {
    if (!file_) {
      if (file_number_ == paths_.size())
        return av::frame_ptr{};
      file_.reset(std::fopen(paths_[file_number_].c_str(), "rbe"));
      if (!file_)
        return fail_errno(errno, paths_[file_number_]);
      ++file_number_;
    }
    FM_TRY(size, read_length(file_.get()));
    if (size == 0)
      file_.reset();
  }
  std::string bytes(size, '\0');
  if (std::fread(bytes.data(), 1, size, file_.get()) != size)
    return fail(errc::corrupt, "a raw picture file is torn");
  FM_TRY(auto head, decode<raw_head>(bytes));
  if (head.width <= 0 || head.height <= 0 || head.width > limits::source_dimension_max
      || head.height > limits::source_dimension_max)
    return fail(errc::corrupt, "a raw picture of {}x{}", head.width, head.height);
  FM_TRY(auto out, av::make_frame());
  out->width = head.width;
  out->height = head.height;
  out->format = AV_PIX_FMT_RGB24;
  out->pts = count_++;
  FM_CHECK(av::check(av_frame_get_buffer(out.get(), 0), "a picture"));
  for (int y = 0; y < head.height; ++y)
    if (std::fread(out->data[0] + std::ptrdiff_t{y} * out->linesize[0], 3,
                   static_cast<std::size_t>(head.width), file_.get())
        != static_cast<std::size_t>(head.width))
      return fail(errc::corrupt, "a raw picture file is torn");
  return out;
}

} // namespace framemill
