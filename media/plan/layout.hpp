#pragma once

#include "media/plan/cost.hpp"
#include "media/plan/decode.hpp"

namespace framemill {

/// Makes the shards of a run, or of one source of an edit: audio first (it is serial,
/// so it must not come last), then the decode shards in order of time, then a join per
/// output; or all of it in one `whole` shard, when the source is not cut. `first` is the
/// index of the first of them.
class shard_layout {
public:
  shard_layout(const source_facts& source, const shared_work& work, const source_cut& cut,
               const std::map<std::string, std::string>& assets, const plan_options& options,
               std::uint32_t first = 1);

  /// Gives each item of the drafts the shard that makes its file.
  [[nodiscard]] std::vector<shard_record> lay_out(std::vector<job_draft>& drafts);

private:
  shard_record& add(shard_role role);
  void add_audio(shard_record& shard);
  void add_decode(shard_record& shard, std::size_t piece);
  void add_finish(shard_record& shard, job_draft& d);
  void lay_whole(std::vector<job_draft>& drafts);
  void lay_pieces(std::vector<job_draft>& drafts);
  void place_pictures(std::vector<job_draft>& drafts) const;
  void keep_artifacts(shard_record& shard);
  void seal(shard_record& shard);
  decode_wish wish_of(std::uint32_t shard, std::size_t piece) const;
  std::vector<picture_output> pictures_of(std::uint32_t shard, std::size_t piece) const;
  void note_files(const decode_step& step, std::uint32_t shard);
  std::string audio_of(std::uint32_t job) const;
  std::vector<std::string> videos_of(std::uint32_t job) const;
  bool are_cut_alike(std::size_t a, std::size_t b) const;
  seam_sides seams_of(std::uint32_t job) const;

  const source_facts& source_;
  const shared_work& work_;
  const source_cut& cut_;
  const std::map<std::string, std::string>& assets_;
  const plan_options& options_;
  const std::uint32_t first_;
  std::vector<std::vector<frame_range>> ranges_;                ///< by rendition, then piece
  std::vector<std::vector<std::string>> video_files_;           ///< by rendition, in order
  std::map<std::uint32_t, std::vector<std::string>> raw_files_; ///< by job, in order
  file_sizes file_sizes_;                                       ///< predicted
  std::map<std::string, std::uint32_t> maker_;                  ///< of each file, the shard
  std::vector<shard_record> shards_;
};

} // namespace framemill
