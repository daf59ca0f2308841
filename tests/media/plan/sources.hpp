#pragma once

#include "media/plan/plan.hpp"

// Sources and runs for the planner's tests; nothing here is decoded.

namespace framemill::plan_test {

/// A source of `count` frames; pts_i = origin + round(i × step) ticks.
struct clip_shape {
  const char* name = "";
  rational time_base{1, 90000};
  rational rate{25, 1};
  std::int64_t count = 1500;
  std::int64_t gop = 50;
  std::int64_t origin = 0;
  double jitter = 0; ///< of a frame, alternating: variable frame rate
};

inline packet_index make_index(const clip_shape& s) {
  packet_index index;
  index.time_base = s.time_base;
  auto step = static_cast<double>(s.rate.den * s.time_base.den) /
              static_cast<double>(s.rate.num * s.time_base.num);
  for (std::int64_t i = 0; i < s.count; ++i) {
    auto wave = s.jitter * static_cast<double>((i * 7) % 5 - 2) / 4;
    index.pts.push_back(
        s.origin +
        static_cast<std::int64_t>((static_cast<double>(i) + wave + s.jitter) * step + 0.5));
    if (i % s.gop == 0)
      index.access_points.push_back({index.pts.back(), i * 1000});
  }
  index.last_duration = static_cast<std::int64_t>(step + 0.5);
  return index;
}

inline media_info make_media(const clip_shape& s, const packet_index& index) {
  stream_info video;
  video.kind = stream_kind::video;
  video.codec = "h264";
  video.time_base = s.time_base;
  video.start_pts = index.pts.front();
  video.duration_pts = index.pts.back() + index.last_duration - index.pts.front();
  video.width = 1920;
  video.height = 1080;
  video.frame_rate = s.rate;
  stream_info audio;
  audio.index = 1;
  audio.kind = stream_kind::audio;
  audio.codec = "aac";
  audio.time_base = {1, 48000};
  auto seconds = [&](std::int64_t ticks) {
    return static_cast<double>(ticks * s.time_base.num) / static_cast<double>(s.time_base.den);
  };
  audio.start_pts = static_cast<std::int64_t>(seconds(video.start_pts) * 48000);
  audio.duration_pts = static_cast<std::int64_t>(seconds(video.duration_pts) * 48000);
  audio.sample_rate = 48000;
  audio.channels = 6;
  media_info m;
  m.container = "mov,mp4,m4a,3gp,3g2,mj2";
  m.size = s.count * 1000; // as the index has it
  m.duration = seconds(video.duration_pts);
  m.streams = {video, audio};
  return m;
}

/// Presets, and what a test adds.
struct test_templates : template_source {
  std::vector<template_record> own;
  const template_record* find(template_family family, std::uint64_t definition) const override {
    for (const auto& t : own)
      if (t.family == family && t.definition == definition)
        return &t;
    return find_preset(family, definition);
  }
};

struct planned {
  run_record run;
  std::optional<packet_index> index;
  test_templates templates;
  std::map<std::string, std::string> assets;
  plan_options options;

  explicit planned(const clip_shape& s) : index(make_index(s)) {
    run.id = {7};
    run.object = {"media", "in/clip.mov", {}};
    run.media = make_media(s, *index);
  }

  activity& add(activity a) {
    run.spec.activities.push_back(std::move(a));
    return run.spec.activities.back();
  }
  transcode_task& transcode(std::uint64_t definition) {
    activity a;
    a.transcode = transcode_task{};
    a.transcode->definition = definition;
    return *add(std::move(a)).transcode;
  }
  /// A transcode with parameters of its own; 720 lines, fps, no bitrate.
  transcode_template& raw(std::string container, double fps) {
    auto& task = transcode(0);
    task.raw.emplace();
    task.raw->container = std::move(container);
    task.raw->video.emplace();
    task.raw->video->codec = "h264";
    task.raw->video->fps = fps;
    task.raw->video->bitrate = 0;
    task.raw->video->height = 720;
    task.raw->audio.emplace();
    task.raw->audio->codec = "aac";
    task.raw->audio->bitrate = 0;
    task.raw->audio->sample_rate = 0;
    task.output_object_path = "out" + std::to_string(run.spec.activities.size()) + ".{format}";
    task.segment_object_name =
        "out" + std::to_string(run.spec.activities.size()) + "_{number}.{format}";
    return *task.raw;
  }
  snapshot_by_time_offset_task& snapshots(std::vector<std::string> times) {
    activity a;
    a.kind = activity_kind::snapshot_by_time_offset;
    a.snapshot.emplace();
    a.snapshot->definition = 10;
    a.snapshot->ext_time_offsets = std::move(times);
    return *add(std::move(a)).snapshot;
  }
  void samples() {
    activity a;
    a.kind = activity_kind::sample_snapshot;
    a.sample_snapshot.emplace();
    a.sample_snapshot->definition = 10;
    add(std::move(a));
  }
  image_sprite_task& sprite() {
    activity a;
    a.kind = activity_kind::image_sprite;
    a.image_sprite.emplace();
    a.image_sprite->definition = 10;
    return *add(std::move(a)).image_sprite;
  }
  void animation(double start, double end) {
    activity a;
    a.kind = activity_kind::animated_graphic;
    a.animated_graphic.emplace();
    a.animated_graphic->definition = 20000;
    a.animated_graphic->start_offset = start;
    a.animated_graphic->end_offset = end;
    add(std::move(a));
  }
  physical_plan plan() const {
    auto p = make_plan(run, index ? &*index : nullptr, templates, assets, options);
    return p ? std::move(*p) : physical_plan{};
  }
};

template <class Step>
std::vector<Step> steps_of(const physical_plan& plan) {
  std::vector<Step> out;
  for (const auto& s : plan.shards)
    for (const auto& step : s.request.steps)
      if (const auto* x = std::get_if<Step>(&step))
        out.push_back(*x);
  return out;
}

} // namespace framemill::plan_test
