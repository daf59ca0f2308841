#include "core/mps/task_json.hpp"

#include "core/mps/media_json.hpp"
#include "core/notify.hpp"
#include "core/object_path.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace framemill::mps {

namespace {

// ---- Status of a sub-task ------------------------------------------------------

constexpr std::string_view aborted = "TaskAborted"; // MPS names no code for it

std::int64_t legacy_code(std::string_view ext) {
  if (ext.starts_with("InvalidInput"))
    return 40000;
  return ext.starts_with("SourceFileError") ? 60000 : 70000;
}

error failure_of(const run_record& run, const job_record* job) {
  if (job && job->failure)
    return *job->failure;
  if (run.failure)
    return *run.failure;
  if (run.state == run_state::cancelled || (job && job->state == job_state::cancelled))
    return {errc::cancelled, "the task was aborted", {}};
  return {errc::internal, "the sub-task was not finished", {}};
}

enum class outcome : std::uint8_t { processing, success, fail };

outcome outcome_of(const run_record& run, const job_record* job) {
  if (job && job->state == job_state::succeeded)
    return outcome::success;
  bool failed = job && is_terminal(job->state);
  return failed || is_terminal(run.state) ? outcome::fail : outcome::processing;
}

std::int64_t percent(const task_view& task, std::uint32_t index, outcome o) {
  if (o == outcome::success)
    return 100;
  if (!task.progress || index >= task.progress->jobs.size())
    return 0;
  return std::clamp<std::int64_t>(std::llround(std::floor(task.progress->jobs[index] * 100)), 0,
                                  99);
}

json status_json(const task_view& task, std::uint32_t index, const job_record* job) {
  auto o = outcome_of(task.run, job);
  json out{{"Status", "PROCESSING"}, {"ErrCodeExt", ""}, {"ErrCode", 0}, {"Message", ""}};
  out["Progress"] = percent(task, index, o);
  out["BeginProcessTime"] = job ? to_iso8601(job->started) : "";
  out["FinishTime"] = job ? to_iso8601(job->finished) : "";
  if (o == outcome::success) {
    out["Status"] = "SUCCESS";
    out["Message"] = "SUCCESS";
  } else if (o == outcome::fail) {
    auto e = failure_of(task.run, job);
    auto code = task_error_code(e);
    out.update({{"Status", "FAIL"},
                {"ErrCodeExt", code},
                {"ErrCode", legacy_code(code)},
                {"Message", e.message}});
  }
  return out;
}

// ---- Where things are -------------------------------------------------------------

std::string path_of(std::string_view key) { return "/" + std::string{key}; }

std::string region_of(const run_record& run, const activity& a) {
  for (const auto* s : {&output_storage_of(a), &run.spec.output_storage})
    if (*s && (*s)->cos && !(*s)->cos->region.empty())
      return (*s)->cos->region;
  return run.spec.trigger.region;
}

output_place place_of(const run_record& run, const activity& a) {
  return place_output(a, run.spec.output_storage, run.spec.output_dir, run.object.bucket,
                      run.object.key);
}

json storage_json(const run_record& run, const activity& a) {
  output_storage s{"COS", cos_storage{place_of(run, a).bucket, region_of(run, a)}};
  return to_json_value(s);
}

/// The object path as it will be named, without the extension of the default.
std::string echoed_path(const run_record& run, const activity& a) {
  auto place = place_of(run, a);
  auto source = split_key(run.object.key);
  std::string text = place.path_template;
  if (output_object_path_of(a).empty() && text.ends_with(".{format}"))
    text.resize(text.size() - std::string_view{".{format}"}.size());
  path_variables v;
  v.input_name = source.stem;
  v.input_format = source.extension;
  v.format = "{format}"; // stays: it depends on the template of the day
  v.definition = std::to_string(definition_of(a));
  v.input_dir = run.spec.output_dir;
  v.number = "{number}";
  return path_of(place.directory + render_path(text, v));
}

json input_json(const run_record& run, const activity& a) {
  json out;
  switch (a.kind) {
  case activity_kind::transcode: out = to_json_value(a.transcode); break;
  case activity_kind::animated_graphic: out = to_json_value(a.animated_graphic); break;
  case activity_kind::snapshot_by_time_offset: out = to_json_value(a.snapshot); break;
  case activity_kind::sample_snapshot: out = to_json_value(a.sample_snapshot); break;
  case activity_kind::image_sprite: out = to_json_value(a.image_sprite); break;
  }
  out["OutputStorage"] = storage_json(run, a);
  out["OutputObjectPath"] = echoed_path(run, a);
  return out;
}

// ---- Outputs -------------------------------------------------------------------------

struct output_context {
  const task_view& task;
  const activity& what;
  const job_record& job;
  const template_source& templates;

  [[nodiscard]] json storage() const { return storage_json(task.run, what); }
  [[nodiscard]] std::uint64_t definition() const { return definition_of(what); }
  [[nodiscard]] const template_record* parameters() const {
    return templates.find(family_of(what.kind), definition());
  }
  /// The published file of the first of these roles that there is.
  [[nodiscard]] const published_file*
  file(std::initializer_list<std::string_view> roles) const {
    for (auto role : roles)
      for (const auto& f : job.outputs)
        if (f.role == role)
          return &f;
    return nullptr;
  }
  [[nodiscard]] json paths(std::string_view role) const {
    auto out = json::array();
    for (const auto& f : job.outputs)
      if (f.role == role)
        out.push_back(path_of(f.object.key));
    return out;
  }
  [[nodiscard]] json watermark_definitions() const {
    auto out = json::array();
    for (const auto& w : watermarks_of(what))
      out.push_back(w.definition);
    return out;
  }
};

std::int64_t total_size(const job_record& job) {
  return std::accumulate(job.outputs.begin(), job.outputs.end(), std::int64_t{0},
                         [](std::int64_t n, const published_file& f) { return n + f.size; });
}

json transcode_output(const output_context& c) {
  const auto* main = c.file({"manifest", "media"});
  if (!main)
    return nullptr;
  const media_info media = main->media.value_or(media_info{});
  auto out = to_media_meta_data(media);
  for (auto name : {"Rotate", "VideoDuration", "AudioDuration"})
    out.erase(name);
  out.update({{"OutputStorage", c.storage()},
              {"Path", path_of(main->object.key)},
              {"Definition", c.definition()},
              {"Size", total_size(c.job)},
              {"Md5", main->md5},
              {"CallBackExtInfo", nullptr}});
  return out;
}

json animated_graphic_output(const output_context& c) {
  const auto* file = c.file({"picture", "media"});
  if (!file)
    return nullptr;
  return {{"Storage", c.storage()},
          {"Path", path_of(file->object.key)},
          {"Definition", c.definition()},
          {"Container", split_key(file->object.key).extension},
          {"Height", file->height},
          {"Width", file->width},
          {"Bitrate", file->media ? file->media->bitrate : 0},
          {"Size", file->size},
          {"Md5", file->md5},
          {"StartTimeOffset", c.what.animated_graphic->start_offset},
          {"EndTimeOffset", c.what.animated_graphic->end_offset}};
}

json snapshot_output(const output_context& c) {
  auto pictures = json::array();
  for (const auto& f : c.job.outputs)
    if (f.role == "picture")
      pictures.push_back({{"TimeOffset", f.time},
                          {"Path", path_of(f.object.key)},
                          {"WaterMarkDefinition", c.watermark_definitions()}});
  return {{"Definition", c.definition()}, {"PicInfoSet", pictures}, {"Storage", c.storage()}};
}

json sample_snapshot_output(const output_context& c) {
  const auto* t = c.parameters();
  json out{{"Definition", c.definition()},
           {"SampleType", ""},
           {"Interval", 0},
           {"Storage", c.storage()},
           {"ImagePathSet", c.paths("picture")},
           {"WaterMarkDefinition", c.watermark_definitions()}};
  if (t && t->sample_snapshot) {
    out["SampleType"] = to_string(t->sample_snapshot->sample_type);
    out["Interval"] = t->sample_snapshot->sample_interval;
  }
  return out;
}

/// The sprite step that made the sheets of this job: it knows their grid.
const sprite_step* sprite_of(const output_context& c) {
  for (const auto& item : c.job.items)
    for (const auto& shard : c.task.shards)
      if (shard.id.index == item.shard)
        for (const auto& step : shard.request.steps)
          if (const auto* s = std::get_if<sprite_step>(&step);
              s && item.file.starts_with(s->name))
            return s;
  return nullptr;
}

json image_sprite_output(const output_context& c) {
  const auto* sheet = c.file({"sheet"});
  const auto* vtt = c.file({"vtt"});
  const auto* step = sprite_of(c);
  bool has_grid = sheet && step && step->rows > 0 && step->columns > 0;
  return {{"Definition", c.definition()},
          {"Height", has_grid ? sheet->height / step->rows : 0},
          {"Width", has_grid ? sheet->width / step->columns : 0},
          {"TotalCount", step ? step->times.size() : 0},
          {"ImagePathSet", c.paths("sheet")},
          {"WebVttPath", vtt ? path_of(vtt->object.key) : ""},
          {"Storage", c.storage()}};
}

// ---- One entry per activity --------------------------------------------------------------

struct kind_row {
  activity_kind kind;
  std::string_view type;
  std::string_view member;
  json (*output)(const output_context&);
};

constexpr kind_row kinds[] = {
    {activity_kind::transcode, "Transcode", "TranscodeTask", transcode_output},
    {activity_kind::animated_graphic, "AnimatedGraphics", "AnimatedGraphicTask",
     animated_graphic_output},
    {activity_kind::snapshot_by_time_offset, "SnapshotByTimeOffset", "SnapshotByTimeOffsetTask",
     snapshot_output},
    {activity_kind::sample_snapshot, "SampleSnapshot", "SampleSnapshotTask",
     sample_snapshot_output},
    {activity_kind::image_sprite, "ImageSprites", "ImageSpriteTask", image_sprite_output},
};

const kind_row& row_of(activity_kind kind) {
  return *std::find_if(std::begin(kinds), std::end(kinds),
                       [&](const kind_row& r) { return r.kind == kind; });
}

/// An activity's result under its kind's member, beside the members of the other
/// kinds and of what this server does not do.
json result_members(const task_view& task, std::uint32_t index,
                    const template_source& templates) {
  const auto& a = task.run.spec.activities[index];
  auto found = task.jobs.find(index);
  const auto* job = found == task.jobs.end() ? nullptr : &found->second;
  const auto& row = row_of(a.kind);
  auto body = status_json(task, index, job);
  body["Input"] = input_json(task.run, a);
  body["Output"] = job && job->state == job_state::succeeded
                       ? row.output({task, a, *job, templates})
                       : json(nullptr);
  json out{{"AdaptiveDynamicStreamingTask", nullptr}};
  for (const auto& r : kinds)
    out[std::string{r.member}] = nullptr;
  out[std::string{row.member}] = std::move(body);
  return out;
}

std::string_view type_of(const run_record& run, std::size_t index) {
  return row_of(run.spec.activities[index].kind).type;
}

/// MediaProcessResultSet.
json process_results(const task_view& task, const template_source& templates) {
  json out = json::array();
  for (std::uint32_t i = 0; i < task.run.spec.activities.size(); ++i) {
    out.push_back(result_members(task, i, templates));
    out.back()["Type"] = type_of(task.run, i);
  }
  return out;
}

/// ActivityResultSet.
json activity_results(const task_view& task, const template_source& templates) {
  json out = json::array();
  for (std::uint32_t i = 0; i < task.run.spec.activities.size(); ++i) {
    auto item = result_members(task, i, templates);
    for (auto name : {"RecognitionTask", "ReviewTask", "AnalysisTask", "QualityControlTask",
                      "ExecRuleTask", "SmartSubtitlesTask", "SmartEraseTask"})
      item[name] = nullptr;
    out.push_back({{"ActivityType", type_of(task.run, i)}, {"ActivityResItem", std::move(item)}});
  }
  return out;
}

json input_info(const run_record& run) {
  media_input in{
      "COS", cos_input{run.object.bucket, run.spec.trigger.region, path_of(run.object.key)}};
  return to_json_value(in);
}

/// What every kind of task begins with.
json task_head(const run_record& run) {
  const bool failed = run.failure || run.state == run_state::cancelled;
  const auto why = failed ? failure_of(run, nullptr) : error{};
  return {{"TaskId", task_id_of(run)},
          {"Status", task_status(run.state)},
          {"ErrCode", failed ? legacy_code(task_error_code(why)) : 0},
          {"Message", failed                   ? why.message
                      : is_terminal(run.state) ? "SUCCESS"
                                               : ""}};
}

json edit_output(const task_view& task, const template_source& templates) {
  const auto job = task.jobs.find(0);
  if (job == task.jobs.end())
    return nullptr;
  const output_context c{task, task.run.spec.activities.at(0), job->second, templates};
  const auto* main = c.file({"manifest", "media"});
  if (!main)
    return nullptr;
  return {{"OutputStorage", c.storage()},
          {"Path", path_of(main->object.key)},
          {"MetaData", main->media ? to_media_meta_data(*main->media) : json(nullptr)}};
}

json edit_task(const task_view& task, const template_source& templates) {
  const auto& edit = task.run.spec.edit;
  auto out = task_head(task.run);
  out["Input"] = {{"FileInfoSet", to_json_value(edit ? edit->clips : std::vector<edit_clip>{})}};
  out["Output"] = task.run.state == run_state::succeeded ? edit_output(task, templates)
                                                               : json(nullptr);
  return out;
}

} // namespace

std::string_view task_status(run_state s) {
  if (is_terminal(s))
    return "FINISH";
  return s == run_state::waiting ? "WAITING" : "PROCESSING";
}

std::string task_time(timestamp t) { return t ? to_iso8601(t) : "0000-00-00T00:00:00Z"; }

std::string_view task_error_code(const error& e) {
  std::string_view field = e.field;
  switch (e.code) {
  case errc::cancelled: return aborted;
  case errc::input_no_video: return "SourceFileError.NoVideoMedia";
  case errc::not_found:
    return field.ends_with("Definition") ? "InvalidInput.DefinitionNotExist"
                                         : "SourceFileError";
  case errc::invalid_argument:
    return field.ends_with("TimeOffset") || field.find("TimeOffsetSet") != field.npos
               ? "InvalidInput.InvalidTimeOffset"
               : "InvalidInput";
  default: break;
  }
  switch (class_of(e.code)) {
  case failure_class::input: return "SourceFileError";
  case failure_class::config: return "InvalidInput";
  default: return "InternalError";
  }
}

json to_task_simple_info(const run_record& run) {
  json types = json::array();
  for (std::size_t i = 0; i < run.spec.activities.size(); ++i) {
    json type = type_of(run, i);
    if (std::find(types.begin(), types.end(), type) == types.end())
      types.push_back(type);
  }
  return {{"TaskId", task_id_of(run)},             {"TaskType", to_string(run.spec.kind)},
          {"CreateTime", task_time(run.created)},  {"BeginProcessTime", task_time(run.started)},
          {"FinishTime", task_time(run.finished)}, {"SubTaskTypes", std::move(types)}};
}

json to_task(const task_view& task, const template_source& templates) {
  const auto& run = task.run;
  if (run.spec.kind == task_kind::edit_media)
    return edit_task(task, templates);
  json out = task_head(run);
  out.update({{"InputInfo", input_info(run)},
              {"MetaData", run.media ? to_media_meta_data(*run.media) : json(nullptr)}});
  if (run.spec.kind == task_kind::schedule) {
    out["ActivityResultSet"] = activity_results(task, templates);
    return out;
  }
  out.update({{"MediaProcessResultSet", process_results(task, templates)},
              {"AiContentReviewResultSet", json::array()},
              {"AiAnalysisResultSet", json::array()},
              {"AiRecognitionResultSet", json::array()},
              {"AiQualityControlTaskResult", nullptr},
              {"SmartSubtitlesTaskResult", nullptr},
              {"SmartEraseTaskResult", nullptr}});
  return out;
}

json to_task_detail(const task_view& task, const template_source& templates) {
  const auto& run = task.run;
  const auto type = to_string(run.spec.kind);
  json out{{"TaskType", type},
           {"Status", task_status(run.state)},
           {"CreateTime", to_iso8601(run.created)},
           {"BeginProcessTime", to_iso8601(run.started)},
           {"FinishTime", to_iso8601(run.finished)},
           {"WorkflowTask", nullptr},
           {"EditMediaTask", nullptr},
           {"LiveStreamProcessTask", nullptr},
           {"ExtractBlindWatermarkTask", nullptr},
           {"ScheduleTask", nullptr},
           {"LiveScheduleTask", nullptr},
           {"TaskNotifyConfig", to_json_value(without_secret_key(run.spec.notify))},
           {"TasksPriority", run.priority},
           {"SessionId", run.session_id},
           {"SessionContext", run.session_context},
           {"ExtInfo", ""}};
  out[std::string{type}] = to_task(task, templates); // the member has the type's name
  return out;
}

} // namespace framemill::mps
