#pragma once

#include "api/mps/workflow_json.hpp"

// MPS's scheme: an array that is a graph of activities, and its way into ours and back.

namespace framemill::mps {

/// ActivityPara: the member of the node's type is set, and no other.
struct activity_parameters {
  std::optional<transcode_task> transcode;
  std::optional<animated_graphic_task> animated_graphic;
  std::optional<snapshot_by_time_offset_task> snapshot;
  std::optional<sample_snapshot_task> sample_snapshot;
  std::optional<image_sprite_task> image_sprite;

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("TranscodeTask", s.transcode);
    v("AnimatedGraphicTask", s.animated_graphic);
    v("SnapshotByTimeOffsetTask", s.snapshot);
    v("SampleSnapshotTask", s.sample_snapshot);
    v("ImageSpriteTask", s.image_sprite);
    v.unsupported("AdaptiveDynamicStreamingTask");
    v.unsupported("AiContentReviewTask");
    v.unsupported("AiAnalysisTask");
    v.unsupported("AiRecognitionTask");
    v.unsupported("QualityControlTask");
    v.unsupported("ExecRulesTask");
    v.unsupported("SmartSubtitlesTask");
    v.unsupported("SmartEraseTask");
  }
  bool operator==(const activity_parameters&) const = default;
};

/// One entry of Activities; its index is its name.
struct graph_node {
  std::string type;                      ///< input, output, action-trans, …
  std::vector<std::int64_t> predecessors; ///< what a caller gives is not looked at: they
                                          ///< follow from the successors
  std::vector<std::int64_t> successors;
  std::optional<activity_parameters> parameters;

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("ActivityType", s.type, required);
    v("PredriveIndex", s.predecessors);
    v("ReardriveIndex", s.successors);
    v("ActivityPara", s.parameters);
  }
};

/// The graph without its `input` and `output` nodes: node i is activity i − 1. Refuses,
/// with the index, what has not one input at the front and one output at the back, or an
/// action that is not between them.
[[nodiscard]] result<std::vector<activity>> to_activities(const std::vector<graph_node>& nodes);
[[nodiscard]] std::vector<graph_node> to_graph(const std::vector<activity>& activities);

/// The parameters of CreateSchedule, and with what may be left out those of
/// ModifySchedule beside its id.
struct schedule_definition {
  std::optional<std::string> name;
  std::optional<workflow_trigger> trigger;
  std::optional<std::vector<graph_node>> activities;
  std::optional<framemill::output_storage> output_storage;
  std::optional<std::string> output_dir;
  std::optional<notify_config> notify;

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("ScheduleName", s.name);
    v("Trigger", s.trigger);
    v("Activities", s.activities);
    v("OutputStorage", s.output_storage);
    v("OutputDir", s.output_dir);
    v("TaskNotifyConfig", s.notify);
    v.unsupported("ResourceId");
  }
};

[[nodiscard]] result<workflow_change> to_change(schedule_definition d);
/// SchedulesInfo.
[[nodiscard]] json to_schedules_info(const workflow_record& record);

/// As in_mps_terms, for a scheme: `Activities.1.TranscodeTask.Definition` →
/// `Activities.2.ActivityPara.TranscodeTask.Definition`.
[[nodiscard]] error in_schedule_terms(error e);

} // namespace framemill::mps
