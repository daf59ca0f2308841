#include "media/index.hpp"
#include "media/tasks/tasks.hpp"

#include <cmath>

namespace framemill::tasks {
namespace {

/// Headers lie; the packets know better by more than half a second.
void correct_duration(media_info& info, double start, double end, work& w) {
  const auto found = end - start;
  if (found <= 0 || std::abs(found - info.duration) <= 0.5)
    return;
  if (info.duration > 0)
    w.warn(fmt::format("the header claims {:.1f} s, the packets last {:.1f} s", info.duration,
                       found));
  info.duration = found;
  info.bitrate = static_cast<std::int64_t>(static_cast<double>(info.size) * 8 / found);
}

void name_undecodable(source& s, work& w) {
  for (unsigned i = 0; i < s.format().nb_streams; ++i) {
    const auto& p = *s.format().streams[i]->codecpar;
    const bool media = p.codec_type == AVMEDIA_TYPE_VIDEO || p.codec_type == AVMEDIA_TYPE_AUDIO;
    if (media && !avcodec_find_decoder(p.codec_id))
      w.warn(
          fmt::format("stream {} has the codec `{}`, which cannot be decoded; it is left out",
                      i, avcodec_get_name(p.codec_id)));
  }
}

} // namespace

result<void> run(const probe_step& step, work& w) {
  w.progress().enter(work_phase::probing);
  FM_TRY(auto s, source::open(w));
  auto info = describe(s);
  name_undecodable(s, w);
  const auto video = info.video() ? info.video()->index : -1;
  if (step.with_index) {
    FM_TRY(auto found, index_of(s, video));
    if (video >= 0 && found.index.pts.empty())
      return fail(errc::input_damaged, "{}: the video stream holds no picture",
                  w.request().source_name);
    const auto start = s.format().start_time;
    correct_duration(info,
                     start == AV_NOPTS_VALUE ? 0 : static_cast<double>(start) / AV_TIME_BASE,
                     found.media_end, w);
    if (found.truncated)
      w.warn("the file is cut off: its container promises more pictures than it holds");
    if (video >= 0)
      FM_CHECK(write_file(w.output("index"), encode_index(found.index)));
  }
  if (!info.video() && !info.audio())
    return fail(errc::input_not_media, "{}: there is neither video nor audio in it",
                w.request().source_name);
  w.probed = std::move(info);
  return {};
}

} // namespace framemill::tasks
