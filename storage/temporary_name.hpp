#pragma once

#include <string>
#include <string_view>

namespace framemill {

/// A file name nobody has used: `.framemill-tmp-<pid>-<host><boot>-<start>-<n>`.
/// It does not grow with the final name, so it fits beside one of 255 bytes.
[[nodiscard]] std::string next_temporary_name();

/// One of ours, of this host, whose process is gone: it died, or the host was
/// booted since. Names of other hosts and of living processes never are, for a
/// bucket may be mounted on many nodes.
[[nodiscard]] bool is_abandoned_temporary(std::string_view file_name);

} // namespace framemill
