#pragma once

#include "media/video_decoder.hpp"
#include "media/witness.hpp"

#include <functional>

namespace framemill {

/// A place where two shards meet: the frames shown on both sides, two each in
/// order, and the small pictures that each shard made of the source there.
struct seam {
  std::int64_t frame = 0; ///< of the output, with which the later shard begins
  std::vector<shown_frame> before, after;
  std::vector<witness> of_before, of_after;
  seam_sides sides = seam_sides::both; ///< that are compared
};

/// A frame of the output, made small.
struct small_frame {
  std::int64_t pts = 0;
  std::string luma;
};

struct seam_list {
  rational time_base{1, 1}; ///< of shown_frame::pts
  std::vector<seam> list;
};

/// Compares the frames around each seam of a finished output with the source's
/// frames, as the *other* shard saw them, which came there from another access
/// point (performance notes 2.3c): each must resemble the frame it stands for
/// more than that frame's neighbours, and more than a plain picture does. The
/// source itself is not opened again. Where shards do not agree on the source's
/// pictures it is errc::input_damaged: the run is planned anew in one piece.
///
/// A start costs the head of one GOP, an end the whole GOP before it: so ends are
/// compared in the smallest of the renditions that are cut alike, and the end of
/// the first shard, whose start is at no seam, in each. That is enough: renditions
/// of a shard are fed by one decode, so what it skips or repeats on its way to the
/// end is in all of them, and seen in the smallest. What can be wrong in a single
/// rendition is the place of its range, which moves its start as well. From a right
/// start on, each shard asserts the planned times, and the file's frames are
/// counted; only a rendition that showed, by itself and amid its shard, another
/// frame at a planned time would pass, and one function chooses frames for all.
class seam_check {
public:
  /// `stream` is the output's video.
  seam_check(const seam_list& seams, AVStream& stream, std::string name);
  /// Is told each key frame of the output in order.
  void pass(const key_place& key);
  /// Then decodes around the seams; `open` gives another decoder of the output,
  /// should seeking not be exact.
  [[nodiscard]] result<void> run(video_decoder& decoder,
                                 const std::function<result<video_decoder>()>& open);
  /// What was measured, seam after seam, frame after frame.
  [[nodiscard]] const std::vector<seam_frame>& frames() const noexcept { return frames_; }

private:
  std::int64_t output_ticks(std::int64_t pts) const;
  std::int64_t begin_of(const seam& s) const;
  result<void> check(const seam& s, const key_place& key, video_decoder& decoder,
                     const std::function<result<video_decoder>()>& open);
  result<void> compare(const seam& s, const std::vector<small_frame>& made);
  result<void> compare_side(const std::vector<shown_frame>& side, seam_frame first,
                            const std::vector<witness>& witnesses,
                            const std::vector<small_frame>& made);

  const seam_list& seams_;
  AVRational clock_;
  std::int64_t start_;
  std::string name_;
  std::vector<key_place> keys_; ///< by seam: the last key frame before it
  key_place last_key_;
  std::vector<seam_frame> frames_;
};

} // namespace framemill
