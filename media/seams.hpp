#pragma once

#include "media/video_decoder.hpp"
#include "media/witness.hpp"

#include <functional>

namespace framemill {

/// A place where two shards meet: the frames shown on both sides, two each in
/// order, and the small pictures that each shard made of the source there.
struct seam {
  std::vector<shown_frame> before, after;
  std::vector<witness> of_before, of_after;
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
/// more than that frame's neighbours. The source itself is not opened again.
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

private:
  std::int64_t output_ticks(std::int64_t pts) const;
  std::int64_t begin_of(const seam& s) const { return output_ticks(s.before.front().pts); }
  result<void> check(const seam& s, const key_place& key, video_decoder& decoder,
                     const std::function<result<video_decoder>()>& open) const;
  result<void> compare(const seam& s, const std::vector<small_frame>& made) const;

  const seam_list& seams_;
  AVRational clock_;
  std::int64_t start_;
  std::string name_;
  std::vector<key_place> keys_; ///< by seam: the last key frame before it
  key_place last_key_;
};

} // namespace framemill
