#pragma once

#include "media/work.hpp"

// One function and one file per kind of step. Each reads what the step names
// from the source, in/ and out/, and writes to out/; it fails with the error
// that the attempt then has.

namespace framemill::tasks {

[[nodiscard]] result<void> run(const probe_step& step, work& w);
[[nodiscard]] result<void> run(const decode_step& step, work& w);
[[nodiscard]] result<void> run(const audio_step& step, work& w);
[[nodiscard]] result<void> run(const assemble_step& step, work& w);
[[nodiscard]] result<void> run(const remux_step& step, work& w);
[[nodiscard]] result<void> run(const sprite_step& step, work& w);
[[nodiscard]] result<void> run(const animation_step& step, work& w);
[[nodiscard]] result<void> run(const splice_step& step, work& w);

/// libavcodec's names of the encoders that an animation_step can ask for.
[[nodiscard]] std::vector<const char*> animation_encoder_names();

} // namespace framemill::tasks
