#pragma once

#include <string>
#include <vector>

namespace framemill {

/// What decides on the bytes of an encoded shard, beside its request: versions of
/// libav* and x264, and the settings that are the same for every output. Shards of
/// one output come from machines of one fingerprint. The CPU is not in it: x264 is
/// told to make the same stream on all (performance notes R7).
[[nodiscard]] std::string fingerprint();

/// Features that libav* uses of this CPU: "sse2+ssse3+avx2". For people, and to
/// know of which files the bytes may differ for it (scaled or toned by filters
/// that have code of their own for a CPU).
[[nodiscard]] std::string cpu_features();

/// Encoders, by libavcodec's names, that outputs can be made with here: of those
/// that the executor knows how to use, the ones that this libavcodec has.
[[nodiscard]] std::vector<std::string> encoders();

} // namespace framemill
