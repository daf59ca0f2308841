#include "media/plan/source.hpp"

namespace framemill {
namespace {

std::string why_inexact(const packet_index& index, const plan_options& options) {
  if (!options.trust_index)
    return "decoding did not give the frames that the file's packets promise";
  if (index.pts.empty())
    return "the video stream has no packets with timestamps";
  return index.reason.empty() ? "its timestamps are not reliable" : index.reason;
}

void apply_policies(source_facts& s) {
  if (s.video->interlaced) {
    s.deinterlace = true;
    s.warnings.push_back("the source is interlaced: it is deinterlaced");
  }
  if (s.video->hdr) {
    s.tonemap = true;
    s.warnings.push_back("the source is HDR: it is tone-mapped to BT.709");
  }
}

} // namespace

source_facts examine(const run_record& run, const packet_index* index,
                     const plan_options& options, std::uint32_t number) {
  source_facts s;
  s.run = &run;
  s.number = number;
  s.media = &*run.media;
  s.video = index ? s.media->video() : nullptr;
  s.audio = s.media->audio();
  s.index = s.video ? index : nullptr;
  s.exact = s.index && options.trust_index && index->exact && !index->pts.empty();
  s.clock = make_source_clock(*s.media, s.index, s.exact);
  if (!s.video)
    return s;
  s.size = display_size(*s.video);
  apply_policies(s);
  if (!s.exact)
    s.warnings.push_back("the source is worked in one piece: " + why_inexact(*index, options));
  return s;
}

} // namespace framemill
