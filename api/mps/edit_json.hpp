#pragma once

#include "core/json.hpp"
#include "core/workflow.hpp"

// MPS's EditMedia, and its way into a definition of ours.

namespace framemill::mps {

/// OutputConfig.
struct edit_output_config {
  std::string container = "mp4"; ///< mp4, hls, mov, flv
  edit_type type = edit_type::normal;

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Container", s.container);
    v("Type", s.type);
  }
};

/// The parameters of EditMedia.
struct edit_media {
  std::vector<edit_clip> clips;
  std::optional<framemill::output_storage> output_storage;
  std::string output_object_path;
  edit_output_config output;
  std::optional<notify_config> notify;
  std::int64_t priority = 0;
  std::string session_id;
  std::string session_context;

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("FileInfos", s.clips, required);
    v("OutputStorage", s.output_storage, required);
    v("OutputObjectPath", s.output_object_path, required);
    v("OutputConfig", s.output);
    v.unsupported("ComposeConfig");
    v("TaskNotifyConfig", s.notify);
    v("TasksPriority", s.priority);
    v("SessionId", s.session_id);
    v("SessionContext", s.session_context);
    v.unsupported("ResourceId");
  }
};

/// One transcode of the first file into the output, and what is edited.
[[nodiscard]] result<workflow_spec> to_spec(const edit_media& e);
/// Says where a failure of core's validation is in EditMedia's terms.
[[nodiscard]] error in_edit_terms(error e);

} // namespace framemill::mps
