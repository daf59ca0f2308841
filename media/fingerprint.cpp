#include "media/fingerprint.hpp"

#include "media/audio_branch.hpp"
#include "media/av.hpp"
#include "media/h264_encoder.hpp"
#include "media/pictures.hpp"
#include "media/tasks/tasks.hpp"

#include <fmt/format.h>

#include <cstring>

namespace framemill {

namespace {

std::string version(unsigned v) {
  return fmt::format("{}.{}.{}", v >> 16, v >> 8 & 0xff, v & 0xff);
}

/// The x264 build writes itself into its user data: "x264 - core 164 r3095".
std::string x264_build() {
  auto codec = avcodec_find_encoder_by_name(h264_encoder::codec_name);
  auto context = codec ? av::make_codec(codec) : result<av::codec_ptr>{fail(errc::unsupported, "")};
  if (!context)
    return "none";
  auto& c = **context;
  c.width = c.height = 16;
  c.pix_fmt = AV_PIX_FMT_YUV420P;
  c.time_base = {1, 25};
  c.thread_count = 1;
  auto frame = av::make_frame();
  auto packet = av::make_packet();
  if (!frame || !packet || avcodec_open2(&c, codec, nullptr) < 0)
    return "unknown";
  (*frame)->width = (*frame)->height = 16;
  (*frame)->format = c.pix_fmt;
  if (av_frame_get_buffer(frame->get(), 0) < 0)
    return "unknown";
  std::memset((*frame)->buf[0]->data, 0, (*frame)->buf[0]->size);
  (*frame)->pts = 0;
  avcodec_send_frame(&c, frame->get());
  avcodec_send_frame(&c, nullptr);
  if (avcodec_receive_packet(&c, packet->get()) < 0)
    return "unknown";
  std::string_view bytes{reinterpret_cast<char*>((*packet)->data),
                         static_cast<std::size_t>((*packet)->size)};
  auto at = bytes.find("x264 - core ");
  if (at == bytes.npos)
    return "unknown";
  auto text = bytes.substr(at + 12, 40);
  return std::string{text.substr(0, text.find(" - "))};
}

static_assert(h264_encoder::byte_settings.find("cpu-independent=1") != std::string_view::npos,
              "else the CPU's features decide on the bytes too");

} // namespace

std::string fingerprint() {
  return fmt::format(
      "libavcodec {} libavformat {} libavfilter {} libswscale {} libswresample {} x264 {} {}",
      version(avcodec_version()), version(avformat_version()), version(avfilter_version()),
      version(swscale_version()), version(swresample_version()), x264_build(),
      h264_encoder::byte_settings);
}

std::string cpu_features() {
  const auto flags = av_get_cpu_flags();
  std::string out;
  auto add = [&](int flag, const char* name) {
    if (flags & flag)
      out += out.empty() ? name : std::string{"+"} + name;
  };
  add(AV_CPU_FLAG_SSE2, "sse2");
  add(AV_CPU_FLAG_SSSE3, "ssse3");
  add(AV_CPU_FLAG_SSE42, "sse4.2");
  add(AV_CPU_FLAG_AVX, "avx");
  add(AV_CPU_FLAG_AVX2, "avx2");
  add(AV_CPU_FLAG_AVX512, "avx512");
  add(AV_CPU_FLAG_NEON, "neon");
  return out.empty() ? "generic" : out;
}

std::vector<std::string> encoders() {
  std::vector<std::string> out;
  auto add = [&out](const char* name) {
    if (avcodec_find_encoder_by_name(name) != nullptr)
      out.emplace_back(name);
  };
  add(h264_encoder::codec_name);
  for (const auto& all :
       {audio_encoder_names(), image_encoder_names(), tasks::animation_encoder_names()})
    for (const auto* name : all)
      add(name);
  return out;
}

} // namespace framemill
