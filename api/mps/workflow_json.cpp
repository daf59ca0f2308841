#include "api/mps/workflow_json.hpp"

#include "core/notify.hpp"

#include <charconv>

namespace framemill::mps {

namespace {

template <class Task>
void append(std::vector<activity>& out, activity_kind kind,
            std::optional<Task> activity::*member, std::vector<Task>&& tasks) {
  for (auto& task : tasks) {
    activity a;
    a.kind = kind;
    a.*member = std::move(task);
    out.push_back(std::move(a));
  }
}

template <class Task>
void collect(const activity& a, std::optional<Task> activity::*member, std::vector<Task>& to) {
  if (a.*member)
    to.push_back(*(a.*member));
}

std::string_view group_of(activity_kind kind) {
  switch (kind) {
  case activity_kind::transcode: return "TranscodeTaskSet";
  case activity_kind::animated_graphic: return "AnimatedGraphicTaskSet";
  case activity_kind::snapshot_by_time_offset: return "SnapshotByTimeOffsetTaskSet";
  case activity_kind::sample_snapshot: return "SampleSnapshotTaskSet";
  case activity_kind::image_sprite: return "ImageSpriteTaskSet";
  }
  return "";
}

/// Takes `text` up to the next '.', and leaves the rest.
std::string_view next_part(std::string_view& text) {
  auto dot = text.find('.');
  auto part = text.substr(0, dot);
  text = dot == std::string_view::npos ? std::string_view{} : text.substr(dot + 1);
  return part;
}

std::string activity_path(std::string_view rest, const std::vector<activity>& activities) {
  auto number = next_part(rest);
  std::size_t index = 0;
  auto [end, ec] = std::from_chars(number.data(), number.data() + number.size(), index);
  if (ec != std::errc{} || end != number.data() + number.size() || index >= activities.size())
    return "MediaProcessTask";
  auto kind = activities[index].kind;
  std::size_t place = 0; // within its group
  for (std::size_t i = 0; i < index; ++i)
    place += activities[i].kind == kind;
  auto after = rest;
  if (next_part(after).ends_with("Task")) // the member that holds the kind's parameters
    rest = after;
  return fmt::format("MediaProcessTask.{}.{}{}{}", group_of(kind), place,
                     rest.empty() ? "" : ".", rest);
}

} // namespace

std::vector<activity> to_activities(media_process_task tasks) {
  using enum activity_kind;
  std::vector<activity> out;
  append(out, transcode, &activity::transcode, std::move(tasks.transcode));
  append(out, animated_graphic, &activity::animated_graphic, std::move(tasks.animated_graphic));
  append(out, snapshot_by_time_offset, &activity::snapshot, std::move(tasks.snapshot));
  append(out, sample_snapshot, &activity::sample_snapshot, std::move(tasks.sample_snapshot));
  append(out, image_sprite, &activity::image_sprite, std::move(tasks.image_sprite));
  return out;
}

media_process_task to_media_process_task(const std::vector<activity>& activities) {
  media_process_task out;
  for (const auto& a : activities) {
    collect(a, &activity::transcode, out.transcode);
    collect(a, &activity::animated_graphic, out.animated_graphic);
    collect(a, &activity::snapshot, out.snapshot);
    collect(a, &activity::sample_snapshot, out.sample_snapshot);
    collect(a, &activity::image_sprite, out.image_sprite);
  }
  return out;
}

result<trigger> to_trigger(workflow_trigger t) {
  if (t.type == "AwsS3FileUpload")
    return fail_field(errc::unsupported, "Trigger.Type",
                      "AwsS3FileUpload is not supported by this server");
  if (t.type != "CosFileUpload")
    return fail_field(errc::invalid_argument, "Trigger.Type",
                      "`{}` is not one of: CosFileUpload", t.type);
  if (!t.cos)
    return fail_field(errc::missing_argument, "Trigger.CosFileUploadTrigger",
                      "the request is missing a required parameter "
                      "`Trigger.CosFileUploadTrigger`");
  return std::move(*t.cos);
}

json to_trigger_json(const trigger& t) {
  return {{"Type", "CosFileUpload"},
          {"CosFileUploadTrigger", to_json_value(t)},
          {"AwsS3FileUploadTrigger", nullptr}};
}

std::string in_trigger_terms(std::string_view field) {
  const bool is_ours = !field.empty() && !field.starts_with("Cos") && field != "Type";
  return fmt::format("Trigger{}{}{}", field.empty() ? "" : ".",
                     is_ours ? "CosFileUploadTrigger." : "", field);
}

result<workflow_spec> to_spec(workflow_definition d) {
  workflow_spec spec;
  FM_TRY(spec.trigger, to_trigger(std::move(d.trigger)));
  spec.name = std::move(d.name);
  spec.output_storage = std::move(d.output_storage);
  spec.output_dir = std::move(d.output_dir);
  if (d.media)
    spec.activities = to_activities(std::move(*d.media));
  spec.notify = std::move(d.notify);
  spec.priority = d.priority;
  spec.scheduling = std::move(d.scheduling);
  return spec;
}

json to_workflow_info(const workflow_record& record) {
  const auto& spec = record.spec;
  return {{"WorkflowId", record.id.value},
          {"WorkflowName", spec.name},
          {"Status", record.enabled ? "Enabled" : "Disabled"},
          {"Trigger", to_trigger_json(spec.trigger)},
          {"OutputStorage", to_json_value(spec.output_storage)},
          {"OutputDir", spec.output_dir},
          {"MediaProcessTask", to_json_value(to_media_process_task(spec.activities))},
          {"AiContentReviewTask", nullptr},
          {"AiAnalysisTask", nullptr},
          {"AiRecognitionTask", nullptr},
          {"TaskNotifyConfig", to_json_value(without_secret_key(spec.notify))},
          {"TaskPriority", spec.priority},
          {"Scheduling", to_json_value(spec.scheduling)},
          {"CreateTime", to_iso8601(record.created)},
          {"UpdateTime", to_iso8601(record.updated)}};
}

error in_mps_terms(error e, const std::vector<activity>& activities) {
  std::string_view rest = e.field;
  auto head = next_part(rest);
  if (head == "Activities")
    e.field = rest.empty() ? "MediaProcessTask" : activity_path(rest, activities);
  else if (head == "Name")
    e.field = "WorkflowName";
  else if (head == "Priority")
    e.field = "TaskPriority";
  else if (head == "Trigger")
    e.field = in_trigger_terms(rest);
  return e;
}

} // namespace framemill::mps
