#include "tools/framemill/context.hpp"
#include "tools/framemill/json_path.hpp"
#include "tools/framemill/table.hpp"

#include <CLI/CLI.hpp>

#include <memory>
#include <span>

namespace framemill::cli {

namespace {

struct template_family_row {
  std::string_view word;   ///< what is typed
  std::string_view action; ///< Describe…Templates
  std::string_view set;    ///< …Set
};

constexpr template_family_row families[] = {
    {"transcode", "DescribeTranscodeTemplates", "TranscodeTemplateSet"},
    {"snapshot", "DescribeSnapshotByTimeOffsetTemplates", "SnapshotByTimeOffsetTemplateSet"},
    {"sample", "DescribeSampleSnapshotTemplates", "SampleSnapshotTemplateSet"},
    {"sprite", "DescribeImageSpriteTemplates", "ImageSpriteTemplateSet"},
    {"animation", "DescribeAnimatedGraphicsTemplates", "AnimatedGraphicsTemplateSet"},
    {"watermark", "DescribeWatermarkTemplates", "WatermarkTemplateSet"},
};

struct template_options {
  std::string family;
  std::uint64_t definition = 0;
};
using options_ptr = std::shared_ptr<template_options>;

constexpr std::size_t page_items = 100;

std::vector<std::string> family_words() {
  std::vector<std::string> out;
  for (const auto& f : families)
    out.emplace_back(f.word);
  return out;
}

result<json> templates_of(const client& server, const template_family_row& f) {
  auto all = json::array();
  for (;;) {
    FM_TRY(auto page, server.mps(f.action, {{"Offset", all.size()}, {"Limit", page_items}}));
    const auto& set = list_at(page, f.set);
    for (const auto& t : set)
      all.push_back(t);
    if (set.size() < page_items)
      return all;
  }
}

std::string size_text(const json& t) {
  auto side = [&](const char* name) {
    return integer_at(t, name) == 0 ? std::string{"auto"} : text_at(t, name);
  };
  return integer_at(t, "Width") == 0 && integer_at(t, "Height") == 0
             ? "source size"
             : side("Width") + "x" + side("Height");
}

std::string transcode_text(const json& t) {
  auto out = text_at(t, "Container");
  if (const auto& v = at(t, "VideoTemplate");
      v.is_object() && integer_at(t, "RemoveVideo") == 0)
    out += fmt::format(
        ", {} {}{}", text_at(v, "Codec"), size_text(v),
        integer_at(v, "Bitrate") > 0 ? fmt::format(" {} kbps", text_at(v, "Bitrate")) : "");
  if (const auto& a = at(t, "AudioTemplate");
      a.is_object() && integer_at(t, "RemoveAudio") == 0)
    out += fmt::format(
        ", {}{}", text_at(a, "Codec"),
        integer_at(a, "Bitrate") > 0 ? fmt::format(" {} kbps", text_at(a, "Bitrate")) : "");
  return out;
}

std::string summary(const json& t) {
  if (at(t, "Container").is_string())
    return transcode_text(t);
  std::string out = text_at(t, "Format");
  if (at(t, "Width").is_number())
    out += (out.empty() ? "" : ", ") + size_text(t);
  if (at(t, "SampleType").is_string())
    out += fmt::format(", every {}{}", text_at(t, "SampleInterval"),
                       text_at(t, "SampleType") == "Percent" ? " %" : " s");
  if (at(t, "RowCount").is_number())
    out += fmt::format(", {}x{} pictures", text_at(t, "ColumnCount"), text_at(t, "RowCount"));
  if (at(t, "Fps").is_number())
    out += fmt::format(", {} fps", text_at(t, "Fps"));
  return out;
}

result<exit_code> list(const context& ctx, const template_options& o) {
  FM_TRY(auto server, ctx.connect());
  auto all = json::object();
  table t{{{"FAMILY"}, {"DEFINITION", align::right}, {"TYPE"}, {"NAME"}, {"WHAT"}}};
  for (const auto& f : families) {
    if (!o.family.empty() && o.family != f.word)
      continue;
    FM_TRY(auto set, templates_of(server, f));
    for (const auto& item : set)
      t.row({std::string{f.word}, text_at(item, "Definition"), text_at(item, "Type"),
             text_at(item, "Name"), summary(item)});
    all[std::string{f.set}] = std::move(set);
  }
  if (ctx.wants_json())
    print_json(all);
  else
    print(t, "no templates");
  return exit_code::ok;
}

result<exit_code> show(const context& ctx, const template_options& o) {
  FM_TRY(auto server, ctx.connect());
  for (const auto& f : families) {
    if (o.family != f.word)
      continue;
    FM_TRY(auto answer, server.mps(f.action, {{"Definitions", {o.definition}}}));
    for (const auto& item : list_at(answer, f.set)) {
      print_json(item); // a template is its parameters: JSON is its plainest form
      return exit_code::ok;
    }
  }
  return fail(errc::not_found, "there is no {} template {}; see `framemill template list`",
              o.family, o.definition);
}

} // namespace

void add_template(CLI::App& app, context& ctx) {
  auto o = std::make_shared<template_options>();
  auto* noun = app.add_subcommand("template", "Numbered parameter sets of activities");
  noun->require_subcommand(1)->fallthrough();

  auto* listing = noun->add_subcommand("list", "List templates, presets included");
  listing->add_option("--family", o->family, "Only this family")
      ->check(CLI::IsMember(family_words()));
  on_chosen(ctx, *listing, [&ctx, o] { return list(ctx, *o); });

  auto* showing = noun->add_subcommand("show", "Show the parameters of a template");
  showing->add_option("FAMILY", o->family, "Family")
      ->required()
      ->check(CLI::IsMember(family_words()));
  showing->add_option("DEFINITION", o->definition, "Its number")->required();
  on_chosen(ctx, *showing, [&ctx, o] { return show(ctx, *o); });
}

} // namespace framemill::cli
