#include "api/action.hpp"
#include "storage/records.hpp"

#include <algorithm>

// The actions of six template families through one table: a row says what is
// different about a family, four functions do the rest.

namespace framemill {

namespace {

// ---- What a row says -----------------------------------------------------------

using template_filter = std::function<bool(const template_record&)>;

struct family_row {
  template_family family;
  std::string_view infix; ///< Create<infix>Template
  std::size_t custom_max; ///< MPS: templates of one's own
  std::span<const code_rule> rules;
  result<void> (*read)(template_record&, const json&);
  json (*write)(const template_record&);
  /// Takes the Describe parameters that only this family has.
  result<template_filter> (*take_filter)(json&);
  /// Fields of an item that are not those of the parameter set.
  void (*decorate)(json& item, const template_record&);
  /// Fields of the answer to Create and Modify, beside Definition.
  void (*announce)(json& answer, const template_record&);
};

template <auto Member>
result<void> read_into(template_record& record, const json& in) {
  using parameters = typename std::decay_t<decltype(record.*Member)>::value_type;
  FM_TRY(record.*Member, from_json_value<parameters>(in));
  return {};
}

template <auto Member>
json write_from(const template_record& record) {
  return record.*Member ? to_json_value(*(record.*Member)) : json::object();
}

void nothing(json&, const template_record&) {}

result<std::string> take_text(json& in, const char* name) {
  auto found = in.find(name);
  if (found == in.end())
    return std::string{};
  auto value = std::move(*found);
  in.erase(found);
  if (value.is_null())
    return std::string{};
  auto text = from_json_value<std::string>(value);
  if (!text)
    return fail_field(text.error().code, name, "{}", text.error().message);
  return text;
}

failure not_one_of(const char* field, std::string_view value, std::string_view allowed) {
  return fail_field(errc::invalid_argument, field, "`{}` is not one of: {}", value, allowed);
}

/// Type = Preset | Custom.
result<template_filter> filter_by_origin(json& in) {
  FM_TRY(auto type, take_text(in, "Type"));
  if (type.empty())
    return template_filter{[](const template_record&) { return true; }};
  auto origin = from_name<template_origin>(type);
  if (!origin)
    return not_one_of("Type", type, "Preset, Custom");
  return template_filter{[o = *origin](const template_record& r) { return r.origin == o; }};
}

// ---- Transcode -----------------------------------------------------------------

bool is_audio_only(const template_record& r) {
  return r.transcode && r.transcode->remove_video.value_or(0) == 1;
}

/// Our templates are all common ones: asking for another kind finds none.
result<template_filter> filter_transcodes(json& in) {
  FM_TRY(auto by_origin, filter_by_origin(in));
  FM_TRY(auto container_type, take_text(in, "ContainerType"));
  FM_TRY(auto tehd_type, take_text(in, "TEHDType"));
  FM_TRY(auto transcode_type, take_text(in, "TranscodeType"));
  if (!container_type.empty() && container_type != "Video" && container_type != "PureAudio")
    return not_one_of("ContainerType", container_type, "Video, PureAudio");
  for (const auto* type : {&tehd_type, &transcode_type})
    if (!type->empty() && *type != "Common" && *type != "TEHD" && *type != "Enhance")
      return not_one_of("TranscodeType", *type, "Common, TEHD, Enhance");
  bool common = (tehd_type.empty() || tehd_type == "Common") &&
                (transcode_type.empty() || transcode_type == "Common");
  return template_filter{[=](const template_record& r) {
    return common && by_origin(r) &&
           (container_type.empty() || is_audio_only(r) == (container_type == "PureAudio"));
  }};
}

void decorate_transcode(json& item, const template_record& r) {
  item["Definition"] = std::to_string(r.definition); // a string in this family alone
  item["ContainerType"] = is_audio_only(r) ? "PureAudio" : "Video";
  item["AliasName"] = nullptr;
}

constexpr code_rule transcode_rules[] = {
    {errc::not_found, "", "ResourceNotFound.TemplateNotExist"},
    {errc::too_large, "", "LimitExceeded.TooMuchTemplate"},
    {errc::invalid_argument, "VideoTemplate.Codec", "InvalidParameterValue.VideoCodec"},
    {errc::invalid_argument, "VideoTemplate.Bitrate", "InvalidParameterValue.VideoBitrate"},
    {errc::invalid_argument, "AudioTemplate.Codec", "InvalidParameterValue.AudioCodec"},
    {errc::invalid_argument, "AudioTemplate.Bitrate", "InvalidParameterValue.AudioBitrate"},
    {errc::invalid_argument, "SampleRate", "InvalidParameterValue.AudioSampleRate"},
    {errc::invalid_argument, "AudioChannel", "InvalidParameterValue.AudioChannel"},
    {errc::invalid_argument, "Fps", "InvalidParameterValue.Fps"},
    {errc::invalid_argument, "Width", "InvalidParameterValue.Resolution"},
    {errc::invalid_argument, "Height", "InvalidParameterValue.Resolution"},
    {errc::invalid_argument, "ResolutionAdaptive", "InvalidParameterValue.ResolutionAdaptive"},
    {errc::invalid_argument, "ContainerType", "InvalidParameterValue.ContainerType"},
    {errc::invalid_argument, "Container", "InvalidParameterValue.Container"},
    {errc::invalid_argument, "RemoveVideo", "InvalidParameterValue.RemoveVideo"},
    {errc::invalid_argument, "RemoveAudio", "InvalidParameterValue.RemoveAudio"},
    {errc::invalid_argument, "Name", "InvalidParameterValue.Name"},
    {errc::invalid_argument, "Definitions", "InvalidParameterValue.Definitions"},
    {errc::invalid_argument, "Limit", "InvalidParameterValue.Limit"},
    {errc::invalid_argument, "Type", "InvalidParameterValue.Type"},
};

// ---- Watermark -----------------------------------------------------------------

result<template_filter> filter_watermarks(json& in) {
  FM_TRY(auto type, take_text(in, "Type"));
  if (type.empty())
    return template_filter{[](const template_record&) { return true; }};
  auto wanted = from_name<watermark_type>(type);
  if (!wanted || *wanted == watermark_type::svg)
    return not_one_of("Type", type, "image, text");
  return template_filter{[w = *wanted](const template_record& r) {
    return r.watermark && r.watermark->type == w;
  }};
}

/// The image itself as a URL: there is no other place where it could be read.
std::string image_url(const template_record& r) {
  if (!r.watermark || !r.watermark->image)
    return {};
  const auto& base64 = r.watermark->image->image_content;
  return fmt::format("data:image/{};base64,{}", base64.starts_with("/9j/") ? "jpeg" : "png",
                     base64);
}

void decorate_watermark(json& item, const template_record& r) {
  item["Type"] = to_string(r.watermark->type);
  if (auto& image = item["ImageTemplate"]; image.is_object()) {
    image.erase("ImageContent");
    image["ImageUrl"] = image_url(r);
  }
}

void announce_watermark(json& answer, const template_record& r) {
  answer["ImageUrl"] = image_url(r);
}

constexpr code_rule watermark_rules[] = {
    {errc::not_found, "", "ResourceNotFound"},
    {errc::too_large, "", "LimitExceeded.TooMuchTemplate"},
    {errc::invalid_argument, "Name", "InvalidParameterValue.Name"},
    {errc::invalid_argument, "Comment", "InvalidParameterValue.Comment"},
    {errc::invalid_argument, "CoordinateOrigin", "InvalidParameterValue.CoordinateOrigin"},
    {errc::invalid_argument, "XPos", "InvalidParameterValue.XPos"},
    {errc::invalid_argument, "YPos", "InvalidParameterValue.YPos"},
    {errc::invalid_argument, "ImageContent", "InvalidParameterValue.ImageContent"},
    {errc::invalid_argument, "ImageTemplate", "InvalidParameterValue.ImageTemplate"},
    {errc::invalid_argument, "RepeatType", "InvalidParameterValue.RepeatType"},
    {errc::invalid_argument, "Width", "InvalidParameterValue.Width"},
    {errc::invalid_argument, "Height", "InvalidParameterValue.Height"},
    {errc::invalid_argument, "FontAlpha", "InvalidParameterValue.TextAlpha"},
    {errc::invalid_argument, "TextTemplate", "InvalidParameterValue.TextTemplate"},
    {errc::invalid_argument, "Type", "InvalidParameterValue.Type"},
};

// ---- Pictures --------------------------------------------------------------------

constexpr code_rule picture_rules[] = {
    {errc::not_found, "", "ResourceNotFound.TemplateNotExist"},
    {errc::too_large, "", "LimitExceeded.TooMuchTemplate"},
    {errc::invalid_argument, "Name", "InvalidParameterValue.Name"},
    {errc::invalid_argument, "Comment", "InvalidParameterValue.Comment"},
    {errc::invalid_argument, "Format", "InvalidParameterValue.Format"},
    {errc::invalid_argument, "Width", "InvalidParameterValue.Width"},
    {errc::invalid_argument, "Height", "InvalidParameterValue.Height"},
    {errc::invalid_argument, "SampleType", "InvalidParameterValue.SampleType"},
    {errc::invalid_argument, "SampleInterval", "InvalidParameterValue.SampleInterval"},
    {errc::invalid_argument, "RowCount", "InvalidParameterValue.RowCount"},
    {errc::invalid_argument, "ColumnCount", "InvalidParameterValue.ColumnCount"},
    {errc::invalid_argument, "Fps", "InvalidParameterValue.Fps"},
    {errc::invalid_argument, "Quality", "InvalidParameterValue.Quality"},
};

// ---- The table -------------------------------------------------------------------

template <auto Member>
constexpr family_row picture_row(template_family family, std::string_view infix) {
  return {
      family,           infix,   16,     picture_rules, read_into<Member>, write_from<Member>,
      filter_by_origin, nothing, nothing};
}

using record = template_record;
constexpr family_row rows[] = {
    {template_family::transcode, "Transcode", 1000, transcode_rules,
     read_into<&record::transcode>, write_from<&record::transcode>, filter_transcodes,
     decorate_transcode, nothing},
    {template_family::watermark, "Watermark", 1000, watermark_rules,
     read_into<&record::watermark>, write_from<&record::watermark>, filter_watermarks,
     decorate_watermark, announce_watermark},
    picture_row<&record::snapshot>(template_family::snapshot_by_time_offset,
                                   "SnapshotByTimeOffset"),
    picture_row<&record::sample_snapshot>(template_family::sample_snapshot, "SampleSnapshot"),
    picture_row<&record::image_sprite>(template_family::image_sprite, "ImageSprite"),
    picture_row<&record::animated_graphics>(template_family::animated_graphics,
                                            "AnimatedGraphics"),
};

// ---- What is the same for all ------------------------------------------------------

/// Present members win; null is absent; objects merge member by member.
void overlay(json& base, const json& over) {
  for (const auto& [key, value] : over.items()) {
    auto& to = base[key];
    if (value.is_object() && to.is_object())
      overlay(to, value);
    else if (!value.is_null())
      to = value;
  }
}

result<std::vector<template_record>> custom_templates(const family_row& row,
                                                      const state_store& store) {
  auto prefix = fmt::format("{}/", to_string(row.family));
  std::vector<template_record> out;
  FM_CHECK(scan_records<template_record>(
      store, family::templates, prefix, prefix_end(prefix),
      [&](template_record r) {
        if (r.origin == template_origin::custom)
          out.push_back(std::move(r));
        return true;
      },
      true));
  return out;
}

result<template_record> read_new(const family_row& row, json parameters) {
  template_record r;
  r.family = row.family;
  FM_TRY(r.name, take_text(parameters, "Name"));
  FM_TRY(r.comment, take_text(parameters, "Comment"));
  FM_CHECK(row.read(r, parameters));
  return r;
}

void put(const family_row& row, const action_context& context, template_record r,
         api_reply done) {
  auto reply = [&row, r, done = std::move(done)](result<std::uint64_t> definition) {
    if (!definition)
      return done(refuse(definition.error(), row.rules));
    auto answer = json::object();
    if (r.definition == 0)
      answer["Definition"] = *definition;
    row.announce(answer, r);
    done(std::move(answer));
  };
  context.system.put_template(std::move(r), std::move(reply));
}

void create(const family_row& row, const action_context& context, const json& parameters,
            api_reply done) {
  auto r = read_new(row, parameters);
  if (!r)
    return done(refuse(r.error(), row.rules));
  auto existing = custom_templates(row, context.system.store());
  if (!existing)
    return done(refuse(existing.error()));
  if (existing->size() >= row.custom_max)
    return done(refuse("LimitExceeded.TooMuchTemplate",
                       fmt::format("there are {} templates of this family; no more are allowed",
                                   existing->size())));
  put(row, context, std::move(*r), std::move(done));
}

result<std::uint64_t> take_definition(json& parameters) {
  auto found = parameters.find("Definition");
  if (found == parameters.end() || found->is_null())
    return fail_field(errc::missing_argument, "Definition",
                      "the request is missing a required parameter `Definition`");
  auto n = from_json_value<std::uint64_t>(*found);
  if (!n)
    return fail_field(n.error().code, "Definition", "{}", n.error().message);
  parameters.erase(found);
  return n;
}

/// The template to change; presets are refused with the action's own code.
tl::expected<template_record, api_error> find_own(const family_row& row,
                                                  const action_context& context,
                                                  std::uint64_t definition,
                                                  std::string_view preset_code) {
  auto templates = context.system.templates();
  const auto* found = templates->find(row.family, definition);
  if (!found)
    return refuse(error{errc::not_found,
                        fmt::format("there is no {} template {}", row.infix, definition),
                        "Definition"},
                  row.rules);
  if (found->origin == template_origin::preset)
    return refuse(
        std::string{preset_code},
        fmt::format("`Definition`: {} is a preset template; it stays as it is", definition));
  return *found;
}

/// Vcrf 100 in a Modify takes the member away.
void clear_vcrf(json& merged) {
  auto video = merged.find("VideoTemplate");
  if (video != merged.end() && video->is_object() && video->value("Vcrf", json{}) == 100)
    (*video)["Vcrf"] = nullptr;
}

result<template_record> modified(const family_row& row, template_record r, json parameters) {
  if (parameters.contains("Name")) {
    FM_TRY(r.name, take_text(parameters, "Name"));
  }
  if (parameters.contains("Comment")) {
    FM_TRY(r.comment, take_text(parameters, "Comment"));
  }
  if (parameters.contains("Type"))
    return fail_field(errc::unknown_argument, "Type", "the parameter `Type` is not defined");
  auto merged = row.write(r);
  overlay(merged, parameters);
  clear_vcrf(merged);
  FM_CHECK(row.read(r, merged));
  return r;
}

void modify(const family_row& row, const action_context& context, json parameters,
            api_reply done) {
  auto definition = take_definition(parameters);
  if (!definition)
    return done(refuse(definition.error()));
  auto found =
      find_own(row, context, *definition, "InvalidParameterValue.ModifyDefaultTemplate");
  if (!found)
    return done(tl::unexpected<api_error>{found.error()});
  auto r = modified(row, std::move(*found), std::move(parameters));
  if (!r)
    return done(refuse(r.error(), row.rules));
  put(row, context, std::move(*r), std::move(done));
}

struct by_definition {
  std::uint64_t definition = 0;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Definition", s.definition, required);
  }
};

void erase(const family_row& row, const action_context& context, const json& parameters,
           api_reply done) {
  auto request = from_json_value<by_definition>(parameters);
  if (!request)
    return done(refuse(request.error()));
  auto found = find_own(row, context, request->definition,
                        "InvalidParameterValue.DeleteDefaultTemplate");
  if (!found)
    return done(tl::unexpected<api_error>{found.error()});
  context.system.delete_template(row.family, request->definition,
                                 answer_empty(std::move(done), row.rules));
}

struct describe_templates {
  std::vector<std::uint64_t> definitions;
  std::string name;
  framemill::page page;
  template <class Self, class V>
  static void fields(Self& s, V& v) {
    v("Definitions", s.definitions);
    v("Name", s.name);
    framemill::page::fields(s.page, v);
  }
};

json item_of(const family_row& row, const template_record& r) {
  auto item = row.write(r);
  item.update({{"Definition", r.definition},
               {"Type", to_string(r.origin)},
               {"Name", r.name},
               {"Comment", r.comment},
               {"CreateTime", to_iso8601(r.created)},
               {"UpdateTime", to_iso8601(r.updated)}});
  row.decorate(item, r);
  return item;
}

/// Our own newest first, then the presets by number.
result<json> list(const family_row& row, const action_context& context, json parameters) {
  FM_TRY(auto filter, row.take_filter(parameters));
  FM_TRY(auto r, from_json_value<describe_templates>(parameters));
  FM_CHECK(framemill::check(r.page, 100));
  if (r.definitions.size() > 100)
    return fail_field(errc::invalid_argument, "Definitions", "more than 100 ids");
  FM_TRY(auto all, custom_templates(row, context.system.store()));
  for (const auto& preset : preset_templates())
    if (preset.family == row.family)
      all.push_back(preset);
  const auto& ids = r.definitions;
  std::erase_if(all, [&](const template_record& t) {
    bool by_id = ids.empty() || std::find(ids.begin(), ids.end(), t.definition) != ids.end();
    return !by_id || (!r.name.empty() && t.name != r.name) || !filter(t);
  });
  json answer{{"TotalCount", all.size()}};
  auto& set = answer[fmt::format("{}TemplateSet", row.infix)] = json::array();
  for (const auto& t : window(std::move(all), r.page))
    set.push_back(item_of(row, t));
  return answer;
}

void describe(const family_row& row, const action_context& context, const json& parameters,
              api_reply done) {
  answer(done, list(row, context, parameters), row.rules);
}

template <class F>
action bound(effect what, const family_row& row, F* run) {
  return {what,
          [&row, run](const action_context& context, const json& parameters, api_reply done) {
            run(row, context, parameters, std::move(done));
          }};
}

} // namespace

void add_template_actions(action_table& table) {
  for (const auto& row : rows) {
    table[fmt::format("Create{}Template", row.infix)] = bound(effect::changes, row, create);
    table[fmt::format("Modify{}Template", row.infix)] = bound(effect::changes, row, modify);
    table[fmt::format("Delete{}Template", row.infix)] = bound(effect::changes, row, erase);
    table[fmt::format("Describe{}Templates", row.infix)] = bound(effect::reads, row, describe);
  }
}

} // namespace framemill
