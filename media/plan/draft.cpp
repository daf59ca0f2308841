#include "media/plan/draft.hpp"

#include <set>
#include <utility>

namespace framemill {
namespace {

using key_set = std::set<std::pair<std::string, std::string>>;

result<void> draft_kind(job_draft& d, const activity& a, const draft_context& context) {
  switch (a.kind) {
  case activity_kind::transcode: return draft_transcode(d, a, context);
  case activity_kind::animated_graphic: return draft_animation(d, a, context);
  case activity_kind::snapshot_by_time_offset: return draft_snapshot(d, a, context);
  case activity_kind::sample_snapshot: return draft_sample(d, a, context);
  case activity_kind::image_sprite: return draft_sprite(d, a, context);
  }
  return fail(errc::internal, "an activity of an unknown kind");
}

bool is_successor(const std::vector<activity>& activities, std::uint32_t index) {
  for (const auto& a : activities)
    for (auto s : a.successors)
      if (s == index)
        return true;
  return false;
}

/// Claims the keys of a job: all, or none and a failure.
result<void> claim_keys(const job_draft& d, const object_ref& source, key_set& taken) {
  key_set mine;
  for (const auto& item : d.items) {
    std::pair key{item.bucket, item.key};
    if (item.bucket == source.bucket && item.key == source.key)
      return fail_field(errc::already_exists, "OutputObjectPath",
                        "the output {} would overwrite its own source", item.key);
    if (taken.contains(key))
      return fail_field(errc::already_exists, "OutputObjectPath",
                        "an earlier activity already makes {} in bucket {}", item.key,
                        item.bucket);
    if (!mine.insert(key).second)
      return fail_field(errc::invalid_argument, "OutputObjectPath",
                        "several files would be named {}: the name needs {{number}}", item.key);
  }
  taken.merge(mine);
  return {};
}

result<void> draft_job(job_draft& d, const draft_context& context, key_set& taken) {
  const auto& activities = context.source.run->spec.activities;
  const auto& a = activities[d.index];
  if (is_successor(activities, d.index))
    return fail_field(errc::unsupported, "Successors",
                      "an activity that works on another activity's output");
  d.numbers = numbers_of(a);
  FM_CHECK(draft_kind(d, a, context));
  return claim_keys(d, context.source.run->object, taken);
}

} // namespace

std::vector<job_draft> draft_jobs(const draft_context& context) {
  std::vector<job_draft> out;
  key_set taken;
  for (std::uint32_t i = 0; i < context.source.run->spec.activities.size(); ++i) {
    job_draft d;
    d.index = i;
    if (auto ok = draft_job(d, context, taken); !ok) {
      job_draft failed;
      failed.index = i;
      failed.numbers = d.numbers;
      failed.failure = std::move(ok).error();
      d = std::move(failed);
    }
    out.push_back(std::move(d));
  }
  return out;
}

} // namespace framemill
