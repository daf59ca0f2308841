#include "media/fingerprint.hpp"

#include "media/h264_encoder.hpp"
#include "tests/media/exec/bench.hpp"
#include "tests/media/exec/media_maker.hpp"

#include <doctest/doctest.h>

#include <random>
#include <set>

using namespace framemill;
using namespace framemill::test;

namespace {

constexpr int width = 320, height = 192, frames = 50;

/// Textures that move: all of the encoder's search and transforms have work.
av::frame_ptr picture(int number) {
  static const auto noise = [] {
    std::mt19937 random{1};
    std::vector<std::uint8_t> out(512 * 512);
    for (auto& x : out)
      x = static_cast<std::uint8_t>(random());
    return out;
  }();
  auto f = av::make_frame().value();
  f->width = width;
  f->height = height;
  f->format = AV_PIX_FMT_YUV420P;
  REQUIRE(av_frame_get_buffer(f.get(), 0) == 0);
  for (int plane = 0; plane < 3; ++plane)
    for (int y = 0; y < (plane ? height / 2 : height); ++y)
      for (int x = 0; x < (plane ? width / 2 : width); ++x) {
        auto smooth = 128 + 90 * ((x / 24 + y / 16 + number / 9) % 2 ? 1 : -1);
        auto rough = noise[static_cast<std::size_t>((y + number * 3) % 512 * 512
                                                    + (x + number * 5) % 512)];
        f->data[plane][y * f->linesize[plane] + x] =
            static_cast<std::uint8_t>((smooth * 3 + rough) / 4);
      }
  f->pts = number;
  return f;
}

/// The stream that x264 makes with these parameters, its headers in front.
std::string stream_of(const std::string& x264_params) {
  auto encoder = avcodec_find_encoder_by_name("libx264");
  auto c = av::make_codec(encoder).value();
  c->width = width;
  c->height = height;
  c->pix_fmt = AV_PIX_FMT_YUV420P;
  c->time_base = {1, 25};
  c->framerate = {25, 1};
  c->thread_count = 1;
  c->flags |= AV_CODEC_FLAG_CLOSED_GOP | AV_CODEC_FLAG_BITEXACT;
  av::options o{{"preset", "medium"}, {"crf", "23"}, {"x264-params", x264_params}};
  REQUIRE(avcodec_open2(c.get(), encoder, o.pass()) == 0);
  auto packet = av::make_packet().value();
  std::string out;
  for (int i = 0; i <= frames; ++i) {
    auto f = i < frames ? picture(i) : av::frame_ptr{};
    REQUIRE(avcodec_send_frame(c.get(), f.get()) == 0);
    while (avcodec_receive_packet(c.get(), packet.get()) == 0) {
      out.append(reinterpret_cast<const char*>(packet->data),
                 static_cast<std::size_t>(packet->size));
      av_packet_unref(packet.get());
    }
  }
  return out;
}

/// Streams of this CPU, of an older one, and of one without vector instructions.
std::set<std::string> streams_of(const std::string& x264_params) {
  std::set<std::string> out;
  for (const auto* restriction : {"", ":asm=sse2", ":asm=0"})
    out.insert(stream_of(x264_params + restriction));
  return out;
}

} // namespace

TEST_CASE("fingerprint: the CPU is not in it, since x264 makes equal bytes on all") {
  auto told = std::string{h264_encoder::byte_settings};

  CHECK(streams_of(told).size() == 1);
  CHECK(streams_of("stitchable=1").size() > 1); // what would be without it
  CHECK(fingerprint().find(told) != std::string::npos);
  CHECK(fingerprint().find(cpu_features()) == std::string::npos);
}

TEST_CASE("fingerprint: names the versions of what makes bytes") {
  auto f = fingerprint();

  for (const auto* part : {"libavcodec ", "libavformat ", "libavfilter ", "libswscale ", "x264 "})
    CHECK(f.find(part) != std::string::npos);
  CHECK(f.find('\n') == std::string::npos);
  CHECK_FALSE(cpu_features().empty());
}

TEST_CASE("encoders: those that outputs are made with, as far as this libavcodec has them") {
  auto found = encoders();
  std::set<std::string> all{found.begin(), found.end()};

  CHECK(all.size() == found.size());
  for (const auto& name : found)
    CHECK(avcodec_find_encoder_by_name(name.c_str()) != nullptr);
  for (const auto* name : {"libx264", "aac", "libmp3lame", "pcm_s16le", "mjpeg", "png", "libwebp",
                           "gif", "libwebp_anim"})
    CHECK(all.contains(name) == (avcodec_find_encoder_by_name(name) != nullptr));
}
