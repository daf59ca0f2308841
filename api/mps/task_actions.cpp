#include "api/action.hpp"
#include "api/mps/edit_json.hpp"
#include "api/mps/schedule_json.hpp"
#include "api/mps/workflow_json.hpp"
#include "core/limits.hpp"
#include "core/mps/media_json.hpp"
#include "core/mps/task_json.hpp"
#include "core/object_path.hpp"
#include "core/utf8.hpp"
#include "storage/run_books.hpp"

namespace framemill {

namespace {

using namespace mps;
using namespace std::chrono_literals;

constexpr std::size_t session_id_chars_max = 50;
constexpr std::size_t session_context_chars_max = 1000;
constexpr auto listed_for = 7 * 24h; // as MPS: DescribeTasks shows the last 7 days

// ---- ProcessMedia -----------------------------------------------------------------

constexpr code_rule process_rules[] = {
    {errc::conflict, "", "InvalidParameterValue.SessionId"},
    {errc::missing_argument, "MediaProcessTask", "InvalidParameter"},
    {errc::not_found, "ScheduleId", "ResourceNotFound.TemplateNotExist"},
};

struct process_media {
  media_input input;
  std::optional<framemill::output_storage> output_storage;
  std::optional<std::string> output_dir;
  workflow_id schedule; ///< 0: none
  std::optional<media_process_task> media;
  std::optional<std::vector<graph_node>> activities; ///< rather than `schedule`
  std::optional<notify_config> notify;
  std::int64_t priority = 0;
  std::string session_id;
  std::string session_context;
  std::string task_type = "Online";
  std::int64_t skip_meta_data = 0;

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("InputInfo", s.input, required);
    v("OutputStorage", s.output_storage);
    v("OutputDir", s.output_dir);
    v("ScheduleId", s.schedule);
    v("MediaProcessTask", s.media);
    v.unsupported("AiContentReviewTask");
    v.unsupported("AiAnalysisTask");
    v.unsupported("AiRecognitionTask");
    v.unsupported("AiQualityControlTask");
    v.unsupported("SmartSubtitlesTask");
    v.unsupported("SmartEraseTask");
    v("TaskNotifyConfig", s.notify);
    v("TasksPriority", s.priority);
    v("SessionId", s.session_id);
    v("SessionContext", s.session_context);
    v("TaskType", s.task_type);
    v.unsupported("ResourceId");
    v("Activities", s.activities);
    v("SkipMateData", s.skip_meta_data);
  }
};

struct source {
  std::string bucket;
  std::string region;
  std::string key;
};

result<source> source_of(const media_input& in, const std::string& field = "InputInfo") {
  if (in.type == "URL" || in.type == "AWS-S3" || in.type == "VOD")
    return fail_field(errc::unsupported, field + ".Type",
                      "`{}` is not supported by this server; supported is: COS", in.type);
  if (in.type != "COS")
    return fail_field(errc::invalid_argument, field + ".Type", "`{}` is not one of: COS",
                      in.type);
  if (!in.cos)
    return fail_field(errc::missing_argument, field + ".CosInputInfo",
                      "the request is missing a required parameter `{}.CosInputInfo`", field);
  auto key = normalize_key(in.cos->object);
  if (!key)
    return fail_field(errc::invalid_argument, field + ".CosInputInfo.Object", "{}",
                      key.error().message);
  return source{in.cos->bucket, in.cos->region, std::move(*key)};
}

result<void> check_priority(std::int64_t priority) {
  if (priority < limits::priority_min || priority > limits::priority_max)
    return fail_field(errc::invalid_argument, "TasksPriority", "{} is not within {} and {}",
                      priority, limits::priority_min, limits::priority_max);
  return {};
}

result<void> check(const process_media& r) {
  FM_CHECK(check_priority(r.priority));
  if (r.task_type == "Offline")
    return fail_field(errc::unsupported, "TaskType", "Offline is not supported by this server");
  if (!r.task_type.empty() && r.task_type != "Online")
    return fail_field(errc::invalid_argument, "TaskType", "`{}` is not one of: Online",
                      r.task_type);
  if (r.skip_meta_data != 0)
    return fail_field(errc::unsupported, "SkipMateData",
                      "skipping the metadata is not supported: every source is probed");
  return {};
}

std::size_t chars(const std::string& text) { return code_points(text).value_or(text.size()); }

template <class Request>
api_result check_session(const Request& r) {
  if (chars(r.session_id) > session_id_chars_max)
    return refuse("InvalidParameterValue.SessionIdTooLong",
                  fmt::format("`SessionId` has more than {} characters", session_id_chars_max));
  if (chars(r.session_context) > session_context_chars_max)
    return refuse(
        "InvalidParameterValue.SessionContextTooLong",
        fmt::format("`SessionContext` has more than {} characters", session_context_chars_max));
  return json::object();
}

/// What the call says besides what is to be done, of a definition of its own or of the
/// scheme that it runs.
workflow_change terms_of(process_media& r) {
  workflow_change out;
  out.output_storage = std::move(r.output_storage);
  out.output_dir = std::move(r.output_dir);
  out.notify = std::move(r.notify);
  out.priority = static_cast<std::int32_t>(r.priority);
  return out;
}

/// For the echo of the input, its bucket and region.
trigger trigger_of(trigger t, const source& from) {
  t.bucket = from.bucket;
  t.region = from.region;
  return t;
}

result<workflow_record> find_schedule(const state_store& store, workflow_id id) {
  FM_TRY(auto found, find_record<workflow_record>(store, family::workflows, keys::of(id)));
  if (!found || found->spec.kind != task_kind::schedule)
    return fail_field(errc::not_found, "ScheduleId", "no scheme {}", id.value);
  return std::move(*found);
}

/// Activities of the call's own go before a scheme, and that before groups of tasks.
result<run_request> to_run_request(process_media r, const source& from,
                                   const state_store& store) {
  run_request out;
  out.bucket = from.bucket;
  out.key = from.key;
  auto terms = terms_of(r);
  if (!r.activities && r.schedule) {
    FM_TRY(auto scheme, find_schedule(store, r.schedule));
    out.workflow = r.schedule;
    out.change = std::move(terms);
    out.change.trigger = trigger_of(std::move(scheme.spec.trigger), from);
  } else {
    out.spec = changed(std::move(out.spec), std::move(terms));
    out.spec.trigger = trigger_of({}, from);
    if (r.activities) {
      out.spec.kind = task_kind::schedule;
      FM_TRY(out.spec.activities, to_activities(*r.activities));
    } else if (r.media) {
      out.spec.activities = to_activities(std::move(*r.media));
    }
  }
  out.session_id = std::move(r.session_id);
  out.session_context = std::move(r.session_context);
  return out;
}

/// Groups of tasks and a graph are not both done: one would be left out in silence.
result<void> check_one_way(const process_media& r) {
  const bool has_media = r.media && !to_activities(*r.media).empty();
  if (has_media && (r.schedule || r.activities))
    return fail_field(errc::invalid_argument, "MediaProcessTask",
                      "it does not go with {}", r.activities ? "Activities" : "ScheduleId");
  return {};
}

void process(const action_context& context, process_media request, api_reply done) {
  if (auto session = check_session(request); !session)
    return done(std::move(session));
  if (request.activities && request.activities->empty())
    request.activities.reset(); // as an absent one
  auto status = check(request);
  if (status)
    status = check_one_way(request);
  auto from = source_of(request.input);
  if (!status || !from)
    return done(refuse(status ? from.error() : status.error()));
  auto run = to_run_request(std::move(request), *from, context.system.store());
  if (!run)
    return done(refuse(run.error(), process_rules));
  const auto kind = run->workflow ? task_kind::schedule : run->spec.kind;
  auto activities = run->spec.activities;
  if (!run->workflow && activities.empty())
    return done(refuse("InvalidParameter", "there is nothing to do: `MediaProcessTask` has no "
                                           "tasks"));
  context.system.submit(std::move(*run), [done = std::move(done), kind,
                                          activities = std::move(activities)](result<run_id> id) {
    if (id)
      return done(json{{"TaskId", to_task_id(*id, kind)}});
    auto e = kind == task_kind::schedule ? in_schedule_terms(id.error())
                                         : in_mps_terms(id.error(), activities);
    done(refuse(e, process_rules));
  });
}

// ---- EditMedia ---------------------------------------------------------------------

constexpr code_rule edit_rules[] = {
    {errc::conflict, "", "InvalidParameterValue.SessionId"},
};

result<run_request> to_run_request(edit_media r) {
  FM_CHECK(check_priority(r.priority));
  if (r.clips.empty())
    return fail_field(errc::missing_argument, "FileInfos", "at least one file is needed");
  FM_TRY(auto first, source_of(r.clips.front().input, "FileInfos.0.InputInfo"));
  for (std::size_t i = 1; i < r.clips.size(); ++i)
    FM_CHECK(source_of(r.clips[i].input, fmt::format("FileInfos.{}.InputInfo", i)));
  run_request out;
  FM_TRY(out.spec, to_spec(r));
  out.spec.trigger = trigger_of({}, first);
  out.bucket = std::move(first.bucket);
  out.key = std::move(first.key);
  out.session_id = std::move(r.session_id);
  out.session_context = std::move(r.session_context);
  return out;
}

void edit(const action_context& context, edit_media request, api_reply done) {
  if (auto session = check_session(request); !session)
    return done(std::move(session));
  auto run = to_run_request(std::move(request));
  if (!run)
    return done(refuse(run.error()));
  context.system.submit(std::move(*run), [done = std::move(done)](result<run_id> id) {
    if (!id)
      return done(refuse(in_edit_terms(id.error()), edit_rules));
    done(json{{"TaskId", to_task_id(*id, task_kind::edit_media)}});
  });
}

// ---- DescribeTasks -------------------------------------------------------------------

constexpr code_rule list_rules[] = {
    {errc::invalid_argument, "Limit", "InvalidParameterValue.Limit"},
};

struct describe_tasks {
  std::string status;
  std::optional<bool> has_failed;
  std::int64_t limit = 10;
  std::string scroll_token;
  timestamp start;
  timestamp end;

  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Status", s.status, required);
    v("SubTaskHasFailed", s.has_failed);
    v("Limit", s.limit);
    v("ScrollToken", s.scroll_token);
    v("StartTime", s.start);
    v("EndTime", s.end);
  }
};

/// The part of a run that the filter needs: the rest is not decoded.
struct run_brief {
  struct definition {
    task_kind kind = task_kind::workflow;
    template <class Self, class V>
    static void fields(Self& s, V& v) {
      v("Kind", s.kind);
    }
  };
  run_id id;
  run_state state = run_state::waiting;
  timestamp created;
  definition spec;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Id", s.id);
    v("State", s.state);
    v("Created", s.created);
    v("Spec", s.spec);
  }
};

result<bool> has_failed_job(const state_store& store, const run_brief& run) {
  bool failed = run.state == run_state::failed || run.state == run_state::cancelled;
  auto prefix = keys::prefix(run.id);
  FM_CHECK(scan_records<job_record>(store, family::jobs, prefix, prefix_end(prefix),
                                    [&](const job_record& j) {
                                      failed = failed || j.state == job_state::failed;
                                      return !failed;
                                    }));
  return failed;
}

result<bool> is_wanted(const describe_tasks& r, const run_brief& run,
                       const state_store& store) {
  if (task_status(run.state) != r.status || run.created < r.start ||
      (r.end && run.created > r.end))
    return false;
  if (!r.has_failed)
    return true;
  FM_TRY(auto failed, has_failed_job(store, run));
  return failed == *r.has_failed;
}

/// Newest first. Ends at the first run that is older than the window, as run
/// ids count up with time.
result<std::vector<run_brief>> find_tasks(const describe_tasks& r, const state_store& store) {
  std::vector<run_brief> out;
  result<void> status;
  FM_CHECK(scan_records<run_brief>(
      store, family::runs, "", "",
      [&](const run_brief& run) {
        if (run.created < r.start)
          return false;
        auto wanted = is_wanted(r, run, store);
        if (!wanted)
          status = failure{wanted.error()};
        else if (*wanted)
          out.push_back(run);
        return status.has_value();
      },
      true));
  FM_CHECK(status);
  return out;
}

result<run_record> find_run(const state_store& store, run_id id) {
  FM_TRY(auto run, find_record<run_record>(store, family::runs, keys::of(id)));
  if (!run)
    return fail(errc::not_found, "there is no run {}", id.value);
  return std::move(*run);
}

result<void> check(const describe_tasks& r) {
  if (r.status != "WAITING" && r.status != "PROCESSING" && r.status != "FINISH")
    return fail_field(errc::invalid_argument, "Status",
                      "`{}` is not one of: WAITING, PROCESSING, FINISH", r.status);
  return framemill::check(page{0, r.limit}, 100);
}

result<json> list(const action_context& context, describe_tasks r) {
  FM_CHECK(check(r));
  r.start = std::max(r.start, context.time.now() + -listed_for);
  auto first = run_id{UINT64_MAX};
  if (!r.scroll_token.empty()) {
    auto token = run_of_task_id(r.scroll_token);
    if (!token)
      return fail_field(errc::invalid_argument, "ScrollToken", "{}", token.error().message);
    first = *token;
  }
  FM_TRY(auto found, find_tasks(r, context.system.store()));
  json tasks = json::array();
  std::string next;
  for (const auto& brief : found) {
    if (brief.id > first)
      continue;
    if (tasks.size() == static_cast<std::size_t>(r.limit)) {
      next = to_task_id(brief.id, brief.spec.kind);
      break;
    }
    FM_TRY(auto run, find_run(context.system.store(), brief.id));
    tasks.push_back(to_task_simple_info(run));
  }
  return json{
      {"TaskSet", std::move(tasks)}, {"ScrollToken", next}, {"TotalCount", found.size()}};
}

void describe_list(const action_context& context, describe_tasks request, api_reply done) {
  answer(done, list(context, std::move(request)), list_rules);
}

// ---- DescribeTaskDetail -----------------------------------------------------------------

struct task_by_id {
  std::string task_id;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("TaskId", s.task_id, required);
  }
};

result<task_view> read_task(const state_store& store, std::string_view task_id) {
  auto id = run_of_task_id(task_id);
  if (!id)
    return fail(errc::not_found, "there is no task `{}`", task_id);
  return framemill::read_task(store, *id);
}

void describe_detail(const action_context& context, task_by_id request, api_reply done) {
  auto task = read_task(context.system.store(), request.task_id);
  if (!task)
    return done(refuse(task.error()));
  auto templates = context.system.templates();
  if (is_terminal(task->run.state))
    return done(to_task_detail(*task, *templates));
  auto id = task->run.id;
  context.system.progress(id, [done = std::move(done), templates,
                               task = std::move(*task)](result<run_progress> p) mutable {
    if (p) // a run that has just ended has none: its records say enough
      task.progress = std::move(*p);
    done(to_task_detail(task, *templates));
  });
}

// ---- ManageTask ----------------------------------------------------------------------------

constexpr code_rule manage_rules[] = {
    {errc::not_found, "", "InvalidParameterValue.TaskId"},
    {errc::conflict, "", "InvalidParameterValue.NotProcessingTask"},
    {errc::in_use, "", "InvalidParameterValue.NotProcessingTask"},
};

struct manage_task {
  std::string operation;
  std::string task_id;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("OperationType", s.operation, required);
    v("TaskId", s.task_id, required);
  }
};

/// MPS aborts only what waits; our own CancelRun stops what runs, too.
void manage(const action_context& context, manage_task request, api_reply done) {
  if (request.operation != "Abort")
    return done(
        refuse("InvalidParameterValue.InvalidOperationType",
               fmt::format("`OperationType`: `{}` is not one of: Abort", request.operation)));
  auto id = run_of_task_id(request.task_id);
  if (!id)
    return done(refuse("InvalidParameterValue.TaskId",
                       fmt::format("there is no task `{}`", request.task_id)));
  auto run = find_run(context.system.store(), *id);
  if (!run)
    return done(refuse(run.error(), manage_rules));
  if (run->state != run_state::waiting)
    return done(refuse("InvalidParameterValue.NotProcessingTask",
                       fmt::format("the task is {}; only a waiting task can be aborted",
                                   to_string(run->state))));
  context.system.cancel(*id, answer_empty(std::move(done), manage_rules));
}

// ---- DescribeMediaMetaData
// --------------------------------------------------------------------

constexpr code_rule probe_rules[] = {
    {errc::not_found, "", "InvalidParameterValue.SrcFile"},
    {errc::input_unreadable, "", "InvalidParameterValue.SrcFile"},
    {errc::input_not_media, "", "InvalidParameterValue.SrcFile"},
    {errc::input_incomplete, "", "InvalidParameterValue.SrcFile"},
    {errc::input_damaged, "", "InvalidParameterValue.SrcFile"},
    {errc::input_refused, "", "InvalidParameterValue.SrcFile"},
    {errc::input_changed, "", "InvalidParameterValue.SrcFile"},
    {errc::input_quarantined, "", "InvalidParameterValue.SrcFile"},
    {errc::invalid_argument, "Object", "InvalidParameterValue.SrcFile"},
};

struct describe_media {
  media_input input;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("InputInfo", s.input, required);
    v.unsupported("Mode");
  }
};

void describe_media_meta_data(const action_context& context, describe_media request,
                              api_reply done) {
  auto from = source_of(request.input);
  if (!from)
    return done(refuse(from.error(), probe_rules));
  context.system.probe(from->bucket, from->key,
                       answer_with<media_info>(std::move(done), probe_rules, [](media_info m) {
                         return json{{"MetaData", to_media_meta_data(m)}};
                       }));
}

} // namespace

void add_task_actions(action_table& table) {
  table["ProcessMedia"] = make_action(effect::changes, process);
  table["EditMedia"] = make_action(effect::changes, edit);
  table["DescribeTasks"] = make_action(effect::reads, describe_list);
  table["DescribeTaskDetail"] = make_action(effect::reads, describe_detail);
  table["ManageTask"] = make_action(effect::changes, manage);
  table["DescribeMediaMetaData"] = make_action(effect::reads, describe_media_meta_data);
}

} // namespace framemill
