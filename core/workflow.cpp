#include "core/workflow.hpp"

#include "core/limits.hpp"
#include "core/node.hpp"
#include "core/notify.hpp"
#include "core/object_path.hpp"
#include "core/utf8.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <set>

namespace framemill {

namespace {

/// Calls `f` with the member that the activity's kind names. Without it, an
/// empty one stands in (validation refuses such an activity).
template <class F>
decltype(auto) with_task(const activity& a, F&& f) {
  static const transcode_task no_transcode;
  static const animated_graphic_task no_animated_graphic;
  static const snapshot_by_time_offset_task no_snapshot;
  static const sample_snapshot_task no_sample_snapshot;
  static const image_sprite_task no_image_sprite;
  switch (a.kind) {
    case activity_kind::animated_graphic:
      return f(a.animated_graphic ? *a.animated_graphic : no_animated_graphic);
    case activity_kind::snapshot_by_time_offset:
      return f(a.snapshot ? *a.snapshot : no_snapshot);
    case activity_kind::sample_snapshot:
      return f(a.sample_snapshot ? *a.sample_snapshot : no_sample_snapshot);
    case activity_kind::image_sprite:
      return f(a.image_sprite ? *a.image_sprite : no_image_sprite);
    case activity_kind::transcode: break;
  }
  return f(a.transcode ? *a.transcode : no_transcode);
}

failure invalid(std::string field, std::string_view sentence) {
  return fail_field(errc::invalid_argument, std::move(field), "{}", sentence);
}

/// The same failure, its field below `name`.
result<void> within(std::string_view name, result<void> r) {
  if (!r) {
    auto& field = r.error().field;
    field = field.empty() ? std::string{name} : fmt::format("{}.{}", name, field);
  }
  return r;
}

std::string lower(std::string_view text) {
  std::string out{text};
  for (auto& c : out)
    if (c >= 'A' && c <= 'Z')
      c = static_cast<char>(c - 'A' + 'a');
  return out;
}

bool is_alphanumeric(char32_t c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// ---- Names, triggers, storage -----------------------------------------------------

/// MPS's default set (mps-api §3.2).
constexpr std::string_view default_formats[] = {
    "mp4",  "avi", "mov", "wmv", "flv", "mkv", "mpg",  "mpeg", "rm",  "rmvb", "asf", "3gp",
    "webm", "ts",  "m4v", "mp3", "wav", "aac", "flac", "ogg",  "m4a", "amr",  "vtt", "srt"};

std::string_view without_dot(std::string_view format) {
  return format.starts_with('.') ? format.substr(1) : format;
}

bool takes_format(const trigger& t, const std::string& extension) {
  auto is_it = [&](std::string_view f) {
    return f == "*" || lower(without_dot(f)) == extension;
  };
  if (!t.formats || t.formats->empty())
    return std::any_of(std::begin(default_formats), std::end(default_formats), is_it);
  return std::any_of(t.formats->begin(), t.formats->end(), is_it);
}

/// CJK unified ideographs with their extensions, and compatibility forms.
bool is_ideograph(char32_t c) {
  return (c >= 0x3400 && c <= 0x4dbf) || (c >= 0x4e00 && c <= 0x9fff)
         || (c >= 0xf900 && c <= 0xfaff) || (c >= 0x20000 && c <= 0x323af) || c == 0x3007;
}

result<void> check_name(std::string_view name) {
  auto chars = code_points(name);
  if (!chars || *chars == 0 || *chars > limits::workflow_name_chars_max)
    return fail_field(errc::invalid_argument, "Name",
                      "a workflow's name has 1 to {} characters",
                      limits::workflow_name_chars_max);
  while (auto c = take_code_point(name))
    if (!is_alphanumeric(*c) && !is_ideograph(*c) && *c != '_' && *c != '-')
      return invalid("Name", "a workflow's name has Chinese characters, letters, digits, `_` "
                             "and `-` only");
  return {};
}

result<void> check_format(std::string_view format) {
  auto name = without_dot(format);
  bool plain = !name.empty() && name.size() <= 64
               && std::all_of(name.begin(), name.end(),
                              [](unsigned char c) { return is_alphanumeric(c); });
  if (plain || format == "*")
    return {};
  return fail(errc::invalid_argument,
              "a format is an extension of 1 to 64 letters and digits, or `*`");
}

result<void> check_trigger(const trigger& t) {
  if (t.bucket.empty())
    return fail_field(errc::missing_argument, "Bucket", "the trigger's bucket is missing");
  FM_CHECK(within("Dir", validate_directory(t.dir)));
  if (t.formats)
    for (std::size_t i = 0; i < t.formats->size(); ++i)
      FM_CHECK(within(fmt::format("Formats.{}", i), check_format((*t.formats)[i])));
  return {};
}

result<void> check_storage_type(std::string_view type) {
  if (type == "COS")
    return {};
  return fail_field(errc::unsupported, "Type",
                    "storage Type `{}` is not supported; supported is: COS", type);
}

result<void> check_storage(const std::optional<output_storage>& s) {
  return s ? within("OutputStorage", check_storage_type(s->type)) : result<void>{};
}

result<void> check_input(const media_input& in) {
  FM_CHECK(check_storage_type(in.type));
  if (!in.cos || in.cos->bucket.empty())
    return fail_field(errc::missing_argument, "CosInputInfo.Bucket", "a bucket is missing");
  auto key = normalize_key(in.cos->object);
  if (!key)
    return fail_field(key.error().code, "CosInputInfo.Object", "{}", key.error().message);
  return {};
}

// ---- Activities ------------------------------------------------------------------------

result<const template_record*> find_definition(const template_source& templates,
                                               template_family family,
                                               std::uint64_t definition) {
  if (const auto* found = templates.find(family, definition))
    return found;
  return fail_field(errc::not_found, "Definition", "there is no {} template {}",
                    to_string(family), definition);
}

bool is_one_character(std::string_view text) {
  return code_points(text) == 1 && text != "/" && text != "{" && text != "}"
         && !is_control(*take_code_point(text));
}

result<void> check_numbers(const std::optional<number_format>& f) {
  if (!f)
    return {};
  constexpr std::int64_t value_max = 1'000'000'000;
  if (f->initial_value < 0 || f->initial_value > value_max)
    return invalid("ObjectNumberFormat.InitialValue", "InitialValue must be within 0 to 10^9");
  if (f->increment < 1 || f->increment > value_max)
    return invalid("ObjectNumberFormat.Increment", "Increment must be within 1 to 10^9");
  if (f->min_length < 0 || f->min_length > 64)
    return invalid("ObjectNumberFormat.MinLength", "MinLength must be within 0 to 64");
  if (!is_one_character(f->place_holder))
    return invalid("ObjectNumberFormat.PlaceHolder", "PlaceHolder must be one character");
  return {};
}

enum class file_count : std::uint8_t { one, many };

/// A custom object name; "" means the default one.
result<void> check_object_name(std::string_view text, file_count files) {
  if (text.empty())
    return {};
  FM_CHECK(validate_path_template(text));
  if (!text.ends_with(".{format}"))
    return fail(errc::invalid_argument, "an object path must end in .{{format}}");
  if (files == file_count::many && text.find("{number}") == std::string_view::npos)
    return fail(errc::invalid_argument,
                "an object path of several files must hold {{number}}, or they would have "
                "one name");
  return {};
}

result<void> check_relative_name(std::string_view text, file_count files) {
  if (text.starts_with('/') || text.starts_with("{inputDir}"))
    return fail(errc::invalid_argument, "this name is relative: it must not begin with `/`");
  return check_object_name(text, files);
}

/// Clips in seconds: 0 = from the start or to the end, n < 0 = before the end.
result<void> check_clip(double start, double end) {
  if (!std::isfinite(start) || std::abs(start) > limits::source_seconds_max)
    return invalid("StartTimeOffset", "StartTimeOffset is out of range");
  if (!std::isfinite(end) || std::abs(end) > limits::source_seconds_max)
    return invalid("EndTimeOffset", "EndTimeOffset is out of range");
  bool comparable = (start >= 0 && end > 0) || (start < 0 && end < 0);
  if (comparable && end <= start)
    return invalid("EndTimeOffset", "EndTimeOffset must be after StartTimeOffset");
  return {};
}

result<void> check_raw_mark(const raw_watermark& w) {
  if (w.type != watermark_type::image)
    return fail_field(errc::unsupported, "Type",
                      "a raw watermark of Type `{}` is not supported; supported is: image",
                      to_string(w.type));
  if (!w.image)
    return fail_field(errc::missing_argument, "ImageTemplate", "ImageTemplate is missing");
  FM_CHECK(validate_mark_position(w.x_pos, w.y_pos));
  FM_CHECK(within("ImageTemplate.ImageContent", check_input(w.image->image_content)));
  return within("ImageTemplate",
                validate_mark_geometry(w.image->width, w.image->height, w.image->repeat_type));
}

enum class mark_place : std::uint8_t { video, picture };

result<void> check_stored_mark(const watermark_input& w, const template_source& templates,
                               mark_place place) {
  if (w.raw)
    return invalid("RawParameter", "RawParameter goes with Definition 0 only");
  FM_TRY(auto record, find_definition(templates, template_family::watermark, w.definition));
  bool is_text = record->watermark && record->watermark->type == watermark_type::text;
  if (is_text && place == mark_place::picture)
    return invalid("Definition", "text watermarks are for transcodes, not for snapshots");
  if (!is_text && !w.text_content.empty())
    return invalid("TextContent", "TextContent goes with a text watermark only");
  if (is_text && w.text_content.empty() && record->watermark->text
      && record->watermark->text->text_content.empty())
    return invalid("TextContent", "neither the template nor the watermark has a text");
  return {};
}

result<void> check_mark(const watermark_input& w, const template_source& templates,
                        mark_place place) {
  FM_CHECK(check_text("TextContent", w.text_content, 100));
  FM_CHECK(check_clip(w.start_offset, w.end_offset));
  if (w.definition != 0)
    return check_stored_mark(w, templates, place);
  if (place == mark_place::picture)
    return invalid("Definition", "raw watermarks are for transcodes, not for snapshots");
  if (!w.raw)
    return invalid("RawParameter", "Definition 0 needs RawParameter");
  if (!w.text_content.empty())
    return invalid("TextContent", "TextContent goes with a text watermark only");
  return within("RawParameter", check_raw_mark(*w.raw));
}

result<void> check_marks(const std::vector<watermark_input>& marks,
                         const template_source& templates, mark_place place) {
  if (marks.size() > limits::watermarks_max)
    return fail_field(errc::invalid_argument, "WatermarkSet",
                      "{} watermarks; at most {} are "
                      "allowed",
                      marks.size(), limits::watermarks_max);
  for (std::size_t i = 0; i < marks.size(); ++i)
    FM_CHECK(within(fmt::format("WatermarkSet.{}", i), check_mark(marks[i], templates, place)));
  return {};
}

bool has_pictures(const transcode_template& t) {
  return t.container != "mp3" && t.container != "m4a" && t.remove_video.value_or(0) == 0;
}

result<void> check_transcode_parameters(const transcode_task& t, const transcode_template& p) {
  if (t.raw)
    FM_CHECK(within("RawParameter", validate(p)));
  if (t.override_parameter)
    FM_CHECK(within("OverrideParameter", validate(p)));
  if (t.watermarks.empty())
    return {};
  if (!has_pictures(p))
    return invalid("WatermarkSet", "an output without video cannot have watermarks");
  if (p.video && p.video->codec == "copy")
    return invalid("WatermarkSet", "video that is copied cannot have watermarks");
  return {};
}

bool copies(const transcode_template& p) {
  bool video = has_pictures(p) && p.video && p.video->codec == "copy";
  bool audio = p.remove_audio.value_or(0) == 0 && p.audio && p.audio->codec == "copy";
  return video || audio;
}

/// Only HLS has segments, and their muxer counts by itself.
result<void> check_segment_names(const transcode_task& t, const transcode_template& p) {
  bool hls = p.container == "hls";
  if (!hls && !t.segment_object_name.empty())
    return invalid("SegmentObjectName", "SegmentObjectName goes with Container hls only");
  auto n = t.numbers.value_or(number_format{});
  if (n.initial_value == 0 && n.increment == 1 && n.min_length <= 1)
    return {};
  if (!hls)
    return invalid("ObjectNumberFormat", "ObjectNumberFormat goes with Container hls only");
  return fail_field(errc::unsupported, "ObjectNumberFormat",
                    "HLS segments are numbered 0, 1, 2, … without padding");
}

result<void> check_task(const transcode_task& t, const template_source& templates) {
  FM_TRY(auto parameters, resolve(t, templates));
  FM_CHECK(check_transcode_parameters(t, parameters));
  if (copies(parameters) && (t.start_offset != 0 || t.end_offset != 0))
    return fail_field(errc::unsupported,
                      t.start_offset != 0 ? "StartTimeOffset" : "EndTimeOffset",
                      "a copied stream cannot be cut: choose a codec other than copy");
  FM_CHECK(check_marks(t.watermarks, templates, mark_place::video));
  FM_CHECK(check_clip(t.start_offset, t.end_offset));
  FM_CHECK(check_numbers(t.numbers));
  FM_CHECK(check_segment_names(t, parameters));
  FM_CHECK(
      within("OutputObjectPath", check_object_name(t.output_object_path, file_count::one)));
  return within("SegmentObjectName",
                check_relative_name(t.segment_object_name, file_count::many));
}

result<void> check_task(const animated_graphic_task& t, const template_source& templates) {
  FM_CHECK(find_definition(templates, template_family::animated_graphics, t.definition));
  if (t.start_offset < 0 || t.end_offset < 0)
    return invalid("StartTimeOffset",
                   "the offsets of an animated graphic must not be negative");
  bool whole = t.start_offset == 0 && t.end_offset == 0;
  if (!whole && t.end_offset <= t.start_offset)
    return invalid("EndTimeOffset", "EndTimeOffset must be after StartTimeOffset (both 0: the "
                                    "whole source)");
  FM_CHECK(check_clip(t.start_offset, t.end_offset));
  return within("OutputObjectPath", check_object_name(t.output_object_path, file_count::one));
}

result<void> check_offset(std::string_view text) {
  FM_TRY(auto offset, parse_time_offset(text));
  if (offset.percent ? offset.value <= 100 : offset.value <= limits::source_seconds_max)
    return {};
  return fail(errc::invalid_argument, "`{}` is past the end", text);
}

result<void> check_offsets(const snapshot_by_time_offset_task& t) {
  auto count = t.ext_time_offsets.size() + t.time_offsets.size();
  if (count == 0)
    return fail_field(errc::missing_argument, "ExtTimeOffsetSet",
                      "a snapshot needs at least one time");
  if (count > limits::images_per_job_max)
    return fail_field(errc::too_large, "ExtTimeOffsetSet", "{} times; at most {} are allowed",
                      count, limits::images_per_job_max);
  for (std::size_t i = 0; i < t.ext_time_offsets.size(); ++i)
    FM_CHECK(
        within(fmt::format("ExtTimeOffsetSet.{}", i), check_offset(t.ext_time_offsets[i])));
  for (std::size_t i = 0; i < t.time_offsets.size(); ++i)
    if (!(t.time_offsets[i] >= 0 && t.time_offsets[i] <= limits::source_seconds_max))
      return invalid(fmt::format("TimeOffsetSet.{}", i), "a time is out of range");
  return {};
}

result<void> check_task(const snapshot_by_time_offset_task& t,
                        const template_source& templates) {
  FM_CHECK(find_definition(templates, template_family::snapshot_by_time_offset, t.definition));
  FM_CHECK(check_offsets(t));
  FM_CHECK(check_marks(t.watermarks, templates, mark_place::picture));
  FM_CHECK(check_numbers(t.numbers));
  bool several = t.ext_time_offsets.size() + t.time_offsets.size() > 1;
  return within(
      "OutputObjectPath",
      check_object_name(t.output_object_path, several ? file_count::many : file_count::one));
}

result<void> check_task(const sample_snapshot_task& t, const template_source& templates) {
  FM_CHECK(find_definition(templates, template_family::sample_snapshot, t.definition));
  FM_CHECK(check_marks(t.watermarks, templates, mark_place::picture));
  FM_CHECK(check_numbers(t.numbers));
  return within("OutputObjectPath", check_object_name(t.output_object_path, file_count::many));
}

result<void> check_task(const image_sprite_task& t, const template_source& templates) {
  FM_CHECK(find_definition(templates, template_family::image_sprite, t.definition));
  FM_CHECK(check_numbers(t.numbers));
  FM_CHECK(
      within("OutputObjectPath", check_object_name(t.output_object_path, file_count::many)));
  return within("WebVttObjectName",
                check_relative_name(t.web_vtt_object_name, file_count::one));
}

/// Of the member that holds an activity's parameters.
std::string_view member_name(activity_kind kind) {
  switch (kind) {
    case activity_kind::transcode: return "TranscodeTask";
    case activity_kind::animated_graphic: return "AnimatedGraphicTask";
    case activity_kind::snapshot_by_time_offset: return "SnapshotByTimeOffsetTask";
    case activity_kind::sample_snapshot: return "SampleSnapshotTask";
    case activity_kind::image_sprite: return "ImageSpriteTask";
  }
  return "Kind";
}

bool has_its_member_only(const activity& a) {
  bool set[] = {a.transcode.has_value(), a.animated_graphic.has_value(), a.snapshot.has_value(),
                a.sample_snapshot.has_value(), a.image_sprite.has_value()};
  auto kind = static_cast<std::size_t>(a.kind);
  return kind < std::size(set) && set[kind] && std::count(set, std::end(set), true) == 1;
}

result<void> check_activity(const activity& a, const template_source& templates) {
  if (!has_its_member_only(a))
    return invalid("Kind", "an activity has exactly the parameters of its kind");
  FM_CHECK(within(member_name(a.kind), check_storage(output_storage_of(a))));
  return within(member_name(a.kind),
                with_task(a, [&](const auto& task) { return check_task(task, templates); }));
}

// ---- The graph ---------------------------------------------------------------------------

std::string successor_field(std::size_t from, std::size_t nth) {
  return fmt::format("Activities.{}.Successors.{}", from, nth);
}

result<void> check_edges(const std::vector<activity>& activities) {
  for (std::size_t i = 0; i < activities.size(); ++i) {
    std::set<std::uint32_t> seen;
    for (std::size_t n = 0; n < activities[i].successors.size(); ++n) {
      auto to = activities[i].successors[n];
      if (to >= activities.size())
        return invalid(successor_field(i, n), "there is no activity of that index");
      if (to == i)
        return invalid(successor_field(i, n), "an activity cannot follow itself");
      if (!seen.insert(to).second)
        return invalid(successor_field(i, n), "the same successor is given twice");
    }
  }
  return {};
}

/// Takes activities whose predecessors are all taken; on a cycle some remain.
result<void> check_acyclic(const std::vector<activity>& activities) {
  std::vector<std::size_t> predecessors(activities.size());
  for (const auto& a : activities)
    for (auto to : a.successors)
      ++predecessors[to];
  std::vector<std::size_t> taken;
  for (std::size_t i = 0; i < activities.size(); ++i)
    if (predecessors[i] == 0)
      taken.push_back(i);
  for (std::size_t next = 0; next < taken.size(); ++next)
    for (auto to : activities[taken[next]].successors)
      if (--predecessors[to] == 0)
        taken.push_back(to);
  if (taken.size() != activities.size())
    return invalid("Activities", "the activities form a cycle");
  return {};
}

result<void> check_graph(const std::vector<activity>& activities) {
  FM_CHECK(check_edges(activities));
  FM_CHECK(check_acyclic(activities));
  for (std::size_t i = 0; i < activities.size(); ++i)
    if (!activities[i].successors.empty())
      return fail_field(errc::unsupported, fmt::format("Activities.{}.Successors", i),
                        "chained activities are not supported: every activity works on the "
                        "source");
  return {};
}

// ---- Clashing outputs ----------------------------------------------------------------------

/// What the names of a workflow's outputs are relative to, as far as is known
/// before there is an object.
struct common_place {
  std::string_view bucket;
  std::string_view output_dir;
};

std::string format_of(const transcode_template& t) {
  return t.container == "hls" ? "m3u8" : t.container.value_or("mp4");
}

std::string format_of(const activity& a, const template_source& templates) {
  if (a.kind == activity_kind::transcode) {
    auto parameters = resolve(*a.transcode, templates);
    return parameters ? format_of(*parameters) : std::string{};
  }
  const auto* record = templates.find(family_of(a.kind), definition_of(a));
  if (record == nullptr)
    return {};
  if (record->animated_graphics)
    return record->animated_graphics->format;
  if (record->snapshot)
    return record->snapshot->format;
  if (record->sample_snapshot)
    return record->sample_snapshot->format;
  return record->image_sprite ? record->image_sprite->format : std::string{};
}

/// The name with all that is known filled in, and the source's part left open.
std::string rendered(std::string_view path_template, const activity& a, std::string_view format,
                     const common_place& common) {
  path_variables v;
  v.input_name = "{inputName}";
  v.input_format = "{inputFormat}";
  v.format = format;
  v.definition = std::to_string(definition_of(a));
  v.input_dir = common.output_dir;
  v.number = "{number}";
  return render_path(path_template, v);
}

/// All object names of an activity; ':' parts what cannot be in a name.
std::vector<std::string> names_of(const activity& a, const template_source& templates,
                                  const common_place& common) {
  output_storage storage;
  storage.cos = cos_storage{std::string{common.bucket}, {}};
  auto place = place_output(a, storage, common.output_dir, "", "{inputDirectory}/x");
  auto format = format_of(a, templates);
  auto directory = fmt::format("{}:{}", place.bucket, place.directory);
  auto main = rendered(place.path_template, a, format, common);
  std::vector<std::string> names{directory + main};
  auto beside = directory + split_key(main).directory;
  if (a.kind == activity_kind::image_sprite) {
    const auto& vtt = a.image_sprite->web_vtt_object_name;
    names.push_back(beside
                    + rendered(vtt.empty() ? default_vtt_template() : vtt, a, "vtt", common));
  }
  if (format == "m3u8") {
    const auto& segment = a.transcode->segment_object_name;
    names.push_back(
        beside
        + rendered(segment.empty() ? default_segment_template() : segment, a, "ts", common));
  }
  return names;
}

result<void> check_clashes(const std::vector<activity>& activities,
                           const template_source& templates, const common_place& common) {
  std::map<std::string, std::size_t> owners;
  for (std::size_t i = 0; i < activities.size(); ++i)
    for (auto& name : names_of(activities[i], templates, common)) {
      auto [it, fresh] = owners.emplace(std::move(name), i);
      if (fresh)
        continue;
      return fail_field(
          errc::invalid_argument,
          fmt::format("Activities.{}.{}.OutputObjectPath", i, member_name(activities[i].kind)),
          "it would write the same object as activity {}: {}", it->second,
          it->first.substr(it->first.find(':') + 1));
    }
  return {};
}

result<void> check_activities(const std::vector<activity>& activities,
                              const template_source& templates, const common_place& common) {
  if (activities.empty())
    return fail_field(errc::missing_argument, "Activities", "at least one activity is needed");
  if (activities.size() > limits::activities_max)
    return fail_field(errc::too_large, "Activities", "{} activities; at most {} are allowed",
                      activities.size(), limits::activities_max);
  for (std::size_t i = 0; i < activities.size(); ++i)
    FM_CHECK(within(fmt::format("Activities.{}", i), check_activity(activities[i], templates)));
  FM_CHECK(check_graph(activities));
  return check_clashes(activities, templates, common);
}

result<void> check_wanted_labels(std::string_view field,
                                 const std::map<std::string, std::string>& labels) {
  auto r = check_labels(labels);
  return r ? r : invalid(std::string{field}, r.error().message);
}

result<void> check_scheduling(const run_scheduling& s) {
  FM_CHECK(check_wanted_labels("RequiredLabels", s.required_labels));
  FM_CHECK(check_wanted_labels("PreferredLabels", s.preferred_labels));
  for (const auto& [key, value] : s.preferred_labels)
    if (auto required = s.required_labels.find(key); required != s.required_labels.end())
      return fail_field(errc::invalid_argument, "PreferredLabels",
                        "{}={} is preferred where {}={} is required", key, value, key,
                        required->second);
  if (!s.device.empty() && !is_plain_name(s.device))
    return fail_field(errc::invalid_argument, "Device",
                      "a device's name is 1 to {} of letters, digits, `-`, `_`, `.`",
                      limits::node_name_chars_max);
  if (!(s.weight >= limits::workflow_weight_min && s.weight <= limits::workflow_weight_max))
    return fail_field(errc::invalid_argument, "Weight", "Weight must be within {} to {}",
                      limits::workflow_weight_min, limits::workflow_weight_max);
  return {};
}

result<void> check_edit(const edit_spec& e) {
  if (e.clips.empty())
    return fail_field(errc::missing_argument, "FileInfos", "at least one file is needed");
  if (e.clips.size() > limits::edit_clips_max)
    return fail_field(errc::too_large, "FileInfos", "{} files; at most {} are allowed",
                      e.clips.size(), limits::edit_clips_max);
  if (e.type == edit_type::fast && e.clips.size() > 1)
    return fail_field(errc::unsupported, "OutputConfig.Type",
                      "fast copies a part of one file; several files need normal");
  for (std::size_t i = 0; i < e.clips.size(); ++i) {
    const auto& clip = e.clips[i];
    FM_CHECK(within(fmt::format("FileInfos.{}.InputInfo", i), check_input(clip.input)));
    FM_CHECK(within(fmt::format("FileInfos.{}", i),
                    check_clip(clip.start_offset, clip.end_offset)));
  }
  return {};
}

std::string_view bucket_of(const workflow_spec& spec) {
  const auto& s = spec.output_storage;
  return s && s->cos && !s->cos->bucket.empty() ? s->cos->bucket : spec.trigger.bucket;
}

} // namespace

// ---- What kinds have in common ------------------------------------------------------------

std::uint64_t definition_of(const activity& a) {
  return with_task(a, [](const auto& task) { return task.definition; });
}

const std::optional<output_storage>& output_storage_of(const activity& a) {
  return with_task(a, [](const auto& task) -> const std::optional<output_storage>& {
    return task.output_storage;
  });
}

const std::string& output_object_path_of(const activity& a) {
  return with_task(
      a, [](const auto& task) -> const std::string& { return task.output_object_path; });
}

number_format numbers_of(const activity& a) {
  return with_task(a, [](const auto& task) {
    if constexpr (requires { task.numbers; })
      return task.numbers.value_or(number_format{});
    else
      return number_format{};
  });
}

const std::vector<watermark_input>& watermarks_of(const activity& a) {
  static const std::vector<watermark_input> none;
  return with_task(a, [](const auto& task) -> const std::vector<watermark_input>& {
    if constexpr (requires { task.watermarks; })
      return task.watermarks;
    else
      return none;
  });
}

workflow_spec changed(workflow_spec spec, workflow_change change) {
  auto replace = [](auto& old, auto& by) {
    if (by)
      old = std::move(*by);
  };
  replace(spec.name, change.name);
  replace(spec.trigger, change.trigger);
  if (change.output_storage)
    spec.output_storage = std::move(change.output_storage);
  replace(spec.output_dir, change.output_dir);
  replace(spec.activities, change.activities);
  if (change.notify == notify_config{})
    spec.notify.reset();
  else if (change.notify)
    spec.notify = std::move(change.notify);
  replace(spec.priority, change.priority);
  return spec;
}

template_family family_of(activity_kind k) {
  switch (k) {
    case activity_kind::transcode: return template_family::transcode;
    case activity_kind::animated_graphic: return template_family::animated_graphics;
    case activity_kind::snapshot_by_time_offset:
      return template_family::snapshot_by_time_offset;
    case activity_kind::sample_snapshot: return template_family::sample_snapshot;
    case activity_kind::image_sprite: return template_family::image_sprite;
  }
  return template_family::transcode;
}

bool matches(const trigger& t, std::string_view key) {
  auto dir = std::string_view{t.dir};
  if (dir.starts_with('/'))
    dir.remove_prefix(1);
  if (!dir.empty() && !dir.ends_with('/')) // `in` must not take `index/a.mp4`
    return false;
  return key.starts_with(dir) && takes_format(t, lower(split_key(key).extension));
}

result<time_offset> parse_time_offset(std::string_view text) {
  auto number = text.substr(0, text.empty() ? 0 : text.size() - 1);
  bool percent = text.ends_with('%');
  double value = 0;
  auto [end, ec] = std::from_chars(number.data(), number.data() + number.size(), value,
                                   std::chars_format::fixed);
  if ((!percent && !text.ends_with('s')) || ec != std::errc{}
      || end != number.data() + number.size() || !std::isfinite(value) || std::signbit(value))
    return fail(errc::invalid_argument, "`{}` is not a time like `3.5s` or `10%`", text);
  return time_offset{value, percent};
}

// ---- Validation
// ------------------------------------------------------------------------------

result<void> validate(const workflow_spec& spec, const template_source& templates) {
  FM_CHECK(check_name(spec.name));
  FM_CHECK(within("Trigger", check_trigger(spec.trigger)));
  return validate_call(spec, templates);
}

result<void> validate_call(const workflow_spec& spec, const template_source& templates) {
  FM_CHECK(validate_terms(spec));
  return check_activities(spec.activities, templates, {bucket_of(spec), spec.output_dir});
}

result<void> validate_terms(const workflow_spec& spec) {
  FM_CHECK(check_storage(spec.output_storage));
  FM_CHECK(within("OutputDir", validate_directory(spec.output_dir)));
  if (spec.priority < limits::priority_min || spec.priority > limits::priority_max)
    return fail_field(errc::invalid_argument, "Priority", "Priority must be within {} to {}",
                      limits::priority_min, limits::priority_max);
  FM_CHECK(within("Scheduling", check_scheduling(spec.scheduling)));
  if (spec.notify)
    FM_CHECK(within("TaskNotifyConfig", validate(*spec.notify)));
  return spec.edit ? check_edit(*spec.edit) : result<void>{};
}

result<void> validate_activities(const std::vector<activity>& activities,
                                 const template_source& templates) {
  return check_activities(activities, templates, {});
}

result<transcode_template> resolve(const transcode_task& t, const template_source& templates) {
  if (t.definition == 0) {
    if (!t.raw)
      return invalid("RawParameter", "Definition 0 needs RawParameter");
    if (t.override_parameter)
      return invalid("OverrideParameter", "OverrideParameter needs a Definition other than 0");
    return *t.raw;
  }
  if (t.raw)
    return invalid("RawParameter", "RawParameter goes with Definition 0 only");
  FM_TRY(auto record, find_definition(templates, template_family::transcode, t.definition));
  if (!record->transcode)
    return fail(errc::internal, "transcode template {} has no parameters", t.definition);
  if (!t.override_parameter)
    return *record->transcode;
  return merge(*record->transcode, *t.override_parameter);
}

} // namespace framemill
