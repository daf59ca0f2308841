#include "core/limits.hpp"
#include "media/plan/draft.hpp"
#include "media/plan/naming.hpp"
#include "media/plan/overlays.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace framemill {
namespace {

template <class Template>
result<const Template*> parameters(const draft_context& context, const activity& a,
                                   std::optional<Template> template_record::*member) {
  const auto* record = context.templates.find(family_of(a.kind), definition_of(a));
  if (!record || !(record->*member))
    return fail_field(errc::not_found, "Definition", "there is no {} template {}",
                      to_string(family_of(a.kind)), definition_of(a));
  FM_CHECK(validate(*(record->*member)));
  return &*(record->*member);
}

result<void> need_video(const source_facts& source) {
  if (!source.video)
    return fail(errc::input_no_video, "the source has no video to take pictures of");
  return {};
}

result<void> check_count(double count) {
  if (count > static_cast<double>(limits::images_per_job_max))
    return fail(errc::too_large, "{:.0f} pictures are more than the {} that one job may make",
                count, limits::images_per_job_max);
  return {};
}

template <class Template>
result<picture_geometry> geometry_of(const Template& t, fill_type fill, job_draft& d,
                                     const source_facts& source) {
  if (fill == fill_type::smarttailor)
    return fail_field(errc::unsupported, "FillType", "smarttailor");
  auto fitted = fit(source.size, {t.width, t.height, t.resolution_adaptive, fill});
  if (fitted.clamped)
    d.warnings.push_back(fmt::format("not upscaled: the pictures are {}×{}",
                                     fitted.geometry.width, fitted.geometry.height));
  return fitted.geometry;
}

/// Picks in order of time; ordinals keep the order in which they were asked for.
std::vector<picture_pick> picks_at(const source_clock& clock,
                                   const std::vector<double>& times) {
  std::vector<picture_pick> out;
  for (std::size_t i = 0; i < times.size(); ++i)
    out.push_back({ticks_at(clock, times[i]), static_cast<std::int64_t>(i)});
  std::stable_sort(out.begin(), out.end(),
                   [](const auto& a, const auto& b) { return a.ticks < b.ticks; });
  return out;
}

/// 0, N, 2N, … below 100 % or the duration.
result<std::vector<double>> sample_times(sample_type type, std::int64_t interval,
                                         double duration) {
  if (duration <= 0)
    return fail(errc::input_incomplete,
                "the source does not say how long it is: its pictures cannot be spread");
  auto step = type == sample_type::percent ? duration * static_cast<double>(interval) / 100
                                           : static_cast<double>(interval);
  if (!(step > 0))
    return fail_field(errc::invalid_argument, "SampleInterval", "must be more than 0");
  FM_CHECK(check_count(duration / step));
  std::vector<double> out{0};
  for (auto i = 1; i * step < duration * (1 - 1e-9); ++i)
    out.push_back(i * step);
  return out;
}

result<double> parse_offset(const std::string& text, double duration) {
  double value = 0;
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  std::string_view unit{end, static_cast<std::size_t>(text.data() + text.size() - end)};
  if (ec != std::errc{} || !std::isfinite(value) || value < 0 || (unit != "s" && unit != "%"))
    return fail_field(errc::invalid_argument, "ExtTimeOffsetSet",
                      "'{}' is neither like 3.5s nor like 10%", text);
  if (unit == "%" && duration <= 0)
    return fail_field(errc::input_incomplete, "ExtTimeOffsetSet",
                      "the source does not say how long it is: use seconds, not percent");
  return unit == "%" ? value * duration / 100 : value;
}

result<std::vector<double>> asked_times(const snapshot_by_time_offset_task& task,
                                        double duration) {
  std::vector<double> out;
  for (const auto& text : task.ext_time_offsets) {
    FM_TRY(auto t, parse_offset(text, duration));
    out.push_back(t);
  }
  for (auto t : task.time_offsets) {
    if (!(t >= 0))
      return fail_field(errc::invalid_argument, "TimeOffsetSet", "{} is before the start", t);
    out.push_back(t);
  }
  if (out.empty())
    return fail_field(errc::missing_argument, "ExtTimeOffsetSet", "no time is given");
  return out;
}

void warn_beyond_end(job_draft& d, const std::vector<double>& times, double duration) {
  for (auto t : times)
    if (duration > 0 && t >= duration && t > 0)
      d.warnings.push_back(fmt::format(
          "{:.3f} s is not before the end at {:.3f} s: the last frame is taken", t, duration));
}

result<void> name_pictures(job_draft& d, const activity& a, const draft_context& context) {
  output_names names{*context.source.run, a};
  for (std::size_t i = 0; i < d.pictures->picks.size(); ++i) {
    auto ordinal = static_cast<std::int64_t>(i);
    FM_TRY(auto key, names.key(d.pictures->format, render_number(d.numbers, ordinal)));
    d.items.push_back(
        {fmt::format("{}.{}", d.pictures->name, i), 0, names.bucket(), key, "picture"});
  }
  return {};
}

/// Pictures published as they are: both kinds of snapshot.
template <class Template>
result<void> draft_single(job_draft& d, const activity& a, const Template& t,
                          const std::vector<double>& times, const draft_context& context) {
  FM_CHECK(check_count(static_cast<double>(times.size())));
  picture_output p;
  p.name = fmt::format("snap{}", d.index);
  p.format = t.format;
  FM_TRY(p.geometry, geometry_of(t, t.fill_type, d, context.source));
  const overlay_canvas canvas{p.geometry.width, p.geometry.height,
                              context.source.clock.duration};
  FM_TRY(p.overlays, make_overlays(watermarks_of(a), canvas, context.templates, context.assets,
                                   context.options.fonts));
  for (auto& w : idle_marks(watermarks_of(a), p.overlays, canvas, context.templates))
    d.warnings.push_back(std::move(w));
  p.picks = picks_at(context.source.clock, times);
  d.pictures = std::move(p);
  return name_pictures(d, a, context);
}

/// Lossless pictures that a later step puts together.
picture_output raw_pictures(std::string name, const picture_geometry& geometry,
                            std::vector<picture_pick> picks) {
  picture_output p;
  p.name = std::move(name);
  p.geometry = geometry;
  p.format = "raw";
  p.picks = std::move(picks);
  return p;
}

result<void> name_sprite(job_draft& d, sprite_step& step, const activity& a,
                         const draft_context& context) {
  output_names names{*context.source.run, a};
  std::vector<std::string> sheets;
  auto per_sheet = static_cast<std::size_t>(step.rows) * static_cast<std::size_t>(step.columns);
  for (std::size_t n = 0; n * per_sheet < step.times.size(); ++n) {
    auto number = render_number(d.numbers, static_cast<std::int64_t>(n));
    FM_TRY(auto key, names.key(step.format, number));
    d.items.push_back({fmt::format("{}.{}", step.name, n), 0, names.bucket(), key, "sheet"});
    sheets.push_back(std::move(key));
  }
  FM_TRY(auto vtt, names.sibling(sheets.front(), a.image_sprite->web_vtt_object_name,
                                 "{inputName}_imageSprite_{definition}.{format}", "vtt", ""));
  for (const auto& sheet : sheets)
    step.sheet_names.push_back(relative_key(vtt, sheet));
  d.items.push_back({step.name + ".vtt", 0, names.bucket(), vtt, "vtt"});
  return {};
}

/// Frames of the animation's own grid: output time k/fps from the clip's start.
result<std::vector<picture_pick>> animation_picks(const clip& part, const source_clock& clock,
                                                  std::int64_t fps) {
  if (part.length <= 0)
    return fail(errc::input_incomplete,
                "the source does not say how long it is: give the animation an end");
  auto count = std::ceil(part.length * static_cast<double>(fps) - 1e-6);
  FM_CHECK(check_count(count));
  std::vector<picture_pick> out;
  for (std::int64_t k = 0; k < std::max<std::int64_t>(1, static_cast<std::int64_t>(count));
       ++k) {
    auto offset =
        ticks_at(clock, static_cast<double>(k) / static_cast<double>(fps)) - clock.zero;
    out.push_back({part.origin + offset, k});
  }
  return out;
}

} // namespace

result<void> draft_snapshot(job_draft& d, const activity& a, const draft_context& context) {
  FM_TRY(auto t, parameters(context, a, &template_record::snapshot));
  FM_CHECK(need_video(context.source));
  FM_TRY(auto times, asked_times(*a.snapshot, context.source.clock.duration));
  warn_beyond_end(d, times, context.source.clock.duration);
  return draft_single(d, a, *t, times, context);
}

result<void> draft_sample(job_draft& d, const activity& a, const draft_context& context) {
  FM_TRY(auto t, parameters(context, a, &template_record::sample_snapshot));
  FM_CHECK(need_video(context.source));
  FM_TRY(auto times,
         sample_times(t->sample_type, t->sample_interval, context.source.clock.duration));
  return draft_single(d, a, *t, times, context);
}

result<void> draft_sprite(job_draft& d, const activity& a, const draft_context& context) {
  FM_TRY(auto t, parameters(context, a, &template_record::image_sprite));
  FM_CHECK(need_video(context.source));
  const auto& clock = context.source.clock;
  sprite_step step;
  FM_TRY(step.times, sample_times(t->sample_type, t->sample_interval, clock.duration));
  step.name = fmt::format("sprite{}", d.index);
  step.format = t->format;
  step.rows = static_cast<std::int32_t>(t->row_count);
  step.columns = static_cast<std::int32_t>(t->column_count);
  step.duration = clock.duration;
  FM_TRY(auto geometry, geometry_of(*t, t->fill_type, d, context.source));
  d.pictures =
      raw_pictures(fmt::format("tile{}", d.index), geometry, picks_at(clock, step.times));
  d.sprite_interval = step.times.size() > 1 ? step.times[1] : clock.duration;
  FM_CHECK(name_sprite(d, step, a, context));
  d.finish = std::move(step);
  return {};
}

result<void> draft_animation(job_draft& d, const activity& a, const draft_context& context) {
  FM_TRY(auto t, parameters(context, a, &template_record::animated_graphics));
  FM_CHECK(need_video(context.source));
  const auto& task = *a.animated_graphic;
  if (task.end_offset <= task.start_offset && (task.start_offset != 0 || task.end_offset != 0))
    return fail_field(errc::invalid_argument, "EndTimeOffset",
                      "the animation ends at {} s, not after its start at {} s",
                      task.end_offset, task.start_offset);
  FM_TRY(auto part, resolve_clip(context.source.clock, task.start_offset, task.end_offset));
  FM_TRY(auto picks, animation_picks(part, context.source.clock, t->fps));
  FM_TRY(auto geometry, geometry_of(*t, fill_type::stretch, d, context.source));
  d.pictures = raw_pictures(fmt::format("cel{}", d.index), geometry, std::move(picks));
  output_names names{*context.source.run, a};
  FM_TRY(auto key, names.key(t->format, ""));
  if (t->format == "gif" && t->quality != animated_graphics_template{}.quality)
    d.warnings.push_back("Quality does nothing in gif: it is for webp");
  animation_step step;
  step.name = fmt::format("anim{}.{}", d.index, t->format);
  step.format = t->format;
  step.fps = {t->fps, 1};
  step.quality = static_cast<std::int32_t>(std::lround(t->quality));
  d.items.push_back({step.name, 0, names.bucket(), key, "media"});
  d.finish = std::move(step);
  return {};
}

} // namespace framemill
