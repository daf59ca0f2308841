#include "media/index.hpp"

#include "core/limits.hpp"

#include <algorithm>
#include <map>

namespace framemill {
namespace {

/// Containers whose stored times are of decoding, or are guessed by libav.
bool times_are_guessed(const AVInputFormat& f) {
  return av_match_list(f.name, "avi,rm,h264,hevc,mpegvideo,m4v,h263,vc1,obu,dv,swf,gif", ',');
}

/// A packet that decodes to no picture of its own (VP8 alternate references).
bool is_hidden(const AVCodecParameters& p, const AVPacket& packet) {
  if (packet.flags & AV_PKT_FLAG_DISCARD)
    return true;
  if (p.codec_id == AV_CODEC_ID_VP8 && packet.size > 0)
    return (packet.data[0] & 0x10) == 0; // show_frame, RFC 6386 §9.1
  return false;
}

/// Types of the NAL units in a packet of H.264 or HEVC: does `wanted` occur?
template <class Wanted>
bool has_nal(const AVCodecParameters& p, const AVPacket& packet, Wanted wanted) {
  const std::uint8_t* data = packet.data;
  const auto size = static_cast<std::size_t>(packet.size);
  const bool lengths = p.extradata_size > 6 && p.extradata[0] == 1;
  if (!lengths) {
    for (std::size_t i = 0; i + 3 < size; ++i)
      if (data[i] == 0 && data[i + 1] == 0 && data[i + 2] == 1 && wanted(data[i + 3]))
        return true;
    return false;
  }
  const bool hevc = p.codec_id == AV_CODEC_ID_HEVC;
  if (hevc && p.extradata_size < 22)
    return false;
  const std::size_t bytes = (p.extradata[hevc ? 21 : 4] & 3) + 1u;
  for (std::size_t i = 0; i + bytes < size;) {
    std::size_t length = 0;
    for (std::size_t b = 0; b < bytes; ++b)
      length = length << 8 | data[i + b];
    if (wanted(data[i + bytes]))
      return true;
    i += bytes + length;
  }
  return false;
}

/// May decoding start here with every later picture right?
bool is_access_point(const AVCodecParameters& p, const AVPacket& packet) {
  if (!(packet.flags & AV_PKT_FLAG_KEY))
    return false;
  if (p.codec_id == AV_CODEC_ID_H264) // IDR, or an I picture that libav's parser marked
    return has_nal(p, packet, [](int b) { return (b & 31) == 5 || (b & 31) == 1; });
  if (p.codec_id == AV_CODEC_ID_HEVC) // IRAP
    return has_nal(p, packet, [](int b) { return (b >> 1 & 63) >= 16 && (b >> 1 & 63) <= 23; });
  return true;
}

class indexer {
public:
  indexer(source& s, int video) : source_(s), video_(video) {
    if (video_ < 0)
      return;
    out_.index.stream = video_;
    out_.index.time_base = av::ratio(s.stream(video_).time_base);
  }

  result<void> add(const AVPacket& p) {
    const auto& s = source_.stream(p.stream_index);
    if (s.codecpar->codec_type == AVMEDIA_TYPE_VIDEO
        || s.codecpar->codec_type == AVMEDIA_TYPE_AUDIO)
      note_end(p, s.time_base);
    if (p.stream_index != video_)
      return {};
    if (++packets_ > limits::source_packets_max)
      return fail(errc::input_refused, "the source has more than {} pictures",
                  limits::source_packets_max);
    add_picture(p, *s.codecpar);
    return {};
  }

  index_findings finish() && {
    if (video_ >= 0)
      complete();
    return std::move(out_);
  }

private:
  void inexact(std::string reason) {
    out_.index.exact = false;
    if (out_.index.reason.empty())
      out_.index.reason = std::move(reason);
  }

  void note_end(const AVPacket& p, AVRational time_base) {
    auto at = p.pts != AV_NOPTS_VALUE ? p.pts : p.dts;
    if (at != AV_NOPTS_VALUE)
      out_.media_end = std::max(out_.media_end, av::seconds(at + p.duration, time_base));
  }

  void add_picture(const AVPacket& p, const AVCodecParameters& c) {
    if (av_packet_get_side_data(&p, AV_PKT_DATA_NEW_EXTRADATA, nullptr) && packets_ > 1)
      inexact("the codec's parameters change within the stream");
    if (is_hidden(c, p))
      return;
    if (p.size == 0)
      return inexact("it has empty packets");
    if (p.pts == AV_NOPTS_VALUE)
      inexact("there are packets without a presentation time");
    const auto pts = time_of(p);
    durations_[pts] = p.duration;
    if (durations_.size() > 64)
      durations_.erase(durations_.begin());
    out_.index.pts.push_back(pts);
    if (is_access_point(c, p))
      out_.index.access_points.push_back({pts, p.pos});
  }

  /// An inexact index still says about how long the video is.
  std::int64_t time_of(const AVPacket& p) const {
    if (p.pts != AV_NOPTS_VALUE)
      return p.pts;
    if (p.dts != AV_NOPTS_VALUE)
      return p.dts;
    return out_.index.pts.empty()
               ? 0
               : out_.index.pts.back() + std::max<std::int64_t>(p.duration, 1);
  }

  void complete() {
    auto& x = out_.index;
    const auto& s = source_.stream(video_);
    std::sort(x.pts.begin(), x.pts.end());
    std::sort(x.access_points.begin(), x.access_points.end(),
              [](auto& a, auto& b) { return a.pts < b.pts; });
    if (std::adjacent_find(x.pts.begin(), x.pts.end()) != x.pts.end()) {
      inexact("several packets have the same presentation time");
      x.pts.erase(std::unique(x.pts.begin(), x.pts.end()), x.pts.end());
    }
    if (times_are_guessed(*source_.format().iformat))
      inexact(fmt::format("the container ({}) does not store presentation times",
                          source_.format().iformat->name));
    if (s.disposition & AV_DISPOSITION_ATTACHED_PIC)
      inexact("the picture is a cover");
    if (x.access_points.empty())
      inexact("it has no random-access point");
    if (source_.broken())
      inexact("the container is damaged");
    drop_undecodable_lead();
    note_last_duration(s);
    if (s.nb_frames > 1 && static_cast<std::size_t>(s.nb_frames) > packets_)
      out_.truncated = true;
  }

  /// Pictures before the first access point have no references.
  void drop_undecodable_lead() {
    auto& x = out_.index;
    if (x.access_points.empty() || x.pts.empty()
        || x.pts.front() >= x.access_points.front().pts)
      return;
    auto id = source_.stream(video_).codecpar->codec_id;
    if (id == AV_CODEC_ID_H264 || id == AV_CODEC_ID_HEVC)
      x.pts.erase(x.pts.begin(),
                  std::lower_bound(x.pts.begin(), x.pts.end(), x.access_points.front().pts));
    else
      inexact("it begins with pictures before the first random-access point");
  }

  void note_last_duration(const AVStream& s) {
    auto& x = out_.index;
    if (x.pts.empty())
      return;
    auto last = durations_.find(x.pts.back());
    x.last_duration = last == durations_.end() ? 0 : last->second;
    if (x.last_duration <= 0 && s.avg_frame_rate.num > 0)
      x.last_duration = av_rescale_q(1, av_inv_q(s.avg_frame_rate), s.time_base);
    if (x.last_duration <= 0 && x.pts.size() > 1)
      x.last_duration = x.pts.back() - x.pts[x.pts.size() - 2];
    x.last_duration = std::max<std::int64_t>(x.last_duration, 1);
  }

  source& source_;
  int video_;
  index_findings out_;
  std::size_t packets_ = 0;
  std::map<std::int64_t, std::int64_t> durations_; ///< of the latest pictures
};

} // namespace

result<index_findings> index_of(source& s, int video) {
  FM_TRY(auto packet, av::make_packet());
  indexer out{s, video};
  while (true) {
    FM_TRY(auto more, s.read(*packet));
    if (!more)
      return std::move(out).finish();
    FM_CHECK(out.add(*packet));
  }
}

} // namespace framemill
