#pragma once

#include "core/media_message.hpp"
#include "media/plan/frame_grid.hpp"

#include <string>
#include <vector>

namespace framemill::test {

/// A scratch directory with in/ and out/, removed at the end.
class scratch {
public:
  scratch();
  ~scratch();
  scratch(const scratch&) = delete;
  scratch& operator=(const scratch&) = delete;
  [[nodiscard]] std::string path(const std::string& name) const { return root_ + "/" + name; }
  [[nodiscard]] std::string out(const std::string& name) const { return path("out/" + name); }
  /// Makes a result of one attempt an input of the next.
  void hand_on(const std::string& name) const;
  /// Removes in/ and out/.
  void clear() const;

private:
  std::string root_;
};

struct outcome {
  media_result result;
  int watermarks = 0;
  int exit_status = -1; ///< of waitpid
};

/// Runs the request in the real framemill-media.
outcome run_child(const media_request& request, const std::string& source, const scratch& s);
/// The same with the source as the child's fd 3, a file or a socket; taken over.
outcome run_child(const media_request& request, int source_fd, const scratch& s);
/// Runs the request in this process.
media_result run_here(const media_request& request, const std::string& source,
                      const scratch& s);

media_request request_of(const std::string& source, std::vector<media_step> steps,
                         std::vector<std::string> keep);

/// Probe of a source, its index handed on to in/index.
struct probed {
  media_result result;
  packet_index index;
};
probed probe(const std::string& source, const scratch& s);

/// An H.264 output of the whole source: 160×90 ultrafast.
video_output rendition(const packet_index& index, rational fps, int gop);
/// The decode step for output frames [first, last) of `v`, as the planner would
/// ask for it.
decode_step shard(const packet_index& index, video_output v, std::int64_t first,
                  std::int64_t last);
assemble_step joined(std::vector<std::string> parts, std::string audio, std::int64_t frames,
                     double seconds);
/// MessagePack request for a person to run: message of the failure or "".
std::string why(const media_result& r);

} // namespace framemill::test
