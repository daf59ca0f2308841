#pragma once

#include "media/plan/cut.hpp"

namespace framemill {

/// What one shard takes from the decoder.
struct decode_wish {
  std::vector<video_output> videos;     ///< named and ranged
  std::vector<picture_output> pictures; ///< named, with the picks of this shard
};

/// One step per stretch of the source that has to be decoded: neighbouring
/// wishes share a decode, far ones are sought. Raw pictures of a later stretch
/// get a name of their own.
[[nodiscard]] std::vector<decode_step> decode_steps(const decode_wish& wish,
                                                    const source_facts& source);

/// Only sprites are wanted, and there is a key frame for each of their
/// pictures: then nothing else is decoded, and picks move to key frames.
[[nodiscard]] bool keys_suffice(const shared_work& work, const source_facts& source);
[[nodiscard]] decode_step key_frame_step(const decode_wish& wish, const source_facts& source);

} // namespace framemill
