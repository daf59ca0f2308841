#pragma once

#include "media/plan/geometry.hpp"
#include "media/plan/plan.hpp"
#include "media/plan/source_clock.hpp"

namespace framemill {

/// What is true of the source for every job of a run, and the policies that
/// follow from it. Refers to the run and the index it was made of.
struct source_facts {
  const run_record* run = nullptr;
  std::uint32_t number = 0; ///< of the run's objects; its probe has that number, too
  const media_info* media = nullptr;
  const packet_index* index = nullptr; ///< nullptr without video
  const stream_info* video = nullptr;
  const stream_info* audio = nullptr;
  bool exact = false; ///< the index's frames are the frames
  picture_size size;  ///< upright, square samples
  source_clock clock;
  bool deinterlace = false;
  bool tonemap = false;
  bool bt709 = false; ///< its colours are made those of an edit's other files
  std::vector<std::string> warnings;
};

/// `run.object` and `run.media` are the source, whichever of an edit's it is.
[[nodiscard]] source_facts examine(const run_record& run, const packet_index* index,
                                   const plan_options& options, std::uint32_t number = 0);

} // namespace framemill
