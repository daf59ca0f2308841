#pragma once

#include "media/plan/draft.hpp"

namespace framemill {

struct shared_video {
  rendition what;
  std::vector<std::uint32_t> jobs;
};
struct shared_audio {
  audio_output what;
  std::vector<std::uint32_t> jobs;
};
struct job_pictures {
  picture_output what;
  std::uint32_t job = 0;
  double sprite_interval = 0;
};

/// Everything to be made of the source, each thing once.
struct shared_work {
  std::vector<shared_video> videos;
  std::vector<shared_audio> audios;
  std::vector<job_pictures> pictures;
  bool copies_beside_encoding = false; ///< a remux takes an encoded video
};

/// Equal renditions and equal sounds of several jobs become one.
[[nodiscard]] shared_work share(const std::vector<job_draft>& drafts);

/// Where the source is cut: shard i has the ticks [ticks[i−1], ticks[i]).
struct source_cut {
  std::vector<std::int64_t> ticks; ///< ascending; empty: one piece
  std::string reason;              ///< why it is one piece
};
[[nodiscard]] source_cut cut_source(const shared_work& work, const source_facts& source,
                                    const plan_options& options);

/// The output frame with which a shard that begins at `ticks` begins: a key
/// frame of the rendition's grid, or its end.
[[nodiscard]] std::int64_t frame_at(const rendition& r, std::int64_t ticks,
                                    const packet_index& index);

/// Output frames [first, last) of each shard; they tile [0, frames).
struct frame_range {
  std::int64_t first = 0;
  std::int64_t last = 0;
  bool operator==(const frame_range&) const = default;
};
[[nodiscard]] std::vector<frame_range> frame_ranges(const rendition& r, const source_cut& cut,
                                                    const packet_index& index);

/// Presentation ordinal of the frame shown at `ticks`.
[[nodiscard]] std::int64_t shown_at(std::int64_t ticks, const packet_index& index);
/// The last access point at or before the frame; nullptr when there is none.
[[nodiscard]] const access_point* access_before(std::int64_t ordinal,
                                                const packet_index& index);

} // namespace framemill
