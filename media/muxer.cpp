#include "media/muxer.hpp"

#include <unistd.h>

namespace framemill {
namespace {

const char* format_named(const std::string& container) {
  for (auto [name, format] :
       {std::pair{"mp4", "mp4"}, {"mov", "mov"}, {"flv", "flv"}, {"m4a", "ipod"},
        {"mp3", "mp3"}, {"hls", "hls"}})
    if (container == name)
      return format;
  return nullptr;
}

std::string with_number(const std::string& pattern, const std::string& number) {
  auto at = pattern.find("%d");
  return at == pattern.npos ? pattern : pattern.substr(0, at) + number + pattern.substr(at + 2);
}

/// libav's templates read % as a directive.
std::string doubled_percent(const std::string& path) {
  std::string out;
  for (char c : path)
    out.append(c == '%' ? 2 : 1, c);
  return out;
}

const char* extension(const packing& p) { return p.hls_fmp4 ? "mp4" : "ts"; }

} // namespace

result<muxer> muxer::open(packing p, work& w) {
  auto name = format_named(p.container);
  if (!name)
    return fail(errc::unsupported, "there is no container `{}`", p.container);
  muxer out{std::move(p), w};
  AVFormatContext* context = nullptr;
  FM_CHECK(av::check(avformat_alloc_output_context2(&context, nullptr, name,
                                                    w.output(out.packing_.name).c_str()),
                     "cannot make the output"));
  out.format_.reset(context);
  context->flags |= AVFMT_FLAG_BITEXACT;
  return out;
}

result<int> muxer::add_stream(const AVCodecParameters& parameters, AVRational time_base,
                              AVRational frame_rate) {
  auto s = avformat_new_stream(format_.get(), nullptr);
  if (!s)
    return fail(errc::no_memory, "no memory for a stream");
  FM_CHECK(av::check(avcodec_parameters_copy(s->codecpar, &parameters), "codec parameters"));
  s->codecpar->codec_tag = 0;
  s->time_base = time_base;
  if (frame_rate.num > 0)
    s->avg_frame_rate = s->r_frame_rate = frame_rate;
  clocks_.push_back(time_base);
  return s->index;
}

result<void> muxer::start() {
  av::options o;
  for (auto c : {"mp4", "m4a", "mov"})
    if (packing_.container == c)
      o.set("movflags", "+faststart");
  if (packing_.container == "flv")
    o.set("flvflags", "add_keyframe_index"); // else a player cannot jump
  if (packing_.container == "hls") {
    const auto path = doubled_percent(work_->output(packing_.name));
    o.set("hls_time", fmt::format("{:.6f}", packing_.hls_seconds))
        .set("hls_playlist_type", "vod")
        .set("hls_list_size", "0")
        .set("hls_flags", "independent_segments")
        .set("hls_segment_type", packing_.hls_fmp4 ? "fmp4" : "mpegts")
        .set("hls_fmp4_init_filename", packing_.name + ".init")
        .set("hls_segment_filename", fmt::format("{}.%d.{}", path, extension(packing_)));
  }
  if (!(format_->oformat->flags & AVFMT_NOFILE))
    FM_CHECK(av::check(avio_open(&format_->pb, format_->url, AVIO_FLAG_WRITE), format_->url,
                       errc::io_failed));
  FM_CHECK(av::check(avformat_write_header(format_.get(), o.pass()),
                     "the streams do not fit the container", errc::unsupported));
  return o.all_used(packing_.container);
}

result<void> muxer::write(AVPacket& packet, int stream) {
  auto& s = *format_->streams[stream];
  av_packet_rescale_ts(&packet, clocks_[static_cast<std::size_t>(stream)], s.time_base);
  packet.stream_index = stream;
  packet.pos = -1;
  work_->progress().wrote(packet.size);
  FM_CHECK(av::check(av_interleaved_write_frame(format_.get(), &packet), "writing the output",
                     errc::io_failed));
  return {};
}

result<void> muxer::finish() {
  FM_CHECK(av::check(av_write_trailer(format_.get()), "writing the output", errc::io_failed));
  if (format_->pb && !(format_->oformat->flags & AVFMT_NOFILE))
    FM_CHECK(av::check(avio_closep(&format_->pb), "writing the output", errc::io_failed));
  return packing_.container == "hls" ? rename_segments() : result<void>{};
}

/// The manifest names the files as they are published.
result<void> muxer::rename_segments() {
  const auto path = work_->output(packing_.name);
  FM_TRY(auto text, read_file(path));
  std::string out;
  int number = 0;
  for (std::size_t at = 0; at < text.size();) {
    auto end = std::min(text.find('\n', at), text.size());
    auto line = text.substr(at, end - at);
    at = end + 1;
    if (line.starts_with("#EXT-X-MAP:"))
      line =
          fmt::format("#EXT-X-MAP:URI=\"{}\"", with_number(packing_.segment_pattern, "init"));
    else if (!line.empty() && line[0] != '#')
      line = with_number(packing_.segment_pattern, std::to_string(number++));
    out += line + '\n';
  }
  return write_file(path, out);
}

result<std::vector<std::string>> muxer::files() const {
  std::vector<std::string> out{packing_.name};
  if (packing_.container != "hls")
    return out;
  if (packing_.hls_fmp4)
    out.push_back(packing_.name + ".init");
  for (int n = 0;; ++n) {
    auto name = fmt::format("{}.{}.{}", packing_.name, n, extension(packing_));
    if (::access(work_->output(name).c_str(), R_OK) != 0)
      break;
    out.push_back(std::move(name));
  }
  return out;
}

} // namespace framemill
