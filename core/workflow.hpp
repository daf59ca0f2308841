#pragma once

#include "core/template.hpp"

#include <map>
#include <string>
#include <vector>

namespace framemill {

// ---- Where things are: MPS's storage and input descriptions ----------------

struct cos_storage {
  std::string bucket; ///< empty: that of the input
  std::string region;

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Bucket", s.bucket);
    v("Region", s.region);
  }
  bool operator==(const cos_storage&) const = default;
};

struct output_storage {
  std::string type; ///< COS; AWS-S3 and VOD are not supported
  std::optional<cos_storage> cos;

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Type", s.type, required);
    v("CosOutputStorage", s.cos);
    v.unsupported("S3OutputStorage");
    v.unsupported("VODOutputStorage");
  }
  bool operator==(const output_storage&) const = default;
};

struct cos_input {
  std::string bucket;
  std::string region;
  std::string object; ///< key, with or without a leading '/'

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Bucket", s.bucket, required);
    v("Region", s.region);
    v("Object", s.object, required);
  }
  bool operator==(const cos_input&) const = default;
};

struct media_input {
  std::string type; ///< COS
  std::optional<cos_input> cos;

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Type", s.type, required);
    v("CosInputInfo", s.cos);
    v.unsupported("UrlInputInfo");
    v.unsupported("S3InputInfo");
    v.unsupported("VODInputInfo");
  }
  bool operator==(const media_input&) const = default;
};

/// How {number} is written in an object name.
struct number_format {
  std::int64_t initial_value = 0;
  std::int64_t increment = 1;
  std::int64_t min_length = 1;
  std::string place_holder = "0";

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("InitialValue", s.initial_value);
    v("Increment", s.increment);
    v("MinLength", s.min_length);
    v("PlaceHolder", s.place_holder);
  }
  bool operator==(const number_format&) const = default;
};

// ---- Activities: one struct per kind, as the API gives them -----------------

struct raw_image_watermark {
  media_input image_content;
  std::string width = "10%";
  std::string height = "0px";
  std::string repeat_type = "repeat";

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("ImageContent", s.image_content, required);
    v("Width", s.width);
    v("Height", s.height);
    v("RepeatType", s.repeat_type);
  }
  bool operator==(const raw_image_watermark&) const = default;
};

struct raw_watermark {
  watermark_type type = watermark_type::image;
  framemill::coordinate_origin coordinate_origin = coordinate_origin::top_left;
  std::string x_pos = "0px";
  std::string y_pos = "0px";
  std::optional<raw_image_watermark> image;

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Type", s.type, required);
    v("CoordinateOrigin", s.coordinate_origin);
    v("XPos", s.x_pos);
    v("YPos", s.y_pos);
    v("ImageTemplate", s.image);
  }
  bool operator==(const raw_watermark&) const = default;
};

/// Offsets in seconds: 0 = from the start / to the end, n < 0 = before the end.
struct watermark_input {
  std::uint64_t definition = 0; ///< 0: use raw
  std::optional<raw_watermark> raw;
  std::string text_content;     ///< overrides the template's, ≤ 100 characters
  double start_offset = 0;
  double end_offset = 0;

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Definition", s.definition, required);
    v("RawParameter", s.raw);
    v("TextContent", s.text_content);
    v.unsupported("SvgContent");
    v("StartTimeOffset", s.start_offset);
    v("EndTimeOffset", s.end_offset);
  }
  bool operator==(const watermark_input&) const = default;
};

struct transcode_task {
  std::uint64_t definition = 0; ///< 0: use raw
  std::optional<transcode_template> raw;
  std::optional<transcode_template> override_parameter;
  std::vector<watermark_input> watermarks;
  double start_offset = 0; ///< seconds; n < 0 counts from the end
  double end_offset = 0;
  std::optional<framemill::output_storage> output_storage;
  std::string output_object_path;
  std::string segment_object_name;
  std::optional<number_format> numbers;

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Definition", s.definition, required);
    v("RawParameter", s.raw);
    v("OverrideParameter", s.override_parameter);
    v("WatermarkSet", s.watermarks);
    v.unsupported("BlindWatermark");
    v.unsupported("MosaicSet");
    v("StartTimeOffset", s.start_offset);
    v("EndTimeOffset", s.end_offset);
    v("OutputStorage", s.output_storage);
    v("OutputObjectPath", s.output_object_path);
    v("SegmentObjectName", s.segment_object_name);
    v("ObjectNumberFormat", s.numbers);
    v.unsupported("HeadTailParameter");
  }
  bool operator==(const transcode_task&) const = default;
};

struct animated_graphic_task {
  std::uint64_t definition = 0;
  double start_offset = 0; ///< seconds
  double end_offset = 0;   ///< both 0: the whole source
  std::optional<framemill::output_storage> output_storage;
  std::string output_object_path;

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Definition", s.definition, required);
    v("StartTimeOffset", s.start_offset, required);
    v("EndTimeOffset", s.end_offset, required);
    v("OutputStorage", s.output_storage);
    v("OutputObjectPath", s.output_object_path);
    v.unsupported("ExtInfo");
  }
  bool operator==(const animated_graphic_task&) const = default;
};

struct snapshot_by_time_offset_task {
  std::uint64_t definition = 0;
  std::vector<std::string> ext_time_offsets; ///< `3.5s`, `10%`
  std::vector<double> time_offsets;          ///< seconds (deprecated by MPS)
  std::vector<watermark_input> watermarks;
  std::optional<framemill::output_storage> output_storage;
  std::string output_object_path;
  std::optional<number_format> numbers;

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Definition", s.definition, required);
    v("ExtTimeOffsetSet", s.ext_time_offsets);
    v("TimeOffsetSet", s.time_offsets);
    v("WatermarkSet", s.watermarks);
    v("OutputStorage", s.output_storage);
    v("OutputObjectPath", s.output_object_path);
    v("ObjectNumberFormat", s.numbers);
    v.unsupported("ExtInfo");
  }
  bool operator==(const snapshot_by_time_offset_task&) const = default;
};

struct sample_snapshot_task {
  std::uint64_t definition = 0;
  std::vector<watermark_input> watermarks;
  std::optional<framemill::output_storage> output_storage;
  std::string output_object_path;
  std::optional<number_format> numbers;

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Definition", s.definition, required);
    v("WatermarkSet", s.watermarks);
    v("OutputStorage", s.output_storage);
    v("OutputObjectPath", s.output_object_path);
    v("ObjectNumberFormat", s.numbers);
    v.unsupported("ExtInfo");
  }
  bool operator==(const sample_snapshot_task&) const = default;
};

struct image_sprite_task {
  std::uint64_t definition = 0;
  std::optional<framemill::output_storage> output_storage;
  std::string output_object_path;
  std::string web_vtt_object_name;
  std::optional<number_format> numbers;

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Definition", s.definition, required);
    v("OutputStorage", s.output_storage);
    v("OutputObjectPath", s.output_object_path);
    v("WebVttObjectName", s.web_vtt_object_name);
    v("ObjectNumberFormat", s.numbers);
    v.unsupported("ExtInfo");
  }
  bool operator==(const image_sprite_task&) const = default;
};

enum class activity_kind : std::uint8_t {
  transcode, animated_graphic, snapshot_by_time_offset, sample_snapshot, image_sprite,
};

/// One vertex: exactly the member that `kind` names is set. `successors` are
/// indexes into the workflow's activities; their input is this one's output.
struct activity {
  activity_kind kind = activity_kind::transcode;
  std::optional<transcode_task> transcode;
  std::optional<animated_graphic_task> animated_graphic;
  std::optional<snapshot_by_time_offset_task> snapshot;
  std::optional<sample_snapshot_task> sample_snapshot;
  std::optional<image_sprite_task> image_sprite;
  std::vector<std::uint32_t> successors;

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Kind", s.kind);
    v("TranscodeTask", s.transcode);
    v("AnimatedGraphicTask", s.animated_graphic);
    v("SnapshotByTimeOffsetTask", s.snapshot);
    v("SampleSnapshotTask", s.sample_snapshot);
    v("ImageSpriteTask", s.image_sprite);
    v("Successors", s.successors);
  }
  bool operator==(const activity&) const = default;
};

/// The parts that every kind of activity has, wherever the kind keeps them.
[[nodiscard]] std::uint64_t definition_of(const activity& a);
[[nodiscard]] const std::optional<output_storage>& output_storage_of(const activity& a);
[[nodiscard]] const std::string& output_object_path_of(const activity& a);
[[nodiscard]] number_format numbers_of(const activity& a);
[[nodiscard]] const std::vector<watermark_input>& watermarks_of(const activity& a);
[[nodiscard]] template_family family_of(activity_kind k);

// ---- The workflow ------------------------------------------------------------

struct trigger {
  std::string bucket;
  std::string region;
  std::string dir = "/"; ///< begins and ends with '/'; "/" = the whole bucket
  /// Extensions without a dot; absent = MPS's default set; {"*"} = any.
  std::optional<std::vector<std::string>> formats;

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Bucket", s.bucket, required);
    v("Region", s.region);
    v("Dir", s.dir);
    v("Formats", s.formats);
  }
  bool operator==(const trigger&) const = default;
};

/// Does the trigger take this key? `key` has no leading '/'.
[[nodiscard]] bool matches(const trigger& t, std::string_view key);

/// A queue of Amazon's, or of who speaks its protocol.
struct aws_sqs {
  std::string region;
  std::string queue_name;
  std::string secret_id;
  std::string secret_key;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("SQSRegion", s.region, required);
    v("SQSQueueName", s.queue_name, required);
    v("S3SecretId", s.secret_id);
    v("S3SecretKey", s.secret_key);
  }
  bool operator==(const aws_sqs&) const = default;
};

struct notify_config {
  std::string notify_type;
  std::string notify_mode = "Finish";
  std::string notify_url;
  std::string notify_key;
  std::string cmq_model;
  std::string cmq_region;
  std::string queue_name;
  std::string topic_name;
  std::optional<framemill::aws_sqs> aws_sqs;

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("NotifyType", s.notify_type);
    v("NotifyMode", s.notify_mode);
    v("NotifyUrl", s.notify_url);
    v("NotifyKey", s.notify_key);
    v("CmqModel", s.cmq_model);
    v("CmqRegion", s.cmq_region);
    v("QueueName", s.queue_name);
    v("TopicName", s.topic_name);
    v("AwsSQS", s.aws_sqs);
  }
  bool operator==(const notify_config&) const = default;
};

/// Which nodes a workflow's runs may use, and what share of them. MPS has none
/// of it.
struct run_scheduling {
  std::map<std::string, std::string> required_labels;  ///< a node must have them all
  std::map<std::string, std::string> preferred_labels; ///< nodes that have them all go
                                                       ///< first, but none is left idle
  std::string device; ///< a node must have it; who works on pictures holds one session
  double weight = 1;  ///< twice the weight, twice the share

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("RequiredLabels", s.required_labels);
    v("PreferredLabels", s.preferred_labels);
    v("Device", s.device);
    v("Weight", s.weight);
  }
  bool operator==(const run_scheduling&) const = default;
};

/// Which of MPS's faces a definition has, and what the tasks and events of its runs
/// are called: groups of tasks (a workflow, ProcessMedia), a graph of activities (a
/// scheme; the API says Schedule), or an edit (EditMedia).
enum class task_kind : std::uint8_t { workflow, schedule, edit_media };

/// A file of an edit, and what is taken of it: seconds, 0 = from the start / to the end,
/// n < 0 = before the end.
struct edit_clip {
  media_input input;
  double start_offset = 0;
  double end_offset = 0;
  std::string id; ///< the caller's name for it

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("InputInfo", s.input, required);
    v("StartTimeOffset", s.start_offset);
    v("EndTimeOffset", s.end_offset);
    v("Id", s.id);
  }
  bool operator==(const edit_clip&) const = default;
};

/// normal: encoded, and cut to the picture; fast: one file's packets, copied from the
/// key frame before.
enum class edit_type : std::uint8_t { normal, fast };

/// What EditMedia makes: its clips one after the other. The one activity beside it, a
/// transcode of the first clip, says what is made of all.
struct edit_spec {
  std::vector<edit_clip> clips;
  edit_type type = edit_type::normal;

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("FileInfos", s.clips);
    v("Type", s.type);
  }
  bool operator==(const edit_spec&) const = default;
};

/// What a user gives to create or replace a workflow or a scheme.
struct workflow_spec {
  std::string name;
  framemill::trigger trigger;
  std::optional<framemill::output_storage> output_storage; ///< default: the trigger's bucket
  std::string output_dir; ///< ends in '/'; "" = the triggering object's directory
  std::vector<activity> activities;
  std::optional<notify_config> notify;
  std::int32_t priority = 0; ///< −10..10, higher first
  run_scheduling scheduling;
  task_kind kind = task_kind::workflow;
  std::optional<edit_spec> edit; ///< of kind edit_media

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Name", s.name);
    v("Trigger", s.trigger);
    v("OutputStorage", s.output_storage);
    v("OutputDir", s.output_dir);
    v("Activities", s.activities);
    v("TaskNotifyConfig", s.notify);
    v("Priority", s.priority);
    v("Scheduling", s.scheduling);
    v("Kind", s.kind);
    v("Edit", s.edit);
  }
  bool operator==(const workflow_spec&) const = default;
};

/// Parts of a definition to be replaced; what is absent stays. A `notify` that says
/// nothing takes it away.
struct workflow_change {
  std::optional<std::string> name;
  std::optional<framemill::trigger> trigger;
  std::optional<framemill::output_storage> output_storage;
  std::optional<std::string> output_dir;
  std::optional<std::vector<activity>> activities;
  std::optional<notify_config> notify;
  std::optional<std::int32_t> priority;
};
[[nodiscard]] workflow_spec changed(workflow_spec spec, workflow_change change);

/// A definition as one face knows it: a scheme is not found where a workflow is meant.
struct definition_ref {
  workflow_id id;
  task_kind kind = task_kind::workflow;
};

struct workflow_record {
  workflow_id id;
  std::uint32_t revision = 1; ///< +1 at every reset
  bool enabled = false;
  timestamp created;
  timestamp updated;
  workflow_spec spec;

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Id", s.id);
    v("Revision", s.revision);
    v("Enabled", s.enabled);
    v("CreateTime", s.created);
    v("UpdateTime", s.updated);
    v("Spec", s.spec);
  }
  bool operator==(const workflow_record&) const = default;
};

/// Finds the parameter set of a Definition; nullptr when there is none.
class template_source {
public:
  virtual ~template_source() = default;
  [[nodiscard]] virtual const template_record* find(template_family family,
                                                    std::uint64_t definition) const = 0;
};

/// A time of a snapshot: `3.5s`, or `10%` of the source's duration.
struct time_offset {
  double value = 0; ///< seconds or percent, not negative
  bool percent = false;
};
[[nodiscard]] result<time_offset> parse_time_offset(std::string_view text);

/// Everything that is wrong with a specification, first problem first: name
/// alphabet and length, directories, graph (known indexes, acyclic), each
/// activity's parameters, Definitions that exist, path templates, clashing
/// outputs. The field names the place in API terms.
[[nodiscard]] result<void> validate(const workflow_spec& spec,
                                    const template_source& templates);
/// All of it but name and trigger: a call that brings its own activities
/// (ProcessMedia).
[[nodiscard]] result<void> validate_call(const workflow_spec& spec,
                                         const template_source& templates);
/// Where its results and its news go, and how it is scheduled: all but the activities,
/// whose templates may have gone since they were validated.
[[nodiscard]] result<void> validate_terms(const workflow_spec& spec);
/// The activities alone.
[[nodiscard]] result<void> validate_activities(const std::vector<activity>& activities,
                                               const template_source& templates);

/// The effective parameters of a transcode: raw, or the template with the
/// override merged in.
[[nodiscard]] result<transcode_template> resolve(const transcode_task& t,
                                                 const template_source& templates);

} // namespace framemill

FM_ENUM_NAMES(framemill::task_kind, "WorkflowTask", "ScheduleTask", "EditMediaTask")
FM_ENUM_NAMES(framemill::edit_type, "normal", "fast")
FM_ENUM_NAMES(framemill::activity_kind, "Transcode", "AnimatedGraphics", "SnapshotByTimeOffset",
              "SampleSnapshot", "ImageSprites")
