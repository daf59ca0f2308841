#include "media/audio_branch.hpp"
#include "media/audio_decoder.hpp"
#include "media/tasks/tasks.hpp"

#include <algorithm>
#include <vector>

namespace framemill::tasks {
namespace {

/// One decode for all outputs of a step.
class fused_audio_decode {
public:
  fused_audio_decode(const audio_step& step, work& w) : step_(step), work_(w) {
    for (const auto& o : step.outputs)
      branches_.emplace_back(o, w);
  }

  result<void> run() {
    FM_TRY(auto s, source::open(work_));
    FM_TRY(auto decoder,
           audio_decoder::open(std::move(s), step_.stream, work_.request().source_name));
    FM_CHECK(decoder.skip_to(begin()));
    FM_TRY(auto frame, av::make_frame());
    while (!all_done()) {
      FM_TRY(auto more, decoder.next(*frame));
      if (!more)
        break;
      FM_CHECK(hand_out(*frame));
    }
    if (decoder.failed_packets() > 0)
      work_.warn(
          fmt::format("{} packets of the audio did not decode", decoder.failed_packets()));
    for (auto& b : branches_)
      FM_CHECK(b.finish());
    return {};
  }

private:
  double begin() const {
    double out = step_.outputs.empty() ? 0 : step_.outputs.front().begin;
    for (const auto& o : step_.outputs)
      out = std::min(out, o.begin);
    return out;
  }

  result<void> hand_out(const AVFrame& frame) {
    work_.progress().decoded(av::seconds(frame.pts, {1, frame.sample_rate}));
    for (auto& b : branches_)
      FM_CHECK(b.take(frame));
    return {};
  }

  bool all_done() const {
    return std::all_of(branches_.begin(), branches_.end(),
                       [](const auto& b) { return b.is_done(); });
  }

  const audio_step& step_;
  work& work_;
  std::vector<audio_branch> branches_;
};

} // namespace

result<void> run(const audio_step& step, work& w) {
  w.progress().enter(work_phase::audio);
  return fused_audio_decode{step, w}.run();
}

} // namespace framemill::tasks
