#include "storage/run_books.hpp"

#include <algorithm>

namespace framemill {

result<mps::task_view> read_task(const state_store& store, run_id id) {
  mps::task_view out;
  FM_TRY(auto run, find_record<run_record>(store, family::runs, keys::of(id)));
  if (!run)
    return fail(errc::not_found, "there is no run {}", id.value);
  out.run = std::move(*run);
  FM_TRY(auto jobs, records_of<job_record>(store, family::jobs, id));
  for (auto& j : jobs) {
    auto index = j.index;
    out.jobs.emplace(index, std::move(j));
  }
  // There may be thousands; only of a sprite do they say what the jobs do not.
  if (std::ranges::any_of(out.run.spec.activities, [](const activity& a) {
        return a.kind == activity_kind::image_sprite;
      })) {
    FM_TRY(out.shards, records_of<shard_record>(store, family::shards, id));
  }
  return out;
}

} // namespace framemill
