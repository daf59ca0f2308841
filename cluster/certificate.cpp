#include "cluster/certificate.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <set>

namespace framemill {

namespace {

constexpr auto open_end = std::numeric_limits<std::int64_t>::max();
constexpr double psnr_most = 100; ///< of equal pictures

bool is_match(std::string_view pattern, std::string_view name) {
  if (pattern.ends_with('*'))
    return name.starts_with(pattern.substr(0, pattern.size() - 1));
  return pattern == name;
}

/// Shards whose files the job publishes, and all that those were made of; only
/// the probe is left out. What a shard needs was planned before it.
std::vector<std::uint32_t> parts_of(const job_record& job,
                                    const std::vector<shard_record>& shards) {
  std::set<std::uint32_t> parts;
  for (const auto& item : job.items)
    parts.insert(item.shard);
  for (auto i = static_cast<std::uint32_t>(shards.size()); i-- > 0;)
    if (parts.contains(i))
      parts.insert(shards[i].needs.begin(), shards[i].needs.end());
  std::erase_if(parts, [&](auto i) {
    return i >= shards.size() || shards[i].role == shard_role::probe;
  });
  return {parts.begin(), parts.end()};
}

/// Names (or patterns of names) that the job's own steps read, or it publishes.
struct read_names {
  std::set<std::string> names;

  void operator()(const assemble_step& s) {
    names.insert(s.videos.begin(), s.videos.end());
    names.insert(s.audio);
  }
  void operator()(const remux_step& s) { names.insert({s.video_file, s.audio_file}); }
  void operator()(const sprite_step& s) { names.insert(s.pictures.begin(), s.pictures.end()); }
  void operator()(const animation_step& s) {
    names.insert(s.pictures.begin(), s.pictures.end());
  }
  void operator()(const splice_step& s) { names.insert(s.clips.begin(), s.clips.end()); }
  void operator()(const probe_step&) {}
  void operator()(const decode_step&) {}
  void operator()(const audio_step&) {}

  bool contains(const std::string& name) const {
    return std::any_of(names.begin(), names.end(),
                       [&](const auto& n) { return is_match(n, name); });
  }
};

const attempt_record* maker_of(const shard_record& shard) {
  for (auto a = shard.attempts.rbegin(); a != shard.attempts.rend(); ++a)
    if (shard.made_by ? a->epoch == shard.made_by : !a->failure)
      return &*a;
  return nullptr;
}

rational time_base_of(const std::optional<media_info>& media, std::int32_t stream) {
  if (media)
    for (const auto& s : media->streams)
      if (s.index == stream)
        return s.time_base;
  return {};
}

class certifier {
public:
  certifier(const run_record& run, const job_record& job,
            const std::vector<shard_record>& shards)
      : run_(run), job_(job), shards_(shards), parts_(parts_of(job, shards)) {
    for (auto i : parts_)
      for (const auto& step : shards[i].request.steps)
        std::visit(read_, step);
    for (const auto& item : job.items)
      read_.names.insert(item.file);
  }

  join_certificate certificate() && {
    out_.run = run_.id;
    out_.job = job_.index;
    out_.source = run_.object;
    out_.fingerprint = run_.fingerprint;
    out_.plan_revision = run_.plan_revision;
    out_.finished = job_.finished;
    for (auto i : parts_)
      out_.shards.push_back(describe(shards_[i]));
    for (const auto& f : job_.outputs)
      out_.outputs.push_back(describe(f));
    check_builds();
    for (auto i : parts_)
      check_joins(shards_[i]);
    check_outputs();
    out_.passed = std::all_of(out_.checks.begin(), out_.checks.end(),
                              [](const auto& c) { return c.passed; });
    return std::move(out_);
  }

private:
  void check(std::string what, bool passed, std::string found) {
    out_.checks.push_back({std::move(what), passed, std::move(found)});
  }

  certified_shard describe(const shard_record& shard) {
    certified_shard out;
    out.shard = shard.id.index;
    out.role = shard.role;
    out.attempts = static_cast<std::uint32_t>(shard.attempts.size());
    if (const auto* maker = maker_of(shard)) {
      out.epoch = maker->epoch;
      out.node = maker->node;
      out.fingerprint = maker->fingerprint;
    }
    for (const auto& step : shard.request.steps)
      if (const auto* d = std::get_if<decode_step>(&step))
        for (const auto& v : d->videos)
          if (read_.contains(v.name))
            out.windows.push_back(window_of(*d, v, shard.source));
    for (const auto& f : shard.files)
      if (read_.contains(f.name)) {
        out.files.push_back({f.name, f.size, f.sha256, f.frames});
        files_[f.name] = &f;
      }
    return out;
  }

  certified_window window_of(const decode_step& step, const video_output& v,
                             std::uint32_t source) {
    certified_window out{v.name, v.first, v.last,
                         {},     {},      time_base_of(run_.media_of(source), step.stream)};
    if (v.last == open_end)
      out.last.reset();
    if (!step.index_file.empty()) {
      out.begin = step.begin;
      out.end = step.end;
    }
    windows_[v.name] = out;
    return out;
  }

  certified_output describe(const published_file& f) {
    certified_output out{f.object, f.role, f.size, f.md5, {}, {}};
    if (const auto* artifact = artifact_with(f.size, f.md5)) {
      out.sha256 = artifact->sha256;
      out.frames = artifact->frames;
    }
    return out;
  }

  const result_file* artifact_with(std::int64_t size, const std::string& md5) const {
    for (const auto& item : job_.items)
      if (item.shard < shards_.size())
        for (const auto& f : shards_[item.shard].files)
          if (is_match(item.file, f.name) && f.size == size && f.md5 == md5)
            return &f;
    return nullptr;
  }

  void check_builds() {
    std::set<std::string> builds;
    for (const auto& s : out_.shards)
      if (s.role != shard_role::join)
        builds.insert(s.fingerprint);
    check("all parts are encoded by one build", builds.size() <= 1,
          fmt::format("{} build{}", builds.size(), builds.size() == 1 ? "" : "s"));
  }

  void check_joins(const shard_record& shard) {
    const splice_step* splice = nullptr; // what is assembled after it are its clips
    for (const auto& step : shard.request.steps) {
      if (const auto* s = std::get_if<splice_step>(&step))
        splice = s;
      const auto* join = std::get_if<assemble_step>(&step);
      if (join && splice)
        check_splice(*splice, *join, shard);
      else if (join && !join->videos.empty())
        check_join(*join, shard);
    }
  }

  /// Each clip is a join of its own, or was encoded whole.
  void check_splice(const splice_step& splice, const assemble_step& join,
                    const shard_record& shard) {
    const auto what = fmt::format("{} has the frames of its clips", join.name);
    std::int64_t expected = 0;
    for (const auto& name : splice.clips) {
      auto file = files_.find(name);
      if (file == files_.end() || !file->second->frames)
        return check(what, false, fmt::format("there is no clip {}", name));
      expected += *file->second->frames;
    }
    for (const auto& f : shard.files)
      if (f.name == join.name)
        check(what, f.frames == expected,
              fmt::format("{} of {} in {} clips", f.frames.value_or(-1), expected,
                          splice.clips.size()));
  }

  /// The parts of one rendition, in the order in which they are joined.
  void check_join(const assemble_step& join, const shard_record& shard) {
    check_contiguity(join);
    check_frames(join);
    for (const auto& f : shard.files)
      if (f.name == join.name)
        check_seams(join, f.seams);
    if (join.contract.video_frames < 0)
      return;
    for (const auto& f : shard.files)
      if (f.name == join.name && f.frames)
        check(fmt::format("{} has the frames its plan promised", join.name),
              *f.frames == join.contract.video_frames,
              fmt::format("{} of {}", *f.frames, join.contract.video_frames));
  }

  void check_contiguity(const assemble_step& join) {
    const auto what = fmt::format("the parts of {} follow on each other", join.name);
    std::optional<std::int64_t> next = 0;
    for (const auto& name : join.videos) {
      auto w = windows_.find(name);
      if (w == windows_.end())
        return check(what, false, fmt::format("no shard was asked for {}", name));
      if (w->second.first != next)
        return check(what, false, fmt::format("{} begins at frame {}, not {}", name,
                                              w->second.first, next.value_or(-1)));
      next = w->second.last;
    }
    check(what, true, fmt::format("{} part{}", join.videos.size(),
                                  join.videos.size() == 1 ? "" : "s"));
  }

  /// Every part that is an artifact has exactly the frames of its window.
  void check_frames(const assemble_step& join) {
    const auto what = fmt::format("each part of {} has the frames it was asked for", join.name);
    std::int64_t frames = 0;
    for (const auto& name : join.videos) {
      auto file = files_.find(name);
      auto w = windows_.find(name);
      if (file == files_.end() || w == windows_.end() || !file->second->frames)
        continue; // made and read within one attempt
      frames += *file->second->frames;
      if (w->second.last && *file->second->frames != *w->second.last - w->second.first)
        return check(what, false,
                     fmt::format("{} has {} of {}", name, *file->second->frames,
                                 *w->second.last - w->second.first));
    }
    if (frames > 0)
      check(what, true, fmt::format("{} frames", frames));
  }

  /// Where parts meet the pictures are the source's: of each side that was compared,
  /// one frame at least (media/seams.hpp says why not all).
  void check_seams(const assemble_step& join, const std::vector<seam_frame>& frames) {
    if (join.videos.size() < 2)
      return;
    const auto what = fmt::format("the pictures at each seam of {} are the source's", join.name);
    std::set<std::int64_t> seams;
    std::map<std::pair<std::int64_t, bool>, bool> sides; ///< seam, later side → right
    double least = psnr_most;
    for (const auto& f : frames) {
      out_.seams.push_back({join.name, f});
      seams.insert(f.seam);
      sides[{f.seam, f.frame >= f.seam}] |= f.nearest;
      least = std::min(least, f.psnr);
    }
    if (seams.size() + 1 != join.videos.size())
      return check(what, false, fmt::format("{} of {} seams were compared", seams.size(),
                                            join.videos.size() - 1));
    for (const auto& [side, right] : sides)
      if (!right)
        return check(what, false, fmt::format("those {} frame {} are others",
                                              side.second ? "from" : "before", side.first));
    check(what, true, fmt::format("{} seam{}, {} frames, at least {:.1f} dB", seams.size(),
                                  seams.size() == 1 ? "" : "s", frames.size(), least));
  }

  void check_outputs() {
    for (const auto& o : out_.outputs)
      if (o.sha256.empty())
        return check("what is published is what was made", false,
                     fmt::format("{}/{} is none of the artifacts", o.object.bucket, o.object.key));
    check("what is published is what was made", true,
          fmt::format("{} object{}", out_.outputs.size(), out_.outputs.size() == 1 ? "" : "s"));
  }

  const run_record& run_;
  const job_record& job_;
  const std::vector<shard_record>& shards_;
  std::vector<std::uint32_t> parts_;
  read_names read_;
  std::map<std::string, certified_window> windows_;       ///< by file
  std::map<std::string, const result_file*> files_;       ///< artifacts of parts
  join_certificate out_;
};

} // namespace

result<join_certificate> certify(const run_record& run, const job_record& job,
                                 const std::vector<shard_record>& shards) {
  if (job.state != job_state::succeeded)
    return fail(errc::not_found, "job {} of run {} has no certificate: it is {}", job.index,
                run.id.value, to_string(job.state));
  return certifier{run, job, shards}.certificate();
}

} // namespace framemill
