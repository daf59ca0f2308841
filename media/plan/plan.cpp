#include "media/plan/plan.hpp"

#include "media/plan/cut.hpp"
#include "media/plan/draft.hpp"
#include "media/plan/layout.hpp"

#include <algorithm>

namespace framemill {
namespace {

std::string_view stage_word(shard_role role) {
  switch (role) {
  case shard_role::probe: return "probe";
  case shard_role::decode: return "decode";
  case shard_role::audio: return "audio";
  case shard_role::join: return "join";
  case shard_role::whole: return "whole";
  }
  return "?";
}

std::size_t decoded_outputs(const shared_work& work) {
  return work.videos.size() + work.pictures.size();
}

std::string stage_note(shard_role role, const shared_work& work, const source_cut& cut) {
  if (role == shard_role::audio)
    return work.audios.size() == 1
               ? "one continuous encode"
               : fmt::format("one decode for {} sounds", work.audios.size());
  if (role == shard_role::join)
    return "";
  std::string note;
  if (auto n = decoded_outputs(work); n > 0)
    note = fmt::format("one decode for {} output{}", n, n == 1 ? "" : "s");
  if (role == shard_role::whole && !work.videos.empty())
    note += fmt::format("; not sharded: {}", cut.reason);
  return note;
}

std::string stage_name(const shard_record& s, const run_record& run) {
  if (s.role != shard_role::join)
    return std::string{stage_word(s.role)};
  return fmt::format("join {}", definition_of(run.spec.activities[s.jobs.front()]));
}

/// Shards of one role are one stage; each join is its own.
std::vector<plan_stage> stages_of(const std::vector<shard_record>& shards,
                                  const source_facts& source, const shared_work& work,
                                  const source_cut& cut) {
  std::vector<plan_stage> out;
  auto previous = shard_role::probe;
  for (const auto& s : shards) {
    if (s.role != previous || s.role == shard_role::join)
      out.push_back({stage_name(s, *source.run), {}, {}, stage_note(s.role, work, cut)});
    previous = s.role;
    auto& stage = out.back();
    stage.shards.push_back(s.id.index);
    stage.cost += s.cost;
    for (auto job : s.jobs)
      if (std::find(stage.jobs.begin(), stage.jobs.end(), job) == stage.jobs.end())
        stage.jobs.push_back(job);
  }
  return out;
}

} // namespace

void add_up(physical_plan& plan) {
  for (const auto& s : plan.shards) {
    plan.cost += s.cost;
    plan.scratch_bytes += s.scratch_bytes;
  }
}

job_record to_record(job_draft&& d, const run_record& run) {
  job_record j;
  j.run = run.id;
  j.index = d.index;
  j.numbers = d.numbers;
  j.warnings = std::move(d.warnings);
  j.items = std::move(d.items);
  j.failure = std::move(d.failure);
  if (j.failure)
    j.state = job_state::failed;
  return j;
}

result<physical_plan> make_plan(const run_record& run, const packet_index* index,
                                const template_source& templates,
                                const std::map<std::string, std::string>& assets,
                                const plan_options& options) {
  if (!run.media)
    return fail(errc::internal, "run {} is planned before its source was probed", run.id.value);
  auto source = examine(run, index, options);
  auto drafts = draft_jobs({source, templates, assets, options});
  auto work = share(drafts);
  auto cut = cut_source(work, source, options);

  physical_plan plan;
  plan.warnings = source.warnings;
  plan.shards = shard_layout{source, work, cut, assets, options}.lay_out(drafts);
  plan.stages = stages_of(plan.shards, source, work, cut);
  add_up(plan);
  for (auto& d : drafts)
    plan.jobs.push_back(to_record(std::move(d), run));
  return plan;
}

} // namespace framemill
