#pragma once

#include "media/plan/source.hpp"

namespace framemill {

/// One encoded video that a job wants, over its whole length.
struct rendition {
  video_output output;      ///< name and range are left to the cut
  std::int64_t frames = -1; ///< −1 = unknown
  std::int64_t unit = 0;    ///< frames; a shard may begin at any multiple,
  double unit_seconds = 0;  ///< or seconds, when the grid has no rate
};

/// What one activity wants of this source, before anything is shared or cut.
struct job_draft {
  std::uint32_t index = 0;
  std::optional<rendition> video;
  std::optional<audio_output> audio;
  std::optional<picture_output> pictures;
  double sprite_interval = 0;       ///< seconds between a sprite's pictures; else 0
  std::optional<media_step> finish; ///< packet and picture files not yet named
  std::vector<publish_item> items;  ///< without `finish`: one per pick, by ordinal
  number_format numbers;
  std::vector<std::string> warnings;
  std::optional<error> failure; ///< the rest is void then
};

struct draft_context {
  const source_facts& source;
  const template_source& templates;
  const std::map<std::string, std::string>& assets;
  const plan_options& options;
};

/// Drafts of all activities. A key that an earlier activity or the source
/// itself has makes the later one fail.
[[nodiscard]] std::vector<job_draft> draft_jobs(const draft_context& context);

/// Sets the plan's cost and scratch from its shards'.
void add_up(physical_plan& plan);
[[nodiscard]] job_record to_record(job_draft&& d, const run_record& run);

// One function per kind of activity (draft_transcode.cpp, draft_pictures.cpp).
[[nodiscard]] result<void> draft_transcode(job_draft& d, const activity& a,
                                           const draft_context& context);
[[nodiscard]] result<void> draft_animation(job_draft& d, const activity& a,
                                           const draft_context& context);
[[nodiscard]] result<void> draft_snapshot(job_draft& d, const activity& a,
                                          const draft_context& context);
[[nodiscard]] result<void> draft_sample(job_draft& d, const activity& a,
                                        const draft_context& context);
[[nodiscard]] result<void> draft_sprite(job_draft& d, const activity& a,
                                        const draft_context& context);

} // namespace framemill
