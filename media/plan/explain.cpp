#include "media/plan/plan.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace framemill {
namespace {

using sink = std::back_insert_iterator<std::string>;

void explain_stages(const physical_plan& plan, sink out) {
  fmt::format_to(out, "{:<16} {:>6} {:>9}  {:<14} {}\n", "STAGE", "SHARDS", "CPU s", "JOBS",
                 "NOTE");
  for (const auto& s : plan.stages)
    fmt::format_to(out, "{:<16} {:>6} {:>9.1f}  {:<14} {}\n", s.name, s.shards.size(), s.cost,
                   fmt::format("{}", fmt::join(s.jobs, ",")), s.note);
}

std::string range_of(const decode_step& d) {
  if (d.key_frames_only)
    return "key frames only";
  if (d.index_file.empty())
    return "all frames as they come";
  auto from = d.start.pts == INT64_MIN ? "the beginning" : fmt::format("tick {}", d.start.pts);
  return fmt::format("ticks {}–{}, from {}", d.begin, d.end, from);
}

std::string frames_of(const video_output& v) {
  return v.last == INT64_MAX
             ? fmt::format("{} ({}×{}, all)", v.name, v.geometry.width, v.geometry.height)
             : fmt::format("{} ({}×{}, frames {}–{})", v.name, v.geometry.width,
                           v.geometry.height, v.first, v.last - 1);
}

/// One line per step, in words.
struct step_text {
  std::string operator()(const probe_step&) const { return "probe"; }
  std::string operator()(const decode_step& d) const {
    auto text = "decode " + range_of(d);
    for (const auto& v : d.videos)
      text += "\n      → " + frames_of(v);
    for (const auto& p : d.pictures)
      text += fmt::format("\n      → {} ({} pictures, {})", p.name, p.picks.size(), p.format);
    return text;
  }
  std::string operator()(const audio_step& a) const {
    std::string text = "audio";
    for (const auto& o : a.outputs)
      text += fmt::format("\n      → {} ({})", o.name, o.codec);
    return text;
  }
  std::string operator()(const assemble_step& a) const {
    return fmt::format("assemble {} ({}) of {} video files{}", a.name, a.container,
                       a.videos.size(), a.audio.empty() ? "" : " and " + a.audio);
  }
  std::string operator()(const remux_step& r) const {
    return fmt::format("copy into {} ({})", r.name, r.container);
  }
  std::string operator()(const splice_step& s) const {
    return fmt::format("splice {} clips{}", s.clips.size(),
                       s.sound ? fmt::format(", sound {}", s.sound->codec) : "");
  }
  std::string operator()(const sprite_step& s) const {
    return fmt::format("sprite {} ({} sheets)", s.name, s.sheet_names.size());
  }
  std::string operator()(const animation_step& a) const {
    return fmt::format("animation {} ({})", a.name, a.format);
  }
};

void explain_shards(const physical_plan& plan, sink out) {
  for (const auto& s : plan.shards) {
    fmt::format_to(out,
                   "\nshard {} · {} · needs [{}] · {:.1f} CPU s on {} core{} · {} MiB, {} MiB of "
                   "scratch\n",
                   s.id.index, to_string(s.role), fmt::join(s.needs, ","), s.cost, s.cores,
                   s.cores == 1 ? "" : "s", s.memory_bytes >> 20, s.scratch_bytes >> 20);
    for (const auto& step : s.request.steps)
      fmt::format_to(out, "    {}\n", std::visit(step_text{}, step));
  }
}

void explain_jobs(const physical_plan& plan, sink out) {
  fmt::format_to(out, "\n");
  for (const auto& j : plan.jobs) {
    if (j.failure) {
      fmt::format_to(out, "job {} fails: {}{}{}\n", j.index, j.failure->message,
                     j.failure->field.empty() ? "" : ", field ", j.failure->field);
      continue;
    }
    const auto& last = j.items.back();
    fmt::format_to(out, "job {} → {}:{}{}\n", j.index, last.bucket, last.key,
                   j.items.size() > 1 ? fmt::format(" and {} more", j.items.size() - 1) : "");
    for (const auto& w : j.warnings)
      fmt::format_to(out, "  warning: {}\n", w);
  }
}

} // namespace

std::string explain(const physical_plan& plan) {
  std::string text;
  sink out{text};
  explain_stages(plan, out);
  explain_shards(plan, out);
  explain_jobs(plan, out);
  for (const auto& w : plan.warnings)
    fmt::format_to(out, "warning: {}\n", w);
  fmt::format_to(out, "predicted: {:.1f} CPU s in {} shards, {} MiB of scratch\n", plan.cost,
                 plan.shards.size(), plan.scratch_bytes >> 20);
  return text;
}

} // namespace framemill
