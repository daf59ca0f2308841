#include "media/plan/draft.hpp"
#include "media/plan/frame_grid.hpp"
#include "media/plan/idle.hpp"
#include "media/plan/naming.hpp"
#include "media/plan/overlays.hpp"
#include "media/plan/settings.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace framemill {
namespace {

/// What a transcode does to this source.
struct transcode_work {
  transcode_template t;
  std::string container;
  treatment video = treatment::none;
  treatment audio = treatment::none;
  clip part;

  [[nodiscard]] bool hls() const { return container == "hls"; }
  [[nodiscard]] bool fmp4() const {
    return hls() && t.video && t.video->segment_type.value_or(0) == 7;
  }
  [[nodiscard]] bool copies() const {
    return video == treatment::copy || audio == treatment::copy;
  }
};

constexpr std::string_view segment_default =
    "{inputName}_transcode_{definition}_{number}.{format}";

void append(std::vector<std::string>& to, std::vector<std::string>&& more) {
  to.insert(to.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

treatment treat(bool wanted, bool copied) {
  return !wanted ? treatment::none : copied ? treatment::copy : treatment::encode;
}

bool is_copy(const std::optional<std::string>& codec) { return codec && *codec == "copy"; }

/// Decides which streams go in; a source that lacks one gets what is left.
result<void> choose_streams(transcode_work& w, job_draft& d, const source_facts& source) {
  bool sound_only = w.container == "mp3" || w.container == "m4a";
  bool video = w.t.remove_video.value_or(0) != 1 && !sound_only;
  bool audio = w.t.remove_audio.value_or(0) != 1;
  if (!video && !audio)
    return fail_field(errc::invalid_argument, "RemoveVideo",
                      "with video and audio removed nothing remains");
  if (video && !source.video && !(audio && source.audio))
    return fail(errc::input_no_video, "the source has no video");
  if (audio && !source.audio && !video)
    return fail(errc::input_no_audio, "the source has no audio");
  if (video && !source.video)
    d.warnings.push_back("the source has no video: audio only");
  if (audio && !source.audio)
    d.warnings.push_back("the source has no audio: video only");
  w.video = treat(video && source.video, w.t.video && is_copy(w.t.video->codec));
  w.audio = treat(audio && source.audio, w.t.audio && is_copy(w.t.audio->codec));
  return {};
}

result<void> check_held(const transcode_work& w, const stream_info& stream, const char* field) {
  if (can_hold(w.container, w.fmp4(), stream))
    return {};
  return fail_field(errc::unsupported, field,
                    "{} cannot hold the source's {}: choose a codec other than copy",
                    w.container, stream.codec);
}

result<void> check_copy(const transcode_work& w, const transcode_task& task,
                        const source_facts& source) {
  if (!w.copies())
    return {};
  if (!w.part.whole && !source.run->spec.edit) // an edit asked for what is cut at key frames
    return fail_field(errc::unsupported, "StartTimeOffset",
                      "a copied stream cannot be cut: choose a codec other than copy");
  if (w.video == treatment::copy && !task.watermarks.empty())
    return fail_field(errc::invalid_argument, "WatermarkSet",
                      "a watermark cannot be burnt into a copied stream");
  if (w.video == treatment::copy)
    FM_CHECK(check_held(w, *source.video, "VideoTemplate.Codec"));
  if (w.audio == treatment::copy)
    FM_CHECK(check_held(w, *source.audio, "AudioTemplate.Codec"));
  return {};
}

size_wish wish_of(const video_template& v) {
  return {v.width.value_or(0), v.height.value_or(0),
          v.resolution_adaptive.value_or(on_off::open), v.fill_type.value_or(fill_type::black)};
}

result<key_grid> draft_video(job_draft& d, const transcode_work& w, const transcode_task& task,
                             const draft_context& context) {
  const auto& source = context.source;
  const auto v = w.t.video.value_or(video_template{});
  if (v.fill_type == fill_type::smarttailor)
    return fail_field(errc::unsupported, "VideoTemplate.FillType", "smarttailor");
  auto fitted = fit(source.size, wish_of(v));
  if (fitted.clamped)
    d.warnings.push_back(fmt::format("not upscaled: the output is {}×{}", fitted.geometry.width,
                                     fitted.geometry.height));
  rendition r;
  auto& out = r.output;
  out.geometry = fitted.geometry;
  const overlay_canvas canvas{out.geometry.width, out.geometry.height, w.part.length};
  FM_TRY(out.overlays, make_overlays(task.watermarks, canvas, context.templates, context.assets,
                                     context.options.fonts));
  append(d.warnings, idle_marks(task.watermarks, out.overlays, canvas, context.templates));
  out.grid = {output_rate(v), w.part.origin, w.part.end};
  auto keys = make_key_grid(v, out.grid.fps, source.video->frame_rate,
                            w.hls() ? delivery::segments : delivery::file);
  out.gop = keys.gop;
  out.gop_seconds = keys.gop_seconds;
  out.encoder = encoder_settings(v);
  r.unit = keys.unit;
  r.unit_seconds = keys.unit_seconds;
  if (source.exact)
    r.frames = frame_count(out.grid, *source.index);
  if (r.frames == 0)
    return fail_field(errc::invalid_argument, "StartTimeOffset", "no picture is in the clip");
  d.video = std::move(r);
  return keys;
}

void draft_audio(job_draft& d, const transcode_work& w, const source_facts& source) {
  d.audio = audio_settings(w.t.audio.value_or(audio_template{}), w.container, *source.audio);
  d.audio->begin = w.part.begin_seconds;
  d.audio->end = w.part.end_seconds;
}

double audio_end(const stream_info& audio) {
  return seconds_of(audio.start_pts + audio.duration_pts, audio.time_base);
}

/// The picture's length is known to the frame. Sound may outlast it: then the
/// file is as long as the sound, which only its header knows.
output_contract contract_of(const job_draft& d, const transcode_work& w,
                            const source_facts& source) {
  output_contract c;
  c.has_video = w.video != treatment::none;
  c.has_audio = w.audio != treatment::none;
  if (!d.video)
    return c;
  c.width = d.video->output.geometry.width;
  c.height = d.video->output.geometry.height;
  c.video_frames = d.video->frames;
  if (!source.exact)
    return c;
  auto video_end = seconds_of(std::min(w.part.end, source.clock.end), source.clock.time_base);
  auto sound_known = !c.has_audio || source.audio->duration_pts > 0;
  auto longer = c.has_audio && w.part.end_seconds == 0
                    ? std::max(0.0, audio_end(*source.audio) - video_end)
                    : 0;
  c.duration = sound_known ? w.part.length : 0;
  c.duration_tolerance = 0.5 + longer;
  return c;
}

/// The manifest's name for segment n, `%d` for n. The executor replaces the
/// last `%d`, so that one must be ours.
result<std::string> segment_pattern(const output_names& names, const transcode_task& task,
                                    const std::string& manifest, std::string_view format) {
  FM_TRY(auto marked, names.sibling(manifest, task.segment_object_name, segment_default, format,
                                    "{number}"));
  auto at = marked.find("{number}");
  if (at == marked.npos)
    return fail_field(errc::invalid_argument, "SegmentObjectName", "the name needs {{number}}");
  if (marked.find("{number}", at + 1) != marked.npos || marked.find("%d", at) != marked.npos)
    return fail_field(
        errc::invalid_argument, "SegmentObjectName",
        "{} cannot number the segments: their names may hold {{number}} once, and "
        "no %d after it",
        marked);
  return marked;
}

bool is_plain(const number_format& n) {
  return n.initial_value == 0 && n.increment == 1 && n.min_length <= 1;
}

std::string with_number(std::string text, std::string_view number) {
  constexpr std::string_view mark = "{number}";
  return text.replace(text.find(mark), mark.size(), number);
}

/// Items and names of an HLS output: init segment, segments, manifest.
template <class Step>
result<void> name_hls(job_draft& d, Step& step, const transcode_work& w,
                      const transcode_task& task, const output_names& names) {
  if (!is_plain(d.numbers))
    return fail_field(errc::unsupported, "ObjectNumberFormat",
                      "HLS segments are numbered 0, 1, 2, … without padding");
  FM_TRY(auto manifest, names.key("m3u8", ""));
  FM_TRY(auto segment, segment_pattern(names, task, manifest, w.fmp4() ? "mp4" : "ts"));
  step.hls_fmp4 = w.fmp4();
  step.segment_pattern = with_number(relative_key(manifest, segment), "%d");
  if (w.fmp4()) {
    auto init = with_number(segment, "init");
    step.init_name = relative_key(manifest, init);
    d.items.push_back({step.name + ".init", 0, names.bucket(), init, "segment"});
  }
  d.items.push_back({step.name + ".*", 0, names.bucket(), segment, "segment"});
  d.items.push_back({step.name, 0, names.bucket(), manifest, "manifest"});
  return {};
}

template <class Step>
result<void> name_output(job_draft& d, Step& step, const transcode_work& w, const activity& a,
                         const draft_context& context) {
  output_names names{*context.source.run, a};
  step.container = w.container;
  step.name = fmt::format("o{}.{}", d.index, w.hls() ? "m3u8" : w.container);
  if (w.hls())
    return name_hls(d, step, w, *a.transcode, names);
  FM_TRY(auto key, names.key(w.container, ""));
  d.items.push_back({step.name, 0, names.bucket(), key, "media"});
  return {};
}

void warn_idle(job_draft& d, const transcode_work& w, const source_facts& source) {
  if (w.t.video && w.t.remove_video.value_or(0) == 0)
    append(d.warnings, idle_video_parameters(*w.t.video, w.container, w.video));
  if (w.t.audio && w.audio != treatment::none)
    append(d.warnings,
           idle_audio_parameters(*w.t.audio, d.audio ? &*d.audio : nullptr, *source.audio));
}

/// Segments end at key frames, so they are whole GOPs.
void warn_segments(job_draft& d, const transcode_work& w, const key_grid& keys) {
  auto asked = w.hls() && w.t.video ? w.t.video->hls_time.value_or(0) : 0;
  if (asked > 0 && keys.hls_seconds > 0 && std::abs(keys.hls_seconds - asked) > 0.05 * asked)
    d.warnings.push_back(
        fmt::format("HlsTime {}: segments are {:.3f} s, whole GOPs", asked, keys.hls_seconds));
}

double segment_seconds(const transcode_work& w, const key_grid& keys) {
  if (!w.hls() || keys.hls_seconds > 0)
    return keys.hls_seconds;
  return make_key_grid(w.t.video.value_or(video_template{}), {25, 1}, {25, 1},
                       delivery::segments)
      .hls_seconds;
}

template <class Step>
result<void> finish(job_draft& d, Step step, const transcode_work& w, const key_grid& keys,
                    const activity& a, const draft_context& context) {
  FM_CHECK(name_output(d, step, w, a, context));
  step.hls_seconds = segment_seconds(w, keys);
  step.contract = contract_of(d, w, context.source);
  d.finish = std::move(step);
  return {};
}

remux_step remux_of(const transcode_work& w, const source_facts& source) {
  remux_step step;
  if (w.video == treatment::copy)
    step.video_stream = source.video->index;
  if (w.audio == treatment::copy)
    step.audio_stream = source.audio->index;
  if (!w.part.whole) {
    step.begin = w.part.begin_seconds;
    step.end = w.part.end_seconds;
  }
  return step;
}

/// Of an edit each file has its own.
result<clip> part_of(const transcode_task& task, const source_facts& source) {
  const auto& edit = source.run->spec.edit;
  if (!edit)
    return resolve_clip(source.clock, task.start_offset, task.end_offset);
  const auto& c = edit->clips.at(source.number);
  return resolve_clip(source.clock, c.start_offset, c.end_offset);
}

} // namespace

result<void> draft_transcode(job_draft& d, const activity& a, const draft_context& context) {
  const auto& task = *a.transcode;
  transcode_work w;
  FM_TRY(w.t, resolve(task, context.templates));
  FM_CHECK(validate(w.t));
  w.container = w.t.container.value_or("mp4");
  FM_CHECK(choose_streams(w, d, context.source));
  FM_TRY(w.part, part_of(task, context.source));
  FM_CHECK(check_copy(w, task, context.source));
  key_grid keys;
  if (w.video == treatment::encode) {
    FM_TRY(keys, draft_video(d, w, task, context));
  }
  if (w.audio == treatment::encode)
    draft_audio(d, w, context.source);
  warn_idle(d, w, context.source);
  warn_segments(d, w, keys);
  return w.copies() ? finish(d, remux_of(w, context.source), w, keys, a, context)
                    : finish(d, assemble_step{}, w, keys, a, context);
}

} // namespace framemill
