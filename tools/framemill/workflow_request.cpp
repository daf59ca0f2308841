#include "tools/framemill/workflow_request.hpp"

#include "tools/framemill/label_edit.hpp"

#include <charconv>

namespace framemill::cli {

namespace {

template <class T>
result<T> whole(std::string_view flag, std::string_view text) {
  T value{};
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc{} || end != text.data() + text.size())
    return fail_field(errc::malformed, std::string{flag}, "{}: `{}` is not a number", flag,
                      text);
  return value;
}

std::vector<std::string_view> split(std::string_view text, char by) {
  std::vector<std::string_view> out;
  for (auto cut = text.find(by); cut != std::string_view::npos; cut = text.find(by)) {
    out.push_back(text.substr(0, cut));
    text.remove_prefix(cut + 1);
  }
  out.push_back(text);
  return out;
}

result<json> plain_task(std::string_view flag, std::string_view text) {
  FM_TRY(auto definition, whole<std::uint64_t>(flag, text));
  return json{{"Definition", definition}};
}

result<json> snapshot_task(std::string_view flag, std::string_view text) {
  auto colon = text.find(':');
  if (colon == std::string_view::npos || colon + 1 == text.size())
    return fail_field(errc::malformed, std::string{flag},
                      "{}: `{}` lacks its times; write it as 10:1s,50%", flag, text);
  FM_TRY(auto task, plain_task(flag, text.substr(0, colon)));
  for (auto time : split(text.substr(colon + 1), ','))
    task["ExtTimeOffsetSet"].push_back(time);
  return task;
}

result<json> gif_task(std::string_view flag, std::string_view text) {
  auto parts = split(text, ':');
  if (parts.size() != 1 && parts.size() != 3)
    return fail_field(errc::malformed, std::string{flag},
                      "{}: `{}` is not DEFINITION or DEFINITION:START:END", flag, text);
  FM_TRY(auto task, plain_task(flag, parts[0]));
  double begin = 0, end = 0;
  if (parts.size() == 3) {
    FM_TRY(begin, whole<double>(flag, parts[1]));
    FM_TRY(end, whole<double>(flag, parts[2]));
  }
  task["StartTimeOffset"] = begin;
  task["EndTimeOffset"] = end;
  return task;
}

using task_fn = result<json> (*)(std::string_view flag, std::string_view text);

struct task_set {
  const std::vector<std::string>& values;
  std::string_view flag;
  const char* name; ///< in MediaProcessTask
  task_fn task;
};

result<json> media_process_task(const workflow_flags& f) {
  const task_set sets[] = {
      {f.transcodes, "--transcode", "TranscodeTaskSet", plain_task},
      {f.snapshots, "--snapshot", "SnapshotByTimeOffsetTaskSet", snapshot_task},
      {f.samples, "--sample", "SampleSnapshotTaskSet", plain_task},
      {f.sprites, "--sprite", "ImageSpriteTaskSet", plain_task},
      {f.gifs, "--gif", "AnimatedGraphicTaskSet", gif_task},
  };
  auto out = json::object();
  for (const auto& set : sets)
    for (const auto& value : set.values) {
      FM_TRY(auto task, set.task(set.flag, value));
      out[set.name].push_back(std::move(task));
    }
  return out;
}

result<json> wanted_labels(const char* flag, const std::vector<std::string>& words) {
  auto labels = parse_labels(words);
  if (!labels)
    return fail_field(errc::malformed, flag, "{}: {}", flag, labels.error().message);
  if (!labels->remove.empty())
    return fail_field(errc::malformed, flag, "{}: `{}-` is not KEY=VALUE", flag,
                      labels->remove.front());
  return json(labels->set);
}

/// Only what differs from the default, so that nothing is sent where MPS has nothing.
result<json> scheduling(const workflow_flags& f) {
  auto out = json::object();
  FM_TRY(auto required, wanted_labels("--require", f.required));
  FM_TRY(auto preferred, wanted_labels("--prefer", f.preferred));
  if (!required.empty())
    out["RequiredLabels"] = std::move(required);
  if (!preferred.empty())
    out["PreferredLabels"] = std::move(preferred);
  if (!f.device.empty())
    out["Device"] = f.device;
  if (f.weight != 1)
    out["Weight"] = f.weight;
  return out;
}

} // namespace

result<json> workflow_request(const workflow_flags& f) {
  FM_TRY(auto tasks, media_process_task(f));
  FM_TRY(auto wish, scheduling(f));
  json trigger{{"Bucket", f.bucket}, {"Region", "local"}};
  if (!f.directory.empty())
    trigger["Dir"] = f.directory;
  if (!f.formats.empty())
    trigger["Formats"] = f.formats;
  json out{{"WorkflowName", f.name},
           {"Trigger", {{"Type", "CosFileUpload"}, {"CosFileUploadTrigger", trigger}}},
           {"MediaProcessTask", tasks},
           {"TaskPriority", f.priority}};
  if (!wish.empty())
    out["Scheduling"] = std::move(wish);
  if (!f.output_bucket.empty())
    out["OutputStorage"] = {
        {"Type", "COS"},
        {"CosOutputStorage", {{"Bucket", f.output_bucket}, {"Region", "local"}}}};
  if (!f.output_directory.empty())
    out["OutputDir"] = f.output_directory;
  return out;
}

} // namespace framemill::cli
