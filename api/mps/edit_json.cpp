#include "api/mps/edit_json.hpp"

#include <fmt/ranges.h>

#include <algorithm>

namespace framemill::mps {

namespace {

constexpr std::string_view containers[] = {"mp4", "hls", "mov", "flv"};

transcode_template template_of(const edit_output_config& o) {
  transcode_template t;
  t.container = o.container;
  t.video.emplace();
  t.audio.emplace();
  const bool copies = o.type == edit_type::fast;
  t.video->codec = copies ? "copy" : "h264";
  t.audio->codec = copies ? "copy" : "aac";
  return t;
}

/// Named after the manifest: one file may be edited into several. A path that does not end
/// as it must is refused later.
std::string segments_beside(std::string_view path) {
  constexpr std::string_view end = ".{format}";
  auto name = path.substr(path.rfind('/') + 1);
  if (name.ends_with(end))
    name.remove_suffix(end.size());
  return fmt::format("{}_{{number}}{}", name, end);
}

} // namespace

result<workflow_spec> to_spec(const edit_media& e) {
  if (std::ranges::find(containers, e.output.container) == std::end(containers))
    return fail_field(errc::unsupported, "OutputConfig.Container",
                      "`{}` is not supported by this server; supported are: {}",
                      e.output.container, fmt::join(containers, ", "));
  if (e.output_object_path.empty())
    return fail_field(errc::missing_argument, "OutputObjectPath",
                      "the request is missing a required parameter `OutputObjectPath`");
  transcode_task task;
  if (e.output.container == "hls")
    task.segment_object_name = segments_beside(e.output_object_path);
  task.raw = template_of(e.output);
  task.output_storage = e.output_storage;
  task.output_object_path = e.output_object_path;
  activity a;
  a.transcode = std::move(task);
  workflow_spec out;
  out.kind = task_kind::edit_media;
  out.activities = {std::move(a)};
  out.edit = edit_spec{e.clips, e.output.type};
  out.notify = e.notify;
  out.priority = static_cast<std::int32_t>(e.priority);
  return out;
}

error in_edit_terms(error e) {
  constexpr std::string_view task = "Activities.0.TranscodeTask.";
  if (e.field == "Priority")
    e.field = "TasksPriority";
  else if (e.field == "Bucket" || e.field == "Object")
    e.field = "FileInfos.0.InputInfo";
  else if (e.field.starts_with(task))
    e.field.erase(0, task.size());
  return e;
}

} // namespace framemill::mps
