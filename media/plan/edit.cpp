#include "media/plan/cut.hpp"
#include "media/plan/draft.hpp"
#include "media/plan/geometry.hpp"
#include "media/plan/layout.hpp"
#include "media/plan/settings.hpp"

#include <algorithm>
#include <cmath>
#include <deque>

namespace framemill {
namespace {

constexpr std::int64_t splice_memory_bytes = std::int64_t{1} << 30; ///< at least
constexpr std::int64_t memory_per_frame = 512; ///< of lists of times, and the muxer's index
constexpr double sound_second = 0.02;          ///< CPU seconds of a second that is spliced
constexpr double fps_min = 1, fps_max = 60;
constexpr std::int32_t audio_rate = 48'000; ///< Hz, unless the template asks for another
constexpr std::int32_t audio_channels = 2;

std::string clip_file(std::size_t clip) { return fmt::format("c{}.mov", clip); }

/// What all clips have in common: the first one's size and rate, and one form of sound.
struct common_form {
  picture_size canvas;
  rational fps;
  std::optional<audio_output> sound; ///< of the whole; nothing when no clip has any
};

/// A rate that an output may have, near the source's: a usual one, or a thousandth of a
/// frame. An average of frames over a phone's duration is neither.
rational rate_of(const stream_info& video) {
  constexpr rational usual[] = {{24000, 1001}, {24, 1}, {25, 1}, {30000, 1001}, {30, 1},
                                {48, 1},       {50, 1}, {60000, 1001}, {60, 1}};
  auto value_of = [](const rational& r) {
    return static_cast<double>(r.num) / static_cast<double>(r.den);
  };
  if (video.frame_rate.num <= 0 || video.frame_rate.den <= 0)
    return {25, 1};
  const auto rate = std::clamp(value_of(video.frame_rate), fps_min, fps_max);
  auto distance = [&](const rational& r) { return std::abs(value_of(r) - rate); };
  const auto& nearest = *std::ranges::min_element(usual, {}, distance);
  if (distance(nearest) < 0.0004 * rate) // 1000/1001 is farther away
    return nearest;
  return {std::llround(rate * 1000), 1000};
}

/// Do they say of their colours what cannot be said of one video?
bool contradict(const std::string& a, const std::string& b) {
  auto is_said = [](const std::string& s) { return !s.empty() && s != "unknown"; };
  return is_said(a) && is_said(b) && a != b;
}
bool contradict(const stream_info& a, const stream_info& b) {
  return a.hdr != b.hdr || contradict(a.color_space, b.color_space)
         || contradict(a.color_primaries, b.color_primaries)
         || contradict(a.color_transfer, b.color_transfer);
}

class edit_planner {
public:
  edit_planner(const run_record& run, const std::vector<const packet_index*>& indexes,
               const template_source& templates,
               const std::map<std::string, std::string>& assets, const plan_options& options)
      : run_(run), templates_(templates), assets_(assets), options_(options) {
    options_.shards_max /= static_cast<int>(run.source_count());
    for (std::uint32_t i = 0; i < run.source_count(); ++i) {
      runs_.push_back(run);
      runs_.back().object = run.object_of(i);
      runs_.back().media = run.media_of(i);
      sources_.push_back(examine(runs_.back(), indexes[i], options, i));
    }
  }

  physical_plan plan() {
    job_draft job;
    if (auto done = fill(job); !done) {
      plan_ = {};
      job = {};
      job.failure = std::move(done).error();
    }
    plan_.jobs.push_back(to_record(std::move(job), run_));
    add_up(plan_);
    return std::move(plan_);
  }

private:
  /// The clips' shards, and the one that makes the output of them.
  result<void> fill(job_draft& job) {
    FM_CHECK(agree());
    FM_CHECK(draft_transcode(job, task(), context(0)));
    FM_CHECK(check_keys(job));
    auto* output = job.finish ? std::get_if<assemble_step>(&*job.finish) : nullptr;
    if (output == nullptr)
      return fail(errc::internal, "the clips of an edit are encoded");
    std::vector<std::uint32_t> makers;
    for (std::size_t i = 0; i < sources_.size(); ++i) {
      auto maker = lay_clip(i, *output);
      if (!maker)
        return at_file(i, std::move(maker).error());
      makers.push_back(*maker);
    }
    add_splice(job, *output, std::move(makers));
    return {};
  }

  static failure at_file(std::size_t i, error e) {
    return fail_field(e.code, fmt::format("FileInfos.{}", i), "{}", e.message);
  }

  /// Every file has pictures; what is common to all clips follows from the first.
  result<void> agree() {
    const stream_info* sound = nullptr;
    for (std::size_t i = 0; i < sources_.size(); ++i) {
      if (!sources_[i].video)
        return at_file(i, {errc::input_no_video, "the file has no video", {}});
      if (sound == nullptr)
        sound = sources_[i].audio;
    }
    agree_on_colours();
    const auto canvas = fit(sources_[0].size, {}).geometry;
    form_.canvas = {canvas.width, canvas.height};
    form_.fps = rate_of(*sources_[0].video);
    FM_TRY(const auto t, resolve(*run_.spec.activities.at(0).transcode, templates_));
    if (sound == nullptr || t.remove_audio.value_or(0) == 1)
      return {};
    form_.sound = audio_settings(t.audio.value_or(audio_template{}), "mp4", *sound);
    if (form_.sound->sample_rate == 0)
      form_.sound->sample_rate = audio_rate;
    if (t.audio->audio_channel.value_or(0) == 0)
      form_.sound->channels = audio_channels;
    form_.sound->name = "a";
    return {};
  }

  void agree_on_colours() {
    const auto& first = *sources_[0].video;
    if (std::ranges::none_of(sources_, [&](const auto& s) { return contradict(first, *s.video); }))
      return;
    for (auto& s : sources_)
      s.bt709 = true;
    plan_.warnings.push_back("the files have different colours: all become BT.709");
  }

  /// The output must not be one of its own files.
  result<void> check_keys(const job_draft& job) const {
    for (const auto& item : job.items)
      for (const auto& r : runs_)
        if (item.bucket == r.object.bucket && item.key == r.object.key)
          return fail_field(errc::already_exists, "OutputObjectPath",
                            "the output {} would overwrite its own source", item.key);
    return {};
  }

  draft_context context(std::size_t i) const {
    return {sources_[i], templates_, assets_, options_};
  }

  /// The run's transcode at the common rate.
  activity task() const {
    auto a = run_.spec.activities.at(0);
    if (auto& raw = a.transcode->raw; raw && raw->video) {
      raw->video->fps = static_cast<double>(form_.fps.num);
      raw->video->fps_denominator = form_.fps.den;
    }
    return a;
  }

  /// Answers the shard that makes the clip.
  result<std::uint32_t> lay_clip(std::size_t i, assemble_step& output) {
    const auto& source = sources_[i];
    job_draft d;
    FM_CHECK(draft_transcode(d, task(), context(i)));
    if (!d.video || !d.finish)
      return fail(errc::input_no_video, "nothing of the file's video is encoded");
    d.video->output.geometry = place(source.size, form_.canvas);
    if (d.audio) {
      d.audio->codec = "pcm_s16le";
      d.audio->sample_rate = form_.sound->sample_rate;
      d.audio->channels = form_.sound->channels;
      if (d.audio->end == 0 && source.exact) // silence counts, where it is less
        d.audio->end = seconds_of(source.clock.end, source.clock.time_base);
    }
    add_to(output.contract, *d.video, i);
    seconds_ += source.clock.duration;
    d.finish = clip_step(i, std::get<assemble_step>(*d.finish), d);
    d.items = {{clip_file(i), 0, "", "", "clip"}};
    std::vector<job_draft> drafts;
    drafts.push_back(std::move(d));
    const auto work = share(drafts);
    const auto cut = cut_source(work, source, options_);
    const auto first = run_.source_count() + static_cast<std::uint32_t>(plan_.shards.size());
    auto shards = shard_layout{source, work, cut, assets_, options_, first}.lay_out(drafts);
    note_stage(i, shards, cut);
    plan_.shards.insert(plan_.shards.end(), std::make_move_iterator(shards.begin()),
                        std::make_move_iterator(shards.end()));
    for (const auto& warning : source.warnings)
      plan_.warnings.push_back(fmt::format("FileInfos.{}: {}", i, warning));
    return drafts.front().items.front().shard;
  }

  static assemble_step clip_step(std::size_t i, assemble_step step, const job_draft& d) {
    step.name = clip_file(i);
    step.container = "mov";
    step.hls_seconds = 0;
    step.hls_fmp4 = false;
    step.segment_pattern.clear();
    step.init_name.clear();
    step.contract.width = d.video->output.geometry.width;
    step.contract.height = d.video->output.geometry.height;
    step.contract.has_audio = d.audio.has_value();
    step.contract.duration = 0; // sound may be longer or shorter: the splice evens it out
    return step;
  }

  /// Frames of the whole, as far as they are known before they are decoded.
  void add_to(output_contract& whole, const rendition& video, std::size_t i) const {
    if (i == 0)
      whole.video_frames = 0;
    const bool known = whole.video_frames >= 0 && video.frames >= 0;
    whole.video_frames = known ? whole.video_frames + video.frames : -1;
  }

  void note_stage(std::size_t i, const std::vector<shard_record>& shards,
                  const source_cut& cut) {
    plan_stage stage;
    stage.name = fmt::format("clip {}", i);
    stage.jobs = {0};
    stage.note = cut.ticks.empty() ? fmt::format("not sharded: {}", cut.reason)
                                   : fmt::format("{} pieces", cut.ticks.size() + 1);
    for (const auto& s : shards) {
      stage.shards.push_back(s.id.index);
      stage.cost += s.cost;
    }
    plan_.stages.push_back(std::move(stage));
  }

  void add_splice(job_draft& job, assemble_step output, std::vector<std::uint32_t> makers) {
    shard_record shard;
    shard.id = {run_.id, run_.source_count() + static_cast<std::uint32_t>(plan_.shards.size())};
    shard.role = shard_role::join;
    shard.state = shard_state::blocked;
    shard.jobs = {0};
    for (auto maker : makers) // the clips, their pictures once more, and the output
      shard.scratch_bytes += 2 * plan_.shards[maker - run_.source_count()].scratch_bytes;
    shard.needs = std::move(makers);
    splice_step splice;
    for (std::size_t i = 0; i < sources_.size(); ++i)
      splice.clips.push_back(clip_file(i));
    splice.video = "v";
    splice.fps = job.video->output.grid.fps;
    splice.sound = form_.sound;
    output.videos = {splice.video};
    output.audio = form_.sound ? form_.sound->name : "";
    output.contract.has_audio = form_.sound.has_value();
    output.contract.duration = 0;
    shard.request.source_name = run_.object.key;
    shard.request.steps = {std::move(splice), std::move(output)};
    for (auto& item : job.items) {
      item.shard = shard.id.index;
      shard.request.keep.push_back(item.file);
    }
    std::sort(shard.request.keep.begin(), shard.request.keep.end());
    shard.cost = 0.5 + sound_second * seconds_;
    shard.memory_bytes = splice_memory_bytes / 4
                         + static_cast<std::int64_t>(seconds_ * fps_max) * memory_per_frame;
    shard.request.memory_bytes_max = splice_memory_bytes / 2 + 2 * shard.memory_bytes;
    plan_.stages.push_back({"splice", {shard.id.index}, {0}, "one continuous sound", shard.cost});
    plan_.shards.push_back(std::move(shard));
  }

  const run_record& run_;
  const template_source& templates_;
  const std::map<std::string, std::string>& assets_;
  plan_options options_;        ///< of each file: they share the run's shards
  double seconds_ = 0;          ///< of all files, at most
  std::deque<run_record> runs_; ///< one for each file, which its facts refer to
  std::vector<source_facts> sources_;
  common_form form_;
  physical_plan plan_;
};

} // namespace

result<physical_plan> make_edit_plan(const run_record& run,
                                     const std::vector<const packet_index*>& indexes,
                                     const template_source& templates,
                                     const std::map<std::string, std::string>& assets,
                                     const plan_options& options) {
  if (!run.spec.edit || run.spec.edit->clips.size() != run.source_count()
      || indexes.size() != run.source_count())
    return fail(errc::internal, "run {} is planned as the edit that it is not", run.id.value);
  for (std::uint32_t i = 0; i < run.source_count(); ++i)
    if (!run.media_of(i))
      return fail(errc::internal, "run {} is planned before its sources were probed",
                  run.id.value);
  return edit_planner{run, indexes, templates, assets, options}.plan();
}

} // namespace framemill
