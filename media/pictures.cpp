#include "media/pictures.hpp"

#include "core/limits.hpp"

#include <algorithm>
#include <cerrno>
#include <optional>

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

constexpr std::size_t record_bytes_max = 4096;

} // namespace

std::vector<const char*> image_encoder_names() {
  std::vector<const char*> out;
  for (const auto& c : codecs)
    out.push_back(c.encoder);
  return out;
}

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

void raw_writer::put(std::string_view bytes) {
  std::fwrite(bytes.data(), 1, bytes.size(), file_.get());
}

void raw_writer::put_record(const raw_record& record) {
  const auto body = encode(record);
  const char length[4] = {static_cast<char>(body.size()), static_cast<char>(body.size() >> 8),
                          0, 0};
  put({length, 4});
  put(body);
  sha_.add(body);
}

result<void> raw_writer::add(const AVFrame& rgb, std::int64_t ordinal) {
  put_record(raw_head{rgb.width, rgb.height, ordinal});
  for (int y = 0; y < rgb.height; ++y) {
    const std::string_view row{
        reinterpret_cast<const char*>(rgb.data[0]) + std::ptrdiff_t{y} * rgb.linesize[0],
        static_cast<std::size_t>(rgb.width) * 3};
    put(row);
    sha_.add(row);
  }
  ++pictures_;
  return std::ferror(file_.get()) ? fail_errno(errno, "writing raw pictures") : result<void>{};
}

result<void> raw_writer::finish() {
  put_record(raw_foot{pictures_, std::exchange(sha_, digest{digest_kind::sha256}).finish()});
  return std::fflush(file_.get()) != 0 || std::ferror(file_.get())
             ? fail_errno(errno, "writing raw pictures")
             : result<void>{};
}

failure raw_reader::damaged(std::string_view why) const {
  return fail(errc::corrupt, "{}: {}", paths_[file_number_ - 1], why);
}

result<void> raw_reader::take(char* to, std::size_t size) {
  if (std::fread(to, 1, size, file_.get()) != size)
    return damaged("the raw picture file is torn");
  return {};
}

result<std::string> raw_reader::record_bytes() {
  char b[4];
  FM_CHECK(take(b, 4));
  std::size_t size = 0;
  for (std::size_t i = 0; i < 4; ++i)
    size |= std::size_t{static_cast<unsigned char>(b[i])} << 8 * i;
  if (size > record_bytes_max)
    return damaged("not a raw picture file");
  std::string out(size, '\0');
  FM_CHECK(take(out.data(), size));
  return out;
}

result<raw_record> raw_reader::parse(const std::string& bytes) const {
  auto out = decode<raw_record>(bytes);
  if (!out)
    return damaged(out.error().message);
  const auto* head = std::get_if<raw_head>(&*out);
  const auto fits = [](std::int32_t side) {
    return side > 0 && side <= limits::source_dimension_max;
  };
  if (head && !(fits(head->width) && fits(head->height)))
    return damaged(fmt::format("a raw picture of {}x{}", head->width, head->height));
  return out;
}

result<void> raw_reader::check() {
  digest sha{digest_kind::sha256};
  std::string row;
  for (std::int64_t pictures = 0;; ++pictures) {
    FM_TRY(auto bytes, record_bytes());
    FM_TRY(auto record, parse(bytes));
    if (const auto* foot = std::get_if<raw_foot>(&record))
      return foot->pictures == pictures && foot->sha256 == sha.finish()
                 ? result<void>{}
                 : damaged("the pictures do not match their checksum");
    const auto& head = std::get<raw_head>(record);
    sha.add(bytes);
    row.resize(static_cast<std::size_t>(head.width) * 3);
    for (int y = 0; y < head.height; ++y) {
      FM_CHECK(take(row.data(), row.size()));
      sha.add(row);
    }
  }
}

result<void> raw_reader::open_file() {
  const auto& path = paths_[file_number_++];
  file_.reset(std::fopen(path.c_str(), "rbe"));
  if (!file_)
    return fail_errno(errno, path);
  FM_CHECK(check());
  std::rewind(file_.get());
  return {};
}

result<av::frame_ptr> raw_reader::next() {
  std::optional<raw_head> head;
  while (!head) {
    if (!file_ && file_number_ == paths_.size())
      return av::frame_ptr{};
    if (!file_)
      FM_CHECK(open_file());
    FM_TRY(auto bytes, record_bytes());
    FM_TRY(auto record, parse(bytes));
    if (const auto* found = std::get_if<raw_head>(&record))
      head = *found;
    else
      file_.reset();
  }
  FM_TRY(auto out, av::make_frame());
  out->width = head->width;
  out->height = head->height;
  out->format = AV_PIX_FMT_RGB24;
  out->pts = count_++;
  FM_CHECK(av::check(av_frame_get_buffer(out.get(), 0), "a picture"));
  for (int y = 0; y < head->height; ++y)
    FM_CHECK(take(reinterpret_cast<char*>(out->data[0])
                      + std::ptrdiff_t{y} * out->linesize[0],
                  static_cast<std::size_t>(head->width) * 3));
  return out;
}

} // namespace framemill
