#pragma once

#include "core/json.hpp"
#include "core/workflow.hpp"

// MPS's flat workflow, and its way into our graph and back.

namespace framemill::mps {

/// MediaProcessTaskInput: six arrays, in MPS's order. Every entry is one
/// activity without successors.
struct media_process_task {
  std::vector<transcode_task> transcode;
  std::vector<animated_graphic_task> animated_graphic;
  std::vector<snapshot_by_time_offset_task> snapshot;
  std::vector<sample_snapshot_task> sample_snapshot;
  std::vector<image_sprite_task> image_sprite;

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("TranscodeTaskSet", s.transcode);
    v("AnimatedGraphicTaskSet", s.animated_graphic);
    v("SnapshotByTimeOffsetTaskSet", s.snapshot);
    v("SampleSnapshotTaskSet", s.sample_snapshot);
    v("ImageSpriteTaskSet", s.image_sprite);
    v.unsupported("AdaptiveDynamicStreamingTaskSet");
  }
};

[[nodiscard]] std::vector<activity> to_activities(media_process_task tasks);
/// The groups back, each in the order of the activities.
[[nodiscard]] media_process_task to_media_process_task(const std::vector<activity>& activities);

struct workflow_trigger {
  std::string type;
  std::optional<trigger> cos;

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Type", s.type, required);
    v("CosFileUploadTrigger", s.cos);
    v.unsupported("AwsS3FileUploadTrigger");
  }
};
[[nodiscard]] result<trigger> to_trigger(workflow_trigger t);
[[nodiscard]] json to_trigger_json(const trigger& t);

/// The parameters of CreateWorkflow, and of ResetWorkflow beside its id.
struct workflow_definition {
  std::string name;
  workflow_trigger trigger;
  std::optional<framemill::output_storage> output_storage;
  std::string output_dir;
  std::optional<media_process_task> media;
  std::optional<notify_config> notify;
  std::int32_t priority = 0;
  run_scheduling scheduling; ///< not of MPS

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("WorkflowName", s.name, required);
    v("Trigger", s.trigger, required);
    v("OutputStorage", s.output_storage);
    v("OutputDir", s.output_dir);
    v("MediaProcessTask", s.media);
    v.unsupported("AiContentReviewTask");
    v.unsupported("AiAnalysisTask");
    v.unsupported("AiRecognitionTask");
    v("TaskNotifyConfig", s.notify);
    v("TaskPriority", s.priority);
    v("Scheduling", s.scheduling);
  }
};

[[nodiscard]] result<workflow_spec> to_spec(workflow_definition d);
/// WorkflowInfo.
[[nodiscard]] json to_workflow_info(const workflow_record& record);

/// The place in a trigger as the caller gave it: `Dir` → `CosFileUploadTrigger.Dir`.
[[nodiscard]] std::string in_trigger_terms(std::string_view field);
/// Says where a failure of core's validation is in the caller's terms:
/// `Activities.1.TranscodeTask.Definition` → `MediaProcessTask.TranscodeTaskSet.1.Definition`.
[[nodiscard]] error in_mps_terms(error e, const std::vector<activity>& activities);

} // namespace framemill::mps
